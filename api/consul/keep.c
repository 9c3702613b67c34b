#include "api/consul/keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/limits.h"

bool keep_is_of(const char *extra, const char *agent)
{
    static const char begin[] = "{\"" KEEP_AGENT "\":\"";
    size_t len = strlen(agent);
    return strncmp(extra, begin, sizeof begin - 1) == 0 &&
           strncmp(extra + sizeof begin - 1, agent, len) == 0 &&
           extra[sizeof begin - 1 + len] == '"';
}

json_t *keep_parse(const char *extra)
{
    return extra[0] != '\0' ? json_loads(extra, 0, NULL) : NULL;
}

const char *keep_text(const json_t *keep, const char *key)
{
    const char *text = json_string_value(json_object_get(keep, key));
    return text != NULL ? text : "";
}

char *keep_dump(json_t *keep)
{
    char *text = json_dumps(keep, JSON_COMPACT);
    json_decref(keep);
    if (text != NULL && strlen(text) > EXTRA_BYTES_MAX) {
        free(text);
        return NULL;
    }
    return text;
}
