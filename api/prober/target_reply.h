/* The response of a target that speaks HTTP/1.1, read as its bytes come: its status, where it
 * redirects to, and the beginning of its body. The peer is foreign: its head has a limit, and no
 * more of a body is read than is kept.
 *
 * Thread: one owner at a time. Owns: nothing but its own memory. */
#ifndef MUSTER_API_PROBER_TARGET_REPLY_H
#define MUSTER_API_PROBER_TARGET_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/http/framing.h"
#include "server/base/compiler.h"

#define REPLY_LINE_BYTES_MAX     4096
#define REPLY_HEAD_BYTES_MAX     (32 * 1024)
#define REPLY_BODY_BYTES_KEPT    4096
#define REPLY_LOCATION_BYTES_MAX 2048

struct target_reply {
    int status;      /* 0: the head has not come */
    bool keeps;      /* once it is over: the connection may be used again */
    char reason[64]; /* the words behind the status; "" if there are none */
    char location[REPLY_LOCATION_BYTES_MAX + 1]; /* "": none, or too long */
    char body[REPLY_BODY_BYTES_KEPT];
    size_t body_len;

    /* private */
    bool is_head; /* the answer to a HEAD has no body */
    bool in_body, chunked, has_length;
    uint64_t length;
    size_t head_bytes, line_len;
    struct framing framing;
    char line[REPLY_LINE_BYTES_MAX];
};

enum target_reply_state {
    REPLY_MORE,
    REPLY_OVER, /* read whole, or as much of it as is wanted: then `keeps` is false */
    REPLY_BAD,  /* this is no HTTP, or more than is taken */
};

void target_reply_begin(struct target_reply *r, bool is_head);
/* Takes what has come. */
MUST_USE enum target_reply_state target_reply_feed(struct target_reply *r, const char *bytes,
                                                   size_t len);
/* The connection has ended. */
MUST_USE enum target_reply_state target_reply_end(struct target_reply *r);

#endif
