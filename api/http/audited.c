#include "api/http/audited.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/registry/policy.h"

static char *copy(struct slice text)
{
    char *out = mem_alloc(text.len + 1);
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    out[text.len] = '\0';
    return out;
}

static void note_id(struct audited *a, struct slice id)
{
    free(a->id);
    a->id = copy(id);
}

/* An instance, and the service that it belongs to now. */
static void note_instance(struct audited *a, const struct node *node, struct slice id)
{
    char stored[STORED_NAME_SIZE];
    note_id(a, id);
    namespace_store(a->space, a->id, stored);
    const struct view *view = node_view_lock(node);
    const struct record *record = view_instance(view, stored);
    if (record != NULL && a->service == NULL) {
        a->service = copy(slice_of(namespace_bare(record_name(record))));
    }
    view_unlock(&view);
}

/* Of a policy. */
static void note_subject(struct audited *a, struct slice key)
{
    char subject[POLICY_KEY_SIZE];
    policy_subject(key, subject);
    note_id(a, slice_of(subject));
}

static void note_command(struct audited *a, const struct node *node, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_REGISTER:
        a->service = copy(c->register_.registration.name);
        note_id(a, c->register_.registration.id);
        break;
    case COMMAND_DEREGISTER:
        note_instance(a, node, c->deregister.id);
        break;
    case COMMAND_MAINTENANCE:
        note_instance(a, node, c->maintenance.id);
        break;
    case COMMAND_TOKEN_CREATE:
        note_id(a, c->token_create.spec.id);
        break;
    case COMMAND_TOKEN_REVOKE:
        note_id(a, c->token_revoke.id);
        break;
    case COMMAND_POLICY_CREATE:
        note_subject(a, c->policy_create.spec.id);
        break;
    case COMMAND_POLICY_DELETE:
        note_subject(a, c->policy_delete.id);
        break;
    case COMMAND_ENROL:
        a->service = copy(c->enrol.registration.name);
        note_id(a, c->enrol.registration.id);
        break;
    case COMMAND_CHECK_PUT:
        note_instance(a, node, c->check_put.id);
        break;
    case COMMAND_QUOTA_SET:
    case COMMAND_QUOTA_DELETE: /* the route's variable */
    case COMMAND_HEARTBEAT:    /* comes as a renewal */
    case COMMAND_RENEW:
    case COMMAND_EXPIRE:
    case COMMAND_KEEP_EVENTS:
    case COMMAND_STATE_BYTES:
    case COMMAND_SINK_CONFIRM:
    case COMMAND_PROBERS:
    case COMMAND_CHECK_RESULT:
        break;
    }
}

void audited_note_renewal(struct audited *a, const struct node *node,
                          const struct node_renewal *renewal)
{
    if (renewal->count == 1) {
        note_instance(a, node, renewal->ids[0]);
    }
}

static void note_change(struct audited *a, const struct node *node,
                        const struct audited_change *change)
{
    char digits[24];
    if (change->next == NEXT_WRITE) {
        note_command(a, node, change->command);
    } else if (change->next == NEXT_RENEW) {
        audited_note_renewal(a, node, change->renewal);
    } else if (change->next == NEXT_CHANGE && change->members->member != 0) {
        (void)snprintf(digits, sizeof digits, "%" PRIu64, change->members->member);
        note_id(a, slice_of(digits));
    }
}

static bool is_same(const char *known, const struct slice *given)
{
    return strlen(known) == given->len && memcmp(known, given->data, given->len) == 0;
}

/* Whether a heartbeat gives a health or note that this replica does not know already. */
static bool declares(const struct node *node, const char *space, const struct node_renewal *renewal)
{
    char stored[STORED_NAME_SIZE];
    if (renewal->count != 1 || !(renewal->health_given || renewal->note_given)) {
        return false;
    }
    char *id = copy(renewal->ids[0]);
    namespace_store(space, id, stored);
    const struct view *view = node_view_lock(node);
    const struct record *record = view_instance(view, stored);
    bool is_new = record == NULL ||
                  (renewal->health_given && record->declared != renewal->health) ||
                  (renewal->note_given && !is_same(record_note(record), &renewal->note));
    view_unlock(&view);
    free(id);
    return is_new;
}

bool audited_begin(struct audited *a, struct audit *audit, const struct node *node,
                   const struct audited_change *change)
{
    if (audit == NULL || a->next != NEXT_RESPOND) {
        return true;
    }
    a->is_quiet = change->next == NEXT_RENEW && !declares(node, change->space, change->renewal);
    a->space = change->space;
    if (!a->is_quiet && !audit_accepts(audit)) {
        return false;
    }
    a->next = change->next;
    if (!a->is_quiet) {
        note_change(a, node, change);
    }
    return true;
}

void audited_done(struct audited *a)
{
    free(a->service);
    free(a->id);
}
