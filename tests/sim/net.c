#include "tests/sim/net.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/base/mem.h"
#include "tests/plant/plant.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/member.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define RETRY_NS         (50 * MS)
#define HANDSHAKE_NS     (3 * MS)
#define BULK_WAITING_MAX 2

struct net_weather net_weather;

struct parcel {
    struct happening event;
    struct parcel *next;
    uint64_t from;
    uint64_t connection;
    uint8_t type;
    bool bulk;
    bool lost;
    size_t len;
    uint8_t *data;
};

struct link {
    uint64_t from, to;
    bool up, refused_told;
    uint64_t connection; /* number of the one that is up */
    uint64_t last_ns[2]; /* arrival of the last frame: others, bulk */
    enum cut cut;
    uint64_t dead_connection, dead_ns; /* what is on its way there arrives until then */
    struct parcel *held, **held_end;   /* in a hole */
    uint64_t attempts;                 /* numbers the timers; an older one does nothing */
};

/* A callback that is owed to a sender. */
struct sent {
    struct happening event;
    struct sent *next;
    void (*sent)(void *data, enum status status);
    void *data;
    bool bulk;
};

static struct link links[MEMBERS_MAX + 1][MEMBERS_MAX + 1];
static struct sent *owed[MEMBERS_MAX + 1];
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

/* --- frames --- */

static void parcel_free(struct happening *event)
{
    struct parcel *p = CONTAINER_OF(event, struct parcel, event);
    free(p->data);
    free(p);
}

static void arrive(struct happening *event)
{
    struct parcel *p = CONTAINER_OF(event, struct parcel, event);
    struct member *m = event->member;
    const struct link *l = link_of(p->from, m->id);
    bool dead = p->connection <= l->dead_connection && world_now_ns() > l->dead_ns;
    if (p->bulk) {
        world_trace("snapshot from %" PRIu64 " %s member %" PRIu64, p->from,
                    p->lost || dead ? "is lost on its way to" : "reaches", m->id);
    }
    if (!p->lost && !dead && m->consensus != NULL) {
        world_hash(p->from << 32 | p->type);
        world_hash(p->len);
        consensus_sim_receive(m->consensus, p->from, p->type, p->data, p->len);
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
    if (!net_weather.reorders) {
        uint64_t *last_ns = &l->last_ns[p->bulk];
        at_ns = at_ns > *last_ns ? at_ns : *last_ns + 1;
        *last_ns = at_ns;
    }
    p->lost = rng_chance(net_weather.loss_millionths);
    p->event.run = arrive;
    p->event.drop = parcel_free;
    world_at(&p->event, at_ns - now_ns, member_of(l->to));
}

static struct parcel *parcel_new(const struct link *l, const struct net_frame *f)
{
    struct parcel *p = mem_zalloc(1, sizeof *p);
    p->from = l->from;
    p->connection = l->connection;
    p->type = f->type;
    p->bulk = f->bulk;
    p->len = f->head_len + f->payload_len;
    p->data = mem_alloc(p->len);
    memcpy(p->data, f->head, f->head_len);
    if (f->payload_len > 0) {
        memcpy(p->data + f->head_len, f->payload, f->payload_len);
    }
    return p;
}

static void carry(struct link *l, const struct net_frame *f)
{
    struct parcel *p = parcel_new(l, f);
    if (l->cut != CUT_NONE) {
        *l->held_end = p;
        l->held_end = &p->next;
        return;
    }
    dispatch_parcel(l, p);
    /* Not bundles: TCP repeats nothing, and a refusal of each copy would be one too many. */
    if (f->type == FRAME_RAFT && rng_chance(net_weather.repeat_millionths)) {
        dispatch_parcel(l, parcel_new(l, f));
    }
}

/* --- callbacks to senders --- */

static void sent_done(struct happening *event)
{
    struct sent *s = CONTAINER_OF(event, struct sent, event);
    struct sent **link = &owed[event->member->id];
    while (*link != s) {
        link = &(*link)->next;
    }
    *link = s->next;
    s->sent(s->data, rng_chance(10000) ? ST_IO : ST_OK);
    free(s);
}

static void owe(struct member *from, bool bulk, void (*sent)(void *, enum status), void *data)
{
    struct sent *s = mem_zalloc(1, sizeof *s);
    *s = (struct sent){
        .event.run = sent_done, .next = owed[from->id], .sent = sent, .data = data, .bulk = bulk};
    owed[from->id] = s;
    world_at(&s->event, rng_below(bulk ? 20 * MS : 300 * US), from);
}

static unsigned bulk_waiting(uint64_t from)
{
    unsigned count = 0;
    for (const struct sent *s = owed[from]; s != NULL; s = s->next) {
        count += s->bulk;
    }
    return count;
}

enum status net_send(struct member *from, uint64_t to, const struct net_frame *frame,
                     void (*sent)(void *data, enum status status), void *data)
{
    struct link *l = link_of(from->id, to);
    if (!l->up) {
        return ST_IO;
    }
    if ((frame->bulk && bulk_waiting(from->id) >= BULK_WAITING_MAX) ||
        rng_chance(net_weather.busy_millionths)) {
        return ST_BUSY;
    }
    carry(l, frame);
    if (sent != NULL) {
        owe(from, frame->bulk, sent, data);
    }
    return ST_OK;
}

void net_close(struct member *m)
{
    struct sent *s;
    while ((s = owed[m->id]) != NULL) {
        owed[m->id] = s->next;
        s->sent(s->data, ST_STOPPING); /* its event is dropped with this life */
        s->event.run = (void (*)(struct happening *))free;
    }
}

/* --- connections --- */

static void attempt(struct happening *event);

struct attempt {
    struct happening event;
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

static void attempt(struct happening *event)
{
    struct attempt *a = CONTAINER_OF(event, struct attempt, event);
    struct link *l = a->link;
    struct member *from = member_of(l->from);
    struct member *to = member_of(l->to);
    bool current = a->number == l->attempts && !l->up;
    free(a);
    if (!current || from->consensus == NULL) {
        return;
    }
    if (l->cut != CUT_NONE || !to->powered) {
        attempt_later(l, RETRY_NS * 4);
        return;
    }
    if (!to->up || rng_chance(net_weather.wrong_refusal_millionths)) {
        if (!l->refused_told) {
            l->refused_told = true;
            consensus_sim_link_refused(from->consensus, l->to);
        }
        attempt_later(l, RETRY_NS + rng_below(RETRY_NS));
        return;
    }
    world_trace("link %" PRIu64 "-%" PRIu64 " is up", l->from, l->to);
    l->up = true;
    l->refused_told = false;
    l->connection = ++connections;
    l->last_ns[0] = l->last_ns[1] = 0;
    consensus_sim_link_up(from->consensus, l->to);
}

/* The sender notices after `delay_ns` and tries again. */
static void take_down(struct link *l, uint64_t delay_ns)
{
    if (l->up) {
        l->up = false;
        l->dead_connection = l->connection;
        l->dead_ns = world_now_ns() + rng_below(2 * net_weather.delay_ns);
        drop_held(l);
        if (member_of(l->from)->up) {
            attempt_later(l, delay_ns);
        }
    }
}

struct lost_call {
    struct happening event;
    uint64_t from, to;
    uint64_t connection;
};

static void time_out(struct happening *event)
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
    struct happening event;
    uint64_t to;
};

static void refused(struct happening *event)
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

void net_heal(void)
{
    for (uint64_t from = 1; from <= members_count; from++) {
        for (uint64_t to = 1; to <= members_count; to++) {
            net_cut(from, to, CUT_NONE);
        }
    }
}

void net_member_up(struct member *m)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        if (id != m->id) {
            struct link *l = link_of(m->id, id);
            l->up = l->refused_told = false;
            attempt_later(l, HANDSHAKE_NS + rng_below(5 * MS));
        }
    }
}

void net_member_down(struct member *m, bool refuses)
{
    for (uint64_t id = 1; id <= members_count; id++) {
        if (id != m->id) {
            struct link *out = link_of(m->id, id);
            struct link *in = link_of(id, m->id);
            out->dead_connection = out->connection;
            out->dead_ns = world_now_ns() + rng_below(2 * net_weather.delay_ns);
            out->up = false;
            drop_held(out);
            /* A kernel that is there closes the connections at once. */
            take_down(in, refuses && in->cut == CUT_NONE ? some_delay_ns()
                                                         : rng_between(200 * MS, 3 * SECOND));
        }
    }
    owed[m->id] = NULL; /* called back, or never to be: their events are dropped */
}
