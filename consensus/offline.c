/* recovery.h on real files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "consensus/consensus.h"
#include "consensus/disk/files_posix.h"
#include "consensus/recovery.h"

static int read_file(void *ctx, void *data, size_t len, size_t *ret_len)
{
    const int *fd = ctx;
    ssize_t n;
    do {
        n = read(*fd, data, len);
    } while (n < 0 && errno == EINTR);
    *ret_len = n > 0 ? (size_t)n : 0;
    return n < 0 ? -errno : 0;
}

bool consensus_restore(const char *data_dir, const struct consensus_member *self,
                       const struct consensus_fsm *app, const char *path,
                       struct consensus_restored *ret_restored, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)snprintf(error, error_size, "cannot open the backup %s: %s", path, strerror(errno));
        return false;
    }
    const struct recovery_source source = {.read = read_file, .ctx = &fd, .name = path};
    struct files *files = files_posix_open(data_dir, error, error_size);
    bool fine = files != NULL && recovery_restore(files, data_dir, self, app, &source, ret_restored,
                                                  error, error_size);
    files_posix_close(files);
    (void)close(fd);
    return fine;
}

bool consensus_recover(const char *data_dir, uint64_t id, const struct consensus_fsm *app,
                       bool confirmed, struct consensus_recovered *ret_recovered, char *error,
                       size_t error_size)
{
    struct stat there;
    if (stat(data_dir, &there) != 0) { /* opening it would create it */
        (void)snprintf(error, error_size, "there is nothing to recover in %s: %s", data_dir,
                       strerror(errno));
        return false;
    }
    struct files *files = files_posix_open(data_dir, error, error_size);
    bool fine = files != NULL && recovery_recover(files, data_dir, id, app, confirmed,
                                                  ret_recovered, error, error_size);
    files_posix_close(files);
    return fine;
}
