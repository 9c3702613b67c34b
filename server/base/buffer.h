/* A growing byte buffer with a ceiling from the start. An append that would exceed the ceiling sets
 * `overflowed` and is dropped, like all later ones; it never truncates silently: callers append
 * freely and check `overflowed` once at the end.
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
    size_t limit; /* maximum size */
    bool overflowed;
    bool starved;          /* overflowed because its budget is used up */
    struct budget *budget; /* NULL: not counted */
    size_t counted;        /* bytes taken from it */
};

void buffer_init(struct buffer *b, size_t limit);
/* From now on, growth beyond BUDGET_FREE_BYTES is counted; if the budget is used up, the buffer
 * overflows. The budget must outlive the content. */
void buffer_count_in(struct buffer *b, struct budget *budget);
/* Frees the bytes; the buffer is as after buffer_init. May be repeated. */
void buffer_done(struct buffer *b);
/* Drops the content, keeps the memory. */
void buffer_clear(struct buffer *b);
/* Makes room for len more bytes. False (and overflowed) if that exceeds the limit. */
bool buffer_reserve(struct buffer *b, size_t len);
void buffer_append(struct buffer *b, const void *data, size_t len);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_byte(struct buffer *b, uint8_t byte);
void buffer_printf(struct buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Little endian. */
void buffer_append_u16(struct buffer *b, uint16_t value);
void buffer_append_u32(struct buffer *b, uint32_t value);
void buffer_append_u64(struct buffer *b, uint64_t value);
/* Copies up to `max` bytes that stand from *at on, and moves *at behind them. Returns how many. */
size_t buffer_read(const struct buffer *b, size_t *at, void *out, size_t max);
/* Returns the bytes (free() them), which are no longer counted, and empties the buffer. */
uint8_t *buffer_take(struct buffer *b, size_t *ret_len);

/* Little endian, from possibly unaligned memory. */
uint16_t load_u16(const uint8_t *p);
uint32_t load_u32(const uint8_t *p);
uint64_t load_u64(const uint8_t *p);
void store_u16(uint8_t *p, uint16_t value);
void store_u32(uint8_t *p, uint32_t value);
void store_u64(uint8_t *p, uint64_t value);

#endif
