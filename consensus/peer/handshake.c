#include "consensus/peer/handshake.h"

#include <stdio.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "server/base/check.h"
#include "server/base/compiler.h"

#define LABEL_BYTES 32

/* A label for each message with a proof, all of the same length. */
static const char labels[HELLO_KINDS][LABEL_BYTES] = {
    [HELLO_KIND_PROOF] = "muster connector proof",
    [HELLO_KIND_FACTS] = "muster acceptor facts",
    [HELLO_KIND_VERDICT] = "muster connector verdict",
};

#define BIT(phase) (1u << (phase))

static const unsigned moves[HANDSHAKE_PHASES] = {
    [HANDSHAKE_HELLO] = BIT(HANDSHAKE_PROOF) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_PROOF] = BIT(HANDSHAKE_JUDGE) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_CHALLENGE] = BIT(HANDSHAKE_FACTS) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_FACTS] = BIT(HANDSHAKE_JUDGE) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_JUDGE] = BIT(HANDSHAKE_VERDICT) | BIT(HANDSHAKE_OPEN) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_VERDICT] = BIT(HANDSHAKE_OPEN) | BIT(HANDSHAKE_ENDED),
    [HANDSHAKE_OPEN] = 0,
    [HANDSHAKE_ENDED] = 0,
};

static void move(struct handshake *h, enum handshake_phase phase)
{
    CHECK((moves[h->phase] & BIT(phase)) != 0);
    h->phase = phase;
}

static void end(struct handshake *h, enum hello_verdict verdict, bool told)
{
    CHECK(verdict != HELLO_ACCEPTED);
    CHECK(!told || h->proven);
    h->verdict = verdict;
    h->told = told;
    move(h, HANDSHAKE_ENDED);
}

/* HELLO_KINDS: none. */
static enum hello_kind kind_wanted(const struct handshake *h)
{
    switch (h->phase) {
    case HANDSHAKE_HELLO:
        return HELLO_KIND_HELLO;
    case HANDSHAKE_PROOF:
        return HELLO_KIND_PROOF;
    case HANDSHAKE_CHALLENGE:
        return HELLO_KIND_CHALLENGE;
    case HANDSHAKE_FACTS:
        return HELLO_KIND_FACTS;
    case HANDSHAKE_VERDICT:
        return HELLO_KIND_VERDICT;
    case HANDSHAKE_JUDGE:
    case HANDSHAKE_OPEN:
    case HANDSHAKE_ENDED:
    case HANDSHAKE_PHASES:
        break;
    }
    return HELLO_KINDS;
}

/* --- transcript and proofs --- */

static void note_said(struct handshake *h, const uint8_t *message, size_t len)
{
    CHECK(len <= sizeof h->said - h->said_len);
    memcpy(h->said + h->said_len, message, len);
    h->said_len += len;
}

/* Over the label, the transcript, and the message up to its proof. */
static void make_proof(const struct handshake *h, const char *secret, enum hello_kind kind,
                       const uint8_t *message, uint8_t out[HELLO_PROOF_BYTES])
{
    uint8_t text[LABEL_BYTES + HANDSHAKE_SAID_BYTES_MAX + HELLO_BYTES_MAX];
    size_t message_len = hello_proof_at(kind);
    CHECK(labels[kind][0] != '\0');
    memcpy(text, labels[kind], LABEL_BYTES);
    memcpy(text + LABEL_BYTES, h->said, h->said_len);
    memcpy(text + LABEL_BYTES + h->said_len, message, message_len);
    CHECK(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, strlen(secret), text,
                           LABEL_BYTES + h->said_len + message_len, out) == 0);
}

/* Under any of our secrets: from then on that one is used. */
static bool proof_is_right(struct handshake *h, const struct hello_message *m, const uint8_t *bytes)
{
    for (size_t i = 0; i < h->secrets_count; i++) {
        uint8_t expected[HELLO_PROOF_BYTES];
        make_proof(h, h->secrets[i], m->kind, bytes, expected);
        if (gnutls_memcmp(expected, m->proof, HELLO_PROOF_BYTES) == 0) {
            h->secrets[0] = h->secrets[i];
            h->secrets_count = 1;
            return true;
        }
    }
    return false;
}

static void say(struct handshake *h, const struct hello_message *m, struct handshake_reply *reply)
{
    CHECK(reply->len == 0);
    reply->len = hello_encode(m, reply->bytes);
    note_said(h, reply->bytes, reply->len);
}

static void say_with_proof(struct handshake *h, struct hello_message *m,
                           struct handshake_reply *reply)
{
    uint8_t bytes[HELLO_BYTES_MAX];
    (void)hello_encode(m, bytes);
    CHECK(h->secrets_count == 1);
    make_proof(h, h->secrets[0], m->kind, bytes, m->proof);
    say(h, m, reply);
}

/* --- start --- */

static void start(struct handshake *h, const struct hello_facts *ours,
                  const struct handshake_keys *keys)
{
    CHECK(keys->count >= 1 && keys->count <= HANDSHAKE_SECRETS_MAX);
    *h = (struct handshake){.ours = *ours, .secrets_count = keys->count};
    memcpy(h->secrets, keys->secrets, sizeof h->secrets);
    if (keys->binding != NULL) {
        note_said(h, keys->binding, HANDSHAKE_BINDING_BYTES);
    }
}

void handshake_connect(struct handshake *h, const struct hello_facts *ours, uint64_t to,
                       const struct handshake_keys *keys, struct handshake_reply *ret_hello)
{
    CHECK(to != 0 && to != ours->member);
    CHECK(keys->count == 1);
    start(h, ours, keys);
    h->phase = HANDSHAKE_CHALLENGE;
    h->connects = true;
    h->wanted = to;
    struct hello_message m = {.kind = HELLO_KIND_HELLO, .facts = *ours, .to = to};
    hello_nonce(m.nonce);
    ret_hello->len = 0;
    say(h, &m, ret_hello);
}

void handshake_accept(struct handshake *h, const struct hello_facts *ours,
                      const struct handshake_keys *keys)
{
    start(h, ours, keys);
    h->phase = HANDSHAKE_HELLO;
}

size_t handshake_wants(const struct handshake *h)
{
    enum hello_kind kind = kind_wanted(h);
    return kind == HELLO_KINDS ? 0 : hello_bytes(kind);
}

/* --- messages --- */

/* No two processes have the same life and boot. */
static bool is_ourselves(const struct hello_facts *ours, const struct hello_facts *theirs)
{
    return theirs->member == ours->member && theirs->life == ours->life &&
           theirs->boot == ours->boot;
}

static void take_hello(struct handshake *h, const struct hello_message *m,
                       struct handshake_reply *reply)
{
    struct hello_message challenge = {.kind = HELLO_KIND_CHALLENGE};
    CHECK(!h->connects);
    if (is_ourselves(&h->ours, &m->facts)) {
        /* Otherwise we would accept our own proof. */
        end(h, HELLO_OURSELVES, false);
        return;
    }
    h->theirs = m->facts;
    h->theirs_to = m->to;
    hello_nonce(challenge.nonce);
    move(h, HANDSHAKE_PROOF);
    say(h, &challenge, reply);
}

static void answer_challenge(struct handshake *h, struct handshake_reply *reply)
{
    struct hello_message proof = {.kind = HELLO_KIND_PROOF};
    CHECK(h->connects);
    move(h, HANDSHAKE_FACTS);
    say_with_proof(h, &proof, reply);
}

static void take_facts(struct handshake *h, const struct hello_message *m)
{
    CHECK(h->connects);
    h->theirs = m->facts;
    h->theirs_to = m->to;
    if (m->verdict == HELLO_ACCEPTED) {
        move(h, HANDSHAKE_JUDGE);
    } else {
        end(h, m->verdict, true);
    }
}

static void take_verdict(struct handshake *h, const struct hello_message *m)
{
    CHECK(!h->connects);
    if (m->verdict == HELLO_ACCEPTED) {
        move(h, HANDSHAKE_OPEN);
    } else {
        end(h, m->verdict, true);
    }
}

static void take_message(struct handshake *h, const struct hello_message *m,
                         struct handshake_reply *reply)
{
    switch (m->kind) {
    case HELLO_KIND_HELLO:
        take_hello(h, m, reply);
        break;
    case HELLO_KIND_CHALLENGE:
        answer_challenge(h, reply);
        break;
    case HELLO_KIND_PROOF:
        move(h, HANDSHAKE_JUDGE);
        break;
    case HELLO_KIND_FACTS:
        take_facts(h, m);
        break;
    case HELLO_KIND_VERDICT:
        take_verdict(h, m);
        break;
    case HELLO_KINDS:
        break;
    }
}

bool handshake_take(struct handshake *h, const uint8_t *in, size_t len,
                    struct handshake_reply *ret_reply)
{
    enum hello_kind kind = kind_wanted(h);
    struct hello_message m;
    ret_reply->len = 0;
    CHECK(kind != HELLO_KINDS && len <= hello_bytes(kind));
    enum hello_verdict verdict = hello_look_at(kind, in, len);
    if (verdict == HELLO_ACCEPTED && len < hello_bytes(kind)) {
        return false;
    }
    if (verdict == HELLO_ACCEPTED) {
        verdict = hello_decode(kind, in, &m);
    }
    bool has_proof = kind != HELLO_KIND_HELLO && kind != HELLO_KIND_CHALLENGE;
    if (verdict == HELLO_ACCEPTED && has_proof && !proof_is_right(h, &m, in)) {
        verdict = h->proven ? HELLO_GARBAGE : HELLO_WRONG_SECRET;
    }
    if (verdict != HELLO_ACCEPTED) {
        end(h, verdict, false);
        return true;
    }
    h->proven = h->proven || has_proof;
    note_said(h, in, len);
    take_message(h, &m, ret_reply);
    return true;
}

/* --- verdict --- */

enum hello_verdict handshake_judge(const struct handshake *h)
{
    CHECK(h->phase == HANDSHAKE_JUDGE && h->proven);
    enum hello_verdict verdict = hello_judge(&h->ours, &h->theirs);
    if (verdict != HELLO_ACCEPTED) {
        return verdict;
    }
    bool meant = h->theirs_to == h->ours.member && (!h->connects || h->theirs.member == h->wanted);
    return meant ? HELLO_ACCEPTED : HELLO_WRONG_MEMBER;
}

void handshake_answer(struct handshake *h, enum hello_verdict verdict,
                      struct handshake_reply *ret_reply)
{
    CHECK(h->phase == HANDSHAKE_JUDGE && h->proven);
    CHECK(verdict == HELLO_ACCEPTED || verdict >= HELLO_REFUSED);
    struct hello_message m = {.kind = HELLO_KIND_VERDICT, .verdict = verdict};
    if (!h->connects) {
        m.kind = HELLO_KIND_FACTS;
        m.facts = h->ours;
        m.to = h->theirs.member;
    }
    ret_reply->len = 0;
    say_with_proof(h, &m, ret_reply);
    if (verdict != HELLO_ACCEPTED) {
        end(h, verdict, false);
    } else {
        move(h, h->connects ? HANDSHAKE_OPEN : HANDSHAKE_VERDICT);
    }
}

void handshake_explain(const struct handshake *h, char out[HELLO_SENTENCE_SIZE])
{
    CHECK(h->phase == HANDSHAKE_ENDED);
    if (!h->proven) {
        (void)snprintf(out, HELLO_SENTENCE_SIZE, "%s", hello_verdict_text(h->verdict));
    } else if (h->told) {
        hello_explain(h->verdict, &h->theirs, &h->ours, out);
    } else {
        hello_explain(h->verdict, &h->ours, &h->theirs, out);
    }
}
