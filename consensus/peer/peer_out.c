#include "consensus/peer/peer_dial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/peer/lookup.h"
#include "consensus/peer/trouble.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/text.h"

/* One round: resolve the name, try its addresses in turn until one completes the handshake. If none
 * does, the next round follows after retry_ms.
 *
 *     WAITING ──► RESOLVING ──► CONNECTING ──► HANDSHAKE ──► UP
 *        ▲            │             │              │         │
 *        └────────────┴─────────────┴──────────────┴─────────┘
 *
 * After an UP link broke, the address that worked is retried at once, without resolving: the
 * quickest way to find out whether the process is gone. The kernel closes the sockets of a dead
 * process one by one, the listener not first: an attempt in between is reset, which proves nothing.
 * So a few more attempts follow in short order.
 *
 * A name server may hang. That is logged, and meanwhile earlier addresses are used; the result is
 * for the next round. */
static const uint8_t quick_delays_ms[] = {0, 1, 5, 20};

enum link_phase {
    LINK_WAITING,   /* for the timer */
    LINK_RESOLVING, /* a recent lookup, or there is no other address to try */
    LINK_CONNECTING,
    LINK_HANDSHAKE, /* hello sent */
    LINK_UP,
    LINK_PHASES,
};

#define BIT(phase) (1u << (phase))

/* To CONNECTING: after a loss, without resolving; or to the next address. */
static const unsigned moves[LINK_PHASES] = {
    [LINK_WAITING] = BIT(LINK_WAITING) | BIT(LINK_RESOLVING) | BIT(LINK_CONNECTING),
    [LINK_RESOLVING] = BIT(LINK_WAITING) | BIT(LINK_RESOLVING) | BIT(LINK_CONNECTING),
    [LINK_CONNECTING] = BIT(LINK_WAITING) | BIT(LINK_CONNECTING) | BIT(LINK_HANDSHAKE),
    [LINK_HANDSHAKE] = BIT(LINK_WAITING) | BIT(LINK_CONNECTING) | BIT(LINK_UP),
    [LINK_UP] = BIT(LINK_WAITING),
};

struct link {
    struct peers *p;
    uint64_t id;
    char address[ADDRESS_SIZE];
    enum link_phase phase;
    enum peer_state told;
    bool removed;
    bool refused, unclear; /* results of this round */
    size_t way;            /* index of the way in use, or next to be tried */
    size_t quick;          /* index of the next of quick_delays_ms; past the end: none */
    uint64_t up_since_ms;
    struct trouble trouble;
    uv_timer_t timer;      /* WAITING: next attempt; CONNECTING, HANDSHAKE: deadline */
    struct lookup *lookup; /* in progress; NULL: none */
    struct addrinfo *found, *candidate;
    struct addrinfo *later;  /* result of a lookup that took longer than its round */
    struct addrinfo *worked; /* the address of the last UP, among those found */
    struct dial *dial;       /* the current connection */
};

static void start_round(struct link *link);
static void wait_for_name(struct link *link);
static void connect_candidate(struct link *link);

static void move(struct link *link, enum link_phase phase)
{
    CHECK((moves[link->phase] & BIT(phase)) != 0);
    link->phase = phase;
}

static void free_addresses(struct addrinfo **list)
{
    if (*list != NULL) {
        freeaddrinfo(*list);
        *list = NULL;
    }
}

/* Forgets all addresses and the lookup. There must be no connection in progress. */
static void forget_addresses(struct link *link)
{
    if (link->lookup != NULL) {
        lookup_abandon(link->lookup);
        link->lookup = NULL;
    }
    free_addresses(&link->found);
    free_addresses(&link->later);
    link->candidate = link->worked = NULL;
}

static void give_up_connection(struct link *link)
{
    if (link->dial != NULL) {
        dial_close(link->dial);
        link->dial = NULL;
    }
}

/* Calls out: callers must do it last, or check `removed` afterwards. */
static void tell(struct link *link, enum peer_state state)
{
    if (link->told != state && !link->removed) {
        link->told = state;
        link->p->options.state(link->p->options.ctx, link->id, state, link_facts(link));
    }
}

static void on_timer(uv_timer_t *timer);

static void wait_for(struct link *link, uint64_t delay_ms)
{
    move(link, LINK_WAITING);
    CHECK(uv_timer_start(&link->timer, on_timer, delay_ms, 0) == 0);
}

/* A quarter more or less, so that members do not retry in step. */
static uint64_t retry_delay_ms(const struct link *link)
{
    uint64_t retry_ms = link->p->options.retry_ms;
    return retry_ms - retry_ms / 4 + hello_salt() % (retry_ms / 2 + 1);
}

static bool is_quick(const struct link *link)
{
    return link->quick < ARRAY_LENGTH(quick_delays_ms);
}

static void no_more_quick(struct link *link)
{
    link->quick = ARRAY_LENGTH(quick_delays_ms);
}

static void wait_for_retry(struct link *link)
{
    wait_for(link, is_quick(link) ? quick_delays_ms[link->quick] : retry_delay_ms(link));
}

/* --- ends of attempts --- */

static void say_trouble(struct link *link)
{
    uint64_t now_ms = clock_monotonic_ms();
    if (trouble_is_due(&link->trouble, now_ms)) {
        log_write(LOG_WARN, "peer", "a member cannot be reached",
                  "id=%" PRIu64 " address=%s reason=\"%s\" for_s=%" PRIu64, link->id, link->address,
                  link->trouble.reason, (now_ms - link->trouble.since_ms) / 1000);
    }
}

static void fail_round(struct link *link)
{
    say_trouble(link);
    wait_for_retry(link);
    tell(link, link->refused && !link->unclear ? PEER_REFUSED : PEER_DOWN);
}

static const char *failure_text(int reason)
{
    switch (reason) {
    case UV_ECONNREFUSED:
        return "nobody listens there";
    case UV_ETIMEDOUT:
        return "no answer";
    case UV_EPROTO:
        return "it refuses the link, or we refuse it (see `connection not made`)";
    default:
        return "no connection";
    }
}

static void note_failure(struct link *link, int reason)
{
    if (reason != UV_ECONNRESET && reason != UV_EPIPE) {
        no_more_quick(link);
    }
    trouble_note(&link->trouble, failure_text(reason),
                 reason == UV_EPROTO ? NULL : uv_strerror(reason), clock_monotonic_ms());
    if (reason == UV_ECONNREFUSED) {
        link->refused = true;
    } else if (reason != UV_ENETUNREACH && reason != UV_EHOSTUNREACH &&
               reason != UV_EADDRNOTAVAIL && reason != UV_EAFNOSUPPORT) {
        /* An address family that this machine lacks proves nothing about the other process; other
         * errors mean that something may be there. */
        link->unclear = true;
    }
}

/* This address failed: try the next one. */
static void fail_candidate(struct link *link, int reason)
{
    give_up_connection(link);
    note_failure(link, reason);
    link->candidate = link->candidate->ai_next;
    connect_candidate(link);
}

/* Something is there. If it has not proved to be a member, it may be one that knows another way. */
static bool try_next_way(struct link *link)
{
    if (link->dial->handshake.proven || link->way + 1 >= link->p->ways_count) {
        link->way = 0;
        return false;
    }
    link->way++;
    give_up_connection(link);
    connect_candidate(link);
    return true;
}

static void refuse(struct link *link, enum peer_fault fault, const char *detail)
{
    if (fault == FAULT_HANDSHAKE) {
        peers_report_refusal(link->p, SIDE_OUT, &link->dial->handshake, link->address);
    } else {
        peers_log_fault(link->p, SIDE_OUT, fault, link->address, detail);
    }
    if (fault == FAULT_LATE || !try_next_way(link)) {
        fail_candidate(link, UV_EPROTO);
    }
}

/* Who does not know our way resets the connection; but so does the kernel of a dying process, for
 * which there are quick attempts. */
static void on_failed(struct link *link, int error)
{
    bool reset = link->phase == LINK_HANDSHAKE && (error == UV_ECONNRESET || error == UV_EPIPE);
    if (!reset || is_quick(link) || !try_next_way(link)) {
        fail_candidate(link, error);
    }
}

/* An UP link broke. */
static void lose(struct link *link)
{
    give_up_connection(link);
    /* Not if it was up only for a moment: two members that reject each other must not spin. */
    if (clock_monotonic_ms() - link->up_since_ms >= link->p->options.retry_ms) {
        link->quick = 0;
    } else {
        no_more_quick(link);
    }
    wait_for_retry(link);
    tell(link, PEER_DOWN);
}

static void on_timer(uv_timer_t *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, timer);
    if (link->phase == LINK_CONNECTING) {
        fail_candidate(link, UV_ETIMEDOUT);
        return;
    }
    if (link->phase == LINK_HANDSHAKE) {
        refuse(link, FAULT_LATE, NULL);
        return;
    }
    if (link->phase == LINK_RESOLVING) {
        wait_for_name(link);
        return;
    }
    if (link->told == PEER_UP) {
        /* Its address has changed. */
        tell(link, PEER_DOWN);
        if (link->removed || link->phase != LINK_WAITING || uv_is_active((uv_handle_t *)timer)) {
            return;
        }
    }
    link->refused = link->unclear = false;
    if (is_quick(link)) {
        link->quick++;
        link->candidate = link->worked;
        connect_candidate(link);
    } else {
        start_round(link);
    }
}

/* --- what the connection reports --- */

static void on_connected(struct link *link)
{
    move(link, LINK_HANDSHAKE);
}

static void on_opened(struct link *link)
{
    CHECK(link->dial->handshake.phase == HANDSHAKE_OPEN);
    (void)uv_timer_stop(&link->timer);
    move(link, LINK_UP);
    link->worked = link->candidate;
    link->up_since_ms = clock_monotonic_ms();
    if (trouble_end(&link->trouble)) {
        log_write(LOG_INFO, "peer", "a member is reached", "id=%" PRIu64 " address=%s", link->id,
                  link->address);
    }
    incoming_close_earlier(link->p, &link->dial->handshake.theirs);
    tell(link, PEER_UP);
}

static const struct dial_events events = {.connected = on_connected,
                                          .failed = on_failed,
                                          .refused = refuse,
                                          .opened = on_opened,
                                          .broke = lose};

/* --- connecting --- */

/* Tries this address, or the next possible one; ends the round if there is none left. */
static void connect_candidate(struct link *link)
{
    for (; link->candidate != NULL; link->candidate = link->candidate->ai_next) {
        int rv;
        link->dial = dial_open(link->p, link, &events, &link->p->ways[link->way], link->id,
                               link->candidate->ai_addr, &rv);
        if (rv == 0) {
            move(link, LINK_CONNECTING);
            CHECK(uv_timer_start(&link->timer, on_timer, PEER_HANDSHAKE_MS, 0) == 0);
            return;
        }
        give_up_connection(link);
        note_failure(link, rv);
    }
    fail_round(link);
}

static void use_addresses(struct link *link, struct addrinfo *found)
{
    free_addresses(&link->found);
    link->found = link->candidate = found;
    link->worked = NULL;
    connect_candidate(link);
}

static void on_resolved(void *owner, const char *failure, struct addrinfo *found)
{
    struct link *link = owner;
    link->lookup = NULL;
    if (link->phase != LINK_RESOLVING) {
        free_addresses(&link->later);
        link->later = found;
        return;
    }
    (void)uv_timer_stop(&link->timer);
    if (failure != NULL) {
        link->unclear = true;
        trouble_note(&link->trouble, "the name does not resolve", failure, clock_monotonic_ms());
        fail_round(link);
        return;
    }
    use_addresses(link, found);
}

/* Neither proves that nobody listens there. */
static void wait_for_name(struct link *link)
{
    link->unclear = true;
    trouble_note(&link->trouble, "looking up the name is slow", NULL, clock_monotonic_ms());
    if (link->found != NULL) {
        link->candidate = link->found;
        connect_candidate(link);
        return;
    }
    say_trouble(link);
    CHECK(uv_timer_start(&link->timer, on_timer, LOOKUP_SLOW_MS / 4, 0) == 0);
}

/* Sets `later` at once, or starts the lookup; false if it can do neither. */
static bool begin_lookup(struct link *link)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (!text_parse_address(link->address, host, sizeof host, &port) || host[0] == '\0') {
        return false;
    }
    link->later = lookup_numeric(host, port);
    if (link->later == NULL) {
        link->lookup = lookup_begin(link->p->lookups, host, port, on_resolved, link);
    }
    return link->later != NULL || link->lookup != NULL;
}

static void start_round(struct link *link)
{
    link->way = 0;
    bool waits = link->lookup != NULL; /* since an earlier round */
    if (!waits && link->later == NULL && !begin_lookup(link)) {
        link->unclear = true;
        trouble_note(&link->trouble, "the address cannot be looked up", NULL, clock_monotonic_ms());
        fail_round(link);
        return;
    }
    if (link->later != NULL) {
        struct addrinfo *found = link->later;
        link->later = NULL;
        use_addresses(link, found);
        return;
    }
    move(link, LINK_RESOLVING);
    CHECK(uv_timer_start(&link->timer, on_timer, waits ? 0 : LOOKUP_SLOW_MS, 0) == 0);
}

/* --- for peer.c --- */

struct link *link_create(struct peers *p, uint64_t id, const char *address)
{
    struct link *link = mem_zalloc(1, sizeof *link);
    link->p = p;
    link->id = id;
    link->told = PEER_DOWN;
    no_more_quick(link);
    (void)snprintf(link->address, sizeof link->address, "%s", address);
    CHECK(uv_timer_init(p->options.loop, &link->timer) == 0);
    peers_hold(p);
    wait_for(link, 0);
    return link;
}

void link_set_address(struct link *link, const char *address)
{
    if (strcmp(link->address, address) == 0) {
        return;
    }
    (void)snprintf(link->address, sizeof link->address, "%s", address);
    give_up_connection(link);
    forget_addresses(link);
    no_more_quick(link);
    wait_for(link, 0);
}

void link_restart(struct link *link)
{
    if (link->phase == LINK_RESOLVING) {
        return; /* nothing was reported yet */
    }
    give_up_connection(link);
    no_more_quick(link);
    wait_for(link, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct link *link = CONTAINER_OF(handle, struct link, timer);
    struct peers *p = link->p;
    free(link);
    peers_drop(p);
}

void link_remove(struct link *link)
{
    link->removed = true;
    give_up_connection(link);
    forget_addresses(link);
    move(link, LINK_WAITING);
    uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

const char *link_trouble(const struct link *link)
{
    return link->trouble.reason;
}

uint64_t link_id(const struct link *link)
{
    return link->id;
}

const char *link_address(const struct link *link)
{
    return link->address;
}

bool link_is_up(const struct link *link)
{
    return link->phase == LINK_UP;
}

const struct hello_facts *link_facts(const struct link *link)
{
    CHECK(link->phase != LINK_UP || link->dial != NULL);
    return link->phase == LINK_UP ? &link->dial->handshake.theirs : NULL;
}

enum status link_send(struct link *link, const struct peer_message *message)
{
    return send_message(&link->dial->queue, message);
}
