/* What two members say to each other when a link is made: the messages and their bytes, and who is
 * let in. The exchange of these messages is handshake.h.
 *
 * A message has a fixed length for its kind:
 *
 *   magic 4 (one for each kind), version u16, verdict u16, then as the kind has them: who speaks
 *   (64 bytes), nonce 16, proof 32; last crc32c u32 of all before it
 *
 * Magic and version stand at the same place in every version of the protocol.
 *
 * Thread: any. Pure but for hello_nonce and hello_salt. */
#ifndef MUSTER_PEER_HELLO_H
#define MUSTER_PEER_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/cluster_id.h"
#include "server/base/compiler.h"

#define HELLO_VERSION      2
#define HELLO_PREFIX_BYTES 8 /* magic, version, verdict */
#define HELLO_FACTS_BYTES  64
#define HELLO_NONCE_BYTES  16
#define HELLO_PROOF_BYTES  32
#define HELLO_BYTES_MAX    108 /* of any message */

/* What a member says about itself. */
struct hello_facts {
    struct cluster_id cluster; /* none: new, or not let in yet */
    uint64_t member;
    uint64_t life;                 /* of its data directory, see ids.h */
    uint64_t boot;                 /* how often that life was started; rises */
    uint16_t level_min, level_max; /* of the replicated format that it speaks */
    uint64_t list_hash; /* of its --cluster list; the same for the same list; 0: it joins */
};

/* Numbers on the wire: never reuse one. */
enum hello_verdict {
    HELLO_ACCEPTED = 0,
    /* Found before the other side has proved anything, and not told to it. */
    HELLO_GARBAGE = 1, /* no message of the kind expected, or a damaged one */
    HELLO_WRONG_VERSION = 2,
    HELLO_WRONG_SECRET = 3,
    HELLO_OURSELVES = 4, /* our own hello came back */
    /* Found when it has, and told. */
    HELLO_REFUSED = 5, /* for a reason that this version has no number for */
    HELLO_WRONG_CLUSTER = 6,
    HELLO_WRONG_MEMBER = 7,  /* meant for another one, unknown, or with our own id */
    HELLO_WRONG_LIST = 8,    /* both are new, and were given different --cluster lists */
    HELLO_NO_LEVEL = 9,      /* in common */
    HELLO_EARLIER_LIFE = 10, /* removed from the cluster, or older than the one known */
    HELLO_EARLIER_BOOT = 11, /* a later one of the same life is linked */
    HELLO_WAITS = 12,        /* its life is not in the configuration yet */
    HELLO_VERDICTS,
};

enum hello_kind {
    HELLO_KIND_HELLO,     /* connector: facts, nonce */
    HELLO_KIND_CHALLENGE, /* acceptor: nonce */
    HELLO_KIND_PROOF,     /* connector: proof */
    HELLO_KIND_FACTS,     /* acceptor: verdict, facts, proof */
    HELLO_KIND_VERDICT,   /* connector: verdict, proof */
    HELLO_KINDS,
};

/* What a kind does not have is zero. */
struct hello_message {
    enum hello_kind kind;
    enum hello_verdict verdict;
    struct hello_facts facts;
    uint64_t to; /* the member that the facts are told to */
    uint8_t nonce[HELLO_NONCE_BYTES];
    uint8_t proof[HELLO_PROOF_BYTES];
};

/* From the random bytes of the kernel. */
uint32_t hello_salt(void);
void hello_nonce(uint8_t out[HELLO_NONCE_BYTES]);

/* --- bytes --- */

size_t hello_bytes(enum hello_kind kind);
/* Where the proof stands, in the kinds that have one. */
size_t hello_proof_at(enum hello_kind kind);
/* Returns the length. */
size_t hello_encode(const struct hello_message *message, uint8_t out[HELLO_BYTES_MAX]);
/* HELLO_ACCEPTED when the first `len` bytes may begin a message of this kind and version. */
MUST_USE enum hello_verdict hello_look_at(enum hello_kind kind, const uint8_t *in, size_t len);
/* Of a message that is whole. Says HELLO_ACCEPTED, HELLO_GARBAGE or HELLO_WRONG_VERSION, and
 * nothing of the verdict or the proof in it. */
MUST_USE enum hello_verdict hello_decode(enum hello_kind kind, const uint8_t *in,
                                         struct hello_message *ret_message);

/* --- who is let in --- */

/* As far as it needs no more knowledge than the two have of themselves. */
enum hello_verdict hello_judge(const struct hello_facts *ours, const struct hello_facts *theirs);
/* Whether `theirs` is of a process that came after the one of `known`, of the same member. */
bool hello_supersedes(const struct hello_facts *theirs, const struct hello_facts *known);

#define HELLO_SENTENCE_SIZE 256
/* The verdict in words. Static. */
const char *hello_verdict_text(enum hello_verdict verdict);
/* As a sentence about the two, for the logs of both: it names them by their ids. */
void hello_explain(enum hello_verdict verdict, const struct hello_facts *judge,
                   const struct hello_facts *judged, char out[HELLO_SENTENCE_SIZE]);

#endif
