#include "consensus/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/buffer.h"
#include "server/base/log.h"

#define SEGMENT_BYTES (8 * 1024 * 1024) /* as libraft's backend allocates them */
#define OPEN_PREFIX   "open-"
/* A closed one is named by its first and its last index, sixteen digits each. */
#define INDEX_DIGITS 16
/* Its format, version 1 (libraft's uv_encoding.h). */
#define SEGMENT_HEAD_BYTES 8
#define BATCH_HEAD_BYTES   16
#define ENTRY_HEAD_BYTES   16

/* Whether there is anything but zeros: an allocation that was interrupted holds none. */
static bool has_data(int fd)
{
    uint8_t piece[4096];
    ssize_t len;
    while ((len = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            if (piece[i] != 0) {
                return true;
            }
        }
    }
    return len < 0;
}

/* How many bytes a batch takes that begins at `at`: two checksums, the number of its entries, for
 * each of them 16 bytes with its length at the end, and what they hold. 0: it does not fit. */
static uint64_t batch_bytes(int fd, uint64_t at, uint64_t size)
{
    uint8_t head[BATCH_HEAD_BYTES];
    if (pread(fd, head, sizeof head, (off_t)at) != (ssize_t)sizeof head) {
        return 0;
    }
    uint64_t count = load_u64(head + 8);
    uint64_t bytes = BATCH_HEAD_BYTES;
    if (count == 0 || count > (size - at) / ENTRY_HEAD_BYTES) {
        return 0;
    }
    for (uint64_t i = 0; i < count && bytes <= size - at; i++) {
        uint8_t len[4];
        uint64_t where = at + BATCH_HEAD_BYTES + i * ENTRY_HEAD_BYTES + ENTRY_HEAD_BYTES - 4;
        if (pread(fd, len, sizeof len, (off_t)where) != (ssize_t)sizeof len) {
            return 0;
        }
        bytes += ENTRY_HEAD_BYTES + load_u32(len);
    }
    return bytes <= size - at ? bytes : 0;
}

/* Cut where a batch ends is what libraft does before it renames a segment that is full. (Nothing
 * that was acknowledged may be missing even so: the watermark tells.) */
static bool ends_with_a_batch(int fd, uint64_t size)
{
    uint64_t at = SEGMENT_HEAD_BYTES;
    while (at < size) {
        uint64_t bytes = batch_bytes(fd, at, size);
        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return at == size;
}

static bool is_cut_short(int dir, const char *name)
{
    struct stat stat;
    bool cut = false;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false; /* libraft says what is wrong with it */
    }
    if (fstat(fd, &stat) == 0 && stat.st_size < SEGMENT_BYTES) {
        cut = has_data(fd) && !ends_with_a_batch(fd, (uint64_t)stat.st_size);
    }
    (void)close(fd);
    return cut;
}

static int is_closed(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return strspn(name, "0123456789") == INDEX_DIGITS && name[INDEX_DIGITS] == '-' &&
           strspn(name + INDEX_DIGITS + 1, "0123456789") == INDEX_DIGITS &&
           name[2 * INDEX_DIGITS + 1] == '\0';
}

static bool remove_shorter(int dir, struct dirent *const *closed, int count)
{
    for (int i = 0; i + 1 < count; i++) {
        const char *name = closed[i]->d_name;
        if (strncmp(name, closed[i + 1]->d_name, INDEX_DIGITS) != 0) {
            continue;
        }
        log_write(LOG_WARN, "disk", "took back a cut of the log that was interrupted",
                  "removed=\"%s\" kept=\"%s\"", name, closed[i + 1]->d_name);
        if (unlinkat(dir, name, 0) != 0 || fsync(dir) != 0) {
            return false;
        }
    }
    return true;
}

bool segments_mend(const char *raft_dir, char *error, size_t error_size)
{
    struct dirent **closed = NULL;
    int dir = open(raft_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = dir < 0 ? -1 : scandir(raft_dir, &closed, is_closed, alphasort);
    bool mended = count >= 0 && remove_shorter(dir, closed, count);
    if (!mended) {
        (void)snprintf(error, error_size, "the log cannot be mended: %s", strerror(errno));
    }
    for (int i = 0; i < count; i++) {
        free(closed[i]);
    }
    free(closed);
    if (dir >= 0) {
        (void)close(dir);
    }
    return mended;
}

bool segments_check(const char *raft_dir, char *error, size_t error_size)
{
    DIR *dir = opendir(raft_dir);
    struct dirent *entry;
    bool whole = true;
    if (dir == NULL) {
        (void)snprintf(error, error_size, "cannot be read: %s", strerror(errno));
        return false;
    }
    while (whole && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, OPEN_PREFIX, strlen(OPEN_PREFIX)) == 0 &&
            is_cut_short(dirfd(dir), entry->d_name)) {
            (void)snprintf(error, error_size, "the log segment %s is cut short", entry->d_name);
            whole = false;
        }
    }
    (void)closedir(dir);
    return whole;
}
