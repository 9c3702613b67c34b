#include "consensus/peer/hello.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"

#define MAGIC_BYTES 4
#define CRC_BYTES   4
#define AT_VERSION  4
#define AT_VERDICT  6

/* Offsets in a member's facts. */
enum {
    AT_CLUSTER = 0,
    AT_FROM = 16,
    AT_TO = 24,
    AT_LIFE = 32,
    AT_BOOT = 40,
    AT_LEVEL_MIN = 48,
    AT_LEVEL_MAX = 50,
    AT_ZERO = 52,
    AT_LIST = 56,
};

static const struct {
    uint8_t magic[MAGIC_BYTES];
    bool verdict, facts, nonce, proof;
} kinds[HELLO_KINDS] = {
    [HELLO_KIND_HELLO] = {.magic = "MSTh", .facts = true, .nonce = true},
    [HELLO_KIND_CHALLENGE] = {.magic = "MSTc", .nonce = true},
    [HELLO_KIND_PROOF] = {.magic = "MSTp", .proof = true},
    [HELLO_KIND_FACTS] = {.magic = "MSTf", .verdict = true, .facts = true, .proof = true},
    [HELLO_KIND_VERDICT] = {.magic = "MSTv", .verdict = true, .proof = true},
};

static_assert(HELLO_PREFIX_BYTES + HELLO_FACTS_BYTES + HELLO_PROOF_BYTES + CRC_BYTES ==
                  HELLO_BYTES_MAX,
              "the longest message is the acceptor's facts");
static_assert(HELLO_NONCE_BYTES <= HELLO_PROOF_BYTES, "so the hello is shorter");

/* --- randomness --- */

uint32_t hello_salt(void)
{
    uint8_t random[HELLO_NONCE_BYTES];
    hello_nonce(random);
    return load_u32(random);
}

void hello_nonce(uint8_t out[HELLO_NONCE_BYTES])
{
    /* getrandom() is never short for so few bytes. */
    CHECK(getrandom(out, HELLO_NONCE_BYTES, 0) == HELLO_NONCE_BYTES);
}

/* --- encoding --- */

size_t hello_bytes(enum hello_kind kind)
{
    CHECK(kind < HELLO_KINDS);
    size_t len = HELLO_PREFIX_BYTES + CRC_BYTES;
    len += kinds[kind].facts ? HELLO_FACTS_BYTES : 0;
    len += kinds[kind].nonce ? HELLO_NONCE_BYTES : 0;
    len += kinds[kind].proof ? HELLO_PROOF_BYTES : 0;
    CHECK(len <= HELLO_BYTES_MAX);
    return len;
}

size_t hello_proof_at(enum hello_kind kind)
{
    CHECK(kinds[kind].proof);
    return hello_bytes(kind) - CRC_BYTES - HELLO_PROOF_BYTES;
}

static void encode_facts(const struct hello_message *m, uint8_t *out)
{
    memcpy(out + AT_CLUSTER, m->facts.cluster.bytes, CLUSTER_ID_BYTES);
    store_u64(out + AT_FROM, m->facts.member);
    store_u64(out + AT_TO, m->to);
    store_u64(out + AT_LIFE, m->facts.life);
    store_u64(out + AT_BOOT, m->facts.boot);
    store_u16(out + AT_LEVEL_MIN, m->facts.level_min);
    store_u16(out + AT_LEVEL_MAX, m->facts.level_max);
    store_u32(out + AT_ZERO, 0);
    store_u64(out + AT_LIST, m->facts.list_hash);
}

size_t hello_encode(const struct hello_message *m, uint8_t out[HELLO_BYTES_MAX])
{
    CHECK(m->kind < HELLO_KINDS);
    CHECK(m->verdict == HELLO_ACCEPTED || kinds[m->kind].verdict);
    size_t at = HELLO_PREFIX_BYTES;
    memcpy(out, kinds[m->kind].magic, MAGIC_BYTES);
    store_u16(out + AT_VERSION, HELLO_VERSION);
    store_u16(out + AT_VERDICT, (uint16_t)m->verdict);
    if (kinds[m->kind].facts) {
        encode_facts(m, out + at);
        at += HELLO_FACTS_BYTES;
    }
    if (kinds[m->kind].nonce) {
        memcpy(out + at, m->nonce, HELLO_NONCE_BYTES);
        at += HELLO_NONCE_BYTES;
    }
    if (kinds[m->kind].proof) {
        memcpy(out + at, m->proof, HELLO_PROOF_BYTES);
        at += HELLO_PROOF_BYTES;
    }
    store_u32(out + at, crc32c(0, out, at));
    CHECK(at + CRC_BYTES == hello_bytes(m->kind));
    return at + CRC_BYTES;
}

enum hello_verdict hello_look_at(enum hello_kind kind, const uint8_t *in, size_t len)
{
    CHECK(kind < HELLO_KINDS);
    if (len < HELLO_PREFIX_BYTES) {
        return HELLO_ACCEPTED;
    }
    if (memcmp(in, kinds[kind].magic, MAGIC_BYTES) != 0) {
        return HELLO_GARBAGE;
    }
    return load_u16(in + AT_VERSION) == HELLO_VERSION ? HELLO_ACCEPTED : HELLO_WRONG_VERSION;
}

/* False if no member can have such facts. */
static bool decode_facts(const uint8_t *in, struct hello_message *m)
{
    struct hello_facts *facts = &m->facts;
    memcpy(facts->cluster.bytes, in + AT_CLUSTER, CLUSTER_ID_BYTES);
    facts->member = load_u64(in + AT_FROM);
    m->to = load_u64(in + AT_TO);
    facts->life = load_u64(in + AT_LIFE);
    facts->boot = load_u64(in + AT_BOOT);
    facts->level_min = load_u16(in + AT_LEVEL_MIN);
    facts->level_max = load_u16(in + AT_LEVEL_MAX);
    facts->list_hash = load_u64(in + AT_LIST);
    return load_u32(in + AT_ZERO) == 0 && facts->member != 0 && facts->life != 0 &&
           facts->life <= INT64_MAX && facts->level_min <= facts->level_max;
}

/* False if it is not one that is sent. */
static bool decode_verdict(enum hello_kind kind, uint16_t told, enum hello_verdict *ret_verdict)
{
    if (told != HELLO_ACCEPTED && (!kinds[kind].verdict || told < HELLO_REFUSED)) {
        return false;
    }
    *ret_verdict = told < HELLO_VERDICTS ? (enum hello_verdict)told : HELLO_REFUSED;
    return true;
}

enum hello_verdict hello_decode(enum hello_kind kind, const uint8_t *in,
                                struct hello_message *ret_message)
{
    size_t crc_at = hello_bytes(kind) - CRC_BYTES;
    size_t at = HELLO_PREFIX_BYTES;
    struct hello_message m = {.kind = kind};
    enum hello_verdict verdict = hello_look_at(kind, in, crc_at);
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    if (load_u32(in + crc_at) != crc32c(0, in, crc_at) ||
        !decode_verdict(kind, load_u16(in + AT_VERDICT), &m.verdict)) {
        return HELLO_GARBAGE;
    }
    if (kinds[kind].facts) {
        if (!decode_facts(in + at, &m)) {
            return HELLO_GARBAGE;
        }
        at += HELLO_FACTS_BYTES;
    }
    if (kinds[kind].nonce) {
        memcpy(m.nonce, in + at, HELLO_NONCE_BYTES);
        at += HELLO_NONCE_BYTES;
    }
    if (kinds[kind].proof) {
        memcpy(m.proof, in + at, HELLO_PROOF_BYTES);
        at += HELLO_PROOF_BYTES;
    }
    CHECK(at == crc_at);
    *ret_message = m;
    return HELLO_ACCEPTED;
}

/* --- admission --- */

enum hello_verdict hello_judge(const struct hello_facts *ours, const struct hello_facts *theirs)
{
    bool we_are_new = cluster_id_is_none(&ours->cluster);
    bool they_are_new = cluster_id_is_none(&theirs->cluster);
    if (!we_are_new && !they_are_new && !cluster_id_equal(&ours->cluster, &theirs->cluster)) {
        return HELLO_WRONG_CLUSTER;
    }
    if (theirs->member == ours->member) {
        return HELLO_WRONG_MEMBER;
    }
    if (we_are_new && they_are_new && ours->list_hash != theirs->list_hash) {
        return HELLO_WRONG_LIST;
    }
    bool overlap = ours->level_min <= theirs->level_max && theirs->level_min <= ours->level_max;
    return overlap ? HELLO_ACCEPTED : HELLO_NO_LEVEL;
}

bool hello_supersedes(const struct hello_facts *theirs, const struct hello_facts *known)
{
    CHECK(theirs->member == known->member);
    return theirs->life != known->life || theirs->boot > known->boot;
}

const char *hello_verdict_text(enum hello_verdict verdict)
{
    static const char *const texts[] = {
        [HELLO_ACCEPTED] = "accepted",
        [HELLO_GARBAGE] = "garbage, or a message out of order, instead of the handshake",
        [HELLO_WRONG_VERSION] = "another version of the protocol between members",
        [HELLO_WRONG_SECRET] = "wrong secret: the two members were given different ones",
        [HELLO_OURSELVES] = "our own hello came back: an address of another member leads here",
        [HELLO_REFUSED] = "refused; the reason is in the log of the other side",
        [HELLO_WRONG_CLUSTER] = "wrong cluster",
        [HELLO_WRONG_MEMBER] = "wrong member",
        [HELLO_WRONG_LIST] = "wrong member list",
        [HELLO_NO_LEVEL] = "no level in common",
        [HELLO_EARLIER_LIFE] = "a directory of an earlier life",
        [HELLO_EARLIER_BOOT] = "an earlier process",
        [HELLO_WAITS] = "not let in yet",
        [HELLO_WRONG_CERTIFICATE] = "wrong certificate",
    };
    static_assert(ARRAY_LENGTH(texts) == HELLO_VERDICTS, "each has a text");
    CHECK(verdict < HELLO_VERDICTS);
    return texts[verdict];
}

/* A disagreement of two members. */
static int explain_difference(enum hello_verdict verdict, const struct hello_facts *judge,
                              const struct hello_facts *judged, char *out, size_t size)
{
    char theirs[CLUSTER_ID_TEXT_SIZE], ours[CLUSTER_ID_TEXT_SIZE];
    uint64_t id = judged->member, other = judge->member;
    switch (verdict) {
    case HELLO_WRONG_CLUSTER:
        cluster_id_text(&judged->cluster, theirs);
        cluster_id_text(&judge->cluster, ours);
        return snprintf(out, size,
                        ": member %" PRIu64 " is of cluster %s, member %" PRIu64
                        " of %s. Members from before a restore or recovery must be started with an "
                        "empty directory and --join",
                        id, theirs, other, ours);
    case HELLO_WRONG_MEMBER:
        return snprintf(out, size,
                        ": member %" PRIu64 " is unknown to member %" PRIu64
                        ", or one of them expected another member",
                        id, other);
    case HELLO_WRONG_LIST:
        return snprintf(out, size,
                        ": members %" PRIu64 " and %" PRIu64
                        " are new and were given different --cluster lists, or one of them --join",
                        id, other);
    case HELLO_NO_LEVEL:
        return snprintf(
            out, size, ": member %" PRIu64 " speaks %u to %u, member %" PRIu64 " %u to %u", id,
            judged->level_min, judged->level_max, other, judge->level_min, judge->level_max);
    default:
        return 0;
    }
}

/* A fault of one of them. */
static int explain_process(enum hello_verdict verdict, const struct hello_facts *judged, char *out,
                           size_t size)
{
    uint64_t id = judged->member;
    switch (verdict) {
    case HELLO_EARLIER_LIFE:
        return snprintf(out, size,
                        " of member %" PRIu64 " (life %016" PRIx64
                        ") is never let in again; start this member with an empty directory",
                        id, judged->life);
    case HELLO_EARLIER_BOOT:
        return snprintf(out, size,
                        " of member %" PRIu64 " (boot %" PRIu64
                        "), and a later one is linked; is a copy of its directory in use?",
                        id, judged->boot);
    case HELLO_WAITS:
        return snprintf(out, size,
                        ": this life of member %" PRIu64 " (%016" PRIx64
                        ") is not in the configuration of the cluster",
                        id, judged->life);
    case HELLO_WRONG_CERTIFICATE:
        return snprintf(out, size,
                        ": the one that was shown is not for member %" PRIu64
                        ": it names neither muster:member:%" PRIu64 " nor the host of its address",
                        id, id);
    default:
        return 0;
    }
}

void hello_explain(enum hello_verdict verdict, const struct hello_facts *judge,
                   const struct hello_facts *judged, char out[HELLO_SENTENCE_SIZE])
{
    int n = snprintf(out, HELLO_SENTENCE_SIZE, "%s", hello_verdict_text(verdict));
    CHECK(n > 0 && n < HELLO_SENTENCE_SIZE);
    n += explain_difference(verdict, judge, judged, out + n, (size_t)(HELLO_SENTENCE_SIZE - n));
    CHECK(n < HELLO_SENTENCE_SIZE);
    n += explain_process(verdict, judged, out + n, (size_t)(HELLO_SENTENCE_SIZE - n));
    CHECK(n < HELLO_SENTENCE_SIZE);
}
