#include "server/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool secret_file_read(const char *option, const char *path, bool waits, char *text,
                      size_t text_size, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | (waits ? 0 : O_NONBLOCK));
    ssize_t len = fd >= 0 ? read(fd, text, text_size - 1) : -1;
    if (len < 0) {
        (void)snprintf(error, error_size, "%s %s cannot be read: %s", option, path,
                       strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len < 0) {
        return false;
    }
    text[len] = '\0';
    return true;
}
