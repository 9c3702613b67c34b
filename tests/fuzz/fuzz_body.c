/* JSON bodies of writes. An accepted body is within the limits and gives a command that the log
 * accepts; a refused one is refused with a printable message.
 *
 * Input: a byte that selects the call, then the body. */
#include "api/core/check_kept.h"
#include "api/core/json_in.h"
#include "api/native/body.h"
#include "api/tbfs/body.h"
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/base/text.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/logged.h"

#define TTL_MS        30000u
#define REAP_AFTER_MS 60000u

static void check_fault(const struct problem *problem)
{
    CHECK(problem->message[0] != '\0');
    CHECK(text_is_printable(problem->message, strlen(problem->message)));
    CHECK(text_is_printable(problem->field, strlen(problem->field)));
}

static void check_slice(const struct slice *s, size_t min, size_t max)
{
    CHECK(s->len >= min && s->len <= max && text_is_printable(s->data, s->len));
}

static void check_registration(const struct registration *g)
{
    check_slice(&g->name, 1, NAME_BYTES_MAX);
    check_slice(&g->type, 0, NAME_BYTES_MAX);
    check_slice(&g->zone, 0, NAME_BYTES_MAX);
    CHECK(g->port > 0 && g->ttl_ms >= TTL_MS_MIN && g->ttl_ms <= TTL_MS_MAX);
    CHECK(g->reap_after_ms <= REAP_AFTER_MS_MAX);
    CHECK(g->tags_count <= TAGS_MAX && g->metadata_count <= METADATA_MAX);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        check_slice(&g->tags[i], 1, TAG_BYTES_MAX);
    }
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        check_slice(&g->metadata[i].key, 1, METADATA_KEY_BYTES_MAX);
        check_slice(&g->metadata[i].value, 0, METADATA_VALUE_BYTES_MAX);
    }
}

static void try_register(const struct buffer *text, struct problem *problem)
{
    static const uint8_t random[16] = {0xff, 1, 2, 3, 4, 5, 0xff, 7, 0xff};
    struct body_register body;
    struct command command;
    struct registration *g = &command.register_.registration;
    bool good = body_register_parse(&body, &command, text, TTL_MS, REAP_AFTER_MS, problem);
    if (good && body_register_complete(&body, g, random, "10.0.0.1", problem)) {
        check_slice(&g->id, 1, NAME_BYTES_MAX);
        CHECK(naming_is_name(g->id.data, g->id.len) && naming_is_host(g->host.data, g->host.len));
        check_registration(g);
        body_register_enrol(&body, &command);
        check_logged(&command);
    } else {
        check_fault(problem);
    }
    body_register_done(&body);
}

static void try_heartbeat(const struct buffer *text, struct problem *problem)
{
    struct body_heartbeat body;
    if (body_heartbeat_parse(&body, text, problem)) {
        const struct command command = {.kind = COMMAND_HEARTBEAT,
                                        .heartbeat = {.ids = body.ids,
                                                      .count = body.count,
                                                      .incarnation = body.incarnation,
                                                      .status_given = body.status_given,
                                                      .status = body.status,
                                                      .note_given = body.note_given,
                                                      .note = body.note}};
        CHECK(body.count >= 1 && (!body.details || body.single));
        for (uint32_t i = 0; i < body.count; i++) {
            check_slice(&body.ids[i], 1, NAME_BYTES_MAX);
        }
        check_slice(&body.note, 0, NOTE_BYTES_MAX);
        check_logged(&command);
    } else {
        check_fault(problem);
    }
    body_heartbeat_done(&body);
}

static void try_maintenance(const struct buffer *text, struct problem *problem)
{
    static const struct slice id = {.data = "web-1", .len = 5};
    struct body_maintenance body;
    if (body_maintenance_parse(&body, text, problem)) {
        const struct command command = {
            .kind = COMMAND_MAINTENANCE,
            .maintenance = {.id = id, .enabled = body.enabled, .reason = body.reason}};
        check_slice(&body.reason, 0, NOTE_BYTES_MAX);
        check_logged(&command);
    } else {
        check_fault(problem);
    }
    body_maintenance_done(&body);
}

/* Bodies of the older registry. Others have no server_id, or it is not looked for. */
static void try_server(const struct buffer *text, struct problem *problem)
{
    struct tbfs_registration body;
    struct command command;
    enum tbfs_body found = tbfs_registration_parse(&body, text, problem);
    if (found == TBFS_BODY_GOOD) {
        tbfs_registration_command(&body, "servers", TTL_MS, REAP_AFTER_MS, &command);
        check_slice(&command.register_.registration.id, 1, NAME_BYTES_MAX);
        check_slice(&command.register_.registration.host, 1, HOST_BYTES_MAX);
        check_registration(&command.register_.registration);
        check_logged(&command);
    } else if (found == TBFS_BODY_BAD) {
        check_fault(problem);
    }
    tbfs_registration_done(&body);
}

static void try_server_heartbeat(const struct buffer *text, struct problem *problem)
{
    struct tbfs_heartbeat body;
    enum tbfs_body found = tbfs_heartbeat_parse(&body, text, problem);
    if (found == TBFS_BODY_GOOD) {
        check_slice(&body.server_id, 1, NAME_BYTES_MAX);
    } else if (found == TBFS_BODY_BAD) {
        check_fault(problem);
    }
    tbfs_heartbeat_done(&body);
}

/* The definition of a check: what is kept of it is read again as the same. */
static void try_check(const struct buffer *text, struct problem *problem)
{
    struct check_kept kept = {.name = "", .notes = "", .type = "", .is_active = true}, again;
    json_t *root = json_in_object(text->data, text->len, NULL, problem);
    if (root == NULL || !check_definition_parse(root, &kept.definition, problem)) {
        check_fault(problem);
        json_decref(root);
        return;
    }
    const struct check_definition *d = &kept.definition;
    CHECK(naming_is_host(d->host, strlen(d->host)) && d->port > 0);
    CHECK(d->timeout_ms >= CHECK_TIMEOUT_MS_MIN && d->timeout_ms <= d->interval_ms);
    CHECK(d->rise > 0 && d->warn > 0 && d->warn <= d->fall && d->fall <= CHECK_RESULTS_MAX);
    CHECK(d->kind != CHECK_HTTP || d->path[0] == '/');
    char *extra = check_kept_make(&kept);
    if (extra != NULL) { /* else it is too long */
        check_kept_read(extra, &again);
        CHECK(again.is_active && strcmp(again.definition.target, d->target) == 0);
        char *twice = check_kept_make(&again);
        CHECK(twice != NULL && strcmp(twice, extra) == 0);
        free(twice);
        check_kept_done(&again);
        free(check_kept_load(extra));
    }
    free(extra);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static void (*const calls[])(const struct buffer *text, struct problem *problem) = {
        try_register, try_heartbeat, try_maintenance, try_server, try_server_heartbeat, try_check};
    struct input in = {.at = data, .left = len};
    struct problem problem = {.message = ""};
    size_t call = input_u8(&in) % ARRAY_LENGTH(calls);
    struct buffer text;
    buffer_init(&text, HEARTBEAT_BODY_BYTES_MAX);
    buffer_append(&text, in.at, in.left);
    calls[call](&text, &problem);
    buffer_done(&text);
    return 0;
}
