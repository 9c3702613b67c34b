/* Messages of gRPC in a body: each has a byte that says whether it is compressed, and its length in
 * four bytes, the highest first. Messages are unpacked into an arena: what a client can make us
 * allocate is bounded by the length of what it has sent, and freed at once.
 *
 * Thread: one owner at a time. */
#ifndef MUSTER_API_GRPC_FRAME_H
#define MUSTER_API_GRPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "server/base/buffer.h"
#include "server/registry/record.h"

#define FRAME_HEAD_BYTES 5
/* A body that holds a message of so many bytes. */
#define FRAME_BODY(len) ((len) + FRAME_HEAD_BYTES)

struct arena_block;

/* Owns: its blocks. */
struct arena {
    ProtobufCAllocator allocator;
    struct arena_block *blocks;
    size_t left; /* bytes that it may still take */
};

/* For a message of `len` bytes. */
void arena_init(struct arena *arena, size_t len);
void arena_done(struct arena *arena);
/* NULL: there is no more. */
void *arena_take(struct arena *arena, size_t size);
/* A text with its NUL. NULL: there is no more, or it has a NUL of its own. */
char *arena_text(struct arena *arena, const ProtobufCBinaryData *data);

enum frame_scan { FRAME_MORE, FRAME_WHOLE, FRAME_COMPRESSED, FRAME_TOO_LONG };
/* Looks for one message at the beginning of `bytes`; of at most `max` bytes. */
enum frame_scan frame_scan(const uint8_t *bytes, size_t len, size_t max,
                           const uint8_t **ret_message, size_t *ret_len);

/* Appends a message with its head. */
void frame_put(struct buffer *out, const ProtobufCMessage *message);
/* The same in pieces: a message that is made of several, one behind the other. Returns where its
 * head is. */
size_t frame_begin(struct buffer *out);
void frame_append(struct buffer *out, const ProtobufCMessage *message);
/* A field that is a message, of a number below 16. */
void frame_append_field(struct buffer *out, unsigned number, const ProtobufCMessage *message);
void frame_end(struct buffer *out, size_t head);

static inline struct slice frame_slice(ProtobufCBinaryData data)
{
    return (struct slice){data.data != NULL ? (const char *)data.data : "", data.len};
}
/* Of a text that is not changed. */
ProtobufCBinaryData frame_text(const char *text);

#endif
