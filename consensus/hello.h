/* The handshake of a link between two members: fixed-size messages, mutual proof of the shared
 * secret by challenge and response (HMAC-SHA-256, RFC 2104), no allocation before it is done.
 *
 *   connector -> acceptor   hello:   magic, version, cluster id, from, to, nonce
 *   acceptor  -> connector  answer:  magic, version, verdict, nonce, proof over both
 *   connector -> acceptor   proof:   proof over both
 *
 * Thread: any. Pure but for hello_nonce and hello_salt. */
#ifndef MUSTER_CONSENSUS_HELLO_H
#define MUSTER_CONSENSUS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELLO_NONCE_BYTES 16
#define HELLO_PROOF_BYTES 32
#define HELLO_BYTES                                                                                \
    56 /* magic 4, version 2, reserved 2, cluster 8, from 8, to 8, nonce 16, crc32c 4, 4 zero */
#define HELLO_ANSWER_BYTES                                                                         \
    64 /* magic 4, version 2, verdict 2, nonce 16, proof 32, crc32c 4, 4 zero */
#define HELLO_VERSION 1

struct hello {
    uint64_t cluster_id;
    uint64_t from;
    uint64_t to;
    uint8_t nonce[HELLO_NONCE_BYTES];
};

enum hello_verdict {
    HELLO_ACCEPTED,
    HELLO_GARBAGE, /* not a hello at all, or damaged */
    HELLO_WRONG_VERSION,
    HELLO_WRONG_CLUSTER,
    HELLO_WRONG_MEMBER, /* meant for another member, or from one unknown, or from ourselves */
    HELLO_WRONG_SECRET,
};
/* A sentence for the log. Static. */
const char *hello_verdict_text(enum hello_verdict verdict);

/* From the random bytes of the kernel. */
uint32_t hello_salt(void);
/* Fills with random bytes of the kernel. */
void hello_nonce(uint8_t out[HELLO_NONCE_BYTES]);
void hello_encode(const struct hello *hello, uint8_t out[HELLO_BYTES]);
enum hello_verdict hello_decode(const uint8_t in[HELLO_BYTES], struct hello *ret_hello);
/* The acceptor's answer; the proof is zero unless the verdict is HELLO_ACCEPTED. */
void hello_answer_encode(enum hello_verdict verdict, const struct hello *hello,
                         const uint8_t nonce[HELLO_NONCE_BYTES], const char *secret,
                         uint8_t out[HELLO_ANSWER_BYTES]);
/* Checks the answer (proof included) and gives the connector's proof to send. */
enum hello_verdict hello_answer_decode(const uint8_t in[HELLO_ANSWER_BYTES],
                                       const struct hello *hello, const char *secret,
                                       uint8_t ret_proof[HELLO_PROOF_BYTES]);
/* The acceptor's check of the connector's proof; in constant time. */
bool hello_proof_is_right(const uint8_t proof[HELLO_PROOF_BYTES], const struct hello *hello,
                          const uint8_t nonce[HELLO_NONCE_BYTES], const char *secret);

#endif
