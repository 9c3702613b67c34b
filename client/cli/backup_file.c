#include "client/cli/backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/mem.h"

#define PIECE_BYTES (256u * 1024)

/* Always false, so that callers can return it. */
PRINTF_LIKE(2, 3) static bool fail(struct backup_file *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(b->error, sizeof b->error, format, args);
    va_end(args);
    return false;
}

static bool open_part(struct backup_file *b)
{
    b->fd = open(b->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    return b->fd >= 0 || fail(b, "cannot write %s: %s", b->part, strerror(errno));
}

bool backup_file_open(struct backup_file *b, const char *path, bool replace)
{
    size_t size = strlen(path) + sizeof ".part";
    struct stat there;
    *b = (struct backup_file){.path = path, .fd = -1};
    b->part = mem_alloc(size);
    (void)snprintf(b->part, size, "%s.part", path);
    b->scan = mem_alloc(sizeof *b->scan);
    snapshot_scan_init(b->scan);
    if (lstat(path, &there) == 0 && !(replace && S_ISREG(there.st_mode))) {
        return fail(b, "%s is there already: %s", path,
                    S_ISREG(there.st_mode) ? "give another name, or --force"
                                           : "give the name of a file");
    }
    return open_part(b);
}

bool backup_file_restart(struct backup_file *b)
{
    snapshot_scan_init(b->scan);
    b->error[0] = '\0';
    b->is_damaged = false;
    if (ftruncate(b->fd, 0) != 0 || lseek(b->fd, 0, SEEK_SET) != 0) {
        return fail(b, "cannot write %s: %s", b->part, strerror(errno));
    }
    return true;
}

static bool damaged(struct backup_file *b, const char *wrong)
{
    b->is_damaged = true;
    return fail(b, "what the replica sent is no whole backup: %s, at byte %" PRIu64, wrong,
                b->scan->at);
}

bool backup_file_add(struct backup_file *b, const void *data, size_t len)
{
    const char *at = data;
    const char *wrong = snapshot_scan_add(b->scan, data, len);
    if (wrong != NULL) {
        return damaged(b, wrong);
    }
    while (len > 0) {
        ssize_t n = write(b->fd, at, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail(b, "cannot write %s: %s", b->part, strerror(n < 0 ? errno : EIO));
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* The name is durable when its folder is. */
static bool sync_folder(const char *path)
{
    char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    free(copy);
    return done;
}

/* Some file systems cannot rename without replacing; then whoever was faster is replaced. */
static bool give_name(const struct backup_file *b, bool replace)
{
    if (!replace) {
        int rc = renameat2(AT_FDCWD, b->part, AT_FDCWD, b->path, RENAME_NOREPLACE);
        if (rc == 0 || errno != EINVAL) {
            return rc == 0;
        }
    }
    return rename(b->part, b->path) == 0;
}

bool backup_file_finish(struct backup_file *b, bool replace)
{
    const char *wrong = snapshot_scan_end(b->scan);
    if (wrong != NULL) {
        return damaged(b, wrong);
    }
    if (fsync(b->fd) != 0 || !give_name(b, replace) || !sync_folder(b->path)) {
        return fail(b, "cannot write %s: %s", b->path, strerror(errno));
    }
    return true;
}

void backup_file_close(struct backup_file *b)
{
    if (b->fd >= 0) {
        (void)close(b->fd);
        (void)unlink(b->part); /* gone already when it has its name */
    }
    free(b->part);
    free(b->scan);
}

bool backup_file_check(const char *path, struct snapshot_scan *scan, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *wrong = NULL;
    ssize_t n = fd >= 0 ? 1 : -1;
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    snapshot_scan_init(scan);
    while (n > 0 && wrong == NULL) {
        n = read(fd, piece, PIECE_BYTES);
        if (n > 0) {
            wrong = snapshot_scan_add(scan, piece, (size_t)n);
        }
    }
    int failure = errno;
    free(piece);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        (void)snprintf(error, error_size, "cannot read %s: %s", path, strerror(failure));
        return false;
    }
    wrong = wrong != NULL ? wrong : snapshot_scan_end(scan);
    if (wrong != NULL) {
        (void)snprintf(error, error_size, "%s is no backup that can be used: %s, at byte %" PRIu64,
                       path, wrong, scan->at);
    }
    return wrong == NULL;
}
