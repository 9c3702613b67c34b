#include "api/native/filter_query.h"

#include <string.h>

#include "server/base/limits.h"

#define META_PREFIX "meta."

/* "any", or a list of states between commas. */
static bool parse_health(const char *text, unsigned *health, struct problem *problem)
{
    if (strcmp(text, "any") == 0) {
        *health = FILTER_ANY_HEALTH;
        return true;
    }
    for (;;) {
        char word[16];
        enum health one;
        size_t len = strcspn(text, ",");
        if (len < sizeof word) {
            memcpy(word, text, len);
            word[len] = '\0';
        }
        if (len >= sizeof word || !health_parse(word, &one)) {
            problem_set(problem, "health",
                        "must be any, or a list of passing, warning, critical and maintenance");
            return false;
        }
        *health |= 1u << one;
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

static bool take_pair(struct filter *filter, const struct query_pair *pair, struct problem *problem)
{
    if (strcmp(pair->name, "health") == 0) {
        return parse_health(pair->value, &filter->health, problem);
    }
    if (strcmp(pair->name, "type") == 0) {
        filter->type = pair->value;
    } else if (strcmp(pair->name, "zone") == 0) {
        filter->zone = pair->value;
    } else if (strcmp(pair->name, "tag") == 0) {
        if (filter->tags_count == TAGS_MAX) {
            problem_set(problem, "tag", "at most %d can be given", TAGS_MAX);
            return false;
        }
        filter->tags[filter->tags_count++] = pair->value;
    } else if (strncmp(pair->name, META_PREFIX, strlen(META_PREFIX)) == 0) {
        if (filter->metadata_count == METADATA_MAX) {
            problem_set(problem, "meta", "at most %d can be given", METADATA_MAX);
            return false;
        }
        filter->metadata[filter->metadata_count].key = pair->name + strlen(META_PREFIX);
        filter->metadata[filter->metadata_count++].value = pair->value;
    }
    return true;
}

bool filter_parse(struct filter *filter, const struct request *request, unsigned health,
                  struct problem *problem)
{
    filter->viewer = NULL;
    filter->health = 0;
    filter->type = NULL;
    filter->zone = NULL;
    filter->tags_count = 0;
    filter->metadata_count = 0;
    for (size_t i = 0; i < request->query_count; i++) {
        if (!take_pair(filter, &request->query[i], problem)) {
            return false;
        }
    }
    if (filter->health == 0) {
        filter->health = health;
    }
    return true;
}
