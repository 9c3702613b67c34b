#include "server/registry/check.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "server/base/limits.h"
#include "server/base/naming.h"

void registration_normalise(struct registration *r)
{
    struct slice *host = &r->host;
    if (host->len > 2 && host->data[0] == '[' && host->data[host->len - 1] == ']' &&
        memchr(host->data, ':', host->len) != NULL) {
        *host = (struct slice){host->data + 1, host->len - 2};
    }
}

static bool check_length(const char *field, struct slice text, size_t max, struct problem *problem)
{
    return problem_check_text(problem, field, text.data, text.len, max);
}

/* An optional name: empty counts as absent. */
static bool check_label(const char *field, struct slice text, size_t max, struct problem *problem)
{
    if (!check_length(field, text, max, problem)) {
        return false;
    }
    if (text.len > 0 && !naming_is_name(text.data, text.len)) {
        problem_set_named(problem, field,
                          "must not be white space alone, nor have characters that are not seen or "
                          "that turn the direction of text");
        return false;
    }
    return true;
}

static bool check_given(const char *field, struct slice text, size_t max, struct problem *problem)
{
    if (text.len == 0) {
        problem_set_named(problem, field, "must not be empty");
        return false;
    }
    return check_label(field, text, max, problem);
}

bool registration_check_text(const char *field, struct slice text, size_t max,
                             struct problem *problem)
{
    if (!check_length(field, text, max, problem)) {
        return false;
    }
    if (!naming_is_text(text.data, text.len)) {
        problem_set_named(problem, field,
                          "must not have line separators, nor characters that turn the direction "
                          "of text");
        return false;
    }
    return true;
}

bool registration_check_name(const char *field, struct slice name, struct problem *problem)
{
    if (!check_given(field, name, NAME_BYTES_MAX, problem)) {
        return false;
    }
    /* Clients normalise these away in a path, so such an id could never be used in one. */
    if ((name.len == 1 || name.len == 2) && memcmp(name.data, "..", name.len) == 0) {
        problem_set(problem, field, "must not be \".\" or \"..\"");
        return false;
    }
    return true;
}

static bool check_host(struct slice host, struct problem *problem)
{
    if (!check_length("host", host, HOST_BYTES_MAX, problem)) {
        return false;
    }
    if (!naming_is_host(host.data, host.len)) {
        problem_set(problem, "host",
                    "must be a host name or an address that others can dial, such as 10.0.0.5, "
                    "2001:db8::7 or web-1.example: without scheme, port, path, brackets or white "
                    "space, and not one that stands for every address of a machine; a name with "
                    "other letters than ASCII goes in its xn-- form");
        return false;
    }
    return true;
}

static_assert(WEIGHT_MAX == UINT16_MAX, "every weight that fits its field is allowed");

static bool check_numbers(const struct registration *r, struct problem *problem)
{
    if (r->port == 0) {
        problem_set(problem, "port", "must be a whole number from 1 to %d", UINT16_MAX);
        return false;
    }
    if (r->ttl_ms < TTL_MS_MIN || r->ttl_ms > TTL_MS_MAX) {
        problem_set(problem, "ttl", "must be from %d to %d seconds", TTL_MS_MIN / 1000,
                    TTL_MS_MAX / 1000);
        return false;
    }
    if (r->reap_after_ms > REAP_AFTER_MS_MAX) {
        problem_set(problem, "reap_after", "must be from 0 (for good) to %d seconds",
                    REAP_AFTER_MS_MAX / 1000);
        return false;
    }
    return true;
}

static bool is_same(struct slice a, struct slice b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool check_tags(const struct registration *r, struct problem *problem)
{
    if (r->tags_count > TAGS_MAX) {
        problem_set(problem, "tags", "must be at most %d", TAGS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < r->tags_count; i++) {
        if (!check_given("tags", r->tags[i], TAG_BYTES_MAX, problem)) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (is_same(r->tags[i], r->tags[j])) {
                problem_set(problem, "tags", "number %u is there twice", i + 1);
                return false;
            }
        }
    }
    return true;
}

static bool check_pair(const struct pair *pair, struct problem *problem)
{
    char field[sizeof "metadata." + METADATA_KEY_BYTES_MAX];
    if (pair->key.len == 0) {
        problem_set(problem, "metadata", "a key must not be empty");
        return false;
    }
    if (pair->key.len > METADATA_KEY_BYTES_MAX) {
        problem_set(problem, "metadata", "a key must be at most %d bytes", METADATA_KEY_BYTES_MAX);
        return false;
    }
    if (!naming_is_name(pair->key.data, pair->key.len)) {
        problem_set(problem, "metadata",
                    "a key must be printable UTF-8, not white space alone, without characters that "
                    "are not seen or that turn the direction of text");
        return false;
    }
    (void)snprintf(field, sizeof field, "metadata.%.*s", (int)pair->key.len, pair->key.data);
    return registration_check_text(field, pair->value, METADATA_VALUE_BYTES_MAX, problem);
}

static bool check_metadata(const struct registration *r, struct problem *problem)
{
    if (r->metadata_count > METADATA_MAX) {
        problem_set(problem, "metadata", "must have at most %d keys", METADATA_MAX);
        return false;
    }
    for (uint32_t i = 0; i < r->metadata_count; i++) {
        if (!check_pair(&r->metadata[i], problem)) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (is_same(r->metadata[i].key, r->metadata[j].key)) {
                problem_set(problem, "metadata", "a key is there twice");
                return false;
            }
        }
    }
    return true;
}

bool registration_check(const struct registration *r, struct problem *problem)
{
    return registration_check_name("name", r->name, problem) &&
           registration_check_name("id", r->id, problem) && check_host(r->host, problem) &&
           check_label("type", r->type, NAME_BYTES_MAX, problem) &&
           check_label("zone", r->zone, NAME_BYTES_MAX, problem) && check_numbers(r, problem) &&
           check_tags(r, problem) && check_metadata(r, problem);
}
