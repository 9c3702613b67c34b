/* Encoding of commands and stamps in a log entry.
 *
 * Thread: any. */
#ifndef MUSTER_WIRE_COMMAND_H
#define MUSTER_WIRE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/compiler.h"
#include "server/base/status.h"
#include "server/registry/command.h"
#include "server/registry/registry.h"

#define WIRE_STAMP_BYTES 16

/* Overflows the buffer (OP_BYTES_MAX) if the command is too large. */
void wire_command_encode(const struct command *command, struct buffer *out);

/* A command that borrows from its encoded bytes. */
struct wire_command {
    struct command command;
    struct slice *ids; /* private */
    struct slice one;  /* private */
};
/* Checks every limit before memory is allocated. ST_TOO_LARGE: something is above a limit of the
 * level, as every replica finds; only the kind is set. ST_CORRUPT: malformed. Neither leaves
 * anything to clean up. */
MUST_USE enum status wire_command_decode(const uint8_t *data, size_t len,
                                         const struct registry_limits *limits,
                                         struct wire_command *ret_command);
void wire_command_done(struct wire_command *command);
/* Whether the bytes start with a kind of command that this build knows and this level allows.
 * Checks only the kind, after its guard if it has one. */
bool wire_command_understands(const uint8_t *data, size_t len, uint16_t level);

void wire_stamp_encode(const struct stamp *stamp, uint8_t out[WIRE_STAMP_BYTES]);
MUST_USE enum status wire_stamp_decode(const uint8_t *data, size_t len, struct stamp *ret_stamp);

#endif
