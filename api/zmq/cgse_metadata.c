#include "api/zmq/cgse_metadata.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/naming.h"

#define PREFIX "json:"
/* Enough for every double to come back as it was. */
#define REAL_DIGITS 17

static bool has_prefix(const char *text)
{
    return strncmp(text, PREFIX, sizeof PREFIX - 1) == 0;
}

bool cgse_metadata_pack(const json_t *value, struct slice *ret_text, char **ret_made)
{
    *ret_made = NULL;
    if (json_is_string(value)) {
        *ret_text = (struct slice){json_string_value(value), json_string_length(value)};
        if (!has_prefix(ret_text->data) && naming_is_text(ret_text->data, ret_text->len)) {
            return true;
        }
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII |
                                       JSON_REAL_PRECISION(REAL_DIGITS));
    if (text == NULL) {
        return false;
    }
    size_t len = strlen(text);
    char *made = realloc(text, sizeof PREFIX + len);
    if (made == NULL) {
        free(text);
        return false;
    }
    memmove(made + sizeof PREFIX - 1, made, len + 1);
    memcpy(made, PREFIX, sizeof PREFIX - 1);
    *ret_made = made;
    *ret_text = (struct slice){made, sizeof PREFIX - 1 + len};
    return true;
}

void cgse_metadata_render(struct json_out *json, const char *text)
{
    json_t *value =
        has_prefix(text) ? json_loads(text + sizeof PREFIX - 1, JSON_DECODE_ANY, NULL) : NULL;
    if (value == NULL) {
        json_out_text(json, text);
        return;
    }
    json_out_raw(json, text + sizeof PREFIX - 1);
    json_decref(value);
}
