/* The URL of a broker: amqp://user:password@host:port/vhost, or amqps:// for TLS.
 *
 * Thread: any. Owns: its texts, among them a secret, which are wiped. */
#ifndef MUSTER_API_AMQP_AMQP_URL_H
#define MUSTER_API_AMQP_AMQP_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"

#define AMQP_URL_BYTES_MAX 2048
/* As a short string of AMQP. */
#define AMQP_SHORT_BYTES_MAX 255

struct amqp_url {
    /* Into `text`. */
    const char *user, *password, *host, *vhost;
    int port;
    bool tls;
    /* private */
    char text[AMQP_URL_BYTES_MAX + 1];
};

/* False with a sentence in `error`, which does not quote it. */
MUST_USE bool amqp_url_parse(const char *url, struct amqp_url *ret_url, char *error,
                             size_t error_size);
void amqp_url_wipe(struct amqp_url *url);

#endif
