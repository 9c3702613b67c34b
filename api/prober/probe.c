/* A run of a check, from the name of its target to its result. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "api/prober/internal.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* A request: its body, its headers, its target, and what stands around them. */
#define REQUEST_BYTES_MAX                                                                          \
    (CHECK_BODY_BYTES_MAX + CHECK_HEADERS_BYTES_MAX + CHECK_TARGET_BYTES_MAX + 4096)
/* A check that runs less often finds a connection closed more often than not. */
#define KEEP_INTERVAL_MS 5000

/* --- end --- */

static void drop_link(struct probe *p)
{
    if (p->link != NULL) {
        target_link_close(p->link);
        p->link = NULL;
    }
}

static void leave_target(struct probe *p)
{
    target_end(p->target);
    targets_release(&p->runner->targets, p->target);
    p->target = NULL;
}

static void discard(struct probe *p)
{
    *p->back = p->next;
    if (p->next != NULL) {
        p->next->back = p->back;
    }
    drop_link(p);
    leave_target(p);
    p->runner->under_way_count--;
    metric_set(METRIC_checks_under_way, (int64_t)p->runner->under_way_count);
    p->check->probe = NULL;
    buffer_done(&p->out);
    free(p->moved);
    free(p->moved_url);
    free(p);
}

void probe_abandon(struct probe *p)
{
    discard(p);
}

void probe_finish(struct probe *p, enum health found)
{
    struct runner *r = p->runner;
    uint64_t took_us = (clock_monotonic_ns() - p->begun_ns) / 1000;
    if (found != HEALTH_CRITICAL && took_us / 1000 > p->check->d->timeout_ms) {
        found = HEALTH_CRITICAL;
        output_say(&p->output, "answered after %" PRIu64 " ms, which is too late", took_us / 1000);
    }
    output_trim(&p->output);
    metric_add(METRIC_checks_run_total, 1);
    metric_add(METRIC_checks_failed_total, found == HEALTH_CRITICAL);
    metric_observe_us(HISTOGRAM_check_seconds, took_us);
    report_result(r, p->check, p->epoch, found, &p->output);
    discard(p);
}

void probe_fail(struct probe *p, const char *format, ...)
{
    char said[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(said, sizeof said, format, args);
    va_end(args);
    output_say(&p->output, "%s", said);
    probe_finish(p, HEALTH_CRITICAL);
}

static void connect_failed(struct probe *p, int why);

void probe_time_out(struct probe *p)
{
    if (p->stage == PROBE_CONNECTS && p->runner->now_ms < p->deadline_ms) {
        connect_failed(p, ETIMEDOUT); /* others have their share of the time, too */
        return;
    }
    static const char *const what[] = {
        [PROBE_NAMES] = "its name was not looked up in time",
        [PROBE_CONNECTS] = "it took no connection in time",
        [PROBE_SHAKES] = "TLS was not agreed on in time",
        [PROBE_TALKS] = "it did not answer in time",
    };
    probe_fail(p, "%s: %s (%" PRIu32 " ms)", p->d->target, what[p->stage], p->check->d->timeout_ms);
}

/* --- the connection is there --- */

static void talk(struct probe *p)
{
    p->stage = PROBE_TALKS;
    p->step_ms = p->deadline_ms;
    switch (p->d->kind) {
    case CHECK_TCP:
        output_say(&p->output, "TCP connect %s: success", p->d->target);
        probe_finish(p, HEALTH_PASSING);
        break;
    case CHECK_HTTP:
        talk_http_begin(p);
        break;
    case CHECK_GRPC:
        talk_grpc_begin(p);
        break;
    }
}

static void shake(struct probe *p)
{
    char reason[TLS_REASON_SIZE];
    if (target_tls_handshake(p->link->tls, reason) == 0) {
        talk(p);
    } else if (errno != EAGAIN) {
        probe_fail(p, "%s: TLS: %s", p->d->target, reason);
    }
}

static void connected(struct probe *p)
{
    char reason[TLS_REASON_SIZE];
    if (!p->target->tls) {
        talk(p);
        return;
    }
    p->stage = PROBE_SHAKES;
    p->step_ms = p->deadline_ms;
    p->link->tls =
        target_tls_begin(p->runner->tls, p->link->fd, p->target->name, p->target->verifies,
                         p->d->kind == CHECK_GRPC ? "h2" : "http/1.1", reason);
    if (p->link->tls == NULL) {
        probe_fail(p, "%s: TLS: %s", p->d->target, reason);
    } else {
        shake(p);
    }
}

/* --- connecting --- */

/* Whether the address is one of the check's own instance, although its host is another text. False
 * too while that is being looked up: `*ret_waits`. */
static bool is_own_address(struct probe *p, const struct sockaddr_storage *address, bool *ret_waits)
{
    struct resolve_addresses own;
    const char *failure;
    *ret_waits = false;
    if (p->is_own || p->check->own_host[0] == '\0') {
        return p->is_own;
    }
    enum resolve_state state =
        resolver_find(p->runner->resolver, p->check->own_host, p->runner->now_ms, &own, &failure);
    *ret_waits = state == RESOLVE_WAIT;
    for (size_t i = 0; state == RESOLVE_FOUND && i < own.count; i++) {
        if (memcmp(&own.list[i], address, sizeof *address) == 0) {
            return true;
        }
    }
    return false;
}

static bool may_run(const struct runner *r)
{
    return node_probe_may_start(r->node, r->set.version);
}

/* What this replica lacks says nothing of the target. */
static bool is_ours(int why)
{
    return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM ||
           why == EADDRNOTAVAIL;
}

static void log_lack(struct runner *r, int why)
{
    uint64_t held;
    if (log_gate_open(&r->gate, &held)) {
        log_write(LOG_WARN, "prober", "a check cannot be run here",
                  "error=\"%s\" held_back=%" PRIu64, strerror(why), held);
    }
}

/* Of what is left of the time, for the address that is tried: an equal part. */
static void share_time(struct probe *p)
{
    uint64_t now_ms = p->runner->now_ms;
    uint64_t left_ms = p->deadline_ms > now_ms ? p->deadline_ms - now_ms : 0;
    p->step_ms = now_ms + left_ms / (p->addresses.count - p->address_at + 1);
}

/* Connects to the first of the addresses that are left. */
static void connect_next(struct probe *p)
{
    struct runner *r = p->runner;
    int why = 0;
    for (; p->address_at < p->addresses.count; p->address_at++) {
        struct sockaddr_storage *address = &p->addresses.list[p->address_at];
        bool waits;
        bool is_own = is_own_address(p, address, &waits);
        if (waits) {
            p->stage = PROBE_NAMES;
            return;
        }
        const char *refusal = allow_refusal(&r->allow, (struct sockaddr *)address, is_own);
        if (refusal != NULL) {
            metric_add(METRIC_checks_refused_total, 1);
            probe_fail(p, "%s: not checked: %s", p->d->target, refusal);
            return;
        }
        if (!may_run(r)) {
            probe_abandon(p);
            return;
        }
        resolve_set_port(address, p->d->port);
        p->link = target_link_open(&r->links, (struct sockaddr *)address, resolve_length(address),
                                   p->target, r->now_ms);
        if (p->link != NULL) {
            p->link->probe = p;
            p->stage = PROBE_CONNECTS;
            p->address_at++;
            share_time(p);
            return;
        }
        why = errno;
        if (is_ours(why)) {
            log_lack(r, why);
            probe_abandon(p);
            return;
        }
    }
    probe_fail(p, "%s: no connection: %s", p->d->target, strerror(why));
}

static void connect_failed(struct probe *p, int why)
{
    if (p->address_at < p->addresses.count) {
        drop_link(p);
        connect_next(p);
        return;
    }
    probe_fail(p, "%s: no connection: %s", p->d->target, strerror(why));
}

void probe_names(struct probe *p)
{
    const char *failure;
    switch (resolver_find(p->runner->resolver, p->target->host, p->runner->now_ms, &p->addresses,
                          &failure)) {
    case RESOLVE_FOUND:
        p->address_at = 0;
        connect_next(p);
        break;
    case RESOLVE_WAIT:
        p->stage = PROBE_NAMES;
        break;
    case RESOLVE_FAILED:
        probe_fail(p, "%s: %s: %s", p->d->target, p->target->host, failure);
        break;
    }
}

/* On a connection that is kept, or on a new one. */
static void reach(struct probe *p)
{
    struct runner *r = p->runner;
    if (!p->is_fresh && p->d->kind != CHECK_TCP) {
        p->link = targets_take_link(&r->targets, p->target, r->now_ms);
    }
    if (p->link != NULL) {
        p->link->probe = p;
        talk(p);
    } else {
        probe_names(p);
    }
}

void probe_event(struct probe *p, uint32_t events)
{
    int why = 0;
    switch (p->stage) {
    case PROBE_NAMES:
        break; /* has no connection */
    case PROBE_CONNECTS:
        if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) {
            break;
        }
        why = target_link_error(p->link);
        if (why != 0) {
            connect_failed(p, why);
        } else {
            connected(p);
        }
        break;
    case PROBE_SHAKES:
        shake(p);
        break;
    case PROBE_TALKS:
        if (p->d->kind == CHECK_HTTP) {
            talk_http(p);
        } else {
            talk_grpc(p);
        }
        break;
    }
}

/* --- begin --- */

void probe_start(struct runner *r, struct check *check, uint64_t epoch)
{
    struct probe *p = mem_alloc(sizeof *p);
    memset(p, 0, offsetof(struct probe, reply));
    CHECK(check->probe == NULL && check->target != NULL);
    p->runner = r;
    p->check = check;
    p->d = check->d;
    p->target = target_again(check->target);
    p->is_own = check->is_own;
    p->epoch = epoch;
    p->begun_ns = clock_monotonic_ns();
    p->deadline_ms = p->step_ms = r->now_ms + check->d->timeout_ms;
    buffer_init(&p->out, REQUEST_BYTES_MAX);
    target_begin(p->target, r->now_ms);
    check->probe = p;
    p->next = r->under_way;
    p->back = &r->under_way;
    if (p->next != NULL) {
        p->next->back = &p->next;
    }
    r->under_way = p;
    r->under_way_count++;
    metric_set(METRIC_checks_under_way, (int64_t)r->under_way_count);
    reach(p);
}

/* --- for those that talk --- */

bool probe_keeps(const struct probe *p)
{
    return p->target->tls || p->check->d->interval_ms <= KEEP_INTERVAL_MS;
}

void talk_authority(const struct check_definition *d, char out[AUTHORITY_SIZE])
{
    bool is_ipv6 = strchr(d->host, ':') != NULL;
    int len = snprintf(out, AUTHORITY_SIZE, is_ipv6 ? "[%s]" : "%s", d->host);
    if (d->port != (d->tls ? 443 : 80) || d->kind == CHECK_GRPC) {
        (void)snprintf(out + len, AUTHORITY_SIZE - (size_t)len, ":%u", (unsigned)d->port);
    }
}

bool talk_flush(struct probe *p)
{
    while (p->out_at < p->out.len) {
        ssize_t sent = target_link_send(p->link, p->out.data + p->out_at, p->out.len - p->out_at);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return errno == EAGAIN;
        }
        p->out_at += (size_t)sent;
    }
    return true;
}

void talk_broken(struct probe *p, const char *how)
{
    if (!p->link->is_used || p->is_heard) {
        probe_fail(p, "%s: %s", p->d->target, how);
        return;
    }
    /* It was closed since the last run, which says nothing of the target. */
    drop_link(p);
    buffer_clear(&p->out);
    p->out_at = 0;
    p->is_fresh = true;
    probe_names(p);
}

void probe_release_link(struct probe *p, bool keeps)
{
    struct target_link *link = p->link;
    p->link = NULL;
    if (keeps && probe_keeps(p)) {
        targets_keep(&p->runner->targets, link, p->runner->now_ms, p->runner->kept_max);
    } else {
        target_link_close(link);
    }
}

void probe_redirect(struct probe *p, struct check_definition *moved, char *url)
{
    struct runner *r = p->runner;
    bool same_host = strcasecmp(moved->host, p->d->host) == 0;
    struct target *target =
        targets_take(&r->targets, moved, same_host ? p->target->host : moved->host);
    CHECK(p->link == NULL);
    leave_target(p);
    p->is_own = p->is_own && same_host;
    free(p->moved);
    free(p->moved_url);
    p->d = p->moved = moved;
    p->moved_url = url;
    p->target = target;
    target_begin(target, r->now_ms);
    p->is_fresh = p->is_heard = false;
    buffer_clear(&p->out);
    p->out_at = 0;
    reach(p);
}
