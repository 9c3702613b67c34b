#include "api/http/audited_line.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/client_address.h"
#include "api/http/exchange.h"
#include "api/http/status_http.h"
#include "server/base/mem.h"

#define TOO_FAST 429

static bool is_refusal(int status)
{
    return status == 401 || status == 403 || status == 421 || status == TOO_FAST;
}

static bool is_in_log(const struct audited *a, int status)
{
    return a->route != NULL && (is_refusal(status) || (route_changes(a->route) && !a->is_quiet));
}

/* Of the query only what the route knows. `names` is cut into pieces. */
static void add_parameters(struct audit_line *line, const struct exchange *x, char *names)
{
    char *rest = NULL;
    for (const char *name = strtok_r(names, " ", &rest);
         name != NULL && line->parameters_count < AUDIT_PARAMETERS_MAX;
         name = strtok_r(NULL, " ", &rest)) {
        const char *value = request_query(&x->request, name);
        if (value != NULL) {
            line->parameters[line->parameters_count++] =
                (struct audit_parameter){.name = name, .value = value};
        }
    }
}

/* Of the log entry. Late: the node still writes where it would stand. */
static uint64_t index_of(const struct exchange *x)
{
    switch (x->late ? NEXT_RESPOND : x->audited.next) {
    case NEXT_WRITE:
        return x->write.result.index;
    case NEXT_RENEW:
        return x->renewal.index;
    case NEXT_BACKUP:
        return x->response.index;
    default:
        return 0;
    }
}

static void write_line(struct exchange *x, struct audit_line *line)
{
    const struct audited *a = &x->audited;
    const char *variable = x->request.params[0] != NULL ? x->request.params[0] : "";
    bool names_service = strstr(a->route->pattern, "{name}") != NULL;
    char *names = mem_strdup(a->route->params);
    char address[INET6_ADDRSTRLEN];
    client_address_text(x->request.peer, address);
    line->door = "http";
    line->action = a->route->name;
    line->address = address;
    /* Whoever came too fast may have been refused before he said who he is. */
    line->principal = x->permit.needed != 0 ? &x->permit.principal : NULL;
    line->space = permission_has_namespace(x->permit.needed) ? permit_space(&x->permit) : "";
    line->service = a->service != NULL ? a->service : names_service ? variable : "";
    line->id = a->id != NULL ? a->id : names_service ? "" : variable;
    line->index = index_of(x);
    line->is_refusal = is_refusal(line->status);
    add_parameters(line, x, names);
    audit_write(x->context->audit, line);
    free(names);
}

void audited_end(struct exchange *x)
{
    struct audited *a = &x->audited;
    const struct response *response = &x->response;
    struct audit_line line = {.status = response->status,
                              .outcome = response->code != NULL ? response->code : "ok"};
    if (x->context->audit == NULL || a->is_done) {
        return;
    }
    a->is_done = true;
    if (!is_in_log(a, response->status) ||
        (response->status == TOO_FAST &&
         !log_gate_open(&x->scratch->audit_gate, &line.held_back))) {
        return;
    }
    if (a->is_quiet && !x->late) {
        audited_note_renewal(a, x->context->node, &x->renewal);
    }
    write_line(x, &line);
}

void audited_abandon(struct exchange *x)
{
    struct audited *a = &x->audited;
    if (x->context->audit == NULL || a->is_done || a->next == NEXT_RESPOND) {
        return;
    }
    a->is_done = true;
    enum status status = a->next == NEXT_WRITE ? exchange_outcome(x, x->outcome) : x->outcome;
    struct audit_line line = {
        .status = status_http(status), .outcome = status_code(status), .client_gone = true};
    if (is_in_log(a, line.status)) {
        write_line(x, &line);
    }
}
