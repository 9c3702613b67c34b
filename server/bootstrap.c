#include "server/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES_MAX 256

static void fill(struct bootstrap *b)
{
    token_spec_everything("bootstrap-token-file", &b->spec);
    b->spec.id = (struct slice){b->id, strlen(b->id)};
    b->spec.hash = (struct slice){(const char *)b->hash, sizeof b->hash};
}

bool bootstrap_read(struct bootstrap *b, const char *path, char *error, size_t error_size)
{
    char text[FILE_BYTES_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (len < 0) {
        (void)snprintf(error, error_size, "--bootstrap-token-file %s cannot be read: %s", path,
                       strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len < 0) {
        return false;
    }
    text[len] = '\0';
    size_t token_len = strcspn(text, " \t\r\n");
    bool good = token_text_parse(text, token_len, b->id);
    if (good) {
        token_text_hash(text, token_len, b->hash);
        fill(b);
    } else {
        (void)snprintf(error, error_size,
                       "--bootstrap-token-file %s holds no token: mst_, 10 characters of a-z2-7, "
                       "_ and 32 more",
                       path);
    }
    token_text_wipe(text, sizeof text);
    return good;
}
