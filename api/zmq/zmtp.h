/* The wire of ZeroMQ: ZMTP 3.1 (RFC 37) as a server. Greeting, frames, commands and their metadata;
 * nothing of sockets.
 *
 *     greeting both ways -> commands of the mechanism (NULL: READY both ways) -> messages, and PING
 *
 * Thread: any; values. What is parsed is borrowed from the bytes. */
#ifndef MUSTER_API_ZMQ_ZMTP_H
#define MUSTER_API_ZMQ_ZMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/registry/record.h"

#define ZMTP_GREETING_BYTES   64
#define ZMTP_FRAME_HEAD_BYTES 9
/* Bits of a frame's first byte. */
#define ZMTP_MORE    1u
#define ZMTP_LONG    2u
#define ZMTP_COMMAND 4u
#define ZMTP_FLAGS   7u
/* Of what is sent with a PING, and comes back with its PONG. */
#define ZMTP_CONTEXT_BYTES_MAX 16

enum zmtp_parsed {
    ZMTP_PARTIAL, /* good so far */
    ZMTP_WHOLE,
    ZMTP_BROKEN, /* it is none */
};

struct zmtp_frame {
    uint8_t flags;
    struct slice body;
    size_t bytes; /* with its head */
};

struct zmtp_command {
    struct slice name, data;
};

/* `mechanism`: "NULL" or "CURVE". */
void zmtp_greeting_write(const char *mechanism, uint8_t ret_bytes[ZMTP_GREETING_BYTES]);
/* Of a peer that speaks ZMTP 3.0 or later with that mechanism; what is wrong is found as soon as it
 * is there. */
MUST_USE enum zmtp_parsed zmtp_greeting_parse(const char *mechanism, const uint8_t *data,
                                              size_t len);

/* A frame with a body over `bytes_max` is broken, before the body is there. */
MUST_USE enum zmtp_parsed zmtp_frame_parse(const uint8_t *data, size_t len, size_t bytes_max,
                                           struct zmtp_frame *ret);
/* `flags` without ZMTP_LONG. Returns the length. */
size_t zmtp_frame_head(unsigned flags, size_t body_len, uint8_t ret_head[ZMTP_FRAME_HEAD_BYTES]);

/* False: it is none. */
MUST_USE bool zmtp_command_parse(struct slice body, struct zmtp_command *ret);
bool zmtp_command_is(const struct zmtp_command *command, const char *name);
/* Checks all of it. *ret_type: the peer's Socket-Type; empty: it does not say. */
MUST_USE bool zmtp_metadata_parse(struct slice data, struct slice *ret_type);
/* What this side says: its Socket-Type. Returns the length. */
#define ZMTP_METADATA_BYTES_MAX 32
size_t zmtp_metadata_write(const char *type, uint8_t ret_bytes[ZMTP_METADATA_BYTES_MAX]);
/* Whether sockets of that type, "ROUTER" or "PUB", and of the peer's may be connected. */
bool zmtp_types_match(const char *type, struct slice peers);

#endif
