#include "tests/sim/holders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/registry/policy.h"
#include "tests/sim/calls.h"
#include "tests/sim/checks.h"
#include "tests/sim/member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

/* Which runs: none of the seeds that are kept. */
#define ONE_RUN_OF   13
#define ONE_RUN_REST 3
#define HOLDERS      12
#define CLOCK_MOST   1.1 /* no clock runs faster than this */
/* Above what the workload writes: unique in the log. */
#define FIRST_TAG 1000000000u

enum call { CALL_MAKE, CALL_REVOKE, CALL_USE };

struct holder {
    char id[16]; /* of its token, or its policy; "": there was none yet */
    uint32_t ttl_s;
    uint64_t asked_ns;      /* when it was to be made */
    uint64_t made_index;    /* 0: not known to be made */
    bool to_be_revoked;     /* somebody wants to, or did */
    uint64_t revoked_index; /* 0: not known to be revoked */
    uint64_t last_index;    /* of what it wrote */
};

struct call_of {
    struct sim_call base;
    struct sim_event event;
    enum call call;
    struct holder *holder;
    char id[16]; /* of its token when the call was made: it gets others */
    uint64_t made_index;
};

static struct holder holders[HOLDERS];
static uint64_t chance; /* a random source of its own */
static uint32_t numbers;
static bool is_first = true; /* no token was ever made, as far as is known */

static uint64_t draw_below(uint64_t n)
{
    return rng_split(&chance) % n;
}

/* Whether its token is there, whatever the clocks of the leaders were like. */
static bool lasts(const struct holder *h)
{
    double passed_ns = (double)(world_now_ns() - h->asked_ns) * CLOCK_MOST;
    return !h->to_be_revoked && (h->ttl_s == 0 || passed_ns < (double)h->ttl_s * (double)SECOND);
}

/* --- what must hold --- */

/* In the present state of a member: those revoked are gone, the others are there. */
static void check_view(struct sim_member *m)
{
    const struct view *view = node_view_lock(m->node);
    for (size_t n = 0; n < HOLDERS; n++) {
        const struct holder *h = &holders[n];
        const struct token *token = view_token(view, h->id);
        figures.checks++;
        if (h->revoked_index != 0 && view->index >= h->revoked_index && token != NULL) {
            world_violation("the_revoked_are_gone",
                            "%s at member %" PRIu64 " in %" PRIu64 ", revoked in %" PRIu64, h->id,
                            m->id, view->index, h->revoked_index);
        }
        if (h->made_index != 0 && view->index >= h->made_index && token == NULL && lasts(h)) {
            world_violation("tokens_last_as_said",
                            "%s at member %" PRIu64 " in %" PRIu64 ", made in %" PRIu64, h->id,
                            m->id, view->index, h->made_index);
        }
    }
    view_unlock(&view);
}

static void check_order(const struct holder *h)
{
    if (h->revoked_index != 0 && h->last_index > h->revoked_index) {
        world_violation("the_revoked_write_nothing",
                        "%s, revoked in %" PRIu64 ", wrote in %" PRIu64, h->id, h->revoked_index,
                        h->last_index);
    }
}

static void learn(const struct call_of *c)
{
    struct holder *h = c->holder;
    const struct result *r = &c->base.write.result;
    if (c->call == CALL_MAKE) {
        is_first = is_first && r->status != ST_OK && r->status != ST_CONFLICT;
    }
    if (strcmp(c->id, h->id) != 0) {
        return;
    }
    if (c->call == CALL_MAKE && r->status == ST_OK) {
        h->made_index = r->index;
    } else if (c->call == CALL_REVOKE && r->status == ST_OK) {
        h->revoked_index = r->index;
        check_order(h);
    } else if (c->call == CALL_USE && r->status == ST_OK) {
        h->last_index = r->index > h->last_index ? r->index : h->last_index;
        check_order(h);
    } else if (c->call == CALL_USE && c->made_index != 0 && lasts(h) &&
               (r->status == ST_UNAUTHENTICATED || r->status == ST_FORBIDDEN)) {
        world_violation("the_entitled_are_obeyed",
                        "%s, made in %" PRIu64 ", was refused in %" PRIu64, h->id, c->made_index,
                        r->index);
    }
}

/* --- calls --- */

static void answered(struct sim_call *call, enum status status)
{
    const struct call_of *c = CONTAINER_OF(call, struct call_of, base);
    const struct result *r = &call->write.result;
    world_trace("%s call %d at member %" PRIu64 ": %s/%s in %" PRIu64, c->id, (int)c->call,
                call->member->id, status_code(status), status_code(r->status), r->index);
    if (status == ST_OK) {
        learn(c);
    }
}

static struct slice text(const char *s)
{
    return (struct slice){.data = s, .len = strlen(s)};
}

static void fill_make(struct command *command, const struct call_of *c)
{
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    bool is_policy = policy_is_id(c->id);
    struct token_spec *spec =
        is_policy ? &command->policy_create.spec : &command->token_create.spec;
    command->kind = is_policy ? COMMAND_POLICY_CREATE : COMMAND_TOKEN_CREATE;
    token_spec_everything("", spec);
    spec->id = text(c->id);
    if (is_policy) {
        command->policy_create.ttl_s = c->holder->ttl_s;
    } else {
        spec->hash = (struct slice){(const char *)hash, sizeof hash};
        command->token_create.ttl_s = c->holder->ttl_s;
        command->token_create.turn = is_first ? TOKEN_TURN_FIRST : TOKEN_TURN_LATER;
    }
}

static enum status submit(struct call_of *c)
{
    static struct command command; /* large */
    bool is_policy = policy_is_id(c->id);
    memset(&command, 0, sizeof command);
    switch (c->call) {
    case CALL_MAKE:
        fill_make(&command, c);
        break;
    case CALL_REVOKE:
        command.kind = is_policy ? COMMAND_POLICY_DELETE : COMMAND_TOKEN_REVOKE;
        *(is_policy ? &command.policy_delete.id : &command.token_revoke.id) = text(c->id);
        break;
    case CALL_USE:
        command.kind = COMMAND_QUOTA_SET;
        command.guard.kind = is_policy ? GUARD_CERTIFICATE : GUARD_TOKEN;
        command.guard.who = text(c->id + is_policy); /* without '=' */
        command.quota_set.name = text(NAMESPACE);
        command.quota_set.instances = NAMESPACE_MOST;
        command.quota_set.writes = FIRST_TAG + ++numbers;
        break;
    }
    return node_write(c->base.member->node, &c->base.write, &command);
}

static void drop(struct sim_event *event)
{
    free(CONTAINER_OF(event, struct call_of, event));
}

static void arrived(struct sim_event *event)
{
    struct call_of *c = CONTAINER_OF(event, struct call_of, event);
    if (!member_serves(c->base.member)) {
        free(c);
        return;
    }
    check_view(c->base.member);
    calls_prepare(&c->base);
    calls_submitted(&c->base, submit(c));
}

static void make_call(struct holder *h, enum call call)
{
    struct call_of *c = mem_zalloc(1, sizeof *c);
    c->base.member = &members[draw_below(members_count)];
    c->base.done = answered;
    c->call = call;
    c->holder = h;
    c->made_index = h->made_index;
    memcpy(c->id, h->id, sizeof c->id);
    c->event.run = arrived;
    c->event.drop = drop;
    world_at(&c->event, MS * (1 + draw_below(3)), c->base.member);
}

static void give(struct holder *h)
{
    const char *form = !is_first && draw_below(2) == 0 ? "=n" : "t"; /* a policy, or a token */
    *h = (struct holder){.ttl_s = (uint32_t)(draw_below(2) * (1 + draw_below(20))),
                         .asked_ns = world_now_ns()};
    (void)snprintf(h->id, sizeof h->id, "%s%u", form, ++numbers);
    make_call(h, CALL_MAKE);
}

static void act(struct sim_event *event)
{
    struct holder *h = &holders[draw_below(HOLDERS)];
    uint64_t kind = draw_below(8);
    if (workload_ended()) {
        free(event);
        return;
    }
    if (h->id[0] == '\0' || (kind == 0 && !lasts(h))) {
        give(h);
    } else if (kind == 1 && !h->to_be_revoked) {
        h->to_be_revoked = true;
        make_call(h, CALL_REVOKE);
    } else {
        make_call(h, CALL_USE);
    }
    world_at(event, MS * (20 + draw_below(200)), NULL);
}

void holders_start(void)
{
    chance = options.seed;
    if (options.seed % ONE_RUN_OF == ONE_RUN_REST) {
        world_call(act, SECOND, NULL);
    }
}
