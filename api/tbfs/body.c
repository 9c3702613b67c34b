#include "api/tbfs/body.h"

#include <string.h>

#include "api/core/json_in.h"
#include "server/base/text.h"
#include "server/registry/check.h"

#define PORT_DEFAULT 8000

bool tbfs_body_may_be(const struct buffer *text)
{
    static const char key[] = "\"server_id\"";
    return text->len > sizeof key - 1 && memmem(text->data, text->len, key, sizeof key - 1) != NULL;
}

/* The object, and its server_id as an id of an instance. */
static enum tbfs_body parse_id(const struct buffer *text, json_t **ret_root, struct slice *ret_id,
                               struct problem *problem)
{
    json_t *root = json_in_object(text->data, text->len, NULL, problem);
    *ret_root = root;
    if (root == NULL) {
        return TBFS_BODY_BAD;
    }
    if (json_object_get(root, "server_id") == NULL) {
        return TBFS_BODY_OTHER;
    }
    if (!json_in_string(root, "server_id", ret_id, NULL, problem) ||
        !registration_check_name("server_id", *ret_id, problem)) {
        return TBFS_BODY_BAD;
    }
    return TBFS_BODY_GOOD;
}

/* A whole number; also as a text or with a fraction of zero, as pydantic takes it. */
static bool parse_port(const json_t *value, uint16_t *ret_port, struct problem *problem)
{
    uint64_t port = 0;
    if (!json_in_is_given(value)) {
        port = PORT_DEFAULT;
    } else if (json_is_integer(value) && json_integer_value(value) > 0) {
        port = (uint64_t)json_integer_value(value);
    } else if (json_is_real(value) && json_real_value(value) >= 1 &&
               json_real_value(value) <= UINT16_MAX) {
        port = (uint64_t)json_real_value(value);
        port = (double)port == json_real_value(value) ? port : 0;
    } else if (json_is_string(value) &&
               !text_parse_u64(json_string_value(value), UINT16_MAX, &port)) {
        port = 0;
    }
    if (port == 0 || port > UINT16_MAX) {
        problem_set(problem, "port", "must be a whole number from 1 to 65535");
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

enum tbfs_body tbfs_registration_parse(struct tbfs_registration *body, const struct buffer *text,
                                       struct problem *problem)
{
    struct slice url;
    uint16_t port;
    memset(body, 0, sizeof *body);
    enum tbfs_body found = parse_id(text, &body->root, &body->server_id, problem);
    if (found != TBFS_BODY_GOOD) {
        return found;
    }
    bool has_ip;
    if (!json_in_string(body->root, "url", &url, NULL, problem) ||
        !registration_check_text("url", url, METADATA_VALUE_BYTES_MAX, problem) ||
        !parse_port(json_object_get(body->root, "port"), &port, problem) ||
        !server_url_join(url.data, port, body->url, problem) ||
        !server_url_address(url.data, port, &body->address, problem)) {
        return TBFS_BODY_BAD;
    }
    if (!json_in_string(body->root, "ip", &body->ip, &has_ip, problem) ||
        (has_ip && !registration_check_text("ip", body->ip, METADATA_VALUE_BYTES_MAX, problem))) {
        return TBFS_BODY_BAD;
    }
    return TBFS_BODY_GOOD;
}

void tbfs_registration_command(const struct tbfs_registration *body, const char *service,
                               uint32_t ttl_ms, uint32_t reap_after_ms, struct command *ret_command)
{
    struct registration *r = &ret_command->register_.registration;
    memset(ret_command, 0, sizeof *ret_command);
    ret_command->kind = COMMAND_REGISTER;
    ret_command->register_.health = HEALTH_PASSING;
    ret_command->register_.health_given = true; /* whoever registers is active */
    r->id = body->server_id;
    r->name = slice_of(service);
    r->host = slice_of(body->address.host);
    r->type = r->zone = slice_of("");
    r->port = body->address.port;
    r->weight = 1;
    r->ttl_ms = ttl_ms;
    r->reap_after_ms = reap_after_ms;
    if (body->ip.data != NULL) {
        r->metadata[r->metadata_count++] = (struct pair){slice_of(TBFS_META_IP), body->ip};
    }
    r->metadata[r->metadata_count++] = (struct pair){slice_of(TBFS_META_URL), slice_of(body->url)};
}

void tbfs_registration_done(struct tbfs_registration *body)
{
    json_decref(body->root);
    body->root = NULL;
}

enum tbfs_body tbfs_heartbeat_parse(struct tbfs_heartbeat *body, const struct buffer *text,
                                    struct problem *problem)
{
    memset(body, 0, sizeof *body);
    return parse_id(text, &body->root, &body->server_id, problem);
}

void tbfs_heartbeat_done(struct tbfs_heartbeat *body)
{
    json_decref(body->root);
    body->root = NULL;
}
