#include "consensus/change.h"

#include <string.h>

#include "consensus/engine.h"
#include "server/base/buffer.h"
#include "server/base/text.h"

/* Interval between requests to the leader. */
#define ASK_MS       200
#define FRAME_BYTES  18
#define RESULT_BYTES 20

void change_init(struct changes *c)
{
    op_list_init(&c->waiting);
}

void change_add(struct engine *e, struct consensus_op *op)
{
    struct changes *c = &e->changes;
    if (c->waiting.first == NULL) {
        c->leader_before = e->known_leader;
    }
    op_list_add(&c->waiting, op);
}

static void finish(struct engine *e, enum status status)
{
    struct changes *c = &e->changes;
    struct consensus_op *op = op_list_take(&c->waiting);
    c->serial++;
    c->asked_ms = c->so_at = 0;
    c->leader_before = e->known_leader;
    op->done(op, status);
}

static void ask(struct engine *e, const struct consensus_change *change)
{
    struct changes *c = &e->changes;
    uint8_t bytes[FRAME_BYTES + sizeof change->address];
    size_t address_len = strlen(change->address);
    c->asked_ms = engine_now_ms(e);
    if (e->is_leader) {
        enum status status = membership_change(e, change, &c->so_at);
        if (status != ST_OK) {
            finish(e, status);
        }
        return;
    }
    store_u64(bytes, c->serial);
    bytes[8] = (uint8_t)change->kind;
    bytes[9] = change->force ? 1 : 0;
    store_u64(bytes + 10, change->member);
    memcpy(bytes + FRAME_BYTES, change->address, address_len);
    engine_send(e, e->known_leader, FRAME_CHANGE, bytes, FRAME_BYTES + address_len);
}

/* False if malformed. */
static bool decode(const uint8_t *data, size_t len, struct consensus_change *ret_change)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    struct consensus_change change = {0};
    if (len < FRAME_BYTES || len - FRAME_BYTES >= sizeof change.address ||
        data[8] < CONSENSUS_REMOVE || data[8] > CONSENSUS_ADD) {
        return false;
    }
    change.kind = (enum consensus_change_kind)data[8];
    change.force = data[9] != 0;
    change.member = load_u64(data + 10);
    memcpy(change.address, data + FRAME_BYTES, len - FRAME_BYTES);
    *ret_change = change;
    return change.member <= INT64_MAX &&
           (change.kind == CONSENSUS_ADD
                ? text_is_printable(change.address, len - FRAME_BYTES) &&
                      text_parse_address(change.address, host, sizeof host, &port) &&
                      !text_is_any_host(host)
                : len == FRAME_BYTES);
}

void change_receive(struct engine *e, const struct member *from, const uint8_t *data, size_t len)
{
    uint8_t result[RESULT_BYTES];
    struct consensus_change change;
    if (!decode(data, len, &change) || !e->is_leader) {
        return; /* it will ask again */
    }
    uint64_t so_at = 0;
    enum status status = membership_change(e, &change, &so_at);
    if (status != ST_OK || so_at != 0) {
        memcpy(result, data, 8);
        store_u32(result + 8, status);
        store_u64(result + 12, so_at);
        engine_send(e, from->info.id, FRAME_CHANGE_RESULT, result, sizeof result);
    }
}

void change_receive_result(struct engine *e, const uint8_t *data, size_t len)
{
    struct changes *c = &e->changes;
    if (len != RESULT_BYTES || c->waiting.first == NULL || c->asked_ms == 0 ||
        load_u64(data) != c->serial) {
        return;
    }
    uint32_t status = load_u32(data + 8);
    if (status == ST_OK) {
        c->so_at = load_u64(data + 12);
    } else if (status == ST_NOT_FOUND || status == ST_CONFLICT) {
        finish(e, (enum status)status);
    }
}

/* Reported by the leader, and known here. */
static bool is_so(const struct engine *e, const struct consensus_change *change)
{
    const struct changes *c = &e->changes;
    if (change->kind == CONSENSUS_TRANSFER && change->member == 0) {
        return c->asked_ms != 0 && e->known_leader != 0 && e->known_leader != c->leader_before;
    }
    return c->so_at != 0 && e->driver.raft.configuration_committed_index >= c->so_at;
}

void change_tick(struct engine *e)
{
    struct changes *c = &e->changes;
    uint64_t now_ms = engine_now_ms(e);
    if (c->waiting.first == NULL) {
        return;
    }
    const struct consensus_op *op = c->waiting.first;
    if (is_so(e, &op->change)) {
        finish(e, ST_OK);
    } else if (now_ms >= op->deadline_ms) {
        finish(e, c->asked_ms != 0 ? ST_UNKNOWN : ST_NO_LEADER);
    } else if (e->known_leader != 0 && (c->asked_ms == 0 || now_ms - c->asked_ms >= ASK_MS)) {
        ask(e, &op->change);
    }
}

void change_fail_all(struct engine *e)
{
    while (e->changes.waiting.first != NULL) {
        finish(e, e->changes.asked_ms != 0 ? ST_UNKNOWN : ST_STOPPING);
    }
}
