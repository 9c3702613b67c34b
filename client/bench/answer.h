/* What comes back on a connection: HTTP/1.1 answers, read as the bytes arrive, in constant memory.
 * It knows what a replica sends: a length, or chunks; the rest of HTTP is refused as malformed. The
 * peer is foreign: each line and the head as a whole have a limit.
 *
 * Thread: one owner at a time. Owns: no memory but its own. */
#ifndef MUSTER_BENCH_ANSWER_H
#define MUSTER_BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define ANSWER_LINE_BYTES_MAX 1024
#define ANSWER_HEAD_BYTES_MAX (16 * 1024)
#define ANSWER_BODY_BYTES_MAX (1ull << 40)
/* So much of the beginning of a body is kept for whoever looks at it. */
#define ANSWER_KEPT_BYTES 191

/* Takes the bytes of the body as they come. */
typedef void (*answer_body_cb)(void *data, const char *bytes, size_t len);

struct answer {
    int status;      /* valid from the first byte of the body on */
    bool keep_alive; /* the connection may be used again */
    char kept[ANSWER_KEPT_BYTES + 1];
    uint32_t kept_len;
    uint64_t body_bytes;
    answer_body_cb body_cb; /* may be NULL */
    void *data;

    /* private */
    uint8_t state;
    bool chunked;
    bool has_length;
    uint32_t head_bytes;
    uint32_t line_len;
    uint64_t left; /* of the body, or of the chunk */
    char line[ANSWER_LINE_BYTES_MAX];
};

enum answer_verdict {
    ANSWER_MORE,
    ANSWER_DONE,
    ANSWER_MALFORMED,
};

/* Before each answer. Keeps body_cb and data. */
void answer_begin(struct answer *answer);
/* Takes up to the end of the answer; *ret_used is how many bytes that were. */
MUST_USE enum answer_verdict answer_feed(struct answer *answer, const char *bytes, size_t len,
                                         size_t *ret_used);
/* The number behind "NAME": in the kept bytes of a JSON body; 0 when it is not there. */
uint64_t answer_number(const struct answer *answer, const char *name);

#endif
