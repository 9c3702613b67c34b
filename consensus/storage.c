#include "consensus/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "consensus/storage_internal.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define RAFT_NAME    "raft"
#define STAGING_NAME "raft.new"

struct storage {
    /* immutable after storage_open */
    char *dir;
    char *raft_dir;
    char *staging_dir;
    int dir_fd;
    int lock_fd;
    int mark_fd;
    /* loop only */
    bool is_new;
    struct mark mark;
    /* atomic: sequences of the mark last written, and last known to be on disk */
    _Atomic uint64_t written;
    _Atomic uint64_t synced;
};

/* Where the sentence for the user goes. */
struct complaint {
    const char *dir;
    char *text;
    size_t size;
};

/* Gives false, for the caller to return. */
PRINTF_LIKE(2, 3) static bool complain(const struct complaint *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, c->size, format, args);
    va_end(args);
    return false;
}

static bool complain_damaged(const struct complaint *c, const char *what)
{
    return complain(c,
                    "%s: %s; nothing was changed. This replica must not go on with what is left: "
                    "move the directory aside, make sure that all other members are healthy (GET "
                    "/health) and show the same index, then start it with an empty directory",
                    c->dir, what);
}

static bool complain_io(const struct complaint *c, const char *verb, const char *name)
{
    return complain(c, "cannot %s %s/%s: %s; correct that, or use another --data directory", verb,
                    c->dir, name, strerror(errno));
}

static char *join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(size);
    (void)snprintf(path, size, "%s/%s", dir, name);
    return path;
}

/* --- opening --- */

static bool open_dir(struct storage *s, const struct complaint *c)
{
    bool made = mkdir(s->dir, 0700) == 0;
    if (!made && errno != EEXIST) {
        return complain(c,
                        "cannot create the data directory %s: %s; correct that, or use another "
                        "--data directory",
                        s->dir, strerror(errno));
    }
    s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        return complain(c,
                        "cannot open the data directory %s: %s; correct that, or use another "
                        "--data directory",
                        s->dir, strerror(errno));
    }
    if (made) {
        /* Some parents cannot be opened; then the new name lasts when the system gets to it. */
        int parent = openat(s->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0) {
            (void)fsync(parent);
            (void)close(parent);
        }
    }
    return true;
}

static bool complain_locked(const struct storage *s, const struct complaint *c)
{
    char pid[24];
    ssize_t n = pread(s->lock_fd, pid, sizeof pid - 1, 0);
    pid[n > 0 ? n : 0] = '\0';
    pid[strspn(pid, "0123456789")] = '\0';
    return complain(c, "%s is in use by process %s: stop that one, or use another --data directory",
                    c->dir, pid[0] != '\0' ? pid : "(unknown)");
}

static bool take_lock(struct storage *s, const struct complaint *c)
{
    s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0) {
        return complain_io(c, "open", "lock");
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? complain_locked(s, c) : complain_io(c, "lock", "lock");
    }
    /* Only for the message of another process; a full disk must not stop this one. */
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    bool noted UNUSED = ftruncate(s->lock_fd, 0) == 0 && pwrite(s->lock_fd, pid, (size_t)n, 0) == n;
    return true;
}

/* FILE_MISSING also for an empty directory. */
static enum file_state look_for_log(const struct storage *s)
{
    int fd = openat(s->dir_fd, RAFT_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        return errno == ENOENT ? FILE_MISSING : FILE_UNREADABLE;
    }
    enum file_state state = FILE_MISSING;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            state = FILE_FINE;
            break;
        }
    }
    (void)closedir(dir);
    return state;
}

/* A directory without identity: it must be new altogether. The watermark comes first, so that an
 * identity without one tells of damage. */
static bool take_identity(struct storage *s, const struct storage_identity *expected,
                          const struct complaint *c)
{
    if (!s->is_new) {
        return complain_damaged(c, "there is a log in raft/, but the file identity is missing");
    }
    struct mark mark;
    enum file_state state = watermark_open(s->dir_fd, &s->mark_fd, &mark);
    if (state == FILE_UNREADABLE) {
        return complain_io(c, "read", "watermark");
    }
    if (state == FILE_DAMAGED || (state == FILE_FINE && mark.sequence > 0)) {
        return complain_damaged(c, "the file watermark tells of a log, but raft/ and the file "
                                   "identity are missing");
    }
    if (state == FILE_FINE) {
        (void)close(s->mark_fd);
        s->mark_fd = -1;
    } else if (!watermark_create(s->dir_fd)) {
        return complain_io(c, "write", "watermark");
    }
    return identity_write(s->dir_fd, expected) || complain_io(c, "write", "identity");
}

static bool check_identity(const struct storage_identity *found,
                           const struct storage_identity *expected, bool cluster_given,
                           const struct complaint *c)
{
    if (found->member_id != expected->member_id) {
        return complain(c,
                        "%s belongs to member %" PRIu64 ", but this is member %" PRIu64
                        ": use --id %" PRIu64 " or another --data directory",
                        c->dir, found->member_id, expected->member_id, found->member_id);
    }
    if (cluster_given && found->cluster_id != expected->cluster_id) {
        return complain(c,
                        "%s belongs to another cluster, which began with the members %s: leave out "
                        "--cluster to go on with that one, or use another --data directory",
                        c->dir, found->members);
    }
    return true;
}

static bool open_identity(struct storage *s, const struct storage_identity *expected,
                          bool cluster_given, struct storage_identity *ret_identity,
                          const struct complaint *c)
{
    enum file_state log = look_for_log(s);
    if (log == FILE_UNREADABLE) {
        return complain_io(c, "read", RAFT_NAME);
    }
    s->is_new = log == FILE_MISSING;
    switch (identity_read(s->dir_fd, ret_identity)) {
    case FILE_FINE:
        return check_identity(ret_identity, expected, cluster_given, c);
    case FILE_MISSING:
        *ret_identity = *expected;
        return take_identity(s, expected, c);
    case FILE_DAMAGED:
        return complain_damaged(c, "the file identity is damaged (its checksum is wrong)");
    case FILE_UNREADABLE:
        break;
    }
    return complain_io(c, "read", "identity");
}

static bool open_watermark(struct storage *s, const struct complaint *c)
{
    switch (watermark_open(s->dir_fd, &s->mark_fd, &s->mark)) {
    case FILE_FINE:
        break;
    case FILE_MISSING:
        return complain_damaged(c, "the file watermark is missing");
    case FILE_DAMAGED:
        return complain_damaged(c, "the file watermark is damaged (its checksums are wrong)");
    case FILE_UNREADABLE:
        return complain_io(c, "open", "watermark");
    }
    if (s->is_new && (s->mark.term > 0 || s->mark.index > 0)) {
        return complain_damaged(c, "the log in raft/ is gone, though the file watermark tells of "
                                   "one");
    }
    if (!s->is_new && s->mark.sequence == 0) {
        return complain_damaged(c, "the file watermark is empty, though there is a log in raft/");
    }
    return true;
}

/* One slot after the other, so that either alone tells the new number. */
static bool count_boot(struct storage *s, const struct complaint *c)
{
    s->mark.boot++;
    for (int i = 0; i < 2; i++) {
        s->mark.sequence++;
        if (!watermark_write(s->mark_fd, &s->mark) || fdatasync(s->mark_fd) != 0) {
            return complain_io(c, "write", "watermark");
        }
    }
    atomic_store(&s->written, s->mark.sequence);
    atomic_store(&s->synced, s->mark.sequence);
    return true;
}

/* What an earlier start left behind goes; libraft keeps no directories in its own. */
static bool empty_dir(int fd)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return false;
    }
    bool done = true;
    for (struct dirent *e = readdir(dir); e != NULL && done; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            done = unlinkat(fd, e->d_name, 0) == 0;
        }
    }
    int reason = errno;
    (void)closedir(dir);
    errno = reason;
    return done;
}

static bool prepare_staging(struct storage *s, const struct complaint *c)
{
    if (!s->is_new) {
        return true;
    }
    if (mkdirat(s->dir_fd, STAGING_NAME, 0700) != 0 && errno != EEXIST) {
        return complain_io(c, "create", STAGING_NAME);
    }
    int fd = openat(s->dir_fd, STAGING_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (fd >= 0 && empty_dir(fd)) || complain_io(c, "empty", STAGING_NAME);
}

struct storage *storage_open(const char *dir, const struct storage_identity *expected,
                             bool cluster_given, struct storage_identity *ret_identity, char *error,
                             size_t error_size)
{
    struct storage *s = mem_zalloc(1, sizeof *s);
    s->dir = mem_strdup(dir);
    s->raft_dir = join(dir, RAFT_NAME);
    s->staging_dir = join(dir, STAGING_NAME);
    s->dir_fd = s->lock_fd = s->mark_fd = -1;
    struct complaint c = {.dir = s->dir, .text = error, .size = error_size};
    struct storage_identity identity;
    if (open_dir(s, &c) && take_lock(s, &c) &&
        open_identity(s, expected, cluster_given, &identity, &c) && open_watermark(s, &c) &&
        prepare_staging(s, &c) && count_boot(s, &c)) {
        *ret_identity = identity;
        return s;
    }
    storage_close(s);
    return NULL;
}

void storage_close(struct storage *s)
{
    if (s == NULL) {
        return;
    }
    /* The lock last: only then may another process come in. */
    int fds[] = {s->mark_fd, s->dir_fd, s->lock_fd};
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
    free(s->dir);
    free(s->raft_dir);
    free(s->staging_dir);
    free(s);
}

/* --- in use --- */

const char *storage_raft_dir(const struct storage *s)
{
    return s->raft_dir;
}

bool storage_is_new(const struct storage *s)
{
    return s->is_new;
}

const char *storage_staging_dir(const struct storage *s)
{
    return s->staging_dir;
}

enum status storage_publish(struct storage *s)
{
    CHECK(s->is_new);
    int staging = openat(s->dir_fd, STAGING_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging < 0) {
        return ST_IO;
    }
    bool synced = fsync(staging) == 0;
    (void)close(staging);
    if (!synced || renameat(s->dir_fd, STAGING_NAME, s->dir_fd, RAFT_NAME) != 0 ||
        fsync(s->dir_fd) != 0) {
        return ST_IO;
    }
    s->is_new = false;
    return ST_OK;
}

uint64_t storage_boot(const struct storage *s)
{
    return s->mark.boot;
}

void storage_watermark(const struct storage *s, uint64_t *ret_term, uint64_t *ret_index)
{
    *ret_term = s->mark.term;
    *ret_index = s->mark.index;
}

enum status storage_mark(struct storage *s, uint64_t term, uint64_t index)
{
    bool lower = index < s->mark.index;
    s->mark.term = term;
    s->mark.index = index;
    s->mark.sequence++;
    if (!watermark_write(s->mark_fd, &s->mark)) {
        return ST_IO;
    }
    atomic_store(&s->written, s->mark.sequence);
    /* The log is cut next: after a loss of power the old mark would refuse it. */
    return lower ? storage_sync(s) : ST_OK;
}

enum status storage_sync(struct storage *s)
{
    uint64_t written = atomic_load(&s->written);
    if (atomic_load(&s->synced) >= written) {
        return ST_OK;
    }
    if (fdatasync(s->mark_fd) != 0) {
        return ST_IO;
    }
    atomic_store(&s->synced, written);
    return ST_OK;
}

uint64_t storage_free_bytes(const struct storage *s)
{
    struct statvfs fs;
    if (fstatvfs(s->dir_fd, &fs) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}
