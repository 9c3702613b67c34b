#include "tests/sim/files.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "tests/sim/files_internal.h"

uint64_t files_random(struct files_disk *disk, uint64_t below)
{
    CHECK(below > 0);
    return disk->options.random(disk->options.data) % below;
}

/* --- content --- */

struct inode *inode_new(void)
{
    struct inode *inode = mem_zalloc(1, sizeof *inode);
    inode->refs = 1;
    return inode;
}

void inode_release(struct inode *inode)
{
    if (inode != NULL && --inode->refs == 0) {
        free(inode->cached);
        free(inode->durable);
        free(inode->dirty);
        free(inode);
    }
}

static void *grow(void *old, size_t from, size_t to)
{
    uint8_t *data = mem_realloc(old, to);
    memset(data + from, 0, to - from);
    return data;
}

void inode_reserve(struct inode *inode, size_t size)
{
    if (size <= inode->room) {
        return;
    }
    size_t room = inode->room < 4096 ? 4096 : inode->room;
    while (room < size) {
        room *= 2;
    }
    inode->cached = grow(inode->cached, inode->room, room);
    inode->durable = grow(inode->durable, inode->room, room);
    inode->dirty = grow(inode->dirty, inode->room / FILE_SECTOR_BYTES, room / FILE_SECTOR_BYTES);
    inode->room = room;
}

void inode_mark(struct inode *inode, size_t sector)
{
    CHECK(sector < inode->room / FILE_SECTOR_BYTES);
    inode->dirty[sector] = 1;
}

void inode_settle(struct inode *inode, size_t sector)
{
    CHECK(sector < inode->room / FILE_SECTOR_BYTES);
    size_t at = sector * FILE_SECTOR_BYTES;
    memcpy(inode->durable + at, inode->cached + at, FILE_SECTOR_BYTES);
    inode->dirty[sector] = 0;
}

static void forget_durable(struct inode *inode)
{
    if (inode->emptied) {
        memset(inode->durable, 0, inode->room);
        inode->durable_size = 0;
        inode->emptied = false;
    }
}

void inode_sync_written(struct inode *inode)
{
    forget_durable(inode);
    size_t end = inode->durable_size;
    for (size_t i = 0; i < inode->room / FILE_SECTOR_BYTES; i++) {
        if (inode->dirty[i] != 0) {
            inode_settle(inode, i);
            end = (i + 1) * FILE_SECTOR_BYTES > end ? (i + 1) * FILE_SECTOR_BYTES : end;
        }
    }
    inode->durable_size = end < inode->size ? end : inode->size;
}

void inode_sync(struct inode *inode)
{
    inode_sync_written(inode);
    inode->durable_size = inode->size;
}

void inode_empty(struct inode *inode)
{
    inode->emptied = inode->emptied || inode->durable_size > 0;
    inode->size = 0;
    if (inode->room > 0) {
        memset(inode->cached, 0, inode->room);
        memset(inode->dirty, 0, inode->room / FILE_SECTOR_BYTES);
    }
}

/* How much of the data that is not durable survives. */
enum luck { LUCK_NONE, LUCK_ALL, LUCK_EACH, LUCKS };

static bool is_kept(struct files_disk *disk, enum luck luck)
{
    return luck == LUCK_ALL || (luck == LUCK_EACH && files_random(disk, 2) == 0);
}

static void inode_lose(struct files_disk *disk, struct inode *inode)
{
    enum luck luck = (enum luck)files_random(disk, LUCKS);
    if (inode->room == 0) {
        return;
    }
    if (inode->emptied && is_kept(disk, luck)) {
        forget_durable(inode);
    }
    if (!inode->emptied) {
        size_t size = inode->durable_size;
        if (inode->size > size && is_kept(disk, luck)) {
            size = inode->size;
        } else if (inode->size > size && luck == LUCK_EACH) {
            size += (size_t)files_random(disk, (inode->size - size) / FILE_SECTOR_BYTES + 1) *
                    FILE_SECTOR_BYTES;
        }
        for (size_t i = 0; i * FILE_SECTOR_BYTES < size; i++) {
            if (inode->dirty[i] != 0 && is_kept(disk, luck)) {
                inode_settle(inode, i);
            }
        }
        /* The last sector may extend beyond the size. */
        memset(inode->durable + size, 0, inode->room - size);
        inode->durable_size = size;
    }
    inode->emptied = false;
    inode->size = inode->durable_size;
    memcpy(inode->cached, inode->durable, inode->room);
    memset(inode->dirty, 0, inode->room / FILE_SECTOR_BYTES);
}

/* --- names --- */

struct entry *directory_find(const struct directory *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->entries[i].name, name) == 0) {
            return &d->entries[i];
        }
    }
    return NULL;
}

static void directory_drop(struct directory *d, const char *name)
{
    struct entry *e = directory_find(d, name);
    if (e != NULL) {
        inode_release(e->inode);
        size_t behind = d->count - (size_t)(e - d->entries) - 1;
        memmove(e, e + 1, behind * sizeof *e);
        d->count--;
    }
}

static void copy_name(char out[FILES_NAME_SIZE], const char *name)
{
    CHECK(strlen(name) < FILES_NAME_SIZE);
    memcpy(out, name, strlen(name) + 1);
}

void directory_apply(struct directory *d, const struct change *change)
{
    if (change->from[0] != '\0') {
        directory_drop(d, change->from);
    }
    if (change->to[0] != '\0') {
        CHECK(change->inode != NULL);
        change->inode->refs++;
        directory_drop(d, change->to);
        d->entries = mem_realloc(d->entries, (d->count + 1) * sizeof *d->entries);
        copy_name(d->entries[d->count].name, change->to);
        d->entries[d->count++].inode = change->inode;
    }
}

static void directory_clear(struct directory *d)
{
    while (d->count > 0) {
        inode_release(d->entries[--d->count].inode);
    }
    free(d->entries);
    d->entries = NULL;
}

static void directory_copy(struct directory *to, const struct directory *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct change change = {.inode = from->entries[i].inode};
        copy_name(change.to, from->entries[i].name);
        directory_apply(to, &change);
    }
}

void files_change(struct files_disk *disk, const char *from, const char *to, struct inode *inode)
{
    struct change change = {.inode = inode};
    copy_name(change.from, from);
    copy_name(change.to, to);
    if (inode != NULL) {
        inode->refs++;
    }
    directory_apply(&disk->cached, &change);
    disk->changes = mem_realloc(disk->changes, (disk->change_count + 1) * sizeof *disk->changes);
    disk->changes[disk->change_count++] = change;
}

void files_settle_change(struct files_disk *disk, size_t i)
{
    CHECK(i < disk->change_count);
    directory_apply(&disk->durable, &disk->changes[i]);
    inode_release(disk->changes[i].inode);
    memmove(disk->changes + i, disk->changes + i + 1,
            (disk->change_count - i - 1) * sizeof *disk->changes);
    disk->change_count--;
}

static void forget_changes(struct files_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++) {
        inode_release(disk->changes[i].inode);
    }
    disk->change_count = 0;
}

/* --- copies --- */

/* Returns a new reference. */
static struct inode *inode_clone(struct inode *from)
{
    if (from->clone != NULL) {
        from->clone->refs++;
        return from->clone;
    }
    struct inode *inode = inode_new();
    inode_reserve(inode, from->room);
    if (from->room > 0) {
        CHECK(inode->room == from->room);
        memcpy(inode->cached, from->cached, from->room);
        memcpy(inode->durable, from->durable, from->room);
        memcpy(inode->dirty, from->dirty, from->room / FILE_SECTOR_BYTES);
    }
    inode->size = from->size;
    inode->durable_size = from->durable_size;
    inode->emptied = from->emptied;
    from->clone = inode;
    return inode;
}

static void directory_clone(struct directory *to, const struct directory *from)
{
    to->entries = mem_alloc((from->count + 1) * sizeof *to->entries);
    for (; to->count < from->count; to->count++) {
        to->entries[to->count] = from->entries[to->count];
        to->entries[to->count].inode = inode_clone(from->entries[to->count].inode);
    }
}

static void forget_clones(const struct files_disk *disk)
{
    for (size_t i = 0; i < disk->cached.count; i++) {
        disk->cached.entries[i].inode->clone = NULL;
    }
    for (size_t i = 0; i < disk->durable.count; i++) {
        disk->durable.entries[i].inode->clone = NULL;
    }
    for (size_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].inode != NULL) {
            disk->changes[i].inode->clone = NULL;
        }
    }
}

struct files_disk *files_clone(const struct files_disk *disk, const struct files_options *options)
{
    struct files_disk *clone = files_create(options);
    directory_clone(&clone->cached, &disk->cached);
    directory_clone(&clone->durable, &disk->durable);
    clone->changes = mem_alloc((disk->change_count + 1) * sizeof *clone->changes);
    for (; clone->change_count < disk->change_count; clone->change_count++) {
        struct change *change = &clone->changes[clone->change_count];
        *change = disk->changes[clone->change_count];
        if (change->inode != NULL) {
            change->inode = inode_clone(change->inode);
        }
    }
    forget_clones(disk);
    return clone;
}

/* --- the process --- */

struct files_disk *files_create(const struct files_options *options)
{
    struct files_disk *disk = mem_zalloc(1, sizeof *disk);
    disk->options = *options;
    return disk;
}

void files_destroy(struct files_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    files_kill(disk);
    for (struct process *p = disk->process; p != NULL;) {
        struct process *older = p->older;
        free(p);
        p = older;
    }
    forget_changes(disk);
    free(disk->changes);
    directory_clear(&disk->cached);
    directory_clear(&disk->durable);
    free(disk);
}

bool files_is_alive(const struct files_disk *disk)
{
    return disk->process != NULL && !disk->process->dead;
}

void files_kill(struct files_disk *disk)
{
    if (!files_is_alive(disk)) {
        return;
    }
    struct process *p = disk->process;
    p->dead = true;
    for (size_t i = 0; i < FILES_HANDLES_MAX; i++) {
        inode_release(p->handles[i]);
        p->handles[i] = NULL;
    }
}

void files_die(struct files_disk *disk)
{
    files_kill(disk);
    if (disk->options.died != NULL) {
        disk->options.died(disk->options.data);
    }
}

const struct files *files_boot(struct files_disk *disk)
{
    files_kill(disk);
    struct process *p = mem_zalloc(1, sizeof *p);
    p->disk = disk;
    p->older = disk->process;
    disk->process = p;
    disk->planned = false;
    files_fill_calls(p);
    return &p->files;
}

void files_lose_power(struct files_disk *disk)
{
    files_kill(disk);
    enum luck luck = (enum luck)files_random(disk, LUCKS);
    while (disk->change_count > 0) {
        if (is_kept(disk, luck)) {
            files_settle_change(disk, 0);
        } else {
            inode_release(disk->changes[0].inode);
            memmove(disk->changes, disk->changes + 1, --disk->change_count * sizeof *disk->changes);
        }
    }
    for (size_t i = 0; i < disk->durable.count; i++) {
        inode_lose(disk, disk->durable.entries[i].inode);
    }
    directory_clear(&disk->cached);
    directory_copy(&disk->cached, &disk->durable);
}

/* --- faults --- */

void files_plan(struct files_disk *disk, const struct files_plan *plan)
{
    disk->plan = *plan;
    disk->planned = true;
}

bool files_take_plan(struct files_disk *disk, struct files_plan *ret_plan)
{
    bool planned = disk->planned;
    if (planned) {
        *ret_plan = disk->plan;
        disk->planned = false;
    }
    return planned;
}

void files_set_capacity(struct files_disk *disk, uint64_t bytes)
{
    disk->options.capacity = bytes;
}

uint64_t files_used(const struct files_disk *disk)
{
    uint64_t used = 0;
    for (size_t i = 0; i < disk->cached.count; i++) {
        used += disk->cached.entries[i].inode->size;
    }
    return used;
}

uint64_t files_count(const struct files_disk *disk, enum files_call call)
{
    CHECK(call <= FILES_CALLS);
    return disk->counts[call];
}

/* --- changes from outside --- */

uint64_t files_size(const struct files_disk *disk, const char *name)
{
    const struct entry *e = directory_find(&disk->cached, name);
    return e != NULL ? e->inode->size : UINT64_MAX;
}

const uint8_t *files_content(const struct files_disk *disk, const char *name)
{
    const struct entry *e = directory_find(&disk->cached, name);
    CHECK(e != NULL);
    return e->inode->cached;
}

/* Adds or removes a name durably, with all earlier changes. */
static void change_durably(struct files_disk *disk, const struct change *change)
{
    while (disk->change_count > 0) {
        files_settle_change(disk, 0);
    }
    directory_apply(&disk->cached, change);
    directory_apply(&disk->durable, change);
}

void files_put(struct files_disk *disk, const char *name, const void *data, size_t len)
{
    struct change change = {.inode = inode_new()};
    struct inode *inode = change.inode;
    copy_name(change.to, name);
    inode_reserve(inode, len > 0 ? len : 1);
    if (len > 0) {
        memcpy(inode->cached, data, len);
        memcpy(inode->durable, data, len);
    }
    inode->size = inode->durable_size = len;
    change_durably(disk, &change);
    inode_release(inode);
}

void files_remove(struct files_disk *disk, const char *name)
{
    struct change change = {.inode = NULL};
    copy_name(change.from, name);
    change_durably(disk, &change);
}

void files_flip_bit(struct files_disk *disk, const char *name, uint64_t bit)
{
    const struct entry *e = directory_find(&disk->cached, name);
    CHECK(e != NULL && bit / 8 < e->inode->size);
    e->inode->cached[bit / 8] ^= (uint8_t)(1u << bit % 8);
    e->inode->durable[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

void files_cut(struct files_disk *disk, const char *name, uint64_t bytes)
{
    const struct entry *e = directory_find(&disk->cached, name);
    CHECK(e != NULL && bytes <= e->inode->size);
    struct inode *inode = e->inode;
    inode_sync(inode);
    inode->size = inode->durable_size = (size_t)bytes;
    memset(inode->cached + bytes, 0, inode->room - (size_t)bytes);
    memset(inode->durable + bytes, 0, inode->room - (size_t)bytes);
}

void files_empty(struct files_disk *disk)
{
    forget_changes(disk);
    directory_clear(&disk->cached);
    directory_clear(&disk->durable);
}

size_t files_name_count(const struct files_disk *disk)
{
    return disk->cached.count;
}

const char *files_name(const struct files_disk *disk, size_t i)
{
    CHECK(i < disk->cached.count);
    return disk->cached.entries[i].name;
}

struct files_image {
    struct directory directory;
};

struct files_image *files_copy(const struct files_disk *disk)
{
    struct files_image *image = mem_zalloc(1, sizeof *image);
    for (size_t i = 0; i < disk->cached.count; i++) {
        const struct inode *from = disk->cached.entries[i].inode;
        struct change change = {.inode = inode_new()};
        copy_name(change.to, disk->cached.entries[i].name);
        inode_reserve(change.inode, from->size);
        if (from->size > 0) {
            memcpy(change.inode->cached, from->cached, from->size);
        }
        change.inode->size = from->size;
        directory_apply(&image->directory, &change);
        inode_release(change.inode);
    }
    return image;
}

void files_put_back(struct files_disk *disk, const struct files_image *image)
{
    files_empty(disk);
    for (size_t i = 0; i < image->directory.count; i++) {
        const struct entry *e = &image->directory.entries[i];
        files_put(disk, e->name, e->inode->cached, e->inode->size);
    }
}

void files_image_destroy(struct files_image *image)
{
    if (image != NULL) {
        directory_clear(&image->directory);
        free(image);
    }
}
