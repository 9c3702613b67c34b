#include "server/bootstrap.h"

#include <stdio.h>
#include <string.h>

#include "server/secret_file.h"

#define FILE_BYTES_MAX 256

static void fill(struct bootstrap *b)
{
    token_spec_everything("bootstrap-token-file", &b->spec);
    b->spec.id = slice_of(b->id);
    b->spec.hash = (struct slice){(const char *)b->hash, sizeof b->hash};
}

bool bootstrap_read(struct bootstrap *b, const char *path, char *error, size_t error_size)
{
    char text[FILE_BYTES_MAX];
    if (!secret_file_read("--bootstrap-token-file", path, text, sizeof text, error, error_size)) {
        return false;
    }
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
