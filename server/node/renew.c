#include "server/node/renew.h"

#include <stdlib.h>

#include "server/base/mem.h"

/* Keeps the results. */
static void free_work(struct node_renewal *r)
{
    free(r->refs);
    free(r->ref_ids);
    free(r->by_id);
    free(r->by_id_ids);
    r->refs = NULL;
    r->by_id = NULL;
    r->ref_ids = r->by_id_ids = NULL;
}

static void finish(struct node_renewal *r, enum status status)
{
    free_work(r);
    r->done(r, status);
}

/* A refusal means that nothing was done: not true any more after the first command. */
static void refuse(struct node_renewal *r, enum status status)
{
    finish(r, r->renewed > 0 ? ST_UNKNOWN : status);
}

static void count_result(struct node_renewal *r, const struct result *result)
{
    r->renewed += result->renewed;
    r->index = result->index > r->index ? result->index : r->index;
}

static void add_by_id(struct node_renewal *r, uint32_t id)
{
    r->by_id_ids[r->by_id_count] = id;
    r->by_id[r->by_id_count++] = r->ids[id];
}

/* --- by id --- */

static void done_by_id(struct node_write *write, enum status status)
{
    struct node_renewal *r = write->data;
    struct result *result = &write->result;
    if (status == ST_OK) {
        status = result->status;
    }
    /* For a single id, NOT_FOUND means the same as `missed`. */
    if (status != ST_OK && (status != ST_NOT_FOUND || result->missed_count == 0)) {
        free(result->missed);
        r->present = result->incarnation;
        refuse(r, status);
        return;
    }
    count_result(r, result);
    r->missed = result->missed;
    r->missed_count = result->missed_count;
    for (uint32_t i = 0; i < r->missed_count; i++) {
        r->missed[i] = r->by_id_ids[r->missed[i]];
    }
    finish(r, ST_OK);
}

static enum status write_by_id(struct node_renewal *r)
{
    const struct command command = {
        .kind = COMMAND_HEARTBEAT,
        .guard = r->guard,
        .space = r->space,
        .heartbeat = {.ids = r->by_id,
                      .count = r->by_id_count,
                      .incarnation = r->incarnation,
                      .status_given = r->health_given,
                      .status = r->health,
                      .note_given = r->note_given,
                      .note = r->note_given ? r->note : (struct slice){"", 0}},
    };
    r->write = (struct node_write){.data = r, .done = done_by_id};
    return node_write(r->node, &r->write, &command);
}

/* --- by reference --- */

static void done_by_ref(struct node_write *write, enum status status)
{
    struct node_renewal *r = write->data;
    const struct result *result = &write->result;
    if (status == ST_OK) {
        status = result->status;
    }
    if (status == ST_OK) {
        count_result(r, result);
        for (uint32_t i = 0; i < result->missed_count; i++) {
            add_by_id(r, r->ref_ids[result->missed[i]]);
        }
    }
    free(result->missed);
    bool more = status == ST_OK && r->by_id_count > 0;
    if (more) {
        status = write_by_id(r);
    }
    if (status != ST_OK) {
        refuse(r, status);
    } else if (!more) {
        finish(r, ST_OK);
    }
}

static enum status write_by_ref(struct node_renewal *r)
{
    const struct command command = {.kind = COMMAND_RENEW,
                                    .guard = r->guard,
                                    .renew = {.refs = r->refs, .count = r->refs_count}};
    r->write = (struct node_write){.data = r, .done = done_by_ref};
    return node_write(r->node, &r->write, &command);
}

static void resolve(struct node_renewal *r)
{
    bool details = r->incarnation != 0 || r->health_given || r->note_given;
    const struct view *view = node_view_lock(r->node);
    for (uint32_t i = 0; i < r->count; i++) {
        char room[STORED_NAME_SIZE];
        struct slice id;
        struct lease_ref ref;
        if (!details && namespace_join(r->space, r->ids[i], NAME_BYTES_MAX, room, &id) &&
            view_find_lease(view, id.data, id.len, &ref)) {
            lease_ref_store(r->refs + (size_t)r->refs_count * LEASE_REF_BYTES, &ref);
            r->ref_ids[r->refs_count++] = i;
        } else {
            add_by_id(r, i);
        }
    }
    view_unlock(&view);
}

enum status node_renew(struct node *node, struct node_renewal *r)
{
    r->node = node;
    r->index = r->renewed = 0;
    r->missed = NULL;
    r->missed_count = r->refs_count = r->by_id_count = 0;
    r->refs = mem_alloc((size_t)r->count * LEASE_REF_BYTES);
    r->ref_ids = mem_alloc(r->count * sizeof *r->ref_ids);
    r->by_id = mem_alloc(r->count * sizeof *r->by_id);
    r->by_id_ids = mem_alloc(r->count * sizeof *r->by_id_ids);
    resolve(r);
    enum status status = r->refs_count > 0 ? write_by_ref(r) : write_by_id(r);
    if (status != ST_OK) {
        free_work(r);
    }
    return status;
}
