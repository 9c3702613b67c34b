#include "consensus/forwarder.h"

#include <stdlib.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/metric.h"

/* A batch is resent after this much silence of the leader, or two election timeouts if longer. */
#define RESEND_MS_MIN 500

/* --- queueing --- */

void forwarder_init(struct forwarder *f, uint64_t boot)
{
    f->boot = boot;
    op_list_init(&f->urgent);
    op_list_init(&f->normal);
    buffer_init(&f->bytes, BATCH_BYTES_MAX);
}

void forwarder_done(struct forwarder *f)
{
    buffer_done(&f->bytes);
}

bool forwarder_is_empty(const struct forwarder *f)
{
    return f->waiting == 0 && !f->active;
}

static void finish(struct consensus_op *op, enum status status)
{
    free(op->data);
    op->data = NULL;
    metric_add(status == ST_UNKNOWN ? METRIC_writes_unknown_total : METRIC_writes_refused_total, 1);
    op->done(op, status);
}

/* Counts an operation into the lists, or out of them. */
static void note_waiting(struct forwarder *f, const struct consensus_op *op, int sign)
{
    size_t len =
        sign > 0 ? op->len : 0 - op->len; /* unsigned wrap-around is intended, as in the sums */
    f->waiting += (size_t)sign;
    f->waiting_bytes += len;
    if (op->lane == CONSENSUS_URGENT) {
        f->urgent_waiting += (size_t)sign;
        f->urgent_bytes += len;
    }
}

void forwarder_add(struct engine *e, struct consensus_op *op)
{
    struct forwarder *f = &e->forwarder;
    if (e->fsm.level != 0 && !e->app.understands(op->data, op->len, e->fsm.level)) {
        finish(op, ST_LEVEL);
        return;
    }
    op_list_add(op->lane == CONSENSUS_URGENT ? &f->urgent : &f->normal, op);
    note_waiting(f, op, 1);
    f->added++;
}

/* Moves operations from a list into the batch, up to `most` in all or until it is full. */
static void fill(struct forwarder *f, struct op_list *list, uint32_t most)
{
    struct consensus_op *op;
    uint64_t oldest_ns = UINT64_MAX;
    while ((op = list->first) != NULL && f->ops_count < most &&
           f->bytes.len + 4 + op->len <= BATCH_BYTES_MAX) {
        (void)op_list_take(list);
        batch_append(&f->bytes, op->data, op->len);
        free(op->data);
        op->data = NULL;
        f->ops[f->ops_count++] = op;
        note_waiting(f, op, -1);
        f->batched++;
        if (op->deadline_ms < f->first_deadline_ms) {
            f->first_deadline_ms = op->deadline_ms;
        }
        oldest_ns = op->taken_ns < oldest_ns ? op->taken_ns : oldest_ns;
    }
    if (oldest_ns != UINT64_MAX) {
        metric_observe_us(HISTOGRAM_queue_seconds, (clock_monotonic_ns() - oldest_ns) / 1000);
    }
}

/* Chooses a boot number that the replicated state has not seen. Boots are counted in the log on
 * disk: only an older copy that was put back counts the same boot twice. */
static void renumber(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    f->serial++;
    while (sessions_has(&e->fsm.sessions, e->identity.life, f->boot, f->serial)) {
        uint64_t count = BOOT_COUNT(sessions_boot(&e->fsm.sessions, e->identity.life)) + 1;
        f->boot = BOOT(count, BOOT_SALT(f->boot));
    }
}

static void build(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    renumber(e);
    struct batch_header header = {.origin = e->identity.life, .boot = f->boot, .serial = f->serial};
    buffer_clear(&f->bytes);
    f->ops_count = 0;
    f->first_deadline_ms = UINT64_MAX;
    batch_begin(&f->bytes, &header);
    /* Heartbeats go first, but never fill the batch while others wait. */
    fill(f, &f->urgent, f->normal.first != NULL ? BATCH_OPS_MAX / 4 * 3 : BATCH_OPS_MAX);
    fill(f, &f->normal, BATCH_OPS_MAX);
    fill(f, &f->urgent, BATCH_OPS_MAX);
    batch_set_count(&f->bytes, f->ops_count);
    f->active = true;
    f->sends = 0;
    f->sent_to = 0;
}

/* --- the batch in flight --- */

/* Ends it: each operation is completed or given up. */
static void close_batch(struct forwarder *f)
{
    f->active = false;
    f->ops_count = 0;
}

static void fail_batch(struct forwarder *f, enum status when_surely_not)
{
    enum status status = f->sends > 0 ? ST_UNKNOWN : when_surely_not;
    uint32_t count = f->ops_count;
    close_batch(f);
    for (uint32_t i = 0; i < count; i++) {
        if (f->ops[i] != NULL) {
            finish(f->ops[i], status);
        }
    }
}

/* Refusals that any other leader would repeat. */
static bool is_final(enum status status)
{
    return status == ST_NO_SPACE || status == ST_LEVEL;
}

static void send_batch(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    enum status status;
    if (e->known_leader == 0) {
        return;
    }
    f->sent_ms = engine_now_ms(e);
    if (e->known_leader == e->options.id) {
        status = proposer_receive(e, e->identity.life, f->bytes.data, f->bytes.len);
        if (is_final(status)) {
            fail_batch(f, status);
            return;
        }
    } else {
        const struct peer_message message = {
            .type = FRAME_BATCH, .head = f->bytes.data, .head_len = f->bytes.len};
        status = e->env.send(e->env.ctx, e->known_leader, &message);
    }
    if (status == ST_OK) {
        f->sends++;
        f->sent_to = e->known_leader;
    }
}

void forwarder_pump(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    /* The numbers in the log are known only after the first linearizable read: renumber(). */
    if (!f->active && f->waiting > 0 && e->known_leader != 0 && e->caught_up) {
        build(e);
        send_batch(e);
    }
}

bool forwarder_is_ours(const struct engine *e, uint64_t origin, uint64_t boot, uint64_t serial)
{
    return e->forwarder.active && origin == e->identity.life && boot == e->forwarder.boot &&
           serial == e->forwarder.serial;
}

void forwarder_applied(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    /* In order, to be completed at the end of the entry. */
    for (uint32_t i = f->ops_count; i > 0; i--) {
        if (f->ops[i - 1] != NULL) {
            f->ops[i - 1]->next = e->fsm.completed;
            e->fsm.completed = f->ops[i - 1];
        }
    }
    close_batch(f);
}

void forwarder_overtaken(struct engine *e)
{
    e->forwarder.sends = 1;
    fail_batch(&e->forwarder, ST_UNKNOWN);
}

void forwarder_skipped(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    renumber(e);
    batch_set_number(&f->bytes, f->boot, f->serial);
    f->sends = 0; /* anything sent under the old number will be skipped, too */
    f->sent_to = 0;
}

void forwarder_refused(struct engine *e, uint64_t from, const uint8_t *data, size_t len)
{
    struct forwarder *f = &e->forwarder;
    if (len != 20 || !f->active || load_u64(data) != f->boot || load_u64(data + 8) != f->serial ||
        from != f->sent_to) {
        return;
    }
    enum status status = (enum status)load_u32(data + 16);
    CHECK(f->sends > 0);
    f->sends--;
    f->sent_to = 0;
    if (is_final(status)) {
        fail_batch(f, status);
    }
}

void forwarder_resend(struct engine *e)
{
    e->forwarder.sent_to = 0;
    if (e->forwarder.active) {
        send_batch(e);
    }
}

/* Rebuilds a batch that nobody has, without the operations given up: those were reported as not
 * done. */
static void batch_again(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    struct buffer old = f->bytes;
    renumber(e);
    struct batch_header header = {.origin = e->identity.life, .boot = f->boot, .serial = f->serial};
    uint32_t kept = 0;
    size_t at = 0;
    buffer_init(&f->bytes, BATCH_BYTES_MAX);
    batch_begin(&f->bytes, &header);
    for (uint32_t i = 0; i < f->ops_count; i++) {
        size_t len;
        const uint8_t *data = batch_next(old.data, &at, &len);
        if (f->ops[i] != NULL) {
            batch_append(&f->bytes, data, len);
            f->ops[kept++] = f->ops[i];
        }
    }
    f->ops_count = kept;
    batch_set_count(&f->bytes, kept);
    buffer_done(&old);
}

static void give_up_late(struct engine *e, uint64_t now_ms)
{
    struct forwarder *f = &e->forwarder;
    enum status status = f->sends > 0 ? ST_UNKNOWN : ST_NO_LEADER;
    bool any = false;
    f->first_deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < f->ops_count; i++) {
        struct consensus_op *op = f->ops[i];
        if (op == NULL) {
            continue;
        }
        if (now_ms >= op->deadline_ms) {
            f->ops[i] = NULL;
            finish(op, status);
            continue;
        }
        any = true;
        if (op->deadline_ms < f->first_deadline_ms) {
            f->first_deadline_ms = op->deadline_ms;
        }
    }
    if (!any) {
        close_batch(f); /* it may still be applied, before the next one or never */
    } else if (status == ST_NO_LEADER) {
        batch_again(e);
    }
}

static void drop_late(struct forwarder *f, struct op_list *list, uint64_t now_ms)
{
    while (list->first != NULL && now_ms >= list->first->deadline_ms) {
        note_waiting(f, list->first, -1);
        f->batched++;
        finish(op_list_take(list), ST_NO_LEADER);
    }
}

void forwarder_tick(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    uint64_t now_ms = engine_now_ms(e);
    uint64_t patience_ms = 2ull * e->options.election_timeout_ms;
    if (patience_ms < RESEND_MS_MIN) {
        patience_ms = RESEND_MS_MIN;
    }
    /* All have the same timeout, so the first of a list expires first. */
    drop_late(f, &f->urgent, now_ms);
    drop_late(f, &f->normal, now_ms);
    if (f->active && now_ms >= f->first_deadline_ms) {
        give_up_late(e, now_ms);
    }
    if (f->active && (f->sent_to == 0 || now_ms - f->sent_ms > patience_ms)) {
        send_batch(e);
    }
}

void forwarder_fail_all(struct engine *e)
{
    struct forwarder *f = &e->forwarder;
    struct consensus_op *op;
    if (f->active) {
        fail_batch(f, ST_STOPPING);
    }
    while ((op = op_list_take(&f->urgent)) != NULL || (op = op_list_take(&f->normal)) != NULL) {
        note_waiting(f, op, -1);
        finish(op, ST_STOPPING);
    }
}
