#include "api/grpc/frame.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

/* What a message may take in memory: its texts, and as many pointers as two bytes of it can mean.
 */
#define ARENA_BYTES_MIN    (256u * 1024)
#define ARENA_BYTES_A_BYTE 32
#define ARENA_BYTES_MAX    (8u * 1024 * 1024)
#define ARENA_BLOCK_BYTES  2048

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

/* --- the arena --- */

void *arena_take(struct arena *arena, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    struct arena_block *block = arena->blocks;
    if (rounded < size || rounded > arena->left) {
        return NULL;
    }
    if (block == NULL || block->size - block->used < rounded) {
        size_t bytes = rounded > ARENA_BLOCK_BYTES ? rounded : ARENA_BLOCK_BYTES;
        block = mem_alloc(sizeof *block + bytes);
        *block = (struct arena_block){.next = arena->blocks, .size = bytes};
        arena->blocks = block;
    }
    arena->left -= rounded;
    void *taken = block->bytes + block->used;
    block->used += rounded;
    return taken;
}

static void *allocate(void *arena, size_t size)
{
    return arena_take(arena, size);
}

/* All at once, at the end. */
static void release(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

void arena_init(struct arena *arena, size_t len)
{
    size_t most = len < ARENA_BYTES_MAX / ARENA_BYTES_A_BYTE
                      ? ARENA_BYTES_MIN + len * ARENA_BYTES_A_BYTE
                      : ARENA_BYTES_MAX;
    *arena = (struct arena){.allocator = {allocate, release, arena}, .left = most};
}

void arena_done(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

char *arena_text(struct arena *arena, const ProtobufCBinaryData *data)
{
    char *text = NULL;
    if (data->len == 0 || memchr(data->data, 0, data->len) == NULL) {
        text = arena_take(arena, data->len + 1);
    }
    if (text != NULL) {
        if (data->len > 0) {
            memcpy(text, data->data, data->len);
        }
        text[data->len] = '\0';
    }
    return text;
}

/* --- frames --- */

static uint32_t load_length(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum frame_scan frame_scan(const uint8_t *bytes, size_t len, size_t max,
                           const uint8_t **ret_message, size_t *ret_len)
{
    if (len < FRAME_HEAD_BYTES) {
        return FRAME_MORE;
    }
    *ret_len = load_length(bytes + 1);
    *ret_message = bytes + FRAME_HEAD_BYTES;
    if (*ret_len > max) {
        return FRAME_TOO_LONG;
    }
    if (bytes[0] != 0) {
        return FRAME_COMPRESSED;
    }
    return len - FRAME_HEAD_BYTES < *ret_len ? FRAME_MORE : FRAME_WHOLE;
}

size_t frame_begin(struct buffer *out)
{
    static const uint8_t head[FRAME_HEAD_BYTES];
    size_t at = out->len;
    buffer_append(out, head, sizeof head);
    return at;
}

struct packing {
    ProtobufCBuffer base;
    struct buffer *out;
};

static void pack_piece(ProtobufCBuffer *base, size_t len, const uint8_t *data)
{
    buffer_append(((struct packing *)base)->out, data, len);
}

void frame_append(struct buffer *out, const ProtobufCMessage *message)
{
    struct packing packing = {{pack_piece}, out};
    (void)protobuf_c_message_pack_to_buffer(message, &packing.base);
}

void frame_append_field(struct buffer *out, unsigned number, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    buffer_append_byte(out, (uint8_t)(number << 3 | 2));
    for (; len >= 128; len >>= 7) {
        buffer_append_byte(out, (uint8_t)(len | 128));
    }
    buffer_append_byte(out, (uint8_t)len);
    frame_append(out, message);
}

void frame_end(struct buffer *out, size_t head)
{
    if (out->overflowed) {
        return;
    }
    size_t len = out->len - head - FRAME_HEAD_BYTES;
    for (size_t i = 0; i < 4; i++) {
        out->data[head + 1 + i] = (uint8_t)(len >> (24 - 8 * i));
    }
}

void frame_put(struct buffer *out, const ProtobufCMessage *message)
{
    size_t head = frame_begin(out);
    frame_append(out, message);
    frame_end(out, head);
}

ProtobufCBinaryData frame_text(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}
