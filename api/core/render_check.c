#include "api/core/render_check.h"

#include "api/core/check_ids.h"
#include "api/core/check_kept.h"
#include "server/registry/check_id.h"

void render_check_headers(struct json_out *json, const struct check_definition *d)
{
    json_out_begin(json, '{');
    for (unsigned i = 0; i < d->headers_count; i++) {
        if (i == 0 || strcmp(d->headers[i].name, d->headers[i - 1].name) != 0) {
            json_out_key_text(json, d->headers[i].name);
            json_out_begin(json, '[');
        }
        json_out_text(json, d->headers[i].value);
        if (i + 1 == d->headers_count || strcmp(d->headers[i].name, d->headers[i + 1].name) != 0) {
            json_out_end(json, ']');
        }
    }
    json_out_end(json, '}');
}

static void render_tls(struct json_out *json, const struct check_definition *d)
{
    json_out_key(json, "tls");
    json_out_begin(json, '{');
    if (d->kind == CHECK_GRPC) {
        json_out_member_bool(json, "enabled", d->tls);
    }
    json_out_member_bool(json, "skip_verify", d->skip_verify);
    json_out_member_text(json, "server_name", d->server_name);
    json_out_end(json, '}');
}

/* The members of a registration, so that they can be sent back as they are. */
static void render_definition(struct json_out *json, const struct check_definition *d)
{
    json_out_member_text(json, check_kind_name(d->kind), d->target);
    json_out_member_seconds(json, "interval", d->interval_ms);
    json_out_member_seconds(json, "timeout", d->timeout_ms);
    json_out_member_u64(json, "rise", d->rise);
    json_out_member_u64(json, "warn", d->warn);
    json_out_member_u64(json, "fall", d->fall);
    if (d->kind == CHECK_HTTP) {
        json_out_member_text(json, "method", d->method);
        json_out_key(json, "headers");
        render_check_headers(json, d);
        json_out_member_text(json, "body", d->body);
        json_out_member_bool(json, "disable_redirects", d->disable_redirects);
    }
    if (d->kind != CHECK_TCP) {
        render_tls(json, d);
    }
}

static void render_check(struct json_out *json, const struct record *check)
{
    struct check_kept kept;
    check_kept_read(record_extra(check), &kept);
    json_out_begin(json, '{');
    json_out_member_text(json, "id", check_ids_of_key(check_key(check)));
    json_out_member_text(json, "name", kept.name);
    json_out_member_text(json, "type", kept.type);
    json_out_member_text(json, "status", health_name((enum health)check->declared));
    json_out_member_text(json, "output", record_note(check));
    json_out_key(json, "changed_at");
    json_out_time(json, check->registered_ms);
    json_out_member_u64(json, "index", check->index);
    json_out_member_text(json, "notes", kept.notes);
    json_out_member_seconds(json, "deregister_after", check->reap_after_ms);
    if (kept.is_active) {
        render_definition(json, &kept.definition);
    } else if (check->ttl_ms > 0) {
        json_out_member_seconds(json, "ttl", check->ttl_ms);
    }
    json_out_end(json, '}');
    check_kept_done(&kept);
}

void render_checks(struct json_out *json, const struct view *view, const struct record *instance)
{
    struct ptree_iterator it;
    const struct record *check;
    json_out_key(json, "checks");
    json_out_begin(json, '[');
    view_iterate_checks(&it, view, record_id(instance));
    while (!json->out->overflowed && check_is_of(check = ptree_next(&it), record_id(instance))) {
        render_check(json, check);
    }
    json_out_end(json, ']');
}
