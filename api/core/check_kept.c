#include "api/core/check_kept.h"

#include <stdlib.h>
#include <string.h>

#include "api/core/json_scan.h"

#define NAME       "n"
#define NOTES      "N"
#define TYPE       "t"
#define DEFINITION "d"

static void set_if_any(json_t *json, const char *key, const char *text)
{
    if (text[0] != '\0') {
        json_object_set_new(json, key, json_string(text));
    }
}

char *check_kept_make(const struct check_kept *kept)
{
    json_t *json = json_object();
    set_if_any(json, NAME, kept->name);
    set_if_any(json, NOTES, kept->notes);
    set_if_any(json, TYPE, kept->type);
    if (kept->is_active) {
        json_object_set_new(json, DEFINITION, check_definition_json(&kept->definition));
    }
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text != NULL && strlen(text) > EXTRA_BYTES_MAX) {
        free(text);
        text = NULL;
    }
    return text;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

void check_kept_read(const char *extra, struct check_kept *ret_kept)
{
    struct problem ignored;
    json_t *json = extra[0] != '\0' ? json_loads(extra, 0, NULL) : NULL;
    const json_t *definition = json_object_get(json, DEFINITION);
    ret_kept->json = json;
    ret_kept->name = text_of(json, NAME);
    ret_kept->notes = text_of(json, NOTES);
    ret_kept->type = text_of(json, TYPE);
    ret_kept->is_active = json_is_object(definition) &&
                          check_definition_parse(definition, &ret_kept->definition, &ignored);
}

void check_kept_scan(const char *extra, struct check_kept_texts *ret_texts)
{
    static const struct slice empty = {"\"\"", 2};
    struct json_scan scan = json_scan_of(extra);
    struct slice key, value;
    *ret_texts = (struct check_kept_texts){empty, empty, empty};
    while (json_scan_next(&scan, &key, &value)) {
        if (value.data[0] != '"') {
            continue;
        }
        if (json_scan_is(key, NAME)) {
            ret_texts->name = value;
        } else if (json_scan_is(key, NOTES)) {
            ret_texts->notes = value;
        } else if (json_scan_is(key, TYPE)) {
            ret_texts->type = value;
        }
    }
}

void check_kept_done(struct check_kept *kept)
{
    json_decref(kept->json);
    kept->json = NULL;
}

struct check_definition *check_kept_load(const char *extra)
{
    struct check_kept kept;
    check_kept_read(extra, &kept);
    struct check_definition *copy = kept.is_active ? check_definition_copy(&kept.definition) : NULL;
    check_kept_done(&kept);
    return copy;
}
