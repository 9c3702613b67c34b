#include "consensus/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "consensus/peer_internal.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define BACKLOG          128
#define SILENCE_MS       5000 /* a machine that does not answer for so long is given up */
#define SILENCE_SECONDS  (SILENCE_MS / 1000)
#define PROBE_SECONDS    1
#define UNSENT_BYTES_MAX PEER_PIECE_BYTES /* in the kernel, where nothing can overtake it */

/* --- frames --- */

void frame_encode(uint8_t type, uint8_t flags, const uv_buf_t *bufs, unsigned count,
                  uint8_t out[FRAME_HEADER_BYTES])
{
    size_t len = 0;
    memset(out, 0, FRAME_HEADER_BYTES);
    out[4] = type;
    out[5] = flags;
    uint32_t crc = crc32c(0, out + 4, 4);
    for (unsigned i = 0; i < count; i++) {
        crc = crc32c(crc, bufs[i].base, bufs[i].len);
        len += bufs[i].len;
    }
    CHECK(len <= PEER_FRAME_BYTES_MAX);
    store_u32(out, (uint32_t)len);
    store_u32(out + 8, crc);
}

struct frame frame_decode(const uint8_t in[FRAME_HEADER_BYTES])
{
    return (struct frame){.len = load_u32(in),
                          .type = in[4],
                          .flags = in[5],
                          .zero = load_u16(in + 6),
                          .crc = load_u32(in + 8)};
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

static const char *fault_text(enum peer_fault fault)
{
    static const char *const texts[] = {
        [FAULT_LATE] = "the handshake took too long",
        [FAULT_CUT] = "closed by the other side in the handshake; do both have the same secret?",
        [FAULT_CROWD] = "too many connections",
        [FAULT_FRAME] = "garbage: a malformed frame",
        [FAULT_CHECKSUM] = "garbage: a frame with a wrong checksum",
    };
    return fault < FAULT_LATE ? hello_verdict_text((enum hello_verdict)fault) : texts[fault];
}

void peers_log_fault(struct peers *p, enum peer_side side, enum peer_fault fault,
                     const char *address)
{
    uint64_t held;
    if (log_gate_open(&p->gates[side][fault], &held)) {
        log_write(LOG_WARN, "peer", side == SIDE_IN ? "connection refused" : "connection not made",
                  "%s=%s reason=\"%s\" held_back=%" PRIu64, side == SIDE_IN ? "from" : "to",
                  address, fault_text(fault), held);
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
        {IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_MS},
        {IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX},
    };
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)tcp, &fd) != 0) {
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
        /* Each only makes things better; a link works without. */
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value,
                         sizeof settings[i].value);
    }
}

/* --- listening --- */

/* -1 with errno. Both families when `any`. */
static int listen_on(const struct addrinfo *a, bool any)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (any && a->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int reason = errno;
        (void)close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

/* The first address of the host that can be bound. */
static int listen_on_any(const struct addrinfo *found, bool any, int family)
{
    int fd = -1;
    for (const struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        if (family == AF_UNSPEC || a->ai_family == family) {
            fd = listen_on(a, any);
        }
    }
    return fd;
}

/* A bound socket, so that a failure leaves nothing to be closed by the loop. */
static int open_listener(const char *address, char *error, size_t error_size)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (!text_parse_address(address, host, sizeof host, &port)) {
        (void)snprintf(error, error_size, "\"%s\" is no address to listen on: write host:port",
                       address);
        return -1;
    }
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    bool any = host[0] == '\0';
    int rv = getaddrinfo(any ? NULL : host, service, &hints, &found);
    if (rv != 0) {
        (void)snprintf(error, error_size, "cannot listen on %s for other members: %s", address,
                       gai_strerror(rv));
        return -1;
    }
    errno = EADDRNOTAVAIL;
    int fd = any ? listen_on_any(found, true, AF_INET6) : -1;
    if (fd < 0) {
        fd = listen_on_any(found, any, any ? AF_INET : AF_UNSPEC);
    }
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        (void)snprintf(error, error_size,
                       "cannot listen on %s for other members: %s; stop what is there, or choose "
                       "another --peer address",
                       address, strerror(reason));
    }
    return fd;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct peers *p = CONTAINER_OF(listener, struct peers, listener);
    if (status == 0 && !p->closing) {
        incoming_accept(p);
    }
}

struct peers *peers_create(const struct peers_options *options, char *error, size_t error_size)
{
    int fd = open_listener(options->listen, error, error_size);
    if (fd < 0) {
        return NULL;
    }
    struct peers *p = mem_zalloc(1, sizeof *p);
    p->options = *options;
    p->secret = mem_strdup(options->secret);
    p->options.listen = p->options.secret = NULL; /* the caller's */
    CHECK(uv_tcp_init(options->loop, &p->listener) == 0);
    CHECK(uv_tcp_open(&p->listener, fd) == 0);
    CHECK(uv_listen((uv_stream_t *)&p->listener, BACKLOG, on_connection) == 0);
    peers_hold(p);
    return p;
}

/* --- life --- */

static void on_listener_closed(uv_handle_t *handle)
{
    peers_drop(CONTAINER_OF(handle, struct peers, listener));
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
    uv_close((uv_handle_t *)&p->listener, on_listener_closed);
}

void peers_destroy(struct peers *p)
{
    CHECK(p->objects == 0);
    free(p->secret);
    free(p);
}

/* --- members --- */

void peers_set(struct peers *p, uint64_t id, const char *address)
{
    if (id == p->options.id || p->closing) {
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
            incoming_close_from(p, id);
        }
    }
}

bool peers_is_up(const struct peers *p, uint64_t id)
{
    const struct link *link = peers_find(p, id);
    return link != NULL && link_is_up(link);
}

enum status peers_send(struct peers *p, uint64_t to, uint8_t type, bool bulk, const void *head,
                       size_t head_len, const void *payload, size_t payload_len,
                       void (*sent)(void *data, enum status status), void *data)
{
    struct link *link = peers_find(p, to);
    if (link == NULL || !link_is_up(link)) {
        return ST_IO;
    }
    /* uv_buf_t has no const; nothing here writes through it. */
    uv_buf_t bufs[2] = {{.base = (char *)(uintptr_t)head, .len = head_len},
                        {.base = (char *)(uintptr_t)payload, .len = payload_len}};
    return link_send(link, type, bulk, &bufs[0], &bufs[1], sent, data);
}

void peers_counters(const struct peers *p, struct peers_counters *ret_counters)
{
    *ret_counters = p->counters;
}
