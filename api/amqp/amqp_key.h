/* The routing key of an event: registry.<event>.<service>, or
 * namespace.<namespace>.<event>.<service> outside of `default`; registry.reset for a reset.
 *
 * Thread: any. */
#ifndef MUSTER_API_AMQP_AMQP_KEY_H
#define MUSTER_API_AMQP_AMQP_KEY_H

#include "api/amqp/amqp_url.h"

/* A key has at most 255 bytes: a longer name is cut at its end, between two characters. */
void amqp_key(const char *event, const char *service, const char *space,
              char out[AMQP_SHORT_BYTES_MAX + 1]);

#endif
