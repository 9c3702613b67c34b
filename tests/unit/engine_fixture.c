#include "tests/unit/engine_fixture.h"

/* Small log segments: disks in memory are filled with zeros. */
int __real_wal_create(const struct files *files, const struct cluster_id *cluster,
                      const struct wal_state *state);
int __wrap_wal_create(const struct files *files, const struct cluster_id *cluster,
                      const struct wal_state *state);
struct wal *__real_wal_open(const struct files *files, const struct cluster_id *cluster,
                            uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                            size_t error_size);
struct wal *__wrap_wal_open(const struct files *files, const struct cluster_id *cluster,
                            uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                            size_t error_size);

int __wrap_wal_create(const struct files *files, const struct cluster_id *cluster,
                      const struct wal_state *state)
{
    return wal_create_sized(files, cluster, state, WORLD_SEGMENT_BYTES);
}

struct wal *__wrap_wal_open(const struct files *files, const struct cluster_id *cluster,
                            uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                            size_t error_size)
{
    struct wal *wal =
        __real_wal_open(files, cluster, snapshot_index, ret_loaded, error, error_size);
    if (wal != NULL) {
        wal_set_segment_bytes(wal, WORLD_SEGMENT_BYTES);
    }
    return wal;
}

/* --- engine_env --- */

static uint64_t env_now_ms(void *ctx)
{
    return ((struct host *)ctx)->world->now_ms;
}

static bool env_is_up(void *ctx, uint64_t id)
{
    const struct host *h = ctx;
    return id <= h->world->count && h->linked[id];
}

static enum status env_send(void *ctx, uint64_t to, const struct peer_message *message)
{
    struct host *h = ctx;
    struct world *w = h->world;
    size_t len = message->head_len + message->payload_len;
    unsigned bulk = 0;
    if (!env_is_up(h, to)) {
        return ST_IO;
    }
    for (const struct flying *f = w->first; f != NULL; f = f->next) {
        bulk += f->bulk && f->from == h->id && f->to == to;
    }
    if (message->bulk && bulk >= 2) {
        return ST_BUSY;
    }
    struct flying *f = mem_alloc(sizeof *f + len);
    *f = (struct flying){.from = h->id,
                         .from_life = h->engine->identity.life,
                         .to = to,
                         .type = message->type,
                         .bulk = message->bulk,
                         .len = len};
    if (message->head_len > 0) {
        memcpy(f->data, message->head, message->head_len);
    }
    if (message->payload_len > 0) {
        memcpy(f->data + message->head_len, message->payload, message->payload_len);
    }
    *w->end = f;
    w->end = &f->next;
    if (w->sends != NULL) {
        w->sends(w, f);
    }
    if (message->sent != NULL) {
        message->sent(message->data, ST_OK);
    }
    return ST_OK;
}

static void env_work(void *ctx, struct engine_work *work)
{
    struct host *h = ctx;
    CHECK(h->work_count < WORLD_WORKS_MAX);
    h->works[h->work_count++] = work;
}

static void unlink_all(struct host *h)
{
    for (uint64_t id = 1; id <= h->world->count; id++) {
        h->linked[id] = false;
        world_host(h->world, id)->linked[h->id] = false;
    }
}

/* A new address closes the existing link. */
static void env_link(void *ctx, uint64_t id, const char *address)
{
    struct host *h = ctx;
    if (id <= WORLD_MEMBERS && strcmp(h->dials[id], address) != 0) {
        (void)snprintf(h->dials[id], sizeof h->dials[id], "%s", address);
        h->linked[id] = false;
    }
}

static void env_unlink(void *ctx, uint64_t id)
{
    struct host *h = ctx;
    if (id <= WORLD_MEMBERS) {
        h->dials[id][0] = '\0';
    }
    if (id <= h->world->count) {
        h->linked[id] = world_host(h->world, id)->linked[h->id] = false;
    }
}

/* world_update_links() asks each time. */
static void env_review(void *ctx UNUSED)
{
}

static void env_introduce(void *ctx, const struct hello_facts *self UNUSED)
{
    unlink_all(ctx);
}

static void env_fatal(void *ctx, const char *sentence)
{
    struct host *h = ctx;
    (void)snprintf(h->last_words, sizeof h->last_words, "%s", sentence);
    longjmp(h->escape, 1);
}

/* --- processes --- */

struct host *world_host(struct world *w, uint64_t id)
{
    CHECK(id >= 1 && id <= w->count);
    return &w->hosts[id - 1];
}

bool host_is_alive(const struct host *h)
{
    return h->engine != NULL;
}

/* The memory of a dead process. Nothing more may come from it; it is freed at the end. */
struct grave {
    struct grave *next;
    struct host *host;
    struct engine *engine;
    struct engine_work *works[WORLD_WORKS_MAX];
    size_t work_count;
    bool ran; /* the first work item was run */
};

static void bury(struct host *h)
{
    struct grave *g = mem_zalloc(1, sizeof *g);
    *g = (struct grave){.next = h->world->graves,
                        .host = h,
                        .engine = h->engine,
                        .work_count = h->work_count,
                        .ran = h->first_ran};
    memcpy(g->works, h->works, sizeof h->works);
    h->world->graves = g;
    h->engine = NULL;
    h->work_count = 0;
    h->first_ran = false;
    files_kill(h->disk);
    unlink_all(h);
    memset(h->dials, 0, sizeof h->dials);
    for (struct op *op = h->world->ops; op != NULL; op = op->next) {
        if (op->host == h) {
            op->host = NULL; /* it will never be completed */
        }
    }
}

static void pump(struct host *h)
{
    struct engine *e = h->engine;
    engine_pump(e);
    if (e->known_leader != 0 && h->applied_before_leader == UINT64_MAX) {
        h->applied_before_leader = e->fsm.applied_index;
    }
}

static bool open_engine(struct host *h)
{
    char name[32];
    struct engine *e = h->engine;
    const struct engine_env env = {
        .ctx = h,
        .now_ms = env_now_ms,
        .send = env_send,
        .is_up = env_is_up,
        .work = env_work,
        .files = files_boot(h->disk),
        .link = env_link,
        .unlink = env_unlink,
        .review = env_review,
        .introduce = env_introduce,
        .fatal = env_fatal,
        .removed = env_fatal,
    };
    const struct engine_options options = {
        .id = h->id,
        .members = h->list != NULL ? h->list : h->world->list,
        .members_count = h->list != NULL ? h->list_count : h->world->count,
        .members_given = true,
        .data_dir = "/virtual",
        .boot_salt = ++h->boots,
        .seed = (uint32_t)(h->id * 1000 + h->boots),
        .election_timeout_ms = WORLD_ELECTION_MS,
        .heartbeat_interval_ms = WORLD_HEARTBEAT_MS,
        .write_timeout_ms = WORLD_WRITE_MS,
        .snapshot_log_bytes = WORLD_SNAPSHOT_LOG,
        .voters = h->world->voters != 0 ? h->world->voters : 3,
        .replace_after_ms = h->world->replace_after_ms,
        .joins = h->joins,
        .name = "member",
        .http_address = "host:9000",
        .advertised_address = h->advertised_address != NULL ? h->advertised_address : "",
        .version = "test",
    };
    struct consensus_fsm mine = engine_app;
    (void)snprintf(name, sizeof name, "member-%" PRIu64, h->id);
    mine.ctx = h;
    mine.level_min = h->level_min;
    mine.level_max = h->level_max;
    return engine_open(e, &options, &env, &mine, h->last_words, sizeof h->last_words) &&
           engine_start(e, h->last_words, sizeof h->last_words);
}

static bool do_call(struct host *h, const struct call *call)
{
    struct engine *e = h->engine;
    switch (call->kind) {
    case CALL_OPEN:
        if (!open_engine(h)) {
            return false;
        }
        break;
    case CALL_TICK:
        engine_tick(e);
        break;
    case CALL_FRAME:
        engine_receive(e, call->from, call->from_life, call->type, call->data, call->len);
        break;
    case CALL_DONE:
        call->work->done(call->work);
        break;
    case CALL_UP:
        engine_link_up(e, call->from, call->facts);
        break;
    case CALL_REFUSED:
        engine_link_refused(e, call->from);
        break;
    case CALL_REJECTED:
        engine_link_rejected(e, call->from, HELLO_EARLIER_LIFE);
        break;
    case CALL_TAKE:
        engine_take(e, call->op);
        break;
    }
    pump(h);
    return true;
}

bool host_call(struct host *h, const struct call *call)
{
    if (h->engine == NULL) {
        return false;
    }
    if (setjmp(h->escape) != 0) {
        bury(h);
        return false;
    }
    if (!do_call(h, call)) {
        engine_close(h->engine); /* refused at its start */
        free(h->engine);
        h->engine = NULL;
        h->work_count = 0;
        files_kill(h->disk);
        return false;
    }
    if (!files_is_alive(h->disk)) {
        bury(h); /* killed in the middle of a call */
        return false;
    }
    return true;
}

bool host_start(struct host *h)
{
    CHECK(h->engine == NULL);
    h->engine = mem_zalloc(1, sizeof *h->engine);
    h->last_words[0] = '\0';
    h->kernel_gone = false;
    h->level = 0;
    h->installs = h->leaderships = 0;
    h->applied_before_leader = UINT64_MAX;
    buffer_done(&h->state.ops);
    h->state.count = 0;
    return host_call(h, &(const struct call){.kind = CALL_OPEN});
}

void host_kill(struct host *h)
{
    if (h->engine != NULL) {
        bury(h);
    }
}

void host_lose_power(struct host *h)
{
    host_kill(h);
    h->kernel_gone = true;
    files_lose_power(h->disk);
}

/* Its disk is dead, so everything still pending fails. */
static void take_apart(struct grave *g)
{
    struct host *h = g->host;
    engine_fail_all(g->engine);
    for (size_t i = 0; i < g->work_count; i++) {
        struct engine_work *work = g->works[i];
        if (i > 0 || !g->ran) {
            work->run(work);
        }
        if (setjmp(h->escape) == 0) {
            work->done(work);
        }
    }
    engine_close(g->engine);
    free(g->engine);
    free(g);
}

bool host_work(struct host *h)
{
    if (h->work_count == 0) {
        return false;
    }
    struct engine_work *work = h->works[0];
    work->run(work);
    if (!files_is_alive(h->disk)) {
        h->first_ran = true;
        bury(h);
        return true;
    }
    memmove(h->works, h->works + 1, --h->work_count * sizeof h->works[0]);
    (void)host_call(h, &(const struct call){.kind = CALL_DONE, .work = work});
    return true;
}

void host_close(struct host *h)
{
    if (h->engine == NULL) {
        return;
    }
    engine_fail_all(h->engine);
    while (h->engine != NULL && !engine_may_close(h->engine)) {
        CHECK(host_work(h));
    }
    if (h->engine != NULL) {
        engine_close(h->engine);
        free(h->engine);
        h->engine = NULL;
        files_kill(h->disk);
        unlink_all(h);
    }
}

void host_empty(struct host *h)
{
    CHECK(h->engine == NULL);
    files_empty(h->disk);
}

bool host_receive(struct host *h, uint64_t from, uint8_t type, const void *data, size_t len)
{
    const struct host *sender = world_host(h->world, from);
    const struct member *known = h->engine != NULL ? member_info_find(h->engine, from) : NULL;
    uint64_t life = sender->engine != NULL ? sender->engine->identity.life
                    : known != NULL        ? known->info.life
                                           : 1;
    uint8_t *exact = mem_alloc(
        len > 0 ? len : 1); /* exact size, so that the sanitizer sees reads beyond the end */
    if (len > 0) {
        memcpy(exact, data, len);
    }
    bool alive = host_call(h, &(const struct call){.kind = CALL_FRAME,
                                                   .from = from,
                                                   .from_life = life,
                                                   .type = type,
                                                   .data = exact,
                                                   .len = len});
    free(exact);
    return alive;
}

/* --- the world --- */

uint64_t world_draw(void *data)
{
    uint64_t *x = data;
    *x += 0x9e3779b97f4a7c15u;
    uint64_t z = *x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void world_init(struct world *w, size_t count)
{
    CHECK(count <= WORLD_MEMBERS);
    memset(w, 0, sizeof *w);
    w->now_ms = 1000000;
    w->count = count;
    w->end = &w->first;
    for (uint64_t id = 1; id <= count; id++) {
        struct host *h = world_host(w, id);
        h->world = w;
        h->id = id;
        h->level_min = h->level_max = 1;
        h->disk =
            files_create(&(const struct files_options){.random = world_draw, .data = &w->chance});
        buffer_init(&h->state.ops, STATE_BYTES_MAX);
        w->list[id - 1].id = id;
        (void)snprintf(w->list[id - 1].address, sizeof w->list[id - 1].address,
                       "host-%" PRIu64 ":9100", id);
    }
}

void world_init_from(struct world *w, const struct world *from)
{
    world_init(w, from->count);
    for (size_t i = 0; i < from->count; i++) {
        struct host *h = &w->hosts[i];
        files_destroy(h->disk);
        h->disk =
            files_clone(from->hosts[i].disk,
                        &(const struct files_options){.random = world_draw, .data = &w->chance});
        h->boots = from->hosts[i].boots;
    }
}

static void drop_frames(struct world *w)
{
    while (w->first != NULL) {
        struct flying *f = w->first;
        w->first = f->next;
        free(f);
    }
    w->end = &w->first;
}

void world_done(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        host_close(h);
    }
    while (w->graves != NULL) {
        struct grave *g = w->graves;
        w->graves = g->next;
        take_apart(g);
    }
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        buffer_done(&h->state.ops);
        files_destroy(h->disk);
    }
    drop_frames(w);
    while (w->ops != NULL) {
        struct op *op = w->ops;
        w->ops = op->next;
        free(op->op.data); /* its process has died */
        free(op);
    }
}

static void deliver(struct world *w)
{
    struct flying *f = w->first;
    w->first = f->next;
    if (w->first == NULL) {
        w->end = &w->first;
    }
    struct host *to = world_host(w, f->to);
    /* Frames on a broken link are lost. */
    bool arrives =
        world_host(w, f->from)->linked[f->to] && to->engine != NULL && !w->cut[f->from][f->to];
    if (arrives && (w->passes == NULL || w->passes(w, f))) {
        w->frames[f->type % ARRAY_LENGTH(w->frames)]++;
        (void)host_call(to, &(const struct call){.kind = CALL_FRAME,
                                                 .from = f->from,
                                                 .from_life = f->from_life,
                                                 .type = f->type,
                                                 .data = f->data,
                                                 .len = f->len});
    }
    free(f);
}

void world_settle(struct world *w)
{
    for (unsigned round = 0;; round++) {
        bool any = false;
        CHECK(round < WORLD_ROUNDS_MAX);
        for (uint64_t id = 1; id <= w->count; id++) {
            struct host *h = world_host(w, id);
            while (!h->hold_work && host_work(h)) {
                any = true;
            }
        }
        if (w->first != NULL && !w->hold_frames) {
            deliver(w);
            any = true;
        }
        if (!any) {
            return;
        }
    }
}

void world_run(struct world *w, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += ENGINE_TICK_MS) {
        w->now_ms += ENGINE_TICK_MS;
        world_update_links(w);
        for (uint64_t id = 1; id <= w->count; id++) {
            (void)host_call(world_host(w, id), &(const struct call){.kind = CALL_TICK});
        }
        world_settle(w);
    }
}

bool world_run_until(struct world *w, bool (*holds)(struct world *w), uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += ENGINE_TICK_MS) {
        if (holds(w)) {
            return true;
        }
        world_run(w, ENGINE_TICK_MS);
    }
    return holds(w);
}

void world_form(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        CHECK(host_start(world_host(w, id)));
    }
    CHECK(world_run_until(w, world_is_led, 10000));
}
