#include "api/grpc/check_message.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/check_ids.h"
#include "api/grpc/instance.h"
#include "server/base/mem.h"
#include "server/registry/check_id.h"

/* --- in --- */

static bool refuse(struct problem *problem, const char *field, const char *message)
{
    problem_set(problem, field, "%s", message);
    return false;
}

/* Unchanged where it is empty. */
static bool take_text(struct arena *arena, const ProtobufCBinaryData *data, const char *field,
                      const char **ret_text, struct problem *problem)
{
    const char *text = data->len > 0 ? arena_text(arena, data) : *ret_text;
    if (text == NULL) {
        return refuse(problem, field, "must not have a NUL");
    }
    *ret_text = text;
    return true;
}

static bool take_number(uint64_t said, uint32_t most, const char *field, uint32_t *ret_value,
                        struct problem *problem)
{
    if (said > most) {
        problem_set(problem, field, "must be at most %u", (unsigned)most);
        return false;
    }
    *ret_value = (uint32_t)said;
    return true;
}

static bool take_kind(const Muster__V1__Check *m, struct arena *arena, struct check_definition *d,
                      struct problem *problem)
{
    const ProtobufCBinaryData *const targets[] = {&m->http, &m->tcp, &m->grpc};
    const char *target = NULL;
    for (unsigned i = CHECK_HTTP; i <= CHECK_GRPC; i++) {
        const char *field = check_kind_name((enum check_kind)i);
        if (targets[i]->len == 0) {
            continue;
        }
        if (target != NULL) {
            return refuse(problem, field, "must not be given beside another target");
        }
        target = "";
        if (!take_text(arena, targets[i], field, &target, problem)) {
            return false;
        }
        check_definition_init(d, (enum check_kind)i, target);
    }
    return target != NULL ||
           refuse(problem, "", "a check must have one of http, tcp, grpc and ttl_ms");
}

static bool take_numbers(const Muster__V1__Check *m, struct check_definition *d,
                         struct problem *problem)
{
    uint32_t rise = 0, warn = 0, fall = 0;
    if (!take_number(m->interval_ms, CHECK_INTERVAL_MS_MAX, "interval_ms", &d->interval_ms,
                     problem) ||
        !take_number(m->timeout_ms, CHECK_TIMEOUT_MS_MAX, "timeout_ms", &d->timeout_ms, problem) ||
        !take_number(m->rise, CHECK_RESULTS_MAX, "rise", &rise, problem) ||
        !take_number(m->warn, CHECK_RESULTS_MAX, "warn", &warn, problem) ||
        !take_number(m->fall, CHECK_RESULTS_MAX, "fall", &fall, problem)) {
        return false;
    }
    d->rise = (uint16_t)(rise > 0 ? rise : 1);
    d->fall = (uint16_t)(fall > 0 ? fall : 1);
    d->warn = (uint16_t)warn;
    return true;
}

static bool take_request(const Muster__V1__Check *m, struct arena *arena,
                         struct check_definition *d, struct problem *problem)
{
    if (m->n_headers > CHECK_HEADERS_MAX) {
        problem_set(problem, "headers", "must be at most %d", CHECK_HEADERS_MAX);
        return false;
    }
    for (size_t i = 0; i < m->n_headers; i++) {
        struct check_header *h = &d->headers[i];
        h->name = h->value = "";
        if (!take_text(arena, &m->headers[i]->name, "headers", &h->name, problem) ||
            !take_text(arena, &m->headers[i]->value, "headers", &h->value, problem)) {
            return false;
        }
    }
    d->headers_count = (uint8_t)m->n_headers;
    d->disable_redirects = m->disable_redirects;
    d->skip_verify = m->skip_verify;
    if (d->kind == CHECK_GRPC) {
        d->tls = m->tls;
    }
    return take_text(arena, &m->method, "method", &d->method, problem) &&
           take_text(arena, &m->body, "body", &d->body, problem) &&
           take_text(arena, &m->server_name, "server_name", &d->server_name, problem);
}

/* What other kinds have. */
static bool check_fit(const Muster__V1__Check *m, enum check_kind kind, struct problem *problem)
{
    if (kind != CHECK_HTTP &&
        (m->method.len > 0 || m->n_headers > 0 || m->body.len > 0 || m->disable_redirects)) {
        return refuse(problem, "",
                      "method, headers, body and disable_redirects go with http alone");
    }
    if ((kind != CHECK_GRPC && m->tls) ||
        (kind == CHECK_TCP && (m->skip_verify || m->server_name.len > 0))) {
        return refuse(problem, "tls", "goes with grpc; skip_verify and server_name with http, too");
    }
    return m->ttl_ms == 0 || refuse(problem, "ttl_ms", "must not be given beside a target");
}

/* Of the common words, in those of the message. */
static void rename_field(struct problem *problem)
{
    static const struct {
        const char *common, *here;
    } names[] = {
        {"interval", "interval_ms"}, {"timeout", "timeout_ms"}, {"tls.server_name", "server_name"}};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(problem->field, names[i].common) == 0) {
            memcpy(problem->field, names[i].here, strlen(names[i].here) + 1);
            return;
        }
    }
}

static bool take_run(const Muster__V1__Check *m, struct arena *arena, struct check_said *said,
                     struct problem *problem)
{
    struct check_definition *d = &said->kept.definition;
    if (!take_kind(m, arena, d, problem) || !check_fit(m, d->kind, problem) ||
        !take_numbers(m, d, problem) || !take_request(m, arena, d, problem)) {
        return false;
    }
    if (!check_definition_settle(d, problem)) {
        rename_field(problem);
        return false;
    }
    said->kept.is_active = true;
    said->kept.type = check_kind_name(d->kind);
    return true;
}

/* It is heard from. */
static bool take_ttl(const Muster__V1__Check *m, struct check_said *said, struct problem *problem)
{
    if (m->ttl_ms < TTL_MS_MIN || m->ttl_ms > TTL_MS_MAX) {
        return refuse(problem, "ttl_ms", "must be from a second to a day");
    }
    if (m->interval_ms != 0 || m->timeout_ms != 0 || m->rise != 0 || m->warn != 0 || m->fall != 0 ||
        m->method.len > 0 || m->n_headers > 0 || m->body.len > 0 || m->disable_redirects ||
        m->tls || m->skip_verify || m->server_name.len > 0) {
        return refuse(problem, "ttl_ms", "does not go with how a check is run");
    }
    said->ttl_ms = (uint32_t)m->ttl_ms;
    said->kept.type = "ttl";
    return true;
}

static bool parse_one(const Muster__V1__Check *m, struct arena *arena, struct check_list *list,
                      struct problem *problem)
{
    struct check_said said = {.id = "", .status = HEALTH_CRITICAL};
    said.kept.name = said.kept.notes = "";
    if (m->status != MUSTER__V1__HEALTH__HEALTH_UNSPECIFIED &&
        (!instance_health(m->status, &said.status) || said.status == HEALTH_MAINTENANCE)) {
        return refuse(problem, "status", "must be passing, warning or critical");
    }
    bool has_target = m->http.len > 0 || m->tcp.len > 0 || m->grpc.len > 0;
    return take_text(arena, &m->id, "id", &said.id, problem) &&
           take_text(arena, &m->name, "name", &said.kept.name, problem) &&
           take_text(arena, &m->notes, "notes", &said.kept.notes, problem) &&
           take_number(m->deregister_after_ms, REAP_AFTER_MS_MAX, "deregister_after_ms",
                       &said.deregister_after_ms, problem) &&
           (m->ttl_ms != 0 && !has_target ? take_ttl(m, &said, problem)
                                          : take_run(m, arena, &said, problem)) &&
           check_list_add(list, &said, problem);
}

bool check_message_parse(const Muster__V1__Checks *message, struct arena *arena,
                         struct check_list *list, struct problem *problem)
{
    list->given = message != NULL;
    for (size_t i = 0; message != NULL && i < message->n_checks; i++) {
        if (!parse_one(message->checks[i], arena, list, problem)) {
            check_list_name(problem, (uint32_t)i);
            return false;
        }
    }
    return true;
}

/* --- out --- */

struct check_out {
    Muster__V1__Check message;
    struct check_kept kept;
    Muster__V1__Header headers[CHECK_HEADERS_MAX];
    Muster__V1__Header *pointers[CHECK_HEADERS_MAX];
};

static void make_definition(struct check_out *out, const struct check_definition *d)
{
    Muster__V1__Check *m = &out->message;
    ProtobufCBinaryData *const targets[] = {&m->http, &m->tcp, &m->grpc};
    *targets[d->kind] = frame_text(d->target);
    m->interval_ms = d->interval_ms;
    m->timeout_ms = d->timeout_ms;
    m->rise = d->rise;
    m->warn = d->warn;
    m->fall = d->fall;
    m->skip_verify = d->skip_verify;
    m->server_name = frame_text(d->server_name);
    m->tls = d->kind == CHECK_GRPC && d->tls;
    if (d->kind != CHECK_HTTP) {
        return;
    }
    m->method = frame_text(d->method);
    m->body = frame_text(d->body);
    m->disable_redirects = d->disable_redirects;
    for (unsigned i = 0; i < d->headers_count; i++) {
        muster__v1__header__init(&out->headers[i]);
        out->headers[i].name = frame_text(d->headers[i].name);
        out->headers[i].value = frame_text(d->headers[i].value);
        out->pointers[i] = &out->headers[i];
    }
    m->n_headers = d->headers_count;
    m->headers = out->pointers;
}

static Muster__V1__Check *make_check(const struct record *check)
{
    struct check_out *out = mem_zalloc(1, sizeof *out);
    Muster__V1__Check *m = &out->message;
    muster__v1__check__init(m);
    check_kept_read(record_extra(check), &out->kept);
    m->id = frame_text(check_ids_of_key(check_key(check)));
    m->name = frame_text(out->kept.name);
    m->notes = frame_text(out->kept.notes);
    m->type = frame_text(out->kept.type);
    m->status = (Muster__V1__Health)((int)check->declared + 1);
    m->output = frame_text(record_note(check));
    m->changed_unix_ms = check->registered_ms;
    m->index = check->index;
    m->ttl_ms = check->ttl_ms;
    m->deregister_after_ms = check->reap_after_ms;
    if (out->kept.is_active) {
        make_definition(out, &out->kept.definition);
    }
    return m;
}

void checks_make(Muster__V1__Checks *message, const struct view *view,
                 const struct record *instance)
{
    struct ptree_iterator it;
    const struct record *check;
    size_t room = 0;
    muster__v1__checks__init(message);
    view_iterate_checks(&it, view, record_id(instance));
    while (check_is_of(check = ptree_next(&it), record_id(instance))) {
        if (message->n_checks == room) {
            room = room > 0 ? 2 * room : 4;
            message->checks = mem_realloc(message->checks, room * sizeof *message->checks);
        }
        message->checks[message->n_checks++] = make_check(check);
    }
}

void checks_done(Muster__V1__Checks *message)
{
    for (size_t i = 0; i < message->n_checks; i++) {
        struct check_out *out = CONTAINER_OF(message->checks[i], struct check_out, message);
        check_kept_done(&out->kept);
        free(out);
    }
    free(message->checks);
}
