/* What a client was opened with: options, and what the environment adds to them.
 *
 * Thread: immutable once the client is open, but for `id`, which is under the client's mutex.
 * Owns: its texts. */
#ifndef MUSTER_LIB_SETTINGS_H
#define MUSTER_LIB_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/include/muster.h"
#include "client/lib/servers.h"
#include "server/base/compiler.h"
#include "server/base/limits.h"

struct settings {
    uint32_t request_timeout_ms;
    char space[NAMESPACE_BYTES_MAX + 1];    /* the namespace; "": none is named */
    char fallback_host[HOST_BYTES_MAX + 1]; /* "": none */
    uint16_t fallback_port;
    muster_log_cb on_log;
    void *log_ctx;
    bool use_dispatch;
    /* Adopted from the environment, for registrations that do not say themselves. */
    uint16_t port;          /* SERVER_PORT; 0: none */
    bool port_unusable;     /* SERVER_PORT is set to no port */
    uint64_t interval_ms;   /* HEARTBEAT_INTERVAL; 0: none */
    bool interval_unusable; /* HEARTBEAT_INTERVAL is set to no duration */
    bool id_unusable;       /* SERVER_ID is set to what is no id */
    char *id;               /* SERVER_ID, until a registration takes it; NULL: none */
};

/* `options` NULL: the defaults. Returns false with a sentence in `why`; nothing is to be freed
 * then.
 */
MUST_USE bool settings_init(struct settings *settings, const struct muster_options *options,
                            struct servers *ret_servers, char *why, size_t why_size);
void settings_done(struct settings *settings);

#endif
