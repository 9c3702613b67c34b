#include "server/base/buffer.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/budget.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define FIRST_CAPACITY 64

void buffer_init(struct buffer *b, size_t limit)
{
    *b = (struct buffer){.limit = limit};
}

void buffer_count_in(struct buffer *b, struct budget *budget)
{
    CHECK(b->counted == 0);
    b->budget = budget;
}

/* Empties it, with the same limit and budget. */
static void start_over(struct buffer *b)
{
    struct budget *budget = b->budget;
    if (b->counted > 0) {
        budget_give(budget, b->counted);
    }
    buffer_init(b, b->limit);
    b->budget = budget;
}

void buffer_done(struct buffer *b)
{
    free(b->data);
    start_over(b);
}

void buffer_clear(struct buffer *b)
{
    b->len = 0;
    b->overflowed = b->starved = false;
}

/* False if the budget has not that much left. */
static bool count(struct buffer *b, size_t capacity)
{
    if (b->budget == NULL || capacity <= BUDGET_FREE_BYTES) {
        return true;
    }
    if (!budget_take(b->budget, capacity - b->counted)) {
        return false;
    }
    b->counted = capacity;
    return true;
}

bool buffer_reserve(struct buffer *b, size_t len)
{
    if (b->overflowed || len > b->limit - b->len) {
        b->overflowed = true;
        return false;
    }
    size_t need = b->len + len;
    if (need > b->capacity) {
        /* Never above the limit: buffer_append_byte() checks the capacity only. */
        size_t capacity = b->capacity > 0 ? b->capacity : FIRST_CAPACITY;
        while (capacity < need && capacity <= b->limit / 2) {
            capacity *= 2;
        }
        if (capacity < need || capacity > b->limit) {
            capacity = b->limit;
        }
        if (!count(b, capacity)) {
            b->overflowed = b->starved = true;
            return false;
        }
        b->data = mem_realloc(b->data, capacity);
        b->capacity = capacity;
    }
    return true;
}

void buffer_append(struct buffer *b, const void *data, size_t len)
{
    bool fits = !b->overflowed && len <= b->capacity - b->len; /* nearly always */
    if (len > 0 && (fits || buffer_reserve(b, len))) {
        memcpy(b->data + b->len, data, len);
        b->len += len;
    }
}

void buffer_append_text(struct buffer *b, const char *text)
{
    buffer_append(b, text, strlen(text));
}

void buffer_append_byte(struct buffer *b, uint8_t byte)
{
    if (b->len < b->capacity && !b->overflowed) {
        b->data[b->len++] = byte;
        return;
    }
    buffer_append(b, &byte, 1);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    /* One more for vsnprintf's NUL, which is not part of the content. */
    if (!buffer_reserve(b, (size_t)len + 1)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, args);
    va_end(args);
    b->len += (size_t)len;
}

void buffer_append_u16(struct buffer *b, uint16_t value)
{
    uint8_t bytes[sizeof value];
    store_u16(bytes, value);
    buffer_append(b, bytes, sizeof bytes);
}

void buffer_append_u32(struct buffer *b, uint32_t value)
{
    uint8_t bytes[sizeof value];
    store_u32(bytes, value);
    buffer_append(b, bytes, sizeof bytes);
}

void buffer_append_u64(struct buffer *b, uint64_t value)
{
    uint8_t bytes[sizeof value];
    store_u64(bytes, value);
    buffer_append(b, bytes, sizeof bytes);
}

size_t buffer_read(const struct buffer *b, size_t *at, void *out, size_t max)
{
    size_t left = b->len - *at;
    size_t len = left < max ? left : max;
    if (len > 0) {
        memcpy(out, b->data + *at, len);
        *at += len;
    }
    return len;
}

uint8_t *buffer_take(struct buffer *b, size_t *ret_len)
{
    uint8_t *data = b->data;
    *ret_len = b->len;
    start_over(b);
    return data;
}

uint16_t load_u16(const uint8_t *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return le16toh(value);
}

uint32_t load_u32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return le32toh(value);
}

uint64_t load_u64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return le64toh(value);
}

void store_u16(uint8_t *p, uint16_t value)
{
    value = htole16(value);
    memcpy(p, &value, sizeof value);
}

void store_u32(uint8_t *p, uint32_t value)
{
    value = htole32(value);
    memcpy(p, &value, sizeof value);
}

void store_u64(uint8_t *p, uint64_t value)
{
    value = htole64(value);
    memcpy(p, &value, sizeof value);
}
