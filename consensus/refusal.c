#include "consensus/refusal.h"

#include <inttypes.h>
#include <stdio.h>

#include "consensus/engine.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/metric.h"

#define STEP_MS_MAX 1000 /* at most this counts for one turn, however long the pause */

void refusal_set_here(struct engine *e, bool refuses)
{
    if (refuses && !e->refusals.here) {
        member_info_hurry(e);
    }
    e->refusals.here = refuses;
}

static bool tells(const struct engine *e, const struct member *m)
{
    return !m->info.is_self && m->info.refuses_heartbeats && m->heard_ms != 0 &&
           clock_elapsed(m->heard_ms, engine_now_ms(e)) < REFUSAL_HEARD_MS;
}

static void lose_trust(struct engine *e, struct member *m)
{
    m->refusal_trust.lost = true;
    if (e->is_leader) {
        log_write(LOG_WARN, "lease",
                  "a member keeps refusing heartbeats: leases run again regardless",
                  "member=%" PRIu64 " ms=%d", m->info.id, REFUSAL_BELIEVED_MS);
    }
}

/* Whether it refuses heartbeats and is believed. */
static bool hear(struct engine *e, struct member *m, uint64_t step_ms)
{
    struct refusal_trust *trust = &m->refusal_trust;
    bool refuses = tells(e, m);
    if (refuses) {
        trust->spent_ms += step_ms;
    } else {
        trust->spent_ms = trust->spent_ms > step_ms ? trust->spent_ms - step_ms : 0;
    }
    if (trust->spent_ms >= REFUSAL_BELIEVED_MS) {
        trust->spent_ms = REFUSAL_BELIEVED_MS;
        if (!trust->lost) {
            lose_trust(e, m);
        }
    }
    trust->lost = trust->lost && trust->spent_ms > REFUSAL_BELIEVED_MS / 2;
    return refuses && !trust->lost;
}

/* "1,3": the refusing members, for the log. */
static void list_members(const struct engine *e, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < e->members.count && used < size; i++) {
        const struct member *m = &e->members.list[i];
        if (m->info.is_self ? e->refusals.here : tells(e, m) && !m->refusal_trust.lost) {
            used += (size_t)snprintf(out + used, size - used, "%s%" PRIu64, used > 0 ? "," : "",
                                     m->info.id);
        }
    }
}

static void say(struct engine *e, uint64_t now_ms)
{
    struct refusals *r = &e->refusals;
    char list[MEMBERS_MAX * 21 + 1];
    if (now_ms < r->next_ms) {
        return;
    }
    r->distance_ms = r->distance_ms == 0 ? REFUSAL_DISTANCE_MS : 2 * r->distance_ms;
    if (r->distance_ms > REFUSAL_DISTANCE_MAX) {
        r->distance_ms = REFUSAL_DISTANCE_MAX;
    }
    r->next_ms = now_ms + r->distance_ms;
    list_members(e, list, sizeof list);
    log_write(LOG_WARN, "lease", "leases suspended: heartbeats are refused because too many wait",
              "members=%s ms=%" PRIu64, list, clock_elapsed(r->since_ms, now_ms));
}

static void say_that_it_ended(struct engine *e, uint64_t now_ms)
{
    struct refusals *r = &e->refusals;
    if (r->distance_ms > 0) {
        log_write(LOG_INFO, "lease", "leases run again", "after_ms=%" PRIu64,
                  clock_elapsed(r->since_ms, now_ms));
    }
    r->since_ms = r->next_ms = r->distance_ms = 0;
}

void refusal_tick(struct engine *e)
{
    struct refusals *r = &e->refusals;
    uint64_t now_ms = engine_now_ms(e);
    uint64_t step_ms = r->ticked_ms != 0 ? clock_elapsed(r->ticked_ms, now_ms) : 0;
    int64_t refusing = r->here;
    r->ticked_ms = now_ms;
    r->elsewhere = false;
    step_ms = step_ms < STEP_MS_MAX ? step_ms : STEP_MS_MAX;
    for (size_t i = 0; i < e->members.count; i++) {
        struct member *m = &e->members.list[i];
        refusing += tells(e, m);
        r->elsewhere |= hear(e, m, step_ms);
    }
    metric_set(METRIC_members_refusing_heartbeats, e->is_leader ? refusing : 0);
    if (!e->is_leader || !refusal_anywhere(e)) {
        say_that_it_ended(e, now_ms);
        return;
    }
    if (r->since_ms == 0) {
        r->since_ms = now_ms;
        r->next_ms = now_ms + REFUSAL_FIRST_MS;
    }
    say(e, now_ms);
}

bool refusal_anywhere(const struct engine *e)
{
    return e->refusals.here || e->refusals.elsewhere;
}
