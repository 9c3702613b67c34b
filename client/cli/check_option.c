#include "client/cli/check_option.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"
#include "server/base/text.h"

enum form {
    FORM_TEXT,
    FORM_COUNT,
    FORM_FLAG, /* KEY alone, too */
};

static const struct {
    const char *key;
    enum form form;
    const char *of; /* the object that it is a member of; NULL: the check */
} members[] = {
    {"http", FORM_TEXT, NULL},         {"tcp", FORM_TEXT, NULL},
    {"grpc", FORM_TEXT, NULL},         {"ttl", FORM_TEXT, NULL},
    {"id", FORM_TEXT, NULL},           {"name", FORM_TEXT, NULL},
    {"notes", FORM_TEXT, NULL},        {"status", FORM_TEXT, NULL},
    {"interval", FORM_TEXT, NULL},     {"timeout", FORM_TEXT, NULL},
    {"rise", FORM_COUNT, NULL},        {"warn", FORM_COUNT, NULL},
    {"fall", FORM_COUNT, NULL},        {"method", FORM_TEXT, NULL},
    {"body", FORM_TEXT, NULL},         {"disable_redirects", FORM_FLAG, NULL},
    {"tls", FORM_FLAG, "tls"},         {"skip_verify", FORM_FLAG, "tls"},
    {"server_name", FORM_TEXT, "tls"}, {"deregister_after", FORM_TEXT, NULL},
};

/* Behind the item that begins at `text`: the comma, or the end. "\\," is a comma of its own. */
static char *end_of_item(char *text)
{
    char *to = text;
    for (; *text != '\0' && *text != ','; text++) {
        if (text[0] == '\\' && text[1] == ',') {
            text++;
        }
        *to++ = *text;
    }
    bool last = *text == '\0';
    *to = '\0';
    return last ? NULL : text + 1;
}

/* NULL: it is malformed. */
static json_t *value_of(enum form form, const char *text)
{
    uint64_t count;
    if (form == FORM_FLAG) {
        bool on = text == NULL || strcmp(text, "true") == 0;
        return on || strcmp(text, "false") == 0 ? json_boolean(on) : NULL;
    }
    if (text == NULL) {
        return NULL;
    }
    if (form == FORM_COUNT) {
        return text_parse_u64(text, UINT32_MAX, &count) ? json_integer((json_int_t)count) : NULL;
    }
    return json_string(text);
}

/* KEY=VALUE, which is cut apart. */
static bool take_item(json_t *check, char *item)
{
    char *value = strchr(item, '=');
    if (value != NULL) {
        *value++ = '\0';
    }
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        if (strcmp(members[i].key, item) != 0) {
            continue;
        }
        json_t *object = check;
        if (members[i].of != NULL && json_object_get(check, members[i].of) == NULL) {
            json_object_set_new(check, members[i].of, json_object());
        }
        if (members[i].of != NULL) {
            object = json_object_get(check, members[i].of);
        }
        const char *key = members[i].of != NULL && strcmp(item, "tls") == 0 ? "enabled" : item;
        json_t *json = value_of(members[i].form, value);
        return json != NULL && json_object_get(object, key) == NULL
                   ? json_object_set_new(object, key, json) == 0
                   : (json_decref(json), false);
    }
    return false;
}

/* NULL: it is malformed. */
static json_t *parse(const char *text)
{
    if (text[0] == '{') {
        return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    }
    json_t *check = json_object();
    char *copy = mem_strdup(text);
    bool good = true;
    for (char *item = copy, *next; good && item != NULL; item = next) {
        next = end_of_item(item);
        good = take_item(check, item);
    }
    free(copy);
    if (!good) {
        json_decref(check);
    }
    return good ? check : NULL;
}

bool check_option_set(const struct cli *cli, const char *option, json_t *body)
{
    json_t *checks = json_array();
    const char *text = args_get(&cli->args, option);
    size_t at = 0;
    if (text != NULL && strcmp(text, "none") == 0) {
        at = SIZE_MAX;
    }
    for (; at != SIZE_MAX && (text = args_next(&cli->args, option, &at)) != NULL;) {
        json_t *check = parse(text);
        if (check == NULL) {
            json_decref(checks);
            cli_usage(cli,
                      "--%s %s is not KIND=TARGET[,KEY=VALUE]..., such as "
                      "http=http://10.0.0.5:8080/health,interval=5s, nor a JSON object",
                      option, text);
            return false;
        }
        json_array_append_new(checks, check);
    }
    if (at == SIZE_MAX || json_array_size(checks) > 0) {
        json_object_set_new(body, "checks", checks);
    } else {
        json_decref(checks);
    }
    return true;
}
