#include "api/core/json_in.h"

#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

static bool is_known(const char *const *known, const char *name)
{
    for (; *known != NULL; known++) {
        if (strcmp(*known, name) == 0) {
            return true;
        }
    }
    return false;
}

json_t *json_in_object(const void *data, size_t len, const char *const *known,
                       struct problem *problem)
{
    json_error_t error;
    json_t *root = json_loadb(data != NULL ? data : "", len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        problem_set(problem, "", "the body is not valid JSON (line %d, column %d)", error.line,
                    error.column);
        return NULL;
    }
    if (!json_is_object(root)) {
        problem_set(problem, "", "the body must be a JSON object");
        goto refused;
    }
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (known != NULL && !is_known(known, name)) {
            problem_set_named(problem, name, "is not a field of this call");
            goto refused;
        }
    }
    return root;

refused:
    json_decref(root);
    return NULL;
}

bool json_in_members(const json_t *value, const char *field, const char *const *known,
                     struct problem *problem)
{
    const char *name;
    json_t *member;
    if (!json_is_object(value)) {
        problem_set(problem, field, "must be an object");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        if (!is_known(known, name)) {
            char path[PROBLEM_FIELD_SIZE];
            bool fits = snprintf(path, sizeof path, "%s%s%s", field, field[0] != '\0' ? "." : "",
                                 name) < (int)sizeof path;
            problem_set_named(problem, fits ? path : field, "%s", "is not a field of this call");
            return false;
        }
    }
    return true;
}

/* False when a field that must be there is not. */
static bool find(const json_t *object, const char *field, const json_t **ret_value,
                 bool *ret_present, struct problem *problem)
{
    *ret_value = json_object_get(object, field);
    if (!json_in_is_given(*ret_value)) {
        *ret_value = NULL;
    }
    if (ret_present != NULL) {
        *ret_present = *ret_value != NULL;
    } else if (*ret_value == NULL) {
        problem_set(problem, field, "is required");
        return false;
    }
    return true;
}

/* A text of at most `max` printable bytes. */
static bool read_text(const json_t *value, const char *field, size_t max, struct slice *ret,
                      struct problem *problem)
{
    if (!json_is_string(value)) {
        problem_set_named(problem, field, "must be a string");
        return false;
    }
    struct slice text = {json_string_value(value), json_string_length(value)};
    if (!problem_check_text(problem, field, text.data, text.len, max)) {
        return false;
    }
    *ret = text;
    return true;
}

bool json_in_item(const json_t *value, const char *field, size_t max, struct slice *ret,
                  struct problem *problem)
{
    struct slice text;
    if (!read_text(value, field, max, &text, problem)) {
        return false;
    }
    if (text.len == 0) {
        problem_set_named(problem, field, "must not be empty");
        return false;
    }
    *ret = text;
    return true;
}

bool json_in_string(const json_t *object, const char *field, struct slice *ret, bool *ret_present,
                    struct problem *problem)
{
    const json_t *value;
    if (!find(object, field, &value, ret_present, problem)) {
        return false;
    }
    if (value != NULL && !json_is_string(value)) {
        problem_set(problem, field, "must be a string");
        return false;
    }
    if (value != NULL) {
        *ret = (struct slice){json_string_value(value), json_string_length(value)};
    }
    return true;
}

bool json_in_text(const json_t *object, const char *field, size_t max, struct slice *ret,
                  bool *ret_present, struct problem *problem)
{
    const json_t *value;
    return find(object, field, &value, ret_present, problem) &&
           (value == NULL || json_in_item(value, field, max, ret, problem));
}

bool json_in_note(const json_t *object, const char *field, size_t max, struct slice *ret,
                  bool *ret_present, struct problem *problem)
{
    const json_t *value;
    return find(object, field, &value, ret_present, problem) &&
           (value == NULL || read_text(value, field, max, ret, problem));
}

bool json_in_integer(const json_t *object, const char *field, uint64_t min, uint64_t max,
                     uint64_t *ret, bool *ret_present, struct problem *problem)
{
    const json_t *value;
    if (!find(object, field, &value, ret_present, problem)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min || (uint64_t)json_integer_value(value) > max) {
        problem_set(problem, field, "must be a whole number from %llu to %llu",
                    (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

bool json_in_bool(const json_t *object, const char *field, bool *ret, bool *ret_present,
                  struct problem *problem)
{
    const json_t *value;
    if (!find(object, field, &value, ret_present, problem)) {
        return false;
    }
    if (value != NULL && !json_is_boolean(value)) {
        problem_set(problem, field, "must be true or false");
        return false;
    }
    if (value != NULL) {
        *ret = json_is_true(value);
    }
    return true;
}

bool json_in_duration(const json_t *object, const char *field, uint32_t min_ms, uint32_t max_ms,
                      uint32_t *ret_ms, bool *ret_present, struct problem *problem)
{
    const json_t *value;
    if (!find(object, field, &value, ret_present, problem)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    double ms = -1;
    uint64_t whole_ms;
    if (json_is_number(value)) {
        ms = json_number_value(value) * 1000;
    } else if (json_is_string(value) && json_string_length(value) > 0 &&
               text_parse_duration_ms(json_string_value(value), &whole_ms)) {
        ms = (double)whole_ms;
    }
    if (!(ms >= min_ms && ms <= max_ms)) {
        problem_set(problem, field,
                    "must be a number of seconds, or a duration such as \"30s\", from %g to %u "
                    "seconds",
                    min_ms / 1000.0, max_ms / 1000);
        return false;
    }
    *ret_ms = ms > 0 && ms < 1 ? 1 : (uint32_t)(ms + 0.5);
    return true;
}

bool json_in_health(const json_t *object, const char *field, enum health *ret, bool *ret_present,
                    struct problem *problem)
{
    const json_t *value;
    enum health health;
    if (!find(object, field, &value, ret_present, problem)) {
        return false;
    }
    if (value == NULL) {
        return true;
    }
    if (!json_is_string(value) || !health_parse(json_string_value(value), &health) ||
        health == HEALTH_MAINTENANCE) {
        problem_set(problem, field, "must be passing, warning or critical");
        return false;
    }
    *ret = health;
    return true;
}
