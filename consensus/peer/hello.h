/* The messages of the handshake, their encoding, and who is admitted. The handshake itself is in
 * handshake.h.
 *
 * The length of a message is fixed by its kind:
 *
 *   magic 4 (one for each kind), version u16, verdict u16, then, if the kind has them: facts
 *   (64 bytes), nonce 16, proof 32; last crc32c u32 of everything before it
 *
 * Magic and version are at the same offset in every version of the protocol.
 *
 * Thread: any. Pure except hello_nonce and hello_salt. */
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

/* Facts: what a member reports about itself. */
struct hello_facts {
    struct cluster_id cluster; /* none: new, or not admitted yet */
    uint64_t member;
    uint64_t life;                 /* of its data directory, see ids.h */
    uint64_t boot;                 /* number of starts of that life */
    uint16_t level_min, level_max; /* of the replicated format, as supported */
    uint64_t list_hash;            /* of its --cluster list, equal for equal lists; 0: it joins */
};

/* Numbers on the wire: never reuse one. */
enum hello_verdict {
    HELLO_ACCEPTED = 0,
    /* Found before the other side has proved anything; not sent. */
    HELLO_GARBAGE = 1, /* not the expected kind of message, or damaged */
    HELLO_WRONG_VERSION = 2,
    HELLO_WRONG_SECRET = 3,
    HELLO_OURSELVES = 4, /* our own hello came back */
    /* Found afterwards, and sent. */
    HELLO_REFUSED = 5, /* for a reason that this version does not know */
    HELLO_WRONG_CLUSTER = 6,
    HELLO_WRONG_MEMBER = 7,       /* it wants another member, is unknown, or has our own id */
    HELLO_WRONG_LIST = 8,         /* both are new, with different --cluster lists */
    HELLO_NO_LEVEL = 9,           /* none in common */
    HELLO_EARLIER_LIFE = 10,      /* removed from the cluster, or older than the known one */
    HELLO_EARLIER_BOOT = 11,      /* a later boot of this life is connected */
    HELLO_WAITS = 12,             /* its life is not in the configuration yet */
    HELLO_WRONG_CERTIFICATE = 13, /* its certificate is not that of the member that it is */
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

/* Fields that its kind lacks are zero. */
struct hello_message {
    enum hello_kind kind;
    enum hello_verdict verdict;
    struct hello_facts facts;
    uint64_t to; /* the member that the sender wants to reach */
    uint8_t nonce[HELLO_NONCE_BYTES];
    uint8_t proof[HELLO_PROOF_BYTES];
};

/* Random, from the kernel. */
uint32_t hello_salt(void);
void hello_nonce(uint8_t out[HELLO_NONCE_BYTES]);

/* --- encoding --- */

size_t hello_bytes(enum hello_kind kind);
/* The offset of the proof, in kinds that have one. */
size_t hello_proof_at(enum hello_kind kind);
/* Returns the length. */
size_t hello_encode(const struct hello_message *message, uint8_t out[HELLO_BYTES_MAX]);
/* HELLO_ACCEPTED if `len` bytes may be the start of a message of this kind and version. */
MUST_USE enum hello_verdict hello_look_at(enum hello_kind kind, const uint8_t *in, size_t len);
/* Of a complete message. Returns HELLO_ACCEPTED, HELLO_GARBAGE or HELLO_WRONG_VERSION; judges
 * neither the verdict nor the proof in it. */
MUST_USE enum hello_verdict hello_decode(enum hello_kind kind, const uint8_t *in,
                                         struct hello_message *ret_message);

/* --- admission --- */

/* As far as it follows from the facts of both. */
enum hello_verdict hello_judge(const struct hello_facts *ours, const struct hello_facts *theirs);
/* Whether `theirs` is a later process of the same member than `known`. */
bool hello_supersedes(const struct hello_facts *theirs, const struct hello_facts *known);

#define HELLO_SENTENCE_SIZE 256
/* The verdict as static text. */
const char *hello_verdict_text(enum hello_verdict verdict);
/* As a message about both, for either's log: names them by their ids. */
void hello_explain(enum hello_verdict verdict, const struct hello_facts *judge,
                   const struct hello_facts *judged, char out[HELLO_SENTENCE_SIZE]);

#endif
