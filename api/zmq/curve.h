/* CurveZMQ (RFC 26) as a server: a connection on which the client proves that it has the secret of
 * its key, and everything is encrypted with keys of this connection alone.
 *
 *     HELLO -> WELCOME -> INITIATE -> READY, then every frame is a MESSAGE
 *
 * The cryptography is libsodium's. What this must not do: take a nonce twice (they only rise), tell
 * anything before INITIATE proved the client's key, or compare in a time that depends on secrets.
 *
 * Thread: the door's. */
#ifndef MUSTER_API_ZMQ_CURVE_H
#define MUSTER_API_ZMQ_CURVE_H

#include "api/zmq/curve_keys.h"
#include "api/zmq/zmtp.h"
#include "server/base/buffer.h"

#define CURVE_ANSWER_BYTES_MAX 256
/* A MESSAGE is longer than its content by so much. */
#define CURVE_OVERHEAD_BYTES 33

/* Of one connection. */
struct curve;

struct curve *curve_new(const struct curve_keys *keys);
/* Wipes it. NULL is allowed. */
void curve_free(struct curve *curve);

enum curve_step {
    CURVE_BAD,     /* the connection is to be cut */
    CURVE_UNKNOWN, /* its key is none of those that may connect */
    CURVE_MORE,    /* an answer is to be sent */
    CURVE_DONE,    /* likewise, and messages may follow */
};
/* Takes the body of a command, which it changes. *ret_type: with CURVE_DONE, the client's
 * Socket-Type, which lies in the body. `type` is that of this side. */
MUST_USE enum curve_step curve_take(struct curve *curve, const char *type, uint8_t *body,
                                    size_t len, uint8_t ret_answer[CURVE_ANSWER_BYTES_MAX],
                                    size_t *ret_answer_len, struct slice *ret_type);
/* The name of the client's key (curve_keys.h); "": it may have any. Borrowed. */
const char *curve_name(const struct curve *curve);
/* After CURVE_DONE: whether the keys, which may have changed, still know it by that name. */
bool curve_is_known(const struct curve *curve);

/* Decrypts a MESSAGE in place. *ret_flags: ZMTP_MORE, ZMTP_COMMAND. False: it is none. */
MUST_USE bool curve_open(struct curve *curve, uint8_t *body, size_t len, unsigned *ret_flags,
                         struct slice *ret_content);
/* Appends a frame that is a MESSAGE with this content. */
void curve_seal(struct curve *curve, unsigned flags, const void *content, size_t len,
                struct buffer *out);

#endif
