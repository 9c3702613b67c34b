#include <errno.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/base/mem.h"
#include "tests/sim/files.h"
#include "tests/sim/files_internal.h"

/* How much of a call is carried out. */
enum extent {
    EXTENT_NONE,
    EXTENT_PART,
    EXTENT_ALL,
};

/* Decided before the call is carried out. */
struct verdict {
    enum extent extent;
    int error; /* 0 or negative: its result */
    bool dies;
};

static bool is_dead(const void *ctx)
{
    const struct process *p = ctx;
    return p->dead;
}

static struct files_disk *disk_of(const void *ctx)
{
    const struct process *p = ctx;
    return p->disk;
}

/* Counts the call, and checks the plan. */
static struct verdict judge(void *ctx, enum files_call call)
{
    struct files_disk *disk = disk_of(ctx);
    struct files_plan *plan = &disk->plan;
    if (is_dead(ctx)) {
        return (struct verdict){.extent = EXTENT_NONE, .error = -EIO};
    }
    disk->counts[call]++;
    disk->counts[FILES_CALLS]++;
    if (!disk->planned || plan->calls-- > 0) {
        return (struct verdict){.extent = EXTENT_ALL};
    }
    plan->calls = 0;
    switch (plan->fate) {
    case FILES_ERROR:
        disk->planned = plan->more-- > 0;
        return (struct verdict){.extent = plan->error == EIO ? (enum extent)files_random(disk, 3)
                                                             : EXTENT_NONE,
                                .error = -plan->error};
    case FILES_DIE_BEFORE:
        return (struct verdict){.extent = EXTENT_NONE, .error = -EIO, .dies = true};
    case FILES_DIE_AMID:
        return (struct verdict){.extent = EXTENT_PART, .error = -EIO, .dies = true};
    case FILES_DIE_AFTER:
        break;
    }
    return (struct verdict){.extent = EXTENT_ALL, .error = -EIO, .dies = true};
}

/* `rc` is the result of the call itself. */
static int finish(void *ctx, const struct verdict *v, int rc)
{
    if (v->dies) {
        files_die(disk_of(ctx));
    }
    return v->error != 0 ? v->error : rc;
}

static struct inode *inode_of(void *ctx, int file)
{
    struct process *p = ctx;
    CHECK(file >= 0 && file < FILES_HANDLES_MAX);
    CHECK(p->handles[file] != NULL);
    return p->handles[file];
}

static bool has_room(struct files_disk *disk, const struct inode *inode, size_t size)
{
    uint64_t capacity = disk->options.capacity;
    size_t more = size > inode->size ? size - inode->size : 0;
    return capacity == 0 || more == 0 || files_used(disk) + more <= capacity;
}

/* --- opening --- */

static int take_handle(struct process *p, struct inode *inode, bool writable, int *ret_file)
{
    for (int i = 0; i < FILES_HANDLES_MAX; i++) {
        if (p->handles[i] == NULL) {
            inode->refs++;
            p->handles[i] = inode;
            p->writable[i] = writable;
            *ret_file = i;
            return 0;
        }
    }
    return -EMFILE;
}

static int do_open(struct process *p, const char *name, enum file_mode mode, int *ret_file)
{
    struct files_disk *disk = p->disk;
    const struct entry *e = directory_find(&disk->cached, name);
    if (e == NULL && mode != FILE_CREATE) {
        return -ENOENT;
    }
    if (e == NULL) {
        struct inode *inode = inode_new();
        files_change(disk, "", name, inode);
        inode_release(inode);
        e = directory_find(&disk->cached, name);
    } else if (mode == FILE_CREATE) {
        inode_empty(e->inode);
    }
    return take_handle(p, e->inode, mode != FILE_READ, ret_file);
}

static int files_open(void *ctx, const char *name, enum file_mode mode, int *ret_file)
{
    struct verdict v = judge(ctx, FILES_OPEN);
    int rc = -EIO;
    int file;
    if (v.extent == EXTENT_ALL) {
        rc = do_open(ctx, name, mode, &file);
        if (rc == 0 && v.error != 0) {
            struct process *p = ctx;
            inode_release(p->handles[file]);
            p->handles[file] = NULL;
        } else if (rc == 0) {
            *ret_file = file;
        }
    }
    return finish(ctx, &v, rc);
}

static void files_close(void *ctx, int file)
{
    struct process *p = ctx;
    if (!p->dead) {
        inode_release(inode_of(ctx, file));
        p->handles[file] = NULL;
    }
}

/* --- content --- */

static int files_preallocate(void *ctx, int file, uint64_t bytes)
{
    struct verdict v = judge(ctx, FILES_PREALLOCATE);
    struct files_disk *disk = disk_of(ctx);
    if (v.extent != EXTENT_NONE) {
        struct inode *inode = inode_of(ctx, file);
        size_t size = (size_t)bytes;
        if (v.extent == EXTENT_PART && size > inode->size) {
            size = inode->size + (size_t)files_random(disk, size - inode->size + 1);
        }
        if (!has_room(disk, inode, size)) {
            return finish(ctx, &v, -ENOSPC);
        }
        if (size > inode->size) {
            inode_reserve(inode, size);
            inode->size = size;
        }
    }
    return finish(ctx, &v, 0);
}

/* Writes the part of the data that is in one sector. */
static void write_sector(struct inode *inode, size_t sector, uint64_t at, const uint8_t *data,
                         size_t len)
{
    size_t from = sector * FILE_SECTOR_BYTES;
    size_t to = from + FILE_SECTOR_BYTES;
    from = from > at ? from : (size_t)at;
    to = to < at + len ? to : (size_t)(at + len);
    memcpy(inode->cached + from, data + (from - at), to - from);
    inode->size = inode->size > to ? inode->size : to;
    inode_mark(inode, sector);
}

/* Writes a prefix of the sectors, or any subset; a durable write can leave either. */
static void write_part(struct files_disk *disk, struct inode *inode, uint64_t at,
                       const uint8_t *data, size_t len, bool durable)
{
    size_t first = (size_t)at / FILE_SECTOR_BYTES;
    size_t last = (size_t)(at + len - 1) / FILE_SECTOR_BYTES;
    bool prefix = files_random(disk, 2) == 0;
    size_t end = prefix ? first + (size_t)files_random(disk, last - first + 2) : last + 1;
    for (size_t sector = first; sector < end; sector++) {
        if (!prefix && files_random(disk, 2) == 0) {
            continue;
        }
        write_sector(inode, sector, at, data, len);
        if (durable && !inode->emptied && inode->size <= inode->durable_size &&
            files_random(disk, 2) == 0) {
            inode_settle(inode, sector);
        }
    }
}

static int files_write(void *ctx, int file, uint64_t at, const void *data, size_t len, bool durable)
{
    struct verdict v = judge(ctx, FILES_WRITE);
    struct files_disk *disk = disk_of(ctx);
    struct process *p = ctx;
    if (v.extent == EXTENT_NONE || len == 0) {
        return finish(ctx, &v, 0);
    }
    struct inode *inode = inode_of(ctx, file);
    if (!p->writable[file]) {
        return finish(ctx, &v, -EBADF);
    }
    if (!has_room(disk, inode, (size_t)at + len)) {
        return finish(ctx, &v, -ENOSPC);
    }
    inode_reserve(inode, (size_t)at + len);
    if (v.extent == EXTENT_PART) {
        write_part(disk, inode, at, data, len, durable);
        return finish(ctx, &v, 0);
    }
    size_t last = (size_t)(at + len - 1) / FILE_SECTOR_BYTES;
    for (size_t sector = (size_t)at / FILE_SECTOR_BYTES; sector <= last; sector++) {
        write_sector(inode, sector, at, data, len);
    }
    if (durable) {
        inode_sync_written(inode);
    }
    return finish(ctx, &v, 0);
}

static int files_sync(void *ctx, int file)
{
    struct verdict v = judge(ctx, FILES_SYNC);
    if (v.extent == EXTENT_ALL) {
        inode_sync(inode_of(ctx, file));
    } else if (v.extent == EXTENT_PART) {
        struct inode *inode = inode_of(ctx, file);
        for (size_t i = 0; i * FILE_SECTOR_BYTES < inode->durable_size && !inode->emptied; i++) {
            if (inode->dirty[i] != 0 && files_random(disk_of(ctx), 2) == 0) {
                inode_settle(inode, i);
            }
        }
    }
    return finish(ctx, &v, 0);
}

static int files_read(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len)
{
    struct verdict v = judge(ctx, FILES_READ);
    if (v.extent != EXTENT_NONE && v.error == 0) {
        const struct inode *inode = inode_of(ctx, file);
        size_t left = at < inode->size ? inode->size - (size_t)at : 0;
        *ret_len = len < left ? len : left;
        if (*ret_len > 0) {
            memcpy(data, inode->cached + at, *ret_len);
        }
    }
    return finish(ctx, &v, 0);
}

/* --- names --- */

static int files_rename(void *ctx, const char *from, const char *to)
{
    struct verdict v = judge(ctx, FILES_RENAME);
    struct files_disk *disk = disk_of(ctx);
    bool does = v.extent == EXTENT_ALL || (v.extent == EXTENT_PART && files_random(disk, 2) == 0);
    const struct entry *e = directory_find(&disk->cached, from);
    if (does && e == NULL) {
        return finish(ctx, &v, -ENOENT);
    }
    if (does && strcmp(from, to) != 0) {
        files_change(disk, from, to, e->inode);
    }
    return finish(ctx, &v, 0);
}

static int files_unlink(void *ctx, const char *name)
{
    struct verdict v = judge(ctx, FILES_UNLINK);
    struct files_disk *disk = disk_of(ctx);
    bool does = v.extent == EXTENT_ALL || (v.extent == EXTENT_PART && files_random(disk, 2) == 0);
    if (does && directory_find(&disk->cached, name) == NULL) {
        return finish(ctx, &v, -ENOENT);
    }
    if (does) {
        files_change(disk, name, "", NULL);
    }
    return finish(ctx, &v, 0);
}

static int files_sync_dir(void *ctx)
{
    struct verdict v = judge(ctx, FILES_SYNC_DIR);
    struct files_disk *disk = disk_of(ctx);
    size_t left = v.extent == EXTENT_NONE ? 0 : disk->change_count;
    for (size_t i = 0; left > 0; left--) {
        if (v.extent == EXTENT_ALL || files_random(disk, 2) == 0) {
            files_settle_change(disk, i);
        } else {
            i++;
        }
    }
    return finish(ctx, &v, 0);
}

static int files_list(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes),
                      void *data)
{
    struct verdict v = judge(ctx, FILES_LIST);
    const struct files_disk *disk = disk_of(ctx);
    for (size_t i = 0; v.extent == EXTENT_ALL && v.error == 0 && i < disk->cached.count; i++) {
        each(data, disk->cached.entries[i].name, disk->cached.entries[i].inode->size);
    }
    return finish(ctx, &v, 0);
}

static uint64_t files_free_bytes(void *ctx)
{
    const struct files_disk *disk = disk_of(ctx);
    uint64_t used = files_used(disk);
    uint64_t capacity = disk->options.capacity;
    return capacity == 0 ? UINT64_MAX : capacity > used ? capacity - used : 0;
}

void files_fill_calls(struct process *process)
{
    process->files = (struct files){
        .ctx = process,
        .open = files_open,
        .close = files_close,
        .preallocate = files_preallocate,
        .write = files_write,
        .sync = files_sync,
        .read = files_read,
        .rename = files_rename,
        .unlink = files_unlink,
        .sync_dir = files_sync_dir,
        .list = files_list,
        .free_bytes = files_free_bytes,
    };
}
