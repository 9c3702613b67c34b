/* The subset of MessagePack that Muster writes: unsigned and signed integers, booleans, text and
 * bytes, in sequence. Written with msgpack-c; read with our own cursor, because the library's
 * unpacker allocates by a count before it has checked that the bytes are there.
 *
 * Thread: any. */
#ifndef MUSTER_WIRE_PACK_H
#define MUSTER_WIRE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/registry/record.h"

void pack_uint(struct buffer *out, uint64_t value);
void pack_int(struct buffer *out, int64_t value);
void pack_bool(struct buffer *out, bool value);
void pack_text(struct buffer *out, const char *text, size_t len);
void pack_bytes(struct buffer *out, const void *data, size_t len);

/* A reader; the first malformed or missing value sets `bad` for good, and everything read
 * afterwards is zero or empty. So callers read all fields and check once. */
struct unpack {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
    bool over; /* bad because a number or a length is above its maximum */
};
struct unpack unpack_begin(const void *data, size_t len);
/* Above `max`: bad, and over. */
uint64_t unpack_uint(struct unpack *in, uint64_t max);
int64_t unpack_int(struct unpack *in);
bool unpack_bool(struct unpack *in);
/* Borrowed from the input. Longer than `max`: bad, and over. With a NUL: bad. */
struct slice unpack_text(struct unpack *in, size_t max);
struct slice unpack_bytes(struct unpack *in, size_t max);
/* A value above a limit was read: bad, and over. */
void unpack_refuse(struct unpack *in);
/* Everything was read, and well-formed. */
bool unpack_finished(const struct unpack *in);

#endif
