#include "server/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/base/clock.h"

/* A shell's <(...) or a FIFO has its secret a moment later. One that nobody writes to must not hold
 * up the start for good. */
#define WAIT_MS 5000

/* The length; -1, with errno. */
static ssize_t read_all(int fd, char *text, size_t size)
{
    uint64_t until_ms = clock_monotonic_ms() + WAIT_MS;
    size_t len = 0;
    while (len < size) {
        uint64_t now_ms = clock_monotonic_ms();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = now_ms < until_ms ? poll(&wait, 1, (int)(until_ms - now_ms)) : 0;
        if (ready == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        ssize_t got = ready > 0 ? read(fd, text + len, size - len) : -1;
        if (got == 0) {
            break;
        }
        if (got > 0) {
            len += (size_t)got;
        } else if (errno != EINTR && errno != EAGAIN) {
            return -1;
        }
    }
    return (ssize_t)len;
}

bool secret_file_read(const char *option, const char *path, char *text, size_t text_size,
                      char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len = fd >= 0 ? read_all(fd, text, text_size - 1) : -1;
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
