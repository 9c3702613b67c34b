#include "api/zmq/pending.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/audit.h"
#include "api/zmq/reply.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/metric.h"
#include "server/node/renew.h"

struct pending {
    struct lane_item finished;
    struct cds_list_head place; /* among those that wait; alone once it is answered */
    struct asker asker;
    struct cgse_request request; /* without its JSON: the action */
    struct principal principal;
    uint64_t due_ms; /* monotonic */
    enum status status;
    char id[NAME_BYTES_MAX + 1], service[NAME_BYTES_MAX + 1]; /* service "": not known */
    char type[NAME_BYTES_MAX + 1];                            /* of a registration */
    struct slice id_slice;
    union {
        struct node_write write;
        struct node_renewal renewal;
    };
};

static void copy_text(char *out, size_t size, const char *text, size_t len)
{
    CHECK(len < size);
    if (len > 0) {
        memcpy(out, text, len);
    }
    out[len] = '\0';
}

/* --- audit --- */

static void write_line(const struct pending *p, uint64_t index)
{
    struct audit *audit = p->asker.worker->options.audit;
    struct audit_line line = {.door = "zmq",
                              .action = p->request.name,
                              .address = p->asker.client->address,
                              .principal = &p->principal,
                              .space = "",
                              .service = p->service,
                              .id = p->id,
                              .outcome = status_code(p->status),
                              .index = index};
    if (audit != NULL && p->request.action != CGSE_RENEW) {
        audit_write(audit, &line);
    }
}

void pending_audit_refusal(const struct ask *ask, enum status status, uint64_t held_back)
{
    struct audit *audit = ask->asker.worker->options.audit;
    struct audit_line line = {.door = "zmq",
                              .action = ask->request.name != NULL ? ask->request.name : "",
                              .address = ask->asker.client->address,
                              .principal = status != ST_RATE_LIMITED ? &ask->principal : NULL,
                              .space = "",
                              .service = "",
                              .id = ask->request.service_id != NULL ? ask->request.service_id : "",
                              .outcome = status_code(status),
                              .held_back = held_back,
                              .is_refusal = true};
    if (audit != NULL) {
        audit_write(audit, &line);
    }
}

/* --- the answer --- */

static const char *done_message(enum cgse_action action)
{
    switch (action) {
    case CGSE_REGISTER:
        return "Service registered successfully";
    case CGSE_DEREGISTER:
        return "Service deregistered successfully";
    default:
        return "Service renewed successfully";
    }
}

/* NULL: there is none. */
static const struct record *find_of_type(const struct view *view, const struct viewer *viewer,
                                         const char *type)
{
    struct ptree_iterator services, instances;
    const struct service_view *service;
    const struct record *record;
    view_iterate_services(&services, view, view_rank_of_namespace(view, &view->services, ""));
    while ((service = ptree_next(&services)) != NULL && namespace_has("", service->name)) {
        if (!view_service_has(view, service, type)) {
            continue;
        }
        ptree_iterate(&instances, &service->instances, 0);
        while ((record = ptree_next(&instances)) != NULL) {
            if (!record->expired && strcmp(record_type(record), type) == 0 &&
                viewer_may(viewer, record_name(record))) {
                return record;
            }
        }
    }
    return NULL;
}

/* In the words of that registry. Who has the type is read now, and may be gone again. */
static void answer_duplicate(struct pending *p)
{
    struct reply reply;
    struct node *node = p->asker.worker->node;
    const struct view *view = node_view_lock(node);
    const struct viewer viewer = principal_viewer(&p->principal, view, PERMISSION_READ);
    const struct record *other = find_of_type(view, &viewer, p->type);
    reply_begin(&reply, false);
    json_out_member_text(&reply.json, "error", "duplicate_service_type");
    json_out_member_text(&reply.json, "message",
                         "another service of this type is registered; nothing was done");
    json_out_member_text(&reply.json, "service_type", p->type);
    json_out_key(&reply.json, "existing_service_id");
    if (other != NULL) {
        json_out_text(&reply.json, record_id(other));
    } else {
        json_out_null(&reply.json);
    }
    view_unlock(&view);
    metric_add(METRIC_zmq_errors_total, 1);
    reply_send(&reply, &p->asker);
}

static void answer(struct pending *p)
{
    struct reply reply;
    if (p->status == ST_DUPLICATE_TYPE) {
        answer_duplicate(p);
        return;
    }
    if (p->status == ST_NOT_FOUND) {
        reply_error(&p->asker, p->request.action == CGSE_RENEW
                                   ? "Service not found or could not be renewed"
                                   : "Service not found or could not be deregistered");
        return;
    }
    if (p->status != ST_OK) {
        reply_error(&p->asker, reply_why(p->status));
        return;
    }
    reply_begin(&reply, true);
    if (p->request.action == CGSE_REGISTER) {
        json_out_member_text(&reply.json, "service_id", p->id);
    }
    json_out_member_text(&reply.json, "message", done_message(p->request.action));
    reply_send(&reply, &p->asker);
}

/* The reply, if there was none, and the end. The node no longer has it. */
static void end(struct pending *p, uint64_t index)
{
    if (!cds_list_empty(&p->place)) {
        cds_list_del(&p->place);
        answer(p);
    }
    write_line(p, index);
    p->asker.worker->writes--;
    zmq_client_release(p->asker.client);
    free(p);
}

/* --- to the node and back --- */

/* On the node's loop. */
static void write_done(struct node_write *write, enum status status)
{
    struct pending *p = write->data;
    p->status = status;
    lane_give(&p->asker.worker->lane, &p->finished, LANE_WRITE);
}

static void renewal_done(struct node_renewal *renewal, enum status status)
{
    struct pending *p = renewal->data;
    p->status = status;
    lane_give(&p->asker.worker->lane, &p->finished, LANE_WRITE);
}

void pending_finish(struct lane_item *item)
{
    struct pending *p = CONTAINER_OF(item, struct pending, finished);
    uint64_t index;
    if (p->request.action == CGSE_RENEW) {
        index = p->renewal.index;
        if (p->status == ST_OK && p->renewal.missed_count > 0) {
            p->status = ST_NOT_FOUND;
        }
        free(p->renewal.missed);
    } else {
        index = p->status == ST_OK ? p->write.result.index : 0;
        if (p->status == ST_OK) {
            p->status = p->write.result.status;
            free(p->write.result.missed);
        }
    }
    end(p, index);
}

/* NULL: refused, and answered. */
static struct pending *begin(const struct ask *ask)
{
    struct zmq_worker *worker = ask->asker.worker;
    struct asker to = ask->asker;
    bool is_quiet = ask->request.action == CGSE_RENEW;
    struct audit *audit = worker->options.audit;
    if (worker->writes >= ZMQ_WRITES_MAX) {
        reply_error(&to, reply_why(ST_BUSY));
        return NULL;
    }
    if (!is_quiet && audit != NULL && !audit_accepts(audit)) {
        reply_error(&to, reply_why(ST_UNAUDITED));
        return NULL;
    }
    struct pending *p = mem_zalloc(1, sizeof *p);
    lane_item_init(&p->finished);
    p->asker = ask->asker;
    (void)zmq_client_hold(p->asker.client);
    p->request.action = ask->request.action;
    p->request.name = ask->request.name;
    p->principal = ask->principal;
    p->due_ms = clock_monotonic_ms() + ZMQ_ANSWER_MS;
    cds_list_add_tail(&p->place, &worker->waiting);
    worker->writes++;
    return p;
}

static void refuse_at_once(struct pending *p, enum status status)
{
    if (status != ST_OK) {
        p->status = status;
        end(p, 0);
    }
}

/* For the audit log: the service that it belongs to now. */
static void note_service(struct pending *p, const struct view *view)
{
    char key[STORED_NAME_SIZE];
    namespace_store("", p->id, key);
    const struct record *record = view_instance(view, key);
    if (record != NULL) {
        copy_text(p->service, sizeof p->service, record_name(record), strlen(record_name(record)));
    }
}

void pending_write(const struct ask *ask, const struct command *command)
{
    struct pending *p = begin(ask);
    if (p == NULL) {
        return;
    }
    struct zmq_worker *worker = ask->asker.worker;
    struct command guarded = *command;
    const struct registration *r = &command->register_.registration;
    const struct view *view = node_view_lock(worker->node);
    if (command->kind == COMMAND_REGISTER) {
        copy_text(p->id, sizeof p->id, r->id.data, r->id.len);
        copy_text(p->service, sizeof p->service, r->name.data, r->name.len);
        copy_text(p->type, sizeof p->type, r->type.data, r->type.len);
    } else {
        copy_text(p->id, sizeof p->id, command->deregister.id.data, command->deregister.id.len);
        note_service(p, view);
    }
    guarded.guard = principal_guard(&p->principal, view, PERMISSION_WRITE);
    view_unlock(&view);
    p->write = (struct node_write){.data = p, .done = write_done};
    refuse_at_once(p, node_write(worker->node, &p->write, &guarded));
}

void pending_renew(const struct ask *ask)
{
    struct pending *p = begin(ask);
    if (p == NULL) {
        return;
    }
    struct node *node = ask->asker.worker->node;
    const char *id = ask->request.service_id;
    copy_text(p->id, sizeof p->id, id, strlen(id));
    p->id_slice = slice_of(p->id);
    p->renewal =
        (struct node_renewal){.data = p, .done = renewal_done, .ids = &p->id_slice, .count = 1};
    const struct view *view = node_view_lock(node);
    p->renewal.guard = principal_guard(&p->principal, view, PERMISSION_WRITE);
    view_unlock(&view);
    refuse_at_once(p, node_renew(node, &p->renewal));
}

long pending_answer_late(struct zmq_worker *worker)
{
    struct pending *p, *next;
    uint64_t now_ms = clock_monotonic_ms();
    cds_list_for_each_entry_safe(p, next, &worker->waiting, place)
    {
        if (p->due_ms > now_ms) {
            return (long)(p->due_ms - now_ms);
        }
        cds_list_del_init(&p->place);
        metric_add(METRIC_zmq_late_total, 1);
        reply_error(&p->asker, "no answer from the cluster in time; it may or may not happen");
    }
    return -1;
}
