#include "tests/sim/net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/base/mem.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define RETRY_NS     (50 * MS)
#define HANDSHAKE_NS (3 * MS)

struct net_weather net_weather;

struct parcel {
    struct sim_event event;
    struct parcel *next;
    struct hello_facts from; /* its last hello */
    uint64_t connection;
    uint8_t type;
    bool bulk;
    bool lost;
    size_t len;
    uint8_t *data;
};

struct link {
    uint64_t from, to;
    bool wanted; /* `from` keeps this link */
    bool up, refused_told;
    uint64_t connection;              /* number of the present one */
    struct hello_facts facts, theirs; /* as both introduced themselves: from, to */
    uint64_t last_ns[2];              /* arrival of the last frame: others, bulk */
    enum cut cut;
    uint64_t dead_connection, dead_ns; /* frames in flight there arrive until then */
    struct parcel *held, **held_end;   /* during a CUT_HOLE */
    uint64_t attempts;                 /* numbers the timers; outdated ones do nothing */
    enum hello_verdict verdict;        /* of the last handshake */
};

static struct link links[MEMBERS_MAX + 1][MEMBERS_MAX + 1];
static uint64_t connections;

static struct link *link_of(uint64_t from, uint64_t to)
{
    return &links[from][to];
}

void net_init(void)
{
    for (uint64_t from = 1; from <= members_count; from++) {
        for (uint64_t to = 1; to <= members_count; to++) {
            struct link *l = link_of(from, to);
            *l = (struct link){.from = from, .to = to};
            l->held_end = &l->held;
        }
    }
}

bool net_is_up(uint64_t from, uint64_t to)
{
    return link_of(from, to)->up;
}

bool net_is_dialled(uint64_t from, uint64_t to)
{
    return link_of(from, to)->wanted;
}

/* --- frames --- */

static void parcel_free(struct sim_event *event)
{
    struct parcel *p = CONTAINER_OF(event, struct parcel, event);
    free(p->data);
    free(p);
}

static void arrive(struct sim_event *event)
{
    struct parcel *p = CONTAINER_OF(event, struct parcel, event);
    struct sim_member *m = event->member;
    const struct link *l = link_of(p->from.member, m->id);
    bool dead = p->connection <= l->dead_connection && world_now_ns() > l->dead_ns;
    if (p->bulk) {
        world_trace("piece of a snapshot from %" PRIu64 " %s member %" PRIu64, p->from.member,
                    p->lost || dead ? "is lost on its way to" : "reaches", m->id);
    }
    if (!p->lost && !dead && m->consensus != NULL) {
        world_hash(p->from.member << 32 | p->type);
        world_hash(p->len);
        consensus_sim_receive(m->consensus, &p->from, p->type, p->data, p->len);
    }
    parcel_free(event);
}

static uint64_t some_delay_ns(void)
{
    uint64_t most = net_weather.delay_ns;
    if (rng_chance(20000)) {
        most *= 10;
    }
    return rng_between(30 * US, most);
}

static void dispatch_parcel(struct link *l, struct parcel *p)
{
    uint64_t now_ns = world_now_ns();
    uint64_t at_ns = now_ns + some_delay_ns();
    /* The frames of a snapshot belong together: delivered as by TCP. */
    if (!net_weather.reorders || p->bulk) {
        uint64_t *last_ns = &l->last_ns[p->bulk];
        at_ns = at_ns > *last_ns ? at_ns : *last_ns + 1;
        *last_ns = at_ns;
    }
    p->lost = rng_chance(net_weather.loss_millionths) && !p->bulk;
    p->event.run = arrive;
    p->event.drop = parcel_free;
    world_at(&p->event, at_ns - now_ns, member_of(l->to));
}

static struct parcel *parcel_new(const struct link *l, const struct peer_message *f)
{
    struct parcel *p = mem_zalloc(1, sizeof *p);
    p->from = l->facts;
    p->connection = l->connection;
    p->type = f->type;
    p->bulk = f->bulk;
    p->len = f->head_len + f->payload_len;
    p->data = mem_alloc(p->len);
    if (f->head_len > 0) {
        memcpy(p->data, f->head, f->head_len);
    }
    if (f->payload_len > 0) {
        memcpy(p->data + f->head_len, f->payload, f->payload_len);
    }
    return p;
}

static void carry(struct link *l, const struct peer_message *f)
{
    struct parcel *p = parcel_new(l, f);
    if (l->cut != CUT_NONE) {
        *l->held_end = p;
        l->held_end = &p->next;
        return;
    }
    dispatch_parcel(l, p);
    /* Not batches: TCP repeats nothing, and each copy would be refused, which is one refusal too
     * many. */
    if (f->type == FRAME_RAFT && rng_chance(net_weather.repeat_millionths)) {
        dispatch_parcel(l, parcel_new(l, f));
    }
}

/* --- callbacks to senders --- */

/* Not if the process ends before: it leaves its memory behind. */
struct sent {
    struct sim_event event;
    void (*sent)(void *data, enum status status);
    void *data;
};

static void sent_done(struct sim_event *event)
{
    struct sent *s = CONTAINER_OF(event, struct sent, event);
    s->sent(s->data, ST_OK);
    free(s);
}

static void owe(struct sim_member *from, const struct peer_message *message)
{
    struct sent *s = mem_zalloc(1, sizeof *s);
    *s = (struct sent){.event.run = sent_done, .sent = message->sent, .data = message->data};
    world_at(&s->event, rng_below(300 * US), from);
}

enum status net_send(struct sim_member *from, uint64_t to, const struct peer_message *message)
{
    struct link *l = link_of(from->id, to);
    if (!l->up) {
        return ST_IO;
    }
    if (rng_chance(net_weather.busy_millionths)) {
        return ST_BUSY;
    }
    carry(l, message);
    if (message->sent != NULL) {
        owe(from, message);
    }
    return ST_OK;
}

/* --- connections --- */

static void attempt(struct sim_event *event);

struct attempt {
    struct sim_event event;
    struct link *link;
    uint64_t number;
};

static void attempt_later(struct link *l, uint64_t delay_ns)
{
    struct attempt *a = mem_zalloc(1, sizeof *a);
    *a = (struct attempt){.event.run = attempt, .link = l, .number = ++l->attempts};
    world_at(&a->event, delay_ns, member_of(l->from));
}

static void drop_held(struct link *l)
{
    while (l->held != NULL) {
        struct parcel *p = l->held;
        l->held = p->next;
        free(p->data);
        free(p);
    }
    l->held_end = &l->held;
}

static void take_down(struct link *l, uint64_t delay_ns);

/* Both sides judge, as in the product; the dialled one first. */
static enum hello_verdict introduce(struct link *l, bool *ret_is_told)
{
    *ret_is_told = false;
    struct sim_member *from = member_of(l->from);
    struct sim_member *to = member_of(l->to);
    l->facts = engine_facts(&from->consensus->engine);
    l->theirs = engine_facts(&to->consensus->engine);
    if (l->theirs.member != l->to) {
        return HELLO_WRONG_MEMBER;
    }
    enum hello_verdict verdict = engine_admit(&to->consensus->engine, &l->facts);
    *ret_is_told = verdict != HELLO_ACCEPTED;
    return *ret_is_told ? verdict : engine_admit(&from->consensus->engine, &l->theirs);
}

static void note_refusal(struct link *l, enum hello_verdict verdict)
{
    if (l->verdict != verdict && verdict != HELLO_ACCEPTED) {
        world_trace("link %" PRIu64 "-%" PRIu64 ": %s", l->from, l->to,
                    hello_verdict_text(verdict));
    }
    l->verdict = verdict;
}

static void attempt(struct sim_event *event)
{
    struct attempt *a = CONTAINER_OF(event, struct attempt, event);
    struct link *l = a->link;
    struct sim_member *from = member_of(l->from);
    struct sim_member *to = member_of(l->to);
    bool current = a->number == l->attempts && l->wanted && !l->up;
    free(a);
    if (!current || from->consensus == NULL || !from->consensus->engine_open) {
        return;
    }
    if (l->cut != CUT_NONE || !to->powered) {
        attempt_later(l, RETRY_NS * 4);
        return;
    }
    if (!to->up || !to->consensus->engine_open ||
        rng_chance(net_weather.wrong_refusal_millionths)) {
        if (!l->refused_told) {
            l->refused_told = true;
            consensus_sim_link_refused(from->consensus, l->to);
        }
        attempt_later(l, RETRY_NS + rng_below(RETRY_NS));
        return;
    }
    if (to->paused_until_ns > world_now_ns()) {
        attempt_later(l, RETRY_NS * 4); /* it does not reply */
        return;
    }
    bool is_told;
    enum hello_verdict verdict = introduce(l, &is_told);
    note_refusal(l, verdict);
    if (verdict != HELLO_ACCEPTED) {
        attempt_later(l, RETRY_NS * 4);
        if (is_told) {
            consensus_sim_link_rejected(from->consensus, l->to, verdict);
        }
        return;
    }
    world_trace("link %" PRIu64 "-%" PRIu64 " is up", l->from, l->to);
    l->up = true;
    l->refused_told = false;
    l->connection = ++connections;
    l->last_ns[0] = l->last_ns[1] = 0;
    /* The other side still has a link to a process that is gone. */
    struct link *back = link_of(l->to, l->from);
    if (back->up && hello_supersedes(&l->facts, &back->theirs)) {
        take_down(back, HANDSHAKE_NS);
    }
    consensus_sim_link_up(from->consensus, &l->theirs);
}

/* The sender notices after `delay_ns` and retries. */
static void take_down(struct link *l, uint64_t delay_ns)
{
    if (l->up) {
        l->up = false;
        l->dead_connection = l->connection;
        l->dead_ns = world_now_ns() + rng_below(2 * net_weather.delay_ns);
        drop_held(l);
        if (member_of(l->from)->up && l->wanted) {
            attempt_later(l, delay_ns);
        }
    }
}

struct lost_call {
    struct sim_event event;
    uint64_t from, to;
    uint64_t connection;
};

static void time_out(struct sim_event *event)
{
    struct lost_call *c = CONTAINER_OF(event, struct lost_call, event);
    struct link *l = link_of(c->from, c->to);
    if (l->connection == c->connection && l->cut == CUT_HOLE) {
        take_down(l, RETRY_NS);
    }
    free(c);
}

void net_cut(uint64_t from, uint64_t to, enum cut cut)
{
    struct link *l = link_of(from, to);
    if (from == to || l->cut == cut) {
        return;
    }
    l->cut = cut;
    if (cut == CUT_RESET) {
        take_down(l, RETRY_NS);
    } else if (cut == CUT_HOLE) {
        struct lost_call *c = mem_zalloc(1, sizeof *c);
        *c = (struct lost_call){
            .event.run = time_out, .from = from, .to = to, .connection = l->connection};
        world_at(&c->event, rng_between(SECOND, 5 * SECOND), NULL);
    } else {
        while (l->held != NULL) {
            struct parcel *p = l->held;
            l->held = p->next;
            dispatch_parcel(l, p);
        }
        l->held_end = &l->held;
    }
}

void net_break(uint64_t from, uint64_t to)
{
    if (from != to) {
        take_down(link_of(from, to), HANDSHAKE_NS + rng_below(RETRY_NS));
    }
}

struct refusal {
    struct sim_event event;
    uint64_t to;
};

static void refused(struct sim_event *event)
{
    struct refusal *r = CONTAINER_OF(event, struct refusal, event);
    if (event->member->consensus != NULL) {
        consensus_sim_link_refused(event->member->consensus, r->to);
    }
    free(r);
}

void net_tell_refused(uint64_t from, uint64_t to)
{
    struct refusal *r = mem_zalloc(1, sizeof *r);
    *r = (struct refusal){.event.run = refused, .to = to};
    world_at(&r->event, rng_below(50 * MS), member_of(from));
}

void net_introduce(struct sim_member *m)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        if (id != m->id) {
            take_down(link_of(m->id, id), HANDSHAKE_NS + rng_below(5 * MS));
            take_down(link_of(id, m->id), HANDSHAKE_NS + rng_below(5 * MS));
        }
    }
}

void net_heal(void)
{
    for (uint64_t from = 1; from <= members_count; from++) {
        for (uint64_t to = 1; to <= members_count; to++) {
            net_cut(from, to, CUT_NONE);
        }
    }
}

void net_review(struct sim_member *m)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        struct link *out = link_of(m->id, id);
        struct link *in = link_of(id, m->id);
        if (out->up && engine_admit(&m->consensus->engine, &out->theirs) != HELLO_ACCEPTED) {
            take_down(out, HANDSHAKE_NS);
        }
        if (in->up && engine_admit(&m->consensus->engine, &in->facts) != HELLO_ACCEPTED) {
            take_down(in, HANDSHAKE_NS);
        }
    }
}

void net_dial(uint64_t from, uint64_t to)
{
    struct link *l = link_of(from, to);
    if (!l->wanted) {
        l->wanted = true;
        l->refused_told = false;
        attempt_later(l, HANDSHAKE_NS + rng_below(5 * MS));
    }
}

void net_hang_up(uint64_t from, uint64_t to)
{
    struct link *l = link_of(from, to);
    l->wanted = false;
    take_down(l, 0);
}

void net_member_down(struct sim_member *m, bool refuses)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        if (id != m->id) {
            struct link *out = link_of(m->id, id);
            struct link *in = link_of(id, m->id);
            out->dead_connection = out->connection;
            out->dead_ns = world_now_ns() + rng_below(2 * net_weather.delay_ns);
            out->up = out->wanted = false;
            drop_held(out);
            /* A running kernel closes the connections at once. */
            take_down(in, refuses && in->cut == CUT_NONE ? some_delay_ns()
                                                         : rng_between(200 * MS, 3 * SECOND));
        }
    }
}
