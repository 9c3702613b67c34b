/* The handshake of a link: whoever connects proves first that it knows the secret.
 *
 *   connector                              acceptor
 *             ── hello: facts, nonce ────►
 *             ◄── challenge: nonce ───────
 *             ── proof ──────────────────►           valid? who is it, is it admitted?
 *             ◄── verdict, facts, proof ──           valid? who is it, is it admitted?
 *             ── verdict, proof ─────────►           open, unless one of them refused
 *
 * A proof is an HMAC-SHA-256 (RFC 2104) under the secret, over a label for each kind of message and
 * the transcript so far. So no proof can be replayed: not in another handshake (nonces), not at
 * another step or to its maker (label, ids), not with anything altered. Over TLS the transcript
 * begins with the binding of that session (RFC 9266), so nobody can relay a handshake from one
 * session into another.
 *
 * What this avoids: an acceptor that sends anything derived from the secret to anybody lets
 * strangers guess the secret offline. Before the connector has proved itself it gets a nonce only.
 *
 * Pure: bytes in, bytes out, passed in as they arrive; see handshake_take.
 *
 * Thread: any; one owner at a time. Owns: nothing; the secret is borrowed. */
#ifndef MUSTER_PEER_HANDSHAKE_H
#define MUSTER_PEER_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/peer/hello.h"

enum handshake_phase {
    HANDSHAKE_HELLO,     /* acceptor: waiting for the hello */
    HANDSHAKE_PROOF,     /* acceptor: has sent its challenge, waiting for the proof */
    HANDSHAKE_CHALLENGE, /* connector: has sent its hello, waiting for the challenge */
    HANDSHAKE_FACTS,     /* connector: has sent its proof, waiting for the acceptor's facts */
    HANDSHAKE_JUDGE,     /* both: the other's proof is valid; waiting for handshake_answer */
    HANDSHAKE_VERDICT,   /* acceptor: has accepted, waiting for the connector's verdict */
    HANDSHAKE_OPEN,
    HANDSHAKE_ENDED, /* see `verdict` */
    HANDSHAKE_PHASES,
};

#define HANDSHAKE_BINDING_BYTES  32
#define HANDSHAKE_SAID_BYTES_MAX 352 /* by both: the transcript, after the binding */
#define HANDSHAKE_SECRETS_MAX    2

/* What both sides must know. Borrowed until the handshake is over. */
struct handshake_keys {
    const char *secrets[HANDSHAKE_SECRETS_MAX]; /* an acceptor accepts any, a connector has one */
    size_t count;
    const uint8_t *binding; /* of the channel below: HANDSHAKE_BINDING_BYTES; NULL: none */
};

struct handshake {
    enum handshake_phase phase;
    bool connects;
    const char *secrets[HANDSHAKE_SECRETS_MAX];
    size_t secrets_count; /* one, once the other side has proved which */
    struct hello_facts ours;
    struct hello_facts theirs;  /* proven from HANDSHAKE_JUDGE on */
    uint64_t wanted;            /* connector: the member to reach */
    uint64_t theirs_to;         /* the member that the other side wants to reach */
    bool proven;                /* the other side knows the secret */
    enum hello_verdict verdict; /* once ended: the reason */
    bool told;                  /* ... as sent by the other side */
    size_t said_len;
    uint8_t said[HANDSHAKE_SAID_BYTES_MAX];
};

/* Bytes to send now; may be empty. */
struct handshake_reply {
    size_t len;
    uint8_t bytes[HELLO_BYTES_MAX];
};

/* Secrets may be "". */
void handshake_connect(struct handshake *h, const struct hello_facts *ours, uint64_t to,
                       const struct handshake_keys *keys, struct handshake_reply *ret_hello);
void handshake_accept(struct handshake *h, const struct hello_facts *ours,
                      const struct handshake_keys *keys);
/* The length of the expected message; 0: none is expected. */
size_t handshake_wants(const struct handshake *h);
/* `in` has the first `len` bytes of that message, at most all of it. Returns true if they changed
 * the phase: the message was accepted, or these bytes cannot start one. */
bool handshake_take(struct handshake *h, const uint8_t *in, size_t len,
                    struct handshake_reply *ret_reply);
/* In HANDSHAKE_JUDGE: the verdict from both facts alone: hello_judge, and the ids. */
enum hello_verdict handshake_judge(const struct handshake *h);
/* In HANDSHAKE_JUDGE: continues, or ends with a reply that gives the reason. */
void handshake_answer(struct handshake *h, enum hello_verdict verdict,
                      struct handshake_reply *ret_reply);
/* Once ended: the reason, as a message. It names the other's facts only if they were proven. */
void handshake_explain(const struct handshake *h, char out[HELLO_SENTENCE_SIZE]);

#endif
