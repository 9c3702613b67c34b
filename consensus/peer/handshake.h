/* The exchange of hellos that makes a link: whoever connects proves first that it knows the secret.
 *
 *   connector                              acceptor
 *             ── hello: facts, nonce ────►
 *             ◄── challenge: nonce ───────
 *             ── proof ──────────────────►           right? who is it, is it let in?
 *             ◄── verdict, facts, proof ──           right? who is it, is it let in?
 *             ── verdict, proof ─────────►           open, unless one of them refused
 *
 * A proof is an HMAC-SHA-256 (RFC 2104) under the secret, over a label of its own for each message
 * and all that both have said before it. So no proof can be played back: not in another exchange
 * (nonces), not in another place or to its maker (label, ids), not with anything altered.
 *
 * What this exists to avoid: an acceptor that sends anything made from the secret to whoever asks
 * lets strangers guess the secret offline. Before the connector has proved itself it sends a nonce.
 *
 * Pure: bytes in, bytes out. Bytes are passed in as they come; see handshake_take.
 *
 * Thread: any; one owner at a time. Owns: nothing; the secret is borrowed. */
#ifndef MUSTER_PEER_HANDSHAKE_H
#define MUSTER_PEER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/peer/hello.h"

enum handshake_phase {
    HANDSHAKE_HELLO,     /* acceptor: waits for the hello */
    HANDSHAKE_PROOF,     /* acceptor: has sent its challenge, waits for the proof */
    HANDSHAKE_CHALLENGE, /* connector: has sent its hello, waits for the challenge */
    HANDSHAKE_FACTS,     /* connector: has sent its proof, waits for the acceptor's facts */
    HANDSHAKE_JUDGE,     /* both: the other's proof is right; waits for handshake_answer */
    HANDSHAKE_VERDICT,   /* acceptor: has accepted, waits for the connector's verdict */
    HANDSHAKE_OPEN,
    HANDSHAKE_ENDED, /* see `verdict` */
    HANDSHAKE_PHASES,
};

#define HANDSHAKE_SAID_BYTES_MAX 320 /* by both */

struct handshake {
    enum handshake_phase phase;
    bool connects;
    const char *secret;
    struct hello_facts ours;
    struct hello_facts theirs;  /* proven from HANDSHAKE_JUDGE on */
    uint64_t wanted;            /* connector: the member that it wants to reach */
    uint64_t theirs_to;         /* the member that the other one speaks to */
    bool proven;                /* the other one knows the secret */
    enum hello_verdict verdict; /* once ended: why */
    bool told;                  /* ... which the other one said */
    size_t said_len;
    uint8_t said[HANDSHAKE_SAID_BYTES_MAX];
};

/* What is to be sent now; no bytes: nothing. */
struct handshake_reply {
    size_t len;
    uint8_t bytes[HELLO_BYTES_MAX];
};

/* The secret may be "", and must outlive the exchange. */
void handshake_connect(struct handshake *h, const struct hello_facts *ours, uint64_t to,
                       const char *secret, struct handshake_reply *ret_hello);
void handshake_accept(struct handshake *h, const struct hello_facts *ours, const char *secret);
/* Bytes of the message that is waited for; 0: of none. */
size_t handshake_wants(const struct handshake *h);
/* The first `len` bytes of that message, at most all of it. Returns true when the phase has changed
 * for it: the message was taken, or what is there already cannot become one. */
bool handshake_take(struct handshake *h, const uint8_t *in, size_t len,
                    struct handshake_reply *ret_reply);
/* In HANDSHAKE_JUDGE: what the two facts alone say, hello_judge included. */
enum hello_verdict handshake_judge(const struct handshake *h);
/* In HANDSHAKE_JUDGE: goes on, or ends with a reply that tells why. */
void handshake_answer(struct handshake *h, enum hello_verdict verdict,
                      struct handshake_reply *ret_reply);
/* Once ended: why, as a sentence. It names the other's facts only if they were proven. */
void handshake_explain(const struct handshake *h, char out[HELLO_SENTENCE_SIZE]);

#endif
