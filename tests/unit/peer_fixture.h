/* Members on one loop, for tests of the links between them.
 *
 * Thread: the test's. Owns: the loop and the members, until tear_down. */
#ifndef MUSTER_TESTS_PEER_FIXTURE_H
#define MUSTER_TESTS_PEER_FIXTURE_H

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "consensus/peer/peer.h"
#include "server/base/clock.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"
#include "server/base/metric.h"
#include "server/net/link_tls.h"

#define NODES        4 /* ids 1 to 3 */
#define RECEIVED_MAX 256
#define STATES_MAX   64
#define PATIENCE_MS  20000
#define RETRY_MS     50 /* unless a test sets another */
#define SECRET       "a secret for the tests"
#define PORTS_FIRST  15000
#define PORTS_END    32000
#define PORTS_BLOCK  1000

struct received {
    uint64_t from, life;
    uint8_t type;
    size_t len;
    uint32_t crc;
};

struct node {
    struct peers *p;
    struct link_tls *tls; /* NULL: without */
    uint64_t id;
    struct hello_facts self;
    char address[64];
    bool known[NODES]; /* otherwise `admit` returns "wrong member" */
    enum hello_verdict admits[NODES];
    void (*on_admit)(struct node *n);
    struct received received[RECEIVED_MAX];
    size_t received_count;
    enum peer_state states[NODES][STATES_MAX]; /* of the link to each, in order */
    size_t state_count[NODES];
    struct hello_facts
        linked[NODES]; /* facts at the other end of the link to each, as last reported */
    struct hello_facts joined[NODES]; /* facts at the other end of the link from each */
    size_t joined_count[NODES];
    bool close_on_receive;
    bool closed;
};

struct fixture {
    uv_loop_t loop;
    uv_timer_t pulse; /* wakes the loop to check the test's condition */
    struct node nodes[NODES];
    int sent[ST_IO + 1]; /* by status */
    uint32_t retry_ms;
    bool tls;               /* with the key of the secret */
    int64_t refused_before; /* counted by earlier tests */
};

/* --- the loop --- */

static inline void on_pulse(uv_timer_t *timer)
{
    (void)timer;
}

static inline void on_closed(void *ctx)
{
    ((struct node *)ctx)->closed = true;
}

static inline void turn(struct fixture *f)
{
    (void)uv_run(&f->loop, UV_RUN_ONCE);
}

#define RUN_UNTIL(f, condition)                                                                    \
    do {                                                                                           \
        uint64_t give_up_ms = clock_monotonic_ms() + PATIENCE_MS;                                  \
        while (!(condition)) {                                                                     \
            if (clock_monotonic_ms() > give_up_ms) {                                               \
                fail_msg("not in time: %s", #condition);                                           \
            }                                                                                      \
            turn(f);                                                                               \
        }                                                                                          \
    } while (0)

static inline void run_for(struct fixture *f, uint64_t ms)
{
    uint64_t end_ms = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < end_ms) {
        turn(f);
    }
}

/* --- members --- */

static inline enum hello_verdict on_admit(void *ctx, const struct hello_facts *theirs)
{
    struct node *n = ctx;
    assert_false(n->closed);
    if (n->on_admit != NULL) {
        n->on_admit(n);
    }
    if (theirs->member >= NODES || !n->known[theirs->member]) {
        return HELLO_WRONG_MEMBER;
    }
    return n->admits[theirs->member];
}

static inline void on_incoming(void *ctx, const struct hello_facts *facts)
{
    struct node *n = ctx;
    assert_false(n->closed);
    n->joined[facts->member] = *facts;
    n->joined_count[facts->member]++;
}

static inline void on_receive(void *ctx, const struct hello_facts *from, uint8_t type,
                              const uint8_t *data, size_t len)
{
    struct node *n = ctx;
    assert_false(n->closed);
    assert_true(n->received_count < RECEIVED_MAX);
    n->received[n->received_count++] = (struct received){.from = from->member,
                                                         .life = from->life,
                                                         .type = type,
                                                         .len = len,
                                                         .crc = crc32c(0, data, len)};
    if (n->close_on_receive) {
        n->close_on_receive = false;
        peers_close(n->p, on_closed);
    }
}

static inline void on_state(void *ctx, uint64_t id, enum peer_state state,
                            const struct hello_facts *facts)
{
    struct node *n = ctx;
    assert_false(n->closed);
    assert_int_equal(facts != NULL, state == PEER_UP);
    if (facts != NULL) {
        assert_int_equal(facts->member, id);
        n->linked[id] = *facts;
    }
    assert_true(n->state_count[id] < STATES_MAX);
    n->states[id][n->state_count[id]++] = state;
}

/* A block of ports that belongs to this process while it lives, below the ephemeral range: like
 * tests/integration/ports.py, with the same claims. Otherwise the port of a member that is down
 * could be taken, and it could not start again. */
static inline uint16_t own_ports(void)
{
    static uint16_t first;
    for (uint16_t port = PORTS_FIRST; first == 0 && port < PORTS_END; port += PORTS_BLOCK) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "muster-test-ports-%u",
                           (unsigned)port);
        socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
        int claim = socket(AF_UNIX, SOCK_STREAM, 0); /* kept open once bound */
        if (bind(claim, (struct sockaddr *)&name, size) == 0) {
            first = port;
        } else {
            (void)close(claim);
        }
    }
    assert_int_not_equal(first, 0);
    return first;
}

static inline bool is_free(int family, uint16_t port)
{
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(family, SOCK_STREAM, 0);
    bool bound = (family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
                                     : bind(fd, (struct sockaddr *)&four, sizeof four)) == 0;
    (void)close(fd);
    return bound;
}

static inline uint16_t free_port(int family)
{
    static unsigned used;
    uint16_t port;
    do {
        assert_true(used < PORTS_BLOCK);
        port = (uint16_t)(own_ports() + used++);
    } while (!is_free(family, port));
    return port;
}

/* Facts of members 1 to 3 of one cluster, each in its first life. */
static inline struct hello_facts facts_of(uint64_t id)
{
    return (struct hello_facts){.cluster = {{7}},
                                .member = id,
                                .life = 1000 + id,
                                .boot = 1,
                                .level_min = 1,
                                .level_max = 1,
                                .list_hash = 5};
}

static inline struct node *start_as(struct fixture *f, uint64_t slot,
                                    const struct hello_facts *self, const char *secret)
{
    struct node *n = &f->nodes[slot];
    char error[256] = "";
    if (f->tls && secret[0] != '\0') {
        n->tls =
            link_tls_open(&(struct link_tls_options){.secrets = {secret}}, error, sizeof error);
    }
    struct peers_options options = {.loop = &f->loop,
                                    .self = *self,
                                    .listen = n->address,
                                    .secret = secret,
                                    .tls = n->tls,
                                    .retry_ms = f->retry_ms,
                                    .ctx = n,
                                    .admit = on_admit,
                                    .receive = on_receive,
                                    .state = on_state,
                                    .incoming = on_incoming};
    n->id = self->member;
    n->self = *self;
    n->closed = false;
    n->p = peers_create(&options, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(n->p);
    return n;
}

static inline struct node *start(struct fixture *f, uint64_t id)
{
    struct hello_facts facts = facts_of(id);
    return start_as(f, id, &facts, SECRET);
}

/* Keeps a link to it, and admits it. */
static inline void know(struct node *n, uint64_t id, const char *address)
{
    n->known[id] = true;
    peers_set(n->p, id, address);
}

/* After it has closed. */
static inline void forget(struct node *n)
{
    peers_destroy(n->p);
    link_tls_free(n->tls);
    n->p = NULL;
    n->tls = NULL;
}

static inline void stop(struct fixture *f, struct node *n)
{
    peers_close(n->p, on_closed);
    RUN_UNTIL(f, n->closed);
    forget(n);
}

static inline void introduce(struct node *a, struct node *b)
{
    know(a, b->id, b->address);
    know(b, a->id, a->address);
}

static inline void link_up(struct fixture *f, struct node *a, struct node *b)
{
    introduce(a, b);
    RUN_UNTIL(f, peers_is_up(a->p, b->id) && peers_is_up(b->p, a->id));
}

/* Incoming connections of all members closed in this test for breaking the rules. */
static inline int64_t refused(const struct fixture *f)
{
    return metric_get(METRIC_peer_connections_refused_total) - f->refused_before;
}

static inline int set_up(void **state)
{
    (void)signal(SIGPIPE, SIG_IGN);
    struct fixture *f = calloc(1, sizeof *f);
    f->retry_ms = RETRY_MS;
    f->refused_before = metric_get(METRIC_peer_connections_refused_total);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(uv_timer_init(&f->loop, &f->pulse), 0);
    assert_int_equal(uv_timer_start(&f->pulse, on_pulse, 5, 5), 0);
    for (size_t i = 1; i < NODES; i++) {
        (void)snprintf(f->nodes[i].address, sizeof f->nodes[i].address, "127.0.0.1:%u",
                       (unsigned)free_port(AF_INET));
    }
    *state = f;
    return 0;
}

static inline int set_up_tls(void **state)
{
    int result = set_up(state);
    ((struct fixture *)*state)->tls = true;
    return result;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 1; i < NODES; i++) {
        if (f->nodes[i].p != NULL) {
            stop(f, &f->nodes[i]);
        }
    }
    uv_close((uv_handle_t *)&f->pulse, NULL);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

/* --- messages --- */

static inline void on_sent(void *data, enum status status)
{
    ((struct fixture *)data)->sent[status]++;
}

static inline enum status send_plain(struct fixture *f, struct node *from, uint64_t to,
                                     uint8_t type, bool bulk, const void *payload, size_t len)
{
    const struct peer_message message = {.type = type,
                                         .bulk = bulk,
                                         .head = "head",
                                         .head_len = 4,
                                         .payload = payload,
                                         .payload_len = len,
                                         .sent = on_sent,
                                         .data = f};
    return peers_send(from->p, to, &message);
}

static inline uint8_t *make_payload(size_t len, unsigned seed)
{
    uint8_t *payload = malloc(len);
    uint32_t x = seed;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        payload[i] = (uint8_t)(x >> 24);
    }
    return payload;
}

static inline void assert_received(const struct node *n, size_t at, uint64_t from, uint8_t type,
                                   const void *payload, size_t len)
{
    assert_true(at < n->received_count);
    assert_int_equal(n->received[at].from, from);
    assert_int_equal(n->received[at].type, type);
    assert_int_equal(n->received[at].len, 4 + len);
    assert_int_equal(n->received[at].crc, crc32c(crc32c(0, "head", 4), payload, len));
}

#endif
