#include "server/wire/pack.h"

#include <string.h>

#include <msgpack.h>

static int write_to_buffer(void *data, const char *bytes, size_t len)
{
    struct buffer *out = data;
    buffer_append(out, bytes, len);
    return out->overflowed ? -1 : 0;
}

static msgpack_packer packer(struct buffer *out)
{
    msgpack_packer p;
    msgpack_packer_init(&p, out, write_to_buffer);
    return p;
}

void pack_uint(struct buffer *out, uint64_t value)
{
    msgpack_packer p = packer(out);
    msgpack_pack_uint64(&p, value);
}

void pack_int(struct buffer *out, int64_t value)
{
    msgpack_packer p = packer(out);
    msgpack_pack_int64(&p, value);
}

void pack_bool(struct buffer *out, bool value)
{
    msgpack_packer p = packer(out);
    if (value) {
        msgpack_pack_true(&p);
    } else {
        msgpack_pack_false(&p);
    }
}

void pack_text(struct buffer *out, const char *text, size_t len)
{
    msgpack_packer p = packer(out);
    msgpack_pack_str(&p, len);
    msgpack_pack_str_body(&p, text, len);
}

void pack_bytes(struct buffer *out, const void *data, size_t len)
{
    msgpack_packer p = packer(out);
    msgpack_pack_bin(&p, len);
    msgpack_pack_bin_body(&p, data, len);
}

/* --- reading (the MessagePack specification, "Formats") --- */

struct unpack unpack_begin(const void *data, size_t len)
{
    const uint8_t *at = data;
    return (struct unpack){.at = at, .end = at + len};
}

bool unpack_finished(const struct unpack *in)
{
    return !in->bad && in->at == in->end;
}

void unpack_refuse(struct unpack *in)
{
    in->over = in->over || !in->bad; /* the first error counts */
    in->bad = true;
}

static bool have(struct unpack *in, size_t len)
{
    if (in->bad || (size_t)(in->end - in->at) < len) {
        in->bad = true;
    }
    return !in->bad;
}

static uint8_t take_byte(struct unpack *in)
{
    return have(in, 1) ? *in->at++ : 0;
}

/* A big-endian number of 1, 2, 4 or 8 bytes. */
static uint64_t take_number(struct unpack *in, size_t len)
{
    uint64_t value = 0;
    if (have(in, len)) {
        for (size_t i = 0; i < len; i++) {
            value = value << 8 | *in->at++;
        }
    }
    return value;
}

uint64_t unpack_uint(struct unpack *in, uint64_t max)
{
    uint8_t head = take_byte(in);
    uint64_t value = head;
    if (head >= 0xcc && head <= 0xcf) {
        value = take_number(in, (size_t)1 << (head - 0xcc));
    } else if (head > 0x7f) {
        in->bad = true;
    }
    if (value > max) {
        unpack_refuse(in);
    }
    return in->bad ? 0 : value;
}

int64_t unpack_int(struct unpack *in)
{
    uint8_t head = take_byte(in);
    int64_t value = 0;
    if (head <= 0x7f) {
        value = head;
    } else if (head >= 0xe0) {
        value = (int64_t)head - 256;
    } else if (head >= 0xcc && head <= 0xcf) {
        uint64_t number = take_number(in, (size_t)1 << (head - 0xcc));
        in->bad = in->bad || number > INT64_MAX;
        value = (int64_t)number;
    } else if (head >= 0xd0 && head <= 0xd3) {
        size_t len = (size_t)1 << (head - 0xd0);
        uint64_t number = take_number(in, len);
        unsigned shift = (unsigned)(64 - 8 * len);
        value = (int64_t)(number << shift) >> shift; /* sign extension */
    } else {
        in->bad = true;
    }
    return in->bad ? 0 : value;
}

bool unpack_bool(struct unpack *in)
{
    uint8_t head = take_byte(in);
    if (head != 0xc2 && head != 0xc3) {
        in->bad = true;
    }
    return !in->bad && head == 0xc3;
}

static struct slice take_slice(struct unpack *in, size_t len, size_t max)
{
    struct slice empty = {.data = "", .len = 0};
    if (len > max) {
        unpack_refuse(in);
    }
    if (!have(in, len)) {
        return empty;
    }
    struct slice s = {.data = (const char *)in->at, .len = len};
    in->at += len;
    return s;
}

struct slice unpack_text(struct unpack *in, size_t max)
{
    uint8_t head = take_byte(in);
    size_t len = 0;
    if (head >= 0xa0 && head <= 0xbf) {
        len = head & 0x1f;
    } else if (head >= 0xd9 && head <= 0xdb) {
        len = (size_t)take_number(in, (size_t)1 << (head - 0xd9));
    } else {
        in->bad = true;
    }
    struct slice s = take_slice(in, len, max);
    if (memchr(s.data, '\0', s.len) != NULL) {
        in->bad = true;
    }
    return s;
}

struct slice unpack_bytes(struct unpack *in, size_t max)
{
    uint8_t head = take_byte(in);
    size_t len = 0;
    if (head >= 0xc4 && head <= 0xc6) {
        len = (size_t)take_number(in, (size_t)1 << (head - 0xc4));
    } else {
        in->bad = true;
    }
    return take_slice(in, len, max);
}
