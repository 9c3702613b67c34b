#include "consensus/peer/peer.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "consensus/peer/lookup.h"
#include "consensus/peer/peer_internal.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "server/net/listen.h"

#define SILENCE_SECONDS  (PEER_SILENCE_MS / 1000)
#define PROBE_SECONDS    1
#define UNSENT_BYTES_MAX (256 * 1024) /* in the kernel, where nothing can be overtaken */

/* --- frames --- */

void frame_encode(uint8_t type, const uv_buf_t *bufs, unsigned count,
                  uint8_t out[FRAME_HEADER_BYTES])
{
    size_t len = 0;
    memset(out, 0, FRAME_HEADER_BYTES);
    out[4] = type;
    uint32_t crc = crc32c(0, out + 4, 4);
    for (unsigned i = 0; i < count; i++) {
        crc = crc32c(crc, bufs[i].base, bufs[i].len);
        len += bufs[i].len;
    }
    CHECK(len <= PEER_FRAME_BYTES_MAX);
    store_u32(out, (uint32_t)len);
    store_u32(out + 8, crc);
}

bool frame_decode(const uint8_t in[FRAME_HEADER_BYTES], struct frame *ret_frame)
{
    *ret_frame = (struct frame){.len = load_u32(in), .type = in[4], .crc = load_u32(in + 8)};
    return ret_frame->len <= PEER_FRAME_BYTES_MAX && in[5] == 0 && in[6] == 0 && in[7] == 0;
}

uint32_t frame_crc(const uint8_t header[FRAME_HEADER_BYTES], const uint8_t *content, size_t len)
{
    return crc32c(crc32c(0, header + 4, 4), content, len);
}

/* --- shared --- */

void peers_hold(struct peers *p)
{
    p->objects++;
}

void peers_drop(struct peers *p)
{
    CHECK(p->objects > 0);
    p->objects--;
    if (p->objects == 0) {
        p->closed(p->options.ctx);
    }
}

struct link *peers_find(const struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < ARRAY_LENGTH(p->links); i++) {
        if (p->links[i] != NULL && link_id(p->links[i]) == id) {
            return p->links[i];
        }
    }
    return NULL;
}

static void log_closed(enum peer_side side, const char *address, const char *reason,
                       const char *detail, uint64_t held)
{
    log_write(LOG_WARN, "peer", side == SIDE_IN ? "connection refused" : "connection not made",
              "%s=%s reason=\"%s%s\" held_back=%" PRIu64, side == SIDE_IN ? "from" : "to", address,
              reason, detail, held);
}

void peers_log_fault(struct peers *p, enum peer_side side, enum peer_fault fault,
                     const char *address, const char *detail)
{
    static const char *const texts[] = {
        [FAULT_TLS] = "TLS: ",
        [FAULT_TLS_UNKNOWN] = "it speaks TLS; this member has no secret and no certificate for it",
        [FAULT_PLAIN] = "garbage, or a member without TLS, which is required here",
        [FAULT_LATE] = "the handshake took too long",
        [FAULT_CUT] = "closed by the other side in the handshake",
        [FAULT_CUT_AT_PROOF] =
            "closed by the other side instead of a proof: do both have the same secret?",
        [FAULT_CROWD] = "too many connections",
        [FAULT_FRAME] = "garbage: a malformed frame",
        [FAULT_CHECKSUM] = "garbage: a frame with a wrong checksum",
    };
    static_assert(ARRAY_LENGTH(texts) == FAULTS, "each has a text");
    uint64_t held;
    CHECK(fault != FAULT_HANDSHAKE && fault < FAULTS);
    if (log_gate_open(&p->fault_gates[side][fault], &held)) {
        log_closed(side, address, texts[fault], detail != NULL ? detail : "", held);
    }
}

void peers_report_refusal(struct peers *p, enum peer_side side, const struct handshake *h,
                          const char *address)
{
    char sentence[HELLO_SENTENCE_SIZE];
    char reason[HELLO_SENTENCE_SIZE + 32];
    uint64_t held;
    CHECK(h->phase == HANDSHAKE_ENDED && h->verdict < HELLO_VERDICTS);
    if (log_gate_open(&p->refusal_gates[side][h->verdict], &held)) {
        handshake_explain(h, sentence);
        (void)snprintf(reason, sizeof reason, "%s%s", h->told ? "the other side says: " : "",
                       sentence);
        log_closed(side, address, reason, "", held);
    }
    if (h->told && p->options.rejected != NULL) {
        p->options.rejected(p->options.ctx, h->theirs.member, h->verdict);
    }
}

void peers_tune_socket(const uv_tcp_t *tcp)
{
    static const struct {
        int level, name, value;
    } settings[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, SILENCE_SECONDS},
        {IPPROTO_TCP, TCP_KEEPINTVL, PROBE_SECONDS},
        {IPPROTO_TCP, TCP_KEEPCNT, SILENCE_SECONDS / PROBE_SECONDS},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, PEER_SILENCE_MS},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX},
    };
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)tcp, &fd) != 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
        /* Best effort: a link works without them. */
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
                         sizeof settings[i].value);
    }
}

/* --- admission --- */

/* Whether a later process of the same life has a link, in either direction. */
static bool has_later(const struct peers *p, const struct hello_facts *theirs)
{
    const struct link *link = peers_find(p, theirs->member);
    const struct hello_facts *known = link != NULL ? link_facts(link) : NULL;
    return (known != NULL && known->life == theirs->life && known->boot > theirs->boot) ||
           incoming_has_later(p, theirs);
}

/* The certificate is checked against the member that its holder says it is, at the address that is
 * known of that member. */
static bool has_its_certificate(const struct peers *p, uint64_t member, const struct secure *s)
{
    const struct link *link = peers_find(p, member);
    char host[HOST_BYTES_MAX + 1] = "";
    uint16_t port;
    if (link != NULL && !text_parse_address(link_address(link), host, sizeof host, &port)) {
        host[0] = '\0';
    }
    return s->session == NULL || link_session_is_member(s->session, member, host);
}

enum hello_verdict peers_judge(struct peers *p, const struct handshake *h, const struct secure *s)
{
    enum hello_verdict verdict = handshake_judge(h);
    if (verdict == HELLO_ACCEPTED && !has_its_certificate(p, h->theirs.member, s)) {
        verdict = HELLO_WRONG_CERTIFICATE;
    }
    if (verdict == HELLO_ACCEPTED && has_later(p, &h->theirs)) {
        verdict = HELLO_EARLIER_BOOT;
    }
    if (verdict == HELLO_ACCEPTED) {
        verdict = p->options.admit(p->options.ctx, &h->theirs);
    }
    return verdict;
}

/* --- start and stop --- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct peers *p = CONTAINER_OF(listener, struct peers, listener);
    if (status == 0 && !p->closing) {
        incoming_accept(p);
    }
}

static void add_way(struct peers *p, bool tls, enum link_side side, size_t secret)
{
    CHECK(p->ways_count < WAYS_MAX);
    p->ways[p->ways_count++] = (struct way){.tls = tls, .side = side, .secret = secret};
}

static void choose_ways(struct peers *p)
{
    const struct link_tls *tls = p->options.tls;
    bool certified = tls != NULL && link_tls_has_certificate(tls);
    for (size_t i = 0; certified && i < p->secrets_count; i++) {
        add_way(p, true, LINK_CONNECT_CERT, i);
    }
    for (size_t i = 0; tls != NULL && i < p->secrets_count; i++) {
        if (link_tls_has_secret(tls, i) && (!certified || p->options.plain_too)) {
            add_way(p, true, LINK_CONNECT_KEY, i);
        }
    }
    for (size_t i = 0; (tls == NULL || p->options.plain_too) && i < p->secrets_count; i++) {
        add_way(p, false, LINK_ACCEPT, i);
    }
    CHECK(p->ways_count > 0);
}

struct peers *peers_create(const struct peers_options *options, char *error, size_t error_size)
{
    CHECK(options->admit != NULL && options->receive != NULL && options->state != NULL);
    CHECK(options->self.member != 0 && options->self.life != 0);
    int fd = listen_open(options->listen, "--peer", error, error_size);
    if (fd < 0) {
        return NULL;
    }
    struct peers *p = mem_zalloc(1, sizeof *p);
    p->options = *options;
    p->secrets[p->secrets_count++] = mem_strdup(options->secret);
    if (options->secret_old != NULL) {
        p->secrets[p->secrets_count++] = mem_strdup(options->secret_old);
    }
    p->options.listen = p->options.secret = p->options.secret_old = NULL; /* the caller's */
    choose_ways(p);
    p->options.connections = options->connections > 0 ? options->connections : PEER_CONNECTIONS_MAX;
    p->lookups = lookups_open(options->loop);
    peers_hold(p);
    CHECK(uv_tcp_init(options->loop, &p->listener) == 0);
    CHECK(uv_tcp_open(&p->listener, fd) == 0);
    CHECK(uv_listen((uv_stream_t *)&p->listener, SOMAXCONN, on_connection) == 0);
    peers_hold(p);
    return p;
}

static void on_listener_closed(uv_handle_t *handle)
{
    peers_drop(CONTAINER_OF(handle, struct peers, listener));
}

static void on_lookups_closed(void *ctx)
{
    peers_drop(ctx);
}

void peers_close(struct peers *p, void (*closed)(void *ctx))
{
    CHECK(!p->closing);
    p->closing = true;
    p->closed = closed;
    for (size_t i = 0; i < ARRAY_LENGTH(p->links); i++) {
        if (p->links[i] != NULL) {
            link_remove(p->links[i]);
            p->links[i] = NULL;
        }
    }
    incoming_close_from(p, 0);
    lookups_close(p->lookups, on_lookups_closed, p);
    uv_close((uv_handle_t *)&p->listener, on_listener_closed);
}

void peers_destroy(struct peers *p)
{
    CHECK(p->objects == 0);
    for (size_t i = 0; i < p->secrets_count; i++) {
        mem_free_secret(p->secrets[i]);
    }
    free(p);
}

/* --- members --- */

void peers_set_self(struct peers *p, const struct hello_facts *self)
{
    CHECK(self->member == p->options.self.member);
    p->options.self = *self;
    if (p->closing) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(p->links); i++) {
        if (p->links[i] != NULL) {
            link_restart(p->links[i]);
        }
    }
    incoming_close_from(p, 0);
}

void peers_set(struct peers *p, uint64_t id, const char *address)
{
    CHECK(id != 0);
    if (id == p->options.self.member || p->closing) {
        return;
    }
    struct link *link = peers_find(p, id);
    if (link != NULL) {
        link_set_address(link, address);
        return;
    }
    size_t slot = 0;
    while (slot < ARRAY_LENGTH(p->links) && p->links[slot] != NULL) {
        slot++;
    }
    CHECK(slot < ARRAY_LENGTH(p->links));
    p->links[slot] = link_create(p, id, address);
}

void peers_remove(struct peers *p, uint64_t id)
{
    for (size_t i = 0; i < ARRAY_LENGTH(p->links); i++) {
        if (p->links[i] != NULL && link_id(p->links[i]) == id) {
            link_remove(p->links[i]);
            p->links[i] = NULL;
        }
    }
    incoming_close_from(p, id);
}

void peers_review(struct peers *p)
{
    for (size_t i = 0; i < ARRAY_LENGTH(p->links) && !p->closing; i++) {
        const struct hello_facts *theirs = p->links[i] != NULL ? link_facts(p->links[i]) : NULL;
        if (theirs != NULL && p->options.admit(p->options.ctx, theirs) != HELLO_ACCEPTED) {
            link_restart(p->links[i]);
        }
    }
    incoming_review(p);
}

const char *peers_trouble(const struct peers *p, uint64_t id)
{
    const struct link *link = peers_find(p, id);
    return link != NULL ? link_trouble(link) : "";
}

bool peers_is_up(const struct peers *p, uint64_t id)
{
    const struct link *link = peers_find(p, id);
    return link != NULL && link_is_up(link);
}

enum status peers_send(struct peers *p, uint64_t to, const struct peer_message *message)
{
    struct link *link = peers_find(p, to);
    return link != NULL && link_is_up(link) ? link_send(link, message) : ST_IO;
}
