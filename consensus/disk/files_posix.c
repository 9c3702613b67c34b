#include "consensus/disk/files_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/base/mem.h"

#define FILES_MAX       64
#define ZEROS_BYTES     (256 * 1024)
#define BOUNCE_ALIGN    4096
#define BOUNCE_KEPT_MAX (4u * 1024 * 1024)

struct open_file {
    int fd;
    int direct_fd; /* the same file with O_DIRECT; -1 if the file system lacks it */
    bool dirty;    /* has unsynced buffered writes, or an unsynced length */
    /* O_DIRECT needs aligned memory. */
    void *bounce;
    size_t bounce_size;
};

struct files_posix {
    struct files files; /* must be first: files_posix_close receives its address */
    char *dir;
    int dir_fd, lock_fd;
    pthread_mutex_t lock;
    struct open_file
        *open[FILES_MAX]; /* the lock guards the slots; each file belongs to its user */
};

/* --- the directory --- */

struct complaint {
    const char *dir;
    char *text;
    size_t size;
};

/* Always returns false, so that callers can return it. */
PRINTF_LIKE(2, 3) static bool complain(const struct complaint *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, c->size, format, args);
    va_end(args);
    return false;
}

static bool complain_dir(const struct complaint *c, const char *verb)
{
    return complain(c,
                    "cannot %s the data directory %s: %s; correct that, or use another --data "
                    "directory",
                    verb, c->dir, strerror(errno));
}

static bool complain_lock(const struct complaint *c, const char *verb)
{
    return complain(c, "cannot %s %s/lock: %s; correct that, or use another --data directory", verb,
                    c->dir, strerror(errno));
}

static bool open_dir(struct files_posix *f, const struct complaint *c)
{
    bool made = mkdir(f->dir, 0700) == 0;
    if (!made && errno != EEXIST) {
        return complain_dir(c, "create");
    }
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0) {
        return complain_dir(c, "open");
    }
    if (made) {
        /* Best effort: a parent without read permission cannot be synced. */
        int parent = openat(f->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0) {
            (void)fsync(parent);
            (void)close(parent);
        }
    }
    return true;
}

static bool complain_locked(const struct files_posix *f, const struct complaint *c)
{
    char pid[24];
    ssize_t n = pread(f->lock_fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return complain(c, "%s is in use by process %s: stop that one, or use another --data directory",
                    c->dir, pid[0] != '\0' ? pid : "(unknown)");
}

static bool take_lock(struct files_posix *f, const struct complaint *c)
{
    f->lock_fd = openat(f->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock_fd < 0) {
        return complain_lock(c, "open");
    }
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? complain_locked(f, c) : complain_lock(c, "lock");
    }
    /* Only informs other processes, so a full disk must not make it fail. */
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    bool noted UNUSED = ftruncate(f->lock_fd, 0) == 0 && pwrite(f->lock_fd, pid, (size_t)n, 0) == n;
    return true;
}

/* --- opening and closing files --- */

static int take_slot(struct files_posix *f, struct open_file *file)
{
    int slot = -EMFILE;
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < FILES_MAX && slot < 0; i++) {
        if (f->open[i] == NULL) {
            f->open[i] = file;
            slot = i;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return slot;
}

static struct open_file *file_of(struct files_posix *f, int file)
{
    CHECK(file >= 0 && file < FILES_MAX);
    pthread_mutex_lock(&f->lock);
    struct open_file *o = f->open[file];
    pthread_mutex_unlock(&f->lock);
    CHECK(o != NULL);
    return o;
}

static void free_file(struct open_file *o)
{
    if (o->direct_fd >= 0) {
        (void)close(o->direct_fd);
    }
    (void)close(o->fd);
    free(o->bounce);
    free(o);
}

static int posix_open(void *ctx, const char *name, enum file_mode mode, int *ret_file)
{
    static const int flags[] = {
        [FILE_READ] = O_RDONLY, [FILE_WRITE] = O_RDWR, [FILE_CREATE] = O_RDWR | O_CREAT | O_TRUNC};
    struct files_posix *f = ctx;
    CHECK(strchr(name, '/') == NULL);
    int fd = openat(f->dir_fd, name, flags[mode] | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    struct open_file *o = mem_alloc(sizeof *o);
    *o = (struct open_file){.fd = fd, .direct_fd = -1, .dirty = mode != FILE_READ};
    if (mode != FILE_READ) {
        o->direct_fd = openat(f->dir_fd, name, O_RDWR | O_DIRECT | O_CLOEXEC);
    }
    int slot = take_slot(f, o);
    if (slot < 0) {
        free_file(o);
        return slot;
    }
    *ret_file = slot;
    return 0;
}

static void posix_close(void *ctx, int file)
{
    struct files_posix *f = ctx;
    struct open_file *o = file_of(f, file);
    pthread_mutex_lock(&f->lock);
    f->open[file] = NULL;
    pthread_mutex_unlock(&f->lock);
    free_file(o);
}

/* --- writing --- */

static int sync_fd(int fd)
{
    int rc;
    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

static int posix_sync(void *ctx, int file)
{
    struct open_file *o = file_of(ctx, file);
    int rc = sync_fd(o->fd);
    if (rc == 0) {
        o->dirty = false;
    }
    return rc;
}

static int write_all(int fd, uint64_t at, const uint8_t *data, size_t len, int flags)
{
    while (len > 0) {
        struct iovec part = {.iov_base = (void *)data, .iov_len = len};
        ssize_t n = pwritev2(fd, &part, 1, (off_t)at, flags);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        data += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static bool is_aligned(uint64_t at, size_t len)
{
    return at % FILE_SECTOR_BYTES == 0 && len % FILE_SECTOR_BYTES == 0;
}

static void free_bounce(struct open_file *o)
{
    free(o->bounce);
    o->bounce = NULL;
    o->bounce_size = 0;
}

static bool reserve_bounce(struct open_file *o, size_t len)
{
    CHECK(len > 0);
    if (o->bounce != NULL && len <= o->bounce_size) {
        return true;
    }
    free_bounce(o);
    o->bounce = aligned_alloc(BOUNCE_ALIGN, (len + BOUNCE_ALIGN - 1) / BOUNCE_ALIGN * BOUNCE_ALIGN);
    o->bounce_size = o->bounce != NULL ? len : 0;
    return o->bounce != NULL;
}

/* Returns -EINVAL if O_DIRECT is not possible for this write. */
static int write_direct(struct open_file *o, uint64_t at, const void *data, size_t len, int flags)
{
    if (o->direct_fd < 0 || !is_aligned(at, len) || !reserve_bounce(o, len)) {
        return -EINVAL;
    }
    CHECK(o->bounce != NULL);
    memcpy(o->bounce, data, len);
    int rc = write_all(o->direct_fd, at, o->bounce, len, flags);
    if (o->bounce_size > BOUNCE_KEPT_MAX) {
        free_bounce(o);
    }
    return rc;
}

static int posix_write(void *ctx, int file, uint64_t at, const void *data, size_t len, bool durable)
{
    struct open_file *o = file_of(ctx, file);
    CHECK(len > 0);
    if (durable && !o->dirty) {
        int rc = write_direct(o, at, data, len, RWF_DSYNC);
        if (rc != -EINVAL) {
            return rc;
        }
        /* For example, a device with 4 KiB sectors. */
        return write_all(o->fd, at, data, len, RWF_DSYNC);
    }
    o->dirty = true;
    int rc = write_all(o->fd, at, data, len, 0);
    return rc == 0 && durable ? posix_sync(ctx, file) : rc;
}

/* Writes real zeros: overwriting them later changes no metadata. */
static int write_zeros(struct open_file *o, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[ZEROS_BYTES];
    int rc = 0;
    for (uint64_t at = from; at < to && rc == 0;) {
        size_t len = to - at < sizeof zeros ? (size_t)(to - at) : sizeof zeros;
        rc = write_direct(o, at, zeros, len, 0);
        if (rc == -EINVAL) {
            rc = write_all(o->fd, at, zeros, len, 0);
        }
        at += len;
    }
    return rc;
}

static int posix_preallocate(void *ctx, int file, uint64_t bytes)
{
    struct open_file *o = file_of(ctx, file);
    struct stat s;
    if (fstat(o->fd, &s) != 0) {
        return -errno;
    }
    uint64_t size = (uint64_t)s.st_size;
    if (size >= bytes) {
        return 0;
    }
    o->dirty = true;
    int rc;
    do {
        rc = fallocate(o->fd, 0, (off_t)size, (off_t)(bytes - size));
    } while (rc != 0 && errno == EINTR);
    rc = rc == 0 || errno == EOPNOTSUPP ? write_zeros(o, size, bytes) : -errno;
    if (rc != 0 && ftruncate(o->fd, (off_t)size) != 0) {
        return -EIO; /* the file's length is unknown now */
    }
    return rc;
}

/* --- the rest --- */

static int posix_read(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len)
{
    const struct open_file *o = file_of(ctx, file);
    size_t have = 0;
    while (have < len) {
        ssize_t n = pread(o->fd, (uint8_t *)data + have, len - have, (off_t)(at + have));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            break;
        }
        have += (size_t)n;
    }
    *ret_len = have;
    return 0;
}

static int posix_rename(void *ctx, const char *from, const char *to)
{
    const struct files_posix *f = ctx;
    return renameat(f->dir_fd, from, f->dir_fd, to) == 0 ? 0 : -errno;
}

static int posix_unlink(void *ctx, const char *name)
{
    const struct files_posix *f = ctx;
    return unlinkat(f->dir_fd, name, 0) == 0 ? 0 : -errno;
}

static int posix_sync_dir(void *ctx)
{
    const struct files_posix *f = ctx;
    int rc;
    do {
        rc = fsync(f->dir_fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? 0 : -errno;
}

static int posix_list(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes),
                      void *data)
{
    const struct files_posix *f = ctx;
    int fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    int rc = 0;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            rc = -errno;
            break;
        }
        struct stat s;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
            continue;
        }
        if (fstatat(fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) {
                continue; /* unlinked by another thread just now */
            }
            rc = -errno;
            break;
        }
        each(data, e->d_name, S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0);
    }
    (void)closedir(dir);
    return rc;
}

static uint64_t posix_free_bytes(void *ctx)
{
    const struct files_posix *f = ctx;
    struct statvfs fs;
    if (fstatvfs(f->dir_fd, &fs) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

struct files *files_posix_open(const char *dir, char *error, size_t error_size)
{
    struct files_posix *f = mem_zalloc(1, sizeof *f);
    f->dir = mem_strdup(dir);
    f->dir_fd = f->lock_fd = -1;
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    f->files = (struct files){
        .ctx = f,
        .open = posix_open,
        .close = posix_close,
        .preallocate = posix_preallocate,
        .write = posix_write,
        .sync = posix_sync,
        .read = posix_read,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .sync_dir = posix_sync_dir,
        .list = posix_list,
        .free_bytes = posix_free_bytes,
    };
    struct complaint c = {.dir = f->dir, .text = error, .size = error_size};
    if (open_dir(f, &c) && take_lock(f, &c)) {
        return &f->files;
    }
    files_posix_close(&f->files);
    return NULL;
}

void files_posix_close(struct files *files)
{
    if (files == NULL) {
        return;
    }
    struct files_posix *f = CONTAINER_OF(files, struct files_posix, files);
    for (size_t i = 0; i < FILES_MAX; i++) {
        CHECK(f->open[i] == NULL);
    }
    /* Release the lock last. */
    if (f->dir_fd >= 0) {
        (void)close(f->dir_fd);
    }
    if (f->lock_fd >= 0) {
        (void)close(f->lock_fd);
    }
    (void)pthread_mutex_destroy(&f->lock);
    free(f->dir);
    free(f);
}
