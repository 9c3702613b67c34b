#include "server/base/clock.h"
#include "tests/unit/engine_fixture.h"

/* --- who leads --- */

struct host *world_leader(struct world *w)
{
    struct host *best = NULL;
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        if (h->engine != NULL && h->engine->is_leader &&
            (best == NULL || raft_current_term(&h->engine->driver.raft) >
                                 raft_current_term(&best->engine->driver.raft))) {
            best = h;
        }
    }
    return best;
}

bool world_is_led(struct world *w)
{
    const struct host *leader = world_leader(w);
    for (uint64_t id = 1; id <= w->count && leader != NULL; id++) {
        const struct engine *e = world_host(w, id)->engine;
        if (e != NULL && (e->known_leader != leader->id || !e->caught_up)) {
            return false;
        }
    }
    return leader != NULL;
}

struct host *world_follower(struct world *w)
{
    const struct host *leader = world_leader(w);
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        if (h->engine != NULL && h != leader) {
            return h;
        }
    }
    return NULL;
}

/* --- operations --- */

static void op_done(struct consensus_op *done, enum status status)
{
    struct op *op = (struct op *)done;
    CHECK(!op->is_done);
    op->is_done = true;
    op->status = status;
}

static struct op *submit(struct host *h, enum consensus_lane lane, uint8_t *data, size_t len)
{
    struct op *op = mem_zalloc(1, sizeof *op);
    op->op = (struct consensus_op){.lane = lane,
                                   .data = data,
                                   .len = len,
                                   .done = op_done,
                                   .deadline_ms = h->world->now_ms + WORLD_WRITE_MS,
                                   .taken_ns = clock_monotonic_ns()};
    op->host = h;
    (void)snprintf(op->text, sizeof op->text, "%.*s", (int)len, data != NULL ? (char *)data : "");
    op->next = h->world->ops;
    h->world->ops = op;
    (void)host_call(h, &(const struct call){.kind = CALL_TAKE, .op = &op->op});
    return op;
}

struct op *host_submit(struct host *h, enum consensus_lane lane, const char *text)
{
    return submit(h, lane, text != NULL ? (uint8_t *)mem_strdup(text) : NULL,
                  text != NULL ? strlen(text) : 0);
}

struct op *host_submit_sized(struct host *h, const char *text, size_t bytes)
{
    uint8_t *data = mem_zalloc(1, bytes);
    memcpy(data, text, strlen(text));
    return submit(h, CONSENSUS_NORMAL, data, bytes);
}

static enum status await(struct host *h, const struct op *op)
{
    world_settle(h->world);
    for (unsigned ms = 0; ms < 2 * WORLD_WRITE_MS && !op->is_done; ms += ENGINE_TICK_MS) {
        world_run(h->world, ENGINE_TICK_MS);
    }
    CHECK(op->is_done || h->engine == NULL || op->host == NULL);
    return op->is_done ? op->status : ST_UNKNOWN;
}

enum status host_write(struct host *h, const char *text)
{
    return await(h, host_submit(h, CONSENSUS_NORMAL, text));
}

enum status host_read(struct host *h)
{
    return await(h, host_submit(h, CONSENSUS_READ, NULL));
}

void host_fill(struct host *h, const char *prefix, unsigned count, size_t bytes)
{
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s%u", prefix, i);
        CHECK(await(h, host_submit_sized(h, text, bytes)) == ST_OK);
    }
}

bool host_equals(const struct host *a, const struct host *b)
{
    return a->engine->fsm.applied_index == b->engine->fsm.applied_index &&
           a->state.ops.len == b->state.ops.len &&
           (a->state.ops.len == 0 ||
            memcmp(a->state.ops.data, b->state.ops.data, a->state.ops.len) == 0);
}

unsigned host_has(const struct host *h, const char *text)
{
    unsigned times = 0;
    size_t want = strlen(text);
    for (size_t at = 0; at < h->state.ops.len;) {
        size_t len = load_u32(h->state.ops.data + at);
        times += len >= want && memcmp(h->state.ops.data + at + 4, text, want) == 0 &&
                 (len == want || h->state.ops.data[at + 4 + want] == '\0');
        at += 4 + len;
    }
    return times;
}

bool world_start_all(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        if (!host_is_alive(h) && !host_start(h)) {
            (void)fprintf(stderr, "member %" PRIu64 ": %s\n", id, h->last_words);
            return false;
        }
    }
    return true;
}

/* --- for cmocka --- */

int world_set_up(void **state)
{
    struct world *w = malloc(sizeof *w);
    world_init(w, 3);
    *state = w;
    return 0;
}

int world_set_up_formed(void **state)
{
    (void)world_set_up(state);
    world_form(*state);
    world_run(*state, 500);
    return 0;
}

int world_tear_down(void **state)
{
    world_done(*state);
    free(*state);
    return 0;
}

/* --- links --- */

void world_isolate(struct world *w, uint64_t id, bool cut)
{
    for (uint64_t other = 1; other <= w->count; other++) {
        w->cut[id][other] = w->cut[other][id] = cut;
    }
}

/* Whether both want a link from `a` to `b`. */
static bool may_link(const struct host *a, const struct host *b)
{
    struct hello_facts of_a = engine_facts(a->engine);
    struct hello_facts of_b = engine_facts(b->engine);
    return engine_admit(a->engine, &of_b) == HELLO_ACCEPTED &&
           engine_admit(b->engine, &of_a) == HELLO_ACCEPTED;
}

/* The member's address in the world's list, or where it has moved. */
static const char *address_of(const struct world *w, const struct host *h)
{
    return h->address != NULL ? h->address : w->list[h->id - 1].address;
}

static void update_link(struct world *w, struct host *a, struct host *b)
{
    bool cut = w->cut[a->id][b->id] || strcmp(a->dials[b->id], address_of(w, b)) != 0;
    bool wanted = b->engine != NULL && !cut && may_link(a, b);
    if (wanted && !a->linked[b->id]) {
        struct hello_facts facts = engine_facts(b->engine);
        a->linked[b->id] = true;
        (void)host_call(a, &(const struct call){.kind = CALL_UP, .from = b->id, .facts = &facts});
    } else if (!wanted && a->linked[b->id]) {
        a->linked[b->id] = false;
    } else if (b->engine == NULL && !b->kernel_gone && !cut) {
        (void)host_call(a, &(const struct call){.kind = CALL_REFUSED, .from = b->id});
    }
}

void world_update_links(struct world *w)
{
    for (uint64_t a = 1; a <= w->count; a++) {
        for (uint64_t b = 1; b <= w->count; b++) {
            if (a != b && world_host(w, a)->engine != NULL) {
                update_link(w, world_host(w, a), world_host(w, b));
            }
        }
    }
}

/* --- membership changes --- */

static void asked_done(struct consensus_op *op, enum status status)
{
    struct asked *a = (struct asked *)op;
    CHECK(!a->is_done);
    a->is_done = true;
    a->status = status;
}

void host_ask(struct asked *a, struct host *at, const struct consensus_change *change)
{
    *a = (struct asked){.op = {.lane = CONSENSUS_CHANGE,
                               .done = asked_done,
                               .change = *change,
                               .deadline_ms = at->world->now_ms + WORLD_WRITE_MS}};
    CHECK(host_call(at, &(const struct call){.kind = CALL_TAKE, .op = &a->op}));
}

enum status world_answer(struct world *w, const struct asked *a)
{
    for (unsigned i = 0; i < 3000 && !a->is_done; i++) {
        world_run(w, ENGINE_TICK_MS);
    }
    CHECK(a->is_done);
    return a->status;
}

static enum status answer(struct host *at, const struct consensus_change *change)
{
    struct asked a;
    host_ask(&a, at, change);
    return world_answer(at->world, &a);
}

enum status host_change(struct host *at, enum consensus_change_kind kind, uint64_t id, bool force)
{
    return answer(at, &(const struct consensus_change){.kind = kind, .member = id, .force = force});
}

enum status host_add(struct host *at, uint64_t id, const char *address)
{
    struct consensus_change change = {.kind = CONSENSUS_ADD, .member = id};
    (void)snprintf(change.address, sizeof change.address, "%s", address);
    return answer(at, &change);
}
