/* A growing byte buffer that has a ceiling from birth. Once an append would pass the ceiling the
 * buffer turns `overflowed`, drops that append and all later ones, and never truncates silently:
 * callers append freely and look at `overflowed` once at the end.
 *
 * Thread: one owner at a time. Owns: its bytes. */
#ifndef MUSTER_BASE_BUFFER_H
#define MUSTER_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

struct budget;

struct buffer {
    uint8_t *data;
    size_t len;
    size_t capacity;
    size_t limit; /* most bytes it may ever hold */
    bool overflowed;
    bool starved;          /* overflowed because its budget is used up */
    struct budget *budget; /* NULL: its memory is not counted */
    size_t counted;        /* bytes taken from it */
};

void buffer_init(struct buffer *b, size_t limit);
/* From now on, what it grows to beyond BUDGET_FREE_BYTES is counted; when the budget has no more,
 * it overflows. The budget outlives the content. */
void buffer_count_in(struct buffer *b, struct budget *budget);
/* Frees the bytes; the buffer is as after buffer_init. Accepts a buffer already done. */
void buffer_done(struct buffer *b);
/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *b);
/* Makes room for len more bytes. False (and overflowed) when over the limit. */
bool buffer_reserve(struct buffer *b, size_t len);
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_byte(struct buffer *b, uint8_t byte);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Little endian. */
void buffer_append_u16(struct buffer *b, uint16_t value);
void buffer_append_u32(struct buffer *b, uint32_t value);
void buffer_append_u64(struct buffer *b, uint64_t value);
/* Gives the bytes (free() them) and empties the buffer. They are not counted any more. */
uint8_t *buffer_take(struct buffer *b, size_t *ret_len);

/* Little endian, from possibly unaligned memory. */
uint16_t load_u16(const uint8_t *p);
uint32_t load_u32(const uint8_t *p);
uint64_t load_u64(const uint8_t *p);
void store_u16(uint8_t *p, uint16_t value);
void store_u32(uint8_t *p, uint32_t value);
void store_u64(uint8_t *p, uint64_t value);

#endif
