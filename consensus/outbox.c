/* Operations that this member took, on their way to the leader: while one bundle is on its way, the
 * others gather for the next. A bundle is sent again whenever the leader or the link changes; the
 * sessions in the replicated state see to it that it is applied once. */
#include <stdlib.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/metric.h"

/* Silence of the leader after which a bundle is sent again, besides the election timeout twice. */
#define RESEND_MS_MIN 500

/* --- lists --- */

void op_list_init(struct op_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void op_list_add(struct op_list *list, struct consensus_op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
}

struct consensus_op *op_list_take(struct op_list *list)
{
    struct consensus_op *op = list->first;
    if (op != NULL) {
        list->first = op->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return op;
}

void op_list_move(struct op_list *from, struct op_list *to_front_of)
{
    if (from->first == NULL) {
        return;
    }
    if (to_front_of->first == NULL) {
        to_front_of->end = from->end;
    }
    *from->end = to_front_of->first;
    to_front_of->first = from->first;
    op_list_init(from);
}

void op_list_expire(struct op_list *list, uint64_t now_ms, enum status status)
{
    struct op_list kept;
    struct consensus_op *op;
    op_list_init(&kept);
    while ((op = op_list_take(list)) != NULL) {
        if (now_ms >= op->deadline_ms) {
            op->done(op, status);
        } else {
            op_list_add(&kept, op);
        }
    }
    op_list_move(&kept, list);
}

/* --- taking --- */

void outbox_init(struct outbox *o, uint64_t boot)
{
    o->boot = boot;
    op_list_init(&o->urgent);
    op_list_init(&o->normal);
    buffer_init(&o->bytes, BUNDLE_BYTES_MAX);
}

void outbox_done(struct outbox *o)
{
    buffer_done(&o->bytes);
}

bool outbox_is_empty(const struct outbox *o)
{
    return o->waiting == 0 && !o->active;
}

static void finish(struct consensus_op *op, enum status status)
{
    free(op->data);
    op->data = NULL;
    metric_add(status == ST_UNKNOWN ? METRIC_writes_unknown_total : METRIC_writes_refused_total, 1);
    op->done(op, status);
}

void outbox_add(struct engine *e, struct consensus_op *op)
{
    struct outbox *o = &e->outbox;
    op_list_add(op->lane == CONSENSUS_URGENT ? &o->urgent : &o->normal, op);
    o->waiting++;
    o->waiting_bytes += op->len;
    o->added++;
}

/* Moves operations from a list into the bundle, until it holds `most` or is full. */
static void fill(struct outbox *o, struct op_list *list, uint32_t most)
{
    struct consensus_op *op;
    uint64_t oldest_ns = UINT64_MAX;
    while ((op = list->first) != NULL && o->ops_count < most &&
           o->bytes.len + 4 + op->len <= BUNDLE_BYTES_MAX) {
        (void)op_list_take(list);
        bundle_append(&o->bytes, op->data, op->len);
        free(op->data);
        op->data = NULL;
        o->ops[o->ops_count++] = op;
        o->waiting--;
        o->waiting_bytes -= op->len;
        o->bundled++;
        if (op->deadline_ms < o->first_deadline_ms) {
            o->first_deadline_ms = op->deadline_ms;
        }
        oldest_ns = op->taken_ns < oldest_ns ? op->taken_ns : oldest_ns;
    }
    if (oldest_ns != UINT64_MAX) {
        metric_observe_us(HISTOGRAM_queue_seconds, (clock_monotonic_ns() - oldest_ns) / 1000);
    }
}

/* Numbers that the replicated state has not seen: a member whose files were lost begins to count
 * its boots anew. What an earlier life had on its way may still be applied here, and may have been
 * numbered in the same way; the salt tells it from ours. */
static void renumber(struct engine *e)
{
    struct outbox *o = &e->outbox;
    o->sequence++;
    while (sessions_has(&e->sessions, e->options.id, o->boot, o->sequence)) {
        uint64_t count = BOOT_COUNT(sessions_boot(&e->sessions, e->options.id)) + 1;
        o->boot = BOOT(count, BOOT_SALT(o->boot));
    }
}

static void build(struct engine *e)
{
    struct outbox *o = &e->outbox;
    renumber(e);
    struct bundle_header header = {
        .origin = e->options.id, .boot = o->boot, .sequence = o->sequence};
    buffer_clear(&o->bytes);
    o->ops_count = 0;
    o->first_deadline_ms = UINT64_MAX;
    bundle_begin(&o->bytes, &header);
    /* Heartbeats first, but never the whole bundle while others wait. */
    fill(o, &o->urgent, o->normal.first != NULL ? BUNDLE_OPS_MAX / 4 * 3 : BUNDLE_OPS_MAX);
    fill(o, &o->normal, BUNDLE_OPS_MAX);
    fill(o, &o->urgent, BUNDLE_OPS_MAX);
    bundle_set_count(&o->bytes, o->ops_count);
    o->active = true;
    o->handed = 0;
    o->sent_to = 0;
}

/* --- the bundle on its way --- */

/* All of it is answered or given up. */
static void close_bundle(struct outbox *o)
{
    o->active = false;
    o->ops_count = 0;
}

static void fail_bundle(struct outbox *o, enum status when_surely_not)
{
    enum status status = o->handed > 0 ? ST_UNKNOWN : when_surely_not;
    uint32_t count = o->ops_count;
    close_bundle(o);
    for (uint32_t i = 0; i < count; i++) {
        if (o->ops[i] != NULL) {
            finish(o->ops[i], status);
        }
    }
}

static void hand_over(struct engine *e)
{
    struct outbox *o = &e->outbox;
    enum status status;
    if (e->known_leader == 0) {
        return;
    }
    o->sent_ms = engine_now_ms(e);
    if (e->known_leader == e->options.id) {
        status = leader_offer(e, e->options.id, o->bytes.data, o->bytes.len);
        if (status == ST_NO_SPACE) {
            fail_bundle(o, ST_NO_SPACE);
            return;
        }
    } else {
        status = e->env.send(e->env.ctx, e->known_leader, FRAME_BUNDLE, false, o->bytes.data,
                             o->bytes.len, NULL, 0, NULL, NULL);
    }
    if (status == ST_OK) {
        o->handed++;
        o->sent_to = e->known_leader;
    }
}

void outbox_pump(struct engine *e)
{
    struct outbox *o = &e->outbox;
    /* Not before all numbers of an earlier life are known: with its files lost, this one would take
     * that one's bundles for its own when it applies them. */
    if (!o->active && o->waiting > 0 && e->known_leader != 0 && e->caught_up) {
        build(e);
        hand_over(e);
    }
}

bool outbox_is_ours(const struct engine *e, uint64_t origin, uint64_t boot, uint64_t sequence)
{
    return e->outbox.active && origin == e->options.id && boot == e->outbox.boot &&
           sequence == e->outbox.sequence;
}

void outbox_applied(struct engine *e)
{
    struct outbox *o = &e->outbox;
    /* In order, to be told at the end of the entry. */
    for (uint32_t i = o->ops_count; i > 0; i--) {
        if (o->ops[i - 1] != NULL) {
            o->ops[i - 1]->next = e->completed;
            e->completed = o->ops[i - 1];
        }
    }
    close_bundle(o);
}

void outbox_overtaken(struct engine *e)
{
    e->outbox.handed = 1;
    fail_bundle(&e->outbox, ST_UNKNOWN);
}

void outbox_skipped(struct engine *e)
{
    struct outbox *o = &e->outbox;
    renumber(e);
    bundle_set_number(&o->bytes, o->boot, o->sequence);
    o->handed = 0; /* whatever went out under the old number will be skipped as well */
    o->sent_to = 0;
}

void outbox_refused(struct engine *e, uint64_t from, uint64_t boot, uint64_t sequence,
                    enum status status)
{
    struct outbox *o = &e->outbox;
    if (!o->active || boot != o->boot || sequence != o->sequence || from != o->sent_to) {
        return;
    }
    o->handed--;
    o->sent_to = 0;
    if (status == ST_NO_SPACE) {
        fail_bundle(o, ST_NO_SPACE);
    }
}

void outbox_resend(struct engine *e)
{
    e->outbox.sent_to = 0;
    if (e->outbox.active) {
        hand_over(e);
    }
}

/* Takes those given up out of a bundle that nobody has: they were told that nothing was done. */
static void bundle_again(struct engine *e)
{
    struct outbox *o = &e->outbox;
    struct buffer old = o->bytes;
    renumber(e);
    struct bundle_header header = {
        .origin = e->options.id, .boot = o->boot, .sequence = o->sequence};
    uint32_t kept = 0;
    size_t at = 0;
    buffer_init(&o->bytes, BUNDLE_BYTES_MAX);
    bundle_begin(&o->bytes, &header);
    for (uint32_t i = 0; i < o->ops_count; i++) {
        size_t len;
        const uint8_t *data = bundle_next(old.data, &at, &len);
        if (o->ops[i] != NULL) {
            bundle_append(&o->bytes, data, len);
            o->ops[kept++] = o->ops[i];
        }
    }
    o->ops_count = kept;
    bundle_set_count(&o->bytes, kept);
    buffer_done(&old);
}

static void give_up_late(struct engine *e, uint64_t now_ms)
{
    struct outbox *o = &e->outbox;
    enum status status = o->handed > 0 ? ST_UNKNOWN : ST_NO_LEADER;
    bool any = false;
    o->first_deadline_ms = UINT64_MAX;
    for (uint32_t i = 0; i < o->ops_count; i++) {
        struct consensus_op *op = o->ops[i];
        if (op == NULL) {
            continue;
        }
        if (now_ms >= op->deadline_ms) {
            o->ops[i] = NULL;
            finish(op, status);
            continue;
        }
        any = true;
        if (op->deadline_ms < o->first_deadline_ms) {
            o->first_deadline_ms = op->deadline_ms;
        }
    }
    if (!any) {
        close_bundle(o); /* it may still be applied, before the next one or never */
    } else if (status == ST_NO_LEADER) {
        bundle_again(e);
    }
}

static void drop_late(struct outbox *o, struct op_list *list, uint64_t now_ms)
{
    while (list->first != NULL && now_ms >= list->first->deadline_ms) {
        o->waiting--;
        o->waiting_bytes -= list->first->len;
        o->bundled++;
        finish(op_list_take(list), ST_NO_LEADER);
    }
}

void outbox_tick(struct engine *e)
{
    struct outbox *o = &e->outbox;
    uint64_t now_ms = engine_now_ms(e);
    uint64_t patience_ms = 2ull * e->options.election_timeout_ms;
    if (patience_ms < RESEND_MS_MIN) {
        patience_ms = RESEND_MS_MIN;
    }
    /* All wait equally long, so the first of a list is the first to be late. */
    drop_late(o, &o->urgent, now_ms);
    drop_late(o, &o->normal, now_ms);
    if (o->active && now_ms >= o->first_deadline_ms) {
        give_up_late(e, now_ms);
    }
    if (o->active && (o->sent_to == 0 || now_ms - o->sent_ms > patience_ms)) {
        hand_over(e);
    }
}

void outbox_fail_all(struct engine *e)
{
    struct outbox *o = &e->outbox;
    struct consensus_op *op;
    if (o->active) {
        fail_bundle(o, ST_STOPPING);
    }
    while ((op = op_list_take(&o->urgent)) != NULL || (op = op_list_take(&o->normal)) != NULL) {
        o->waiting--;
        o->waiting_bytes -= op->len;
        finish(op, ST_STOPPING);
    }
}
