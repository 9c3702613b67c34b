#include "tests/sim/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/node/brake.h"
#include "tests/sim/calls.h"
#include "tests/sim/checks.h"
#include "tests/sim/crowd.h"
#include "tests/sim/holders.h"
#include "tests/sim/member.h"
#include "tests/sim/operators.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/world.h"

#define STEADY_COUNT    6  /* heard at all members all the time */
#define CLIENT_COUNT    10 /* heard at one member at a time */
#define SILENT_COUNT    8  /* fall silent for good */
#define FLAPPER_COUNT   6
#define TRANSIENT_COUNT 6 /* come and go */
#define FIRST_PROBE     40
#define NEVER_TTL_MS    (24u * 3600 * 1000)
#define BEATS_A_TTL     5
#define CUT_OFF_TTL_MS  2500
/* Which runs have unique types: none of the seeds that are kept. */
#define UNIQUE_RUN_OF   14
#define UNIQUE_RUN_REST 4
#define UNIQUE_TYPES    2

enum kind { STEADY, CLIENT, SILENT, FLAPPER, TRANSIENT, PROBE };
enum call {
    CALL_REGISTER,
    CALL_BEAT,
    CALL_BEAT_BY_ID,
    CALL_DEREGISTER,
    CALL_SET_MAINTENANCE,
    CALL_REPORT_HEALTH,
    CALL_SET_QUOTA
};

struct instance {
    enum kind kind;
    unsigned number;
    char id[8];
    char service[8];
    uint32_t ttl_ms, reap_after_ms;
    uint64_t content;     /* what it registers with */
    uint64_t incarnation; /* as last reported; 0: not registered, as far as it knows */
    uint64_t past;        /* an earlier one */
    size_t home;          /* member it talks to */
    bool silent;
    uint64_t silent_ns;
    uint32_t pending;
    uint32_t beats;
    bool probed;
};

struct op {
    struct node_write write;
    struct sim_event event;
    struct op *next, **link; /* list of unanswered ones */
    struct instance *instance;
    struct sim_member *member;
    enum call call;
    uint64_t invoked_ns;
    uint64_t operation;
    uint64_t said; /* incarnation */
    uint64_t tag;
    uint8_t refs[16];
    bool abandoned;
};

static struct instance instances[INSTANCES];
static struct op *unanswered;
static uint64_t tags;
static bool ended;

static void make_call(struct instance *i, size_t at, enum call call);

/* --- commands --- */

bool workload_is_apart(unsigned number)
{
    enum kind kind = instances[number % INSTANCES].kind;
    return (kind == FLAPPER || kind == TRANSIENT) && number % 2 == 1;
}

unsigned workload_only_one_of(unsigned number)
{
    enum kind kind = instances[number % INSTANCES].kind;
    bool is_here = options.seed % UNIQUE_RUN_OF == UNIQUE_RUN_REST;
    return is_here && (kind == FLAPPER || kind == TRANSIENT) ? 1 + number / 2 % UNIQUE_TYPES : 0;
}

unsigned workload_number_of(const struct record *record)
{
    const char *id = record_id(record);
    unsigned number = (unsigned)strtoul(namespace_bare(id) + 1, NULL, 10);
    return number + !namespace_has("", id);
}

static struct slice text(const char *s)
{
    return (struct slice){.data = s, .len = strlen(s)};
}

static void fill_register(struct command *command, const struct op *op, char *tag, size_t tag_size)
{
    const struct instance *i = op->instance;
    struct registration *r = &command->register_.registration;
    static const char *const types[1 + UNIQUE_TYPES] = {"http", "u1", "u2"};
    unsigned only = workload_only_one_of(i->number);
    (void)snprintf(tag, tag_size, "%" PRIu64, op->tag);
    command->kind = COMMAND_REGISTER;
    command->register_.incarnation = op->said;
    command->register_.unique_type = only > 0;
    r->id = text(i->id);
    r->name = text(i->service);
    r->type = text(types[only]);
    r->host = text("host.example");
    r->zone = text("");
    r->port = 80;
    r->weight = 1;
    r->ttl_ms = i->ttl_ms;
    r->reap_after_ms = i->reap_after_ms;
    r->metadata_count = 1;
    r->metadata[0] = (struct pair){.key = text("op"), .value = text(tag)};
}

/* A reference that nobody has makes every heartbeat unique in the log. */
static bool fill_beat(struct command *command, struct op *op)
{
    const struct instance *i = op->instance;
    struct lease_ref ref;
    char stored[STORED_NAME_SIZE];
    namespace_store(workload_is_apart(i->number) ? NAMESPACE : "", i->id, stored);
    const struct view *view = node_view_lock(op->member->node);
    bool found = view_find_lease(view, stored, strlen(stored), &ref);
    view_unlock(&view);
    if (!found) {
        return false;
    }
    const struct lease_ref none = {.slot = UINT32_MAX, .generation = (uint32_t)op->tag};
    lease_ref_store(op->refs, &ref);
    lease_ref_store(op->refs + LEASE_REF_BYTES, &none);
    command->kind = COMMAND_RENEW;
    command->renew.refs = op->refs;
    command->renew.count = 2;
    return true;
}

static enum status submit(struct op *op)
{
    static struct command command; /* large */
    struct slice ids[2];
    char tag[24];
    const struct instance *i = op->instance;
    memset(&command, 0, sizeof command);
    (void)snprintf(tag, sizeof tag, "#%" PRIu64, op->tag);
    command.space = text(workload_is_apart(i->number) ? NAMESPACE : "");
    switch (op->call) {
    case CALL_REGISTER:
        fill_register(&command, op, tag, sizeof tag);
        break;
    case CALL_BEAT:
        if (fill_beat(&command, op)) {
            break;
        }
        op->call = CALL_BEAT_BY_ID;
        /* fall through */
    case CALL_BEAT_BY_ID:
        ids[0] = text(i->id);
        ids[1] = text(tag);
        command.kind = COMMAND_HEARTBEAT;
        command.heartbeat.ids = ids;
        command.heartbeat.count = 2;
        break;
    case CALL_REPORT_HEALTH:
        ids[0] = text(i->id);
        command.kind = COMMAND_HEARTBEAT;
        command.heartbeat.ids = ids;
        command.heartbeat.count = 1;
        command.heartbeat.incarnation = op->said;
        command.heartbeat.status_given = true;
        command.heartbeat.status = rng_chance(500000) ? HEALTH_PASSING : HEALTH_WARNING;
        command.heartbeat.note_given = true;
        command.heartbeat.note = text(tag);
        break;
    case CALL_DEREGISTER:
        command.kind = COMMAND_DEREGISTER;
        command.deregister.id = text(i->id);
        command.deregister.incarnation = op->said;
        break;
    case CALL_SET_MAINTENANCE:
        command.kind = COMMAND_MAINTENANCE;
        command.maintenance.id = text(i->id);
        command.maintenance.enabled = rng_chance(500000);
        command.maintenance.reason = text(tag);
        break;
    case CALL_SET_QUOTA:
        command.space = text("");
        command.kind = COMMAND_QUOTA_SET;
        command.quota_set.name = text(NAMESPACE);
        command.quota_set.instances = NAMESPACE_MOST;
        command.quota_set.writes = (uint32_t)op->tag; /* unique in the log */
        break;
    }
    if (command.kind == COMMAND_RENEW) {
        command.space = text("");
    }
    return node_write(op->member->node, &op->write, &command);
}

/* --- outcomes --- */

static void op_end(struct op *op)
{
    *op->link = op->next;
    if (op->next != NULL) {
        op->next->link = op->link;
    }
    op->instance->pending--;
}

static bool renews(const struct op *op)
{
    const struct result *r = &op->write.result;
    return op->call == CALL_REGISTER ? r->status == ST_OK : r->renewed > 0;
}

static void check_result(const struct op *op)
{
    const struct instance *i = op->instance;
    const struct result *r = &op->write.result;
    if (op->call == CALL_REGISTER && r->status == ST_OK && r->created &&
        !oracle_has_event(r->index, i->number, EVENT_REGISTERED)) {
        world_violation("acknowledged_register_is_there", "i%u in entry %" PRIu64, i->number,
                        r->index);
    }
    if (op->call == CALL_DEREGISTER && r->status == ST_OK &&
        !oracle_has_event(r->index, i->number, EVENT_DEREGISTERED)) {
        world_violation("acknowledged_deregister_is_done", "i%u in entry %" PRIu64, i->number,
                        r->index);
    }
    if (op->said != 0 && r->status == ST_OK && !r->created && r->incarnation != op->said) {
        world_violation("older_incarnation_is_refused", "i%u in entry %" PRIu64, i->number,
                        r->index);
    }
}

static void learn(struct op *op)
{
    struct instance *i = op->instance;
    const struct result *r = &op->write.result;
    bool gone = r->status == ST_NOT_FOUND || (op->call == CALL_BEAT_BY_ID && r->renewed == 0);
    if (renews(op)) {
        const struct oracle_renewal renewal = {.index = r->index,
                                               .invoked_ns = op->invoked_ns,
                                               .at = op->member->id,
                                               .ttl_ns = i->ttl_ms * MS};
        model_renewed(i->number, &renewal);
        i->probed = true;
        /* The reply to its registration may have been late: from the first heartbeat on. */
        if (op->call != CALL_REGISTER && i->kind == STEADY && i->incarnation != 0 && !ended) {
            model_lives(i->number, true);
        }
    }
    if (op->call == CALL_REGISTER && r->status == ST_OK) {
        i->incarnation = r->incarnation;
    } else if (op->call == CALL_DEREGISTER && (r->status == ST_OK || gone)) {
        i->past = i->incarnation;
        i->incarnation = 0;
    } else if (gone || r->status == ST_CONFLICT) {
        i->past = i->incarnation;
        i->incarnation = 0; /* it will register again */
        model_lives(i->number, false);
    }
    if (op->call == CALL_BEAT && r->renewed == 0 && !ended) {
        make_call(i, op->member->id - 1, CALL_BEAT_BY_ID);
    }
}

static void write_done(struct node_write *write, enum status status)
{
    struct op *op = CONTAINER_OF(write, struct op, write);
    struct instance *i = op->instance;
    if (op->abandoned) {
        free(write->result.missed);
        free(op);
        return;
    }
    op_end(op);
    world_trace("i%u call %d at member %" PRIu64 ": %s/%s in %" PRIu64, i->number, (int)op->call,
                op->member->id, status_code(status), status_code(write->result.status),
                write->result.index);
    oracle_outcome(op->operation, status, write->result.index);
    if (status == ST_OK) {
        figures.writes_acknowledged++;
        check_result(op);
        learn(op);
    } else {
        figures.writes_unknown += status == ST_UNKNOWN;
        figures.writes_refused += status != ST_UNKNOWN;
        i->home = rng_below(members_count);
    }
    free(write->result.missed);
    free(op);
}

void workload_member_died(struct sim_member *m)
{
    for (struct op *op = unanswered; op != NULL;) {
        struct op *next = op->next;
        if (op->member == m) {
            op_end(op);
            op->abandoned = true;
            oracle_outcome(op->operation, ST_UNKNOWN, 0);
            figures.writes_unknown++;
            op->instance->home = rng_below(members_count);
        }
        op = next;
    }
    readers_member_died(m);
    operators_member_died(m);
    calls_member_died(m);
    versions_member_died(m);
    streams_member_died(m);
}

/* --- calls --- */

static void call_dropped(struct sim_event *event)
{
    struct op *op = CONTAINER_OF(event, struct op, event);
    op->instance->pending--;
    op->instance->home = rng_below(members_count);
    free(op);
}

static void call_arrived(struct sim_event *event)
{
    struct op *op = CONTAINER_OF(event, struct op, event);
    if (!member_serves(op->member)) {
        call_dropped(event);
        return;
    }
    op->invoked_ns = world_now_ns();
    op->write.done = write_done;
    enum status status = submit(op);
    figures.writes++;
    if (status != ST_OK) {
        figures.writes_refused++;
        call_dropped(event);
        return;
    }
    op->operation = oracle_last_submitted();
    op->next = unanswered;
    op->link = &unanswered;
    if (unanswered != NULL) {
        unanswered->link = &op->next;
    }
    unanswered = op;
}

static void make_call(struct instance *i, size_t at, enum call call)
{
    struct op *op = mem_zalloc(1, sizeof *op);
    if ((call == CALL_BEAT || call == CALL_BEAT_BY_ID) && workload_only_one_of(i->number) > 0) {
        call = CALL_REGISTER; /* a heartbeat brings back an expired one, whoever is there */
    }
    op->instance = i;
    op->member = &members[at];
    op->call = call;
    op->tag = call == CALL_REGISTER ? i->content : ++tags;
    if (call == CALL_DEREGISTER || (call == CALL_REPORT_HEALTH && rng_chance(500000))) {
        op->said = rng_chance(200000) && i->past != 0 ? i->past : i->incarnation;
    } else if (call == CALL_REGISTER && i->incarnation != 0 && rng_chance(300000)) {
        op->said = i->incarnation;
    }
    op->event.run = call_arrived;
    op->event.drop = call_dropped;
    i->pending++;
    world_at(&op->event, rng_between(50 * US, 3 * MS), op->member);
}

/* --- behaviour of each kind of instance --- */

static void turn(struct sim_event *event);

struct timer {
    struct sim_event event;
    struct instance *instance;
};

static void register_it(struct instance *i)
{
    i->content = ++tags;
    make_call(i, i->home, CALL_REGISTER);
}

/* Instances with short leases would notice if a leader without a majority let time run until it
 * finds out, hearing from nobody else: so these are never cut off. */
static void beat_everywhere(struct instance *i)
{
    for (size_t at = 0; at < members_count; at++) {
        if (i->ttl_ms >= CUT_OFF_TTL_MS && crowd_keeps_clients_from(&members[at])) {
            continue;
        }
        make_call(i, at, rng_chance(900000) ? CALL_BEAT : CALL_BEAT_BY_ID);
    }
}

static void name_service(struct instance *i, unsigned service)
{
    (void)snprintf(i->service, sizeof i->service, "s%u", service % 10);
}

static void come_and_go(struct instance *i)
{
    if (i->incarnation == 0) {
        register_it(i);
    } else if (rng_chance(250000)) {
        make_call(i, i->home, CALL_DEREGISTER);
    } else if (rng_chance(200000)) {
        i->content = ++tags; /* other content: an update */
        if (rng_chance(300000)) {
            name_service(i, (unsigned)rng_below(SERVICES)); /* a move */
        }
        make_call(i, i->home, CALL_REGISTER);
    } else {
        make_call(i, i->home, rng_chance(200000) ? CALL_REGISTER : CALL_BEAT);
    }
}

/* Returns the time of its next turn. */
static uint64_t take_turn(struct instance *i)
{
    uint64_t third_ns = i->ttl_ms * MS / 3;
    if (i->kind == STEADY && i->incarnation != 0) {
        beat_everywhere(i);
        return i->ttl_ms * MS / BEATS_A_TTL;
    }
    if (i->kind == TRANSIENT) {
        come_and_go(i);
        return rng_between(50 * MS, third_ns);
    }
    if (i->kind == PROBE) {
        if (!i->probed) {
            make_call(i, i->home = i->number - FIRST_PROBE, CALL_REGISTER);
        }
        return 200 * MS;
    }
    if (i->incarnation == 0) {
        if (i->pending == 0) {
            register_it(i);
        }
        return rng_between(50 * MS, third_ns);
    }
    make_call(i, i->home, i->beats % 7 == 3 ? CALL_BEAT_BY_ID : CALL_BEAT);
    i->beats++;
    if (i->kind == SILENT && rng_chance(80000)) {
        i->silent = true;
        i->silent_ns = world_now_ns();
    }
    if (i->kind == CLIENT && rng_chance(200000)) {
        i->home = rng_below(members_count);
        return i->ttl_ms * MS * rng_between(85, 105) / 100; /* just in time, or too late */
    }
    if (i->kind == FLAPPER && rng_chance(200000)) {
        return third_ns * rng_between(2, 9); /* silent for a while */
    }
    return rng_between(third_ns / 2, third_ns);
}

static void turn(struct sim_event *event)
{
    struct timer *t = CONTAINER_OF(event, struct timer, event);
    if (ended || t->instance->silent) {
        free(t);
        return;
    }
    world_at(event, take_turn(t->instance), NULL);
}

static void operate(struct sim_event *event)
{
    if (ended) {
        free(event);
        return;
    }
    struct instance *i = &instances[rng_below(STEADY_COUNT + CLIENT_COUNT)];
    size_t at = rng_below(members_count);
    enum call call = rng_chance(500000) ? CALL_SET_MAINTENANCE : CALL_REPORT_HEALTH;
    make_call(i, at, rng_chance(50000) ? CALL_SET_QUOTA : call);
    world_at(event, rng_between(50 * MS, 800 * MS), NULL);
}

static void begin(unsigned number, enum kind kind, uint32_t ttl_ms)
{
    struct instance *i = &instances[number];
    struct timer *t = mem_zalloc(1, sizeof *t);
    *i = (struct instance){.kind = kind, .number = number, .ttl_ms = ttl_ms};
    i->home = rng_below(members_count);
    i->reap_after_ms = rng_chance(500000) ? (uint32_t)rng_between(500, 4000) : 0;
    i->content = ++tags;
    (void)snprintf(i->id, sizeof i->id, "i%u", (number - workload_is_apart(number)) % 1000);
    name_service(i, number % SERVICES);
    t->event.run = turn;
    t->instance = i;
    world_at(&t->event, rng_below(2 * SECOND), NULL);
}

void workload_start(void)
{
    static const struct {
        enum kind kind;
        unsigned count;
    } kinds[] = {{STEADY, STEADY_COUNT},
                 {CLIENT, CLIENT_COUNT},
                 {SILENT, SILENT_COUNT},
                 {FLAPPER, FLAPPER_COUNT},
                 {TRANSIENT, TRANSIENT_COUNT}};
    unsigned number = 0;
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        for (unsigned n = 0; n < kinds[k].count; n++) {
            begin(number++, kinds[k].kind, (uint32_t)rng_between(1000, 4000));
        }
    }
    world_call(operate, SECOND, NULL);
    readers_start();
    streams_start();
    versions_start();
    holders_start();
}

void workload_end(void)
{
    ended = true;
    for (unsigned n = 0; n < INSTANCES; n++) {
        model_lives(n, false);
    }
}

bool workload_ended(void)
{
    return ended;
}

/* --- healing --- */

void workload_probe(void)
{
    for (size_t at = 0; at < members_count; at++) {
        if (!members[at].refused) {
            begin((unsigned)(FIRST_PROBE + at), PROBE, NEVER_TTL_MS);
        }
    }
}

bool workload_probed(void)
{
    return workload_not_probed() == NULL;
}

const struct sim_member *workload_not_probed(void)
{
    for (size_t at = 0; at < members_count; at++) {
        if (checks_is_judged(&members[at]) && !instances[FIRST_PROBE + at].probed) {
            return &members[at];
        }
    }
    return NULL;
}

void workload_check_silent(uint64_t healed_ns)
{
    for (unsigned n = 0; n < INSTANCES; n++) {
        const struct instance *i = &instances[n];
        const struct model *model = model_of(n);
        if (!i->silent || !model->present) {
            continue;
        }
        uint64_t since_ns = i->silent_ns > healed_ns ? i->silent_ns : healed_ns;
        uint64_t most_ms = 2 * (ELECTION_TIMEOUT_MS + 1000) + i->ttl_ms + 2000 +
                           2 * BRAKE_WINDOW_MS; /* many fell silent during the faults */
        if (!model->expired && world_now_ns() - since_ns > most_ms * MS * 10 / 9) {
            world_violation("the_silent_lapse", "i%u has been silent for %" PRIu64 " ms, ttl %u", n,
                            (world_now_ns() - i->silent_ns) / MS, i->ttl_ms);
        }
        since_ns = model->expired_ns > healed_ns ? model->expired_ns : healed_ns;
        if (model->expired && i->reap_after_ms > 0 &&
            world_now_ns() - since_ns > (most_ms + i->reap_after_ms) * MS * 10 / 9) {
            world_violation("the_lapsed_are_reaped", "i%u", n);
        }
    }
}
