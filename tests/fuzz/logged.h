/* Whether the log accepts what a door made of a request.
 *
 * Thread: the only one. */
#ifndef MUSTER_TESTS_LOGGED_H
#define MUSTER_TESTS_LOGGED_H

#include "server/base/limits.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"

/* The decoder, which trusts nobody, must accept what the door accepts. */
static inline void check_logged(const struct command *command)
{
    struct wire_command decoded;
    struct buffer out;
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(command, &out);
    CHECK(!out.overflowed);
    uint16_t level = command->kind == COMMAND_ENROL ? LEVEL_CHECKS : LEVEL_MIN;
    CHECK(wire_command_decode(out.data, out.len, level_limits(level), &decoded) == ST_OK);
    CHECK(decoded.command.kind == command->kind);
    wire_command_done(&decoded);
    buffer_done(&out);
}

#endif
