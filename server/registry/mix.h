/* Hashing for state hashes and tables: well mixed, the same on every machine, not for secrets.
 * (The finalizer is that of SplitMix64: Steele, Lea, Flood, OOPSLA 2014.)
 *
 * Thread: any. */
#ifndef MUSTER_REGISTRY_MIX_H
#define MUSTER_REGISTRY_MIX_H

#include <stddef.h>
#include <stdint.h>

#include "server/base/buffer.h"

static inline uint64_t mix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint64_t mix_bytes(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = mix64(len);
    for (; len >= 8; len -= 8, p += 8) {
        h = mix64(h ^ load_u64(p));
    }
    uint64_t tail = 0;
    for (size_t i = 0; i < len; i++) {
        tail |= (uint64_t)p[i] << (8 * i);
    }
    return mix64(h ^ tail);
}

#endif
