#include "consensus/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BYTES (8 * 1024 * 1024) /* as libraft's backend allocates them */
#define OPEN_PREFIX   "open-"

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

static bool is_cut_short(int dir, const char *name)
{
    struct stat stat;
    bool cut = false;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false; /* libraft says what is wrong with it */
    }
    if (fstat(fd, &stat) == 0 && stat.st_size < SEGMENT_BYTES) {
        cut = has_data(fd);
    }
    (void)close(fd);
    return cut;
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
