/* Options of ZeroMQ: its key of CURVE. */
#include <string.h>

#include "server/config.h"
#include "server/config_internal.h"
#include "server/secret_file.h"

#define FILE_BYTES_MAX 4096

bool config_has_curve(const struct config *c)
{
    return c->zmq_curve_requests[0] != '\0' || c->zmq_curve_heartbeats[0] != '\0' ||
           c->zmq_curve_events[0] != '\0';
}

/* The secret key in a file as pyzmq writes it, or alone in the first line. */
static const char *find_key(const char *text)
{
    const char *named = strstr(text, "secret-key");
    const char *quote = named != NULL ? strchr(named, '"') : NULL;
    return quote != NULL ? quote + 1 : text;
}

bool config_read_curve_key(struct config *c, char *error, size_t error_size)
{
    char text[FILE_BYTES_MAX];
    const char *file = c->zmq_curve_key_file;
    if (!secret_file_read("--zmq-curve-key", file, text, sizeof text, error, error_size)) {
        return false;
    }
    const char *key = find_key(text);
    size_t len = strcspn(key, "\"\r\n");
    bool good = len == ZMQ_KEY_TEXT;
    if (good) {
        memcpy(c->zmq_curve_key, key, len);
        c->zmq_curve_key[len] = '\0';
    }
    explicit_bzero(text, sizeof text);
    return good || config_refuse(error, error_size,
                                 "--zmq-curve-key %s: has no secret key, of 40 characters", file);
}

bool config_settle_zmq(struct config *c, char *error, size_t error_size)
{
    const char *file = c->zmq_curve_key_file;
    if (config_has_curve(c) != (file[0] != '\0')) {
        return config_refuse(error, error_size,
                             "--zmq-curve-requests, --zmq-curve-heartbeats and --zmq-curve-events "
                             "need --zmq-curve-key, and it needs one of them");
    }
    if (file[0] == '\0') {
        return c->zmq_curve_clients[0] == '\0' ||
               config_refuse(error, error_size, "--zmq-curve-clients needs --zmq-curve-key");
    }
    return config_read_curve_key(c, error, error_size);
}
