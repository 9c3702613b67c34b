#include "api/core/check_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/core/check_ids.h"
#include "api/core/json_in.h"
#include "server/base/mem.h"
#include "server/registry/check.h"

void check_list_done(struct check_list *list)
{
    for (size_t i = 0; i < 2 * (size_t)list->count; i++) {
        free(list->texts[i]);
    }
    memset(list, 0, sizeof *list);
}

static bool has_id(const struct check_list *list, const char *id)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (strcmp(check_ids_of_key(list->specs[i].key.data), id) == 0) {
            return true;
        }
    }
    return false;
}

/* "http", or "http-2" where that is taken, and so on. */
static void make_id(const struct check_list *list, const char *type, char id[NAME_BYTES_MAX + 1])
{
    (void)snprintf(id, NAME_BYTES_MAX + 1, "%s", type);
    for (unsigned n = 2; has_id(list, id); n++) {
        (void)snprintf(id, NAME_BYTES_MAX + 1, "%s-%u", type, n);
    }
}

/* Its id, and the texts that are only shown. */
static bool check_texts(const struct check_list *list, const struct check_said *said,
                        struct problem *problem)
{
    if (said->id[0] != '\0' && !registration_check_name("id", slice_of(said->id), problem)) {
        return false;
    }
    if (has_id(list, said->id)) {
        problem_set(problem, "id", "is another one's");
        return false;
    }
    return registration_check_text("name", slice_of(said->kept.name), NAME_BYTES_MAX, problem) &&
           registration_check_text("notes", slice_of(said->kept.notes), NOTE_BYTES_MAX, problem);
}

bool check_list_add(struct check_list *list, const struct check_said *said, struct problem *problem)
{
    static const struct slice none = {"", 0};
    char id[NAME_BYTES_MAX + 1];
    if (list->count == CHECKS_MAX) {
        problem_set(problem, "", "an instance has at most %d checks", CHECKS_MAX);
        return false;
    }
    if (!check_texts(list, said, problem)) {
        return false;
    }
    if (said->id[0] != '\0') {
        (void)snprintf(id, sizeof id, "%s", said->id);
    } else {
        make_id(list, said->kept.type, id);
    }
    struct check_kept kept = said->kept;
    kept.name = kept.name[0] != '\0' ? kept.name : id;
    char *extra = check_kept_make(&kept);
    if (extra == NULL) {
        problem_set(problem, "", "a check must be at most %d bytes as JSON", EXTRA_BYTES_MAX);
        return false;
    }
    char *key = check_ids_make_key(id);
    list->texts[2 * (size_t)list->count] = extra;
    list->texts[2 * (size_t)list->count + 1] = key;
    list->specs[list->count++] = (struct check_spec){
        .key = slice_of(key),
        .extra = slice_of(extra),
        .note = none,
        .ttl_ms = said->ttl_ms,
        .active = kept.is_active,
        .reap_after_ms = said->deregister_after_ms,
        .status = said->status,
    };
    return true;
}

void check_list_put(const struct check_list *list, bool has_ttl, struct command *c)
{
    if (!list->given) {
        return;
    }
    struct registration registration = c->register_.registration;
    uint64_t incarnation = c->register_.incarnation;
    if (list->count > 0 && !has_ttl) {
        registration.ttl_ms = 0;
    }
    c->kind = COMMAND_ENROL;
    memset(&c->enrol, 0, sizeof c->enrol);
    c->enrol.registration = registration;
    c->enrol.registration.extra = (struct slice){"", 0};
    c->enrol.incarnation = incarnation;
    c->enrol.takes_over = c->enrol.only_these = true;
    c->enrol.checks_count = list->count;
    memcpy(c->enrol.checks, list->specs, sizeof list->specs);
}

/* --- JSON --- */

void check_list_name(struct problem *problem, uint32_t n)
{
    char field[PROBLEM_FIELD_SIZE];
    (void)snprintf(field, sizeof field, "checks[%u]%s%.160s", (unsigned)n,
                   problem->field[0] != '\0' ? "." : "", problem->field);
    memcpy(problem->field, field, sizeof field);
}

static bool take_text(const json_t *json, const char *field, size_t max, const char **ret,
                      struct problem *problem)
{
    struct slice text;
    bool present;
    if (!json_in_note(json, field, max, &text, &present, problem)) {
        return false;
    }
    *ret = present ? text.data : "";
    return true;
}

/* It is heard from: nothing says how it is run. */
static bool check_heard(const json_t *json, struct problem *problem)
{
    static const char *const fields[] = {CHECK_DEFINITION_FIELDS};
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        if (json_in_is_given(json_object_get(json, fields[i]))) {
            problem_set(problem, fields[i], "does not go with ttl");
            return false;
        }
    }
    return true;
}

static bool parse_one(struct check_list *list, const json_t *json, struct problem *problem)
{
    static const char *const known[] = {
        CHECK_DEFINITION_FIELDS, "id", "name", "notes", "status", "ttl", "deregister_after", NULL};
    struct check_said said = {.status = HEALTH_CRITICAL};
    bool has_ttl, present;
    if (!json_in_members(json, "", known, problem) ||
        !take_text(json, "id", NAME_BYTES_MAX, &said.id, problem) ||
        !take_text(json, "name", NAME_BYTES_MAX, &said.kept.name, problem) ||
        !take_text(json, "notes", NOTE_BYTES_MAX, &said.kept.notes, problem) ||
        !json_in_health(json, "status", &said.status, &present, problem) ||
        !json_in_duration(json, "ttl", TTL_MS_MIN, TTL_MS_MAX, &said.ttl_ms, &has_ttl, problem) ||
        !json_in_duration(json, "deregister_after", 0, REAP_AFTER_MS_MAX, &said.deregister_after_ms,
                          &present, problem)) {
        return false;
    }
    if (has_ttl) {
        said.kept.type = "ttl";
        return check_heard(json, problem) && check_list_add(list, &said, problem);
    }
    if (!check_definition_parse(json, &said.kept.definition, problem)) {
        return false;
    }
    said.kept.is_active = true;
    said.kept.type = check_kind_name(said.kept.definition.kind);
    return check_list_add(list, &said, problem);
}

bool check_list_parse(struct check_list *list, const json_t *json, struct problem *problem)
{
    const json_t *one;
    size_t i;
    list->given = json_in_is_given(json);
    if (list->given && !json_is_array(json)) {
        problem_set(problem, "checks", "must be an array of objects");
        return false;
    }
    if (json_array_size(json) > CHECKS_MAX) {
        problem_set(problem, "checks", "must be at most %d", CHECKS_MAX);
        return false;
    }
    json_array_foreach(json, i, one)
    {
        if (!parse_one(list, one, problem)) {
            check_list_name(problem, (uint32_t)i);
            return false;
        }
    }
    return true;
}
