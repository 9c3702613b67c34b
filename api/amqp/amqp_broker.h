/* A connection to a broker with publisher confirms, over librabbitmq.
 *
 * What this file is there for: amqp_basic_publish() blocks for as long as the broker does not read,
 * so the socket has a time-out of the kernel, and amqp_broker_abort() ends it from outside; acks
 * come in any order, but are handed on from the oldest; a nack ends the connection, as what was
 * refused must come again before what follows it.
 *
 * Thread: one, but for amqp_broker_abort. Owns: the connection. */
#ifndef MUSTER_API_AMQP_AMQP_BROKER_H
#define MUSTER_API_AMQP_AMQP_BROKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amqp.h>

#include "api/amqp/amqp_url.h"
#include "server/base/compiler.h"

/* Messages that may wait for their confirms. */
#define AMQP_BROKER_WINDOW 1024u

struct amqp_broker {
    amqp_connection_state_t connection; /* NULL: none */
    pthread_mutex_t mutex;              /* of `fd`: nobody shuts a closed one down */
    int fd;                             /* for abort; -1: none */
    bool blocked;                       /* the broker takes nothing at the moment */
    uint64_t next_tag;                  /* of the next message; tags start with 1 */
    uint64_t oldest_tag;                /* not confirmed yet */
    bool confirmed[AMQP_BROKER_WINDOW]; /* by tag: confirmed before an older one */
};

struct amqp_publication {
    const char *key, *message_id;
    int64_t wall_ms;
    const void *body;
    size_t body_len;
};

void amqp_broker_init(struct amqp_broker *b);
void amqp_broker_done(struct amqp_broker *b);
/* Connects, logs in, declares the exchange (topic, durable). `ca`: a file of certificates, for TLS.
 * False with a sentence; amqp_broker_close follows. */
MUST_USE bool amqp_broker_connect(struct amqp_broker *b, const struct amqp_url *url,
                                  const char *exchange, const char *ca, char *error,
                                  size_t error_size);
/* There must be room in the window. False with a sentence: the connection is of no use. */
MUST_USE bool amqp_broker_publish(struct amqp_broker *b, const char *exchange,
                                  const struct amqp_publication *message, char *error,
                                  size_t error_size);
/* Takes what there is, and keeps the connection alive: once a second at least. Sets how many
 * messages are newly confirmed, from the oldest on. */
MUST_USE bool amqp_broker_take(struct amqp_broker *b, size_t *ret_confirmed, char *error,
                               size_t error_size);
void amqp_broker_close(struct amqp_broker *b);
/* Any thread: whatever waits for the broker fails soon. */
void amqp_broker_abort(struct amqp_broker *b);

#endif
