/* Common to all targets: the function that libFuzzer calls with an input, and parsing of the input
 * from front to back. A broken promise is a failed CHECK, which libFuzzer reports as a crash.
 *
 * Thread: the only one. */
#ifndef MUSTER_TESTS_FUZZ_H
#define MUSTER_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct input {
    const uint8_t *at;
    size_t left;
};

/* The next `len` bytes; zeros beyond the end. */
static inline void input_bytes(struct input *in, void *out, size_t len)
{
    size_t n = len < in->left ? len : in->left;
    memset(out, 0, len);
    if (n > 0) {
        memcpy(out, in->at, n);
    }
    in->at += n;
    in->left -= n;
}

static inline uint8_t input_u8(struct input *in)
{
    uint8_t value;
    input_bytes(in, &value, sizeof value);
    return value;
}

static inline uint32_t input_u32(struct input *in)
{
    uint8_t bytes[4];
    input_bytes(in, bytes, sizeof bytes);
    return load_u32(bytes);
}

static inline uint64_t input_u64(struct input *in)
{
    uint8_t bytes[8];
    input_bytes(in, bytes, sizeof bytes);
    return load_u64(bytes);
}

/* A copy of exact size, so that AddressSanitizer detects reads beyond it. free() it. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = mem_alloc(len);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

/* The rest as text, up to its first NUL. free() it. */
static inline char *input_text(struct input *in)
{
    char *text = mem_alloc(in->left + 1);
    size_t left = in->left;
    input_bytes(in, text, left);
    text[left] = '\0';
    return text;
}

#endif
