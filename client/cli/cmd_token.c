/* What tokens and policies allow: token create, list, show, revoke, bootstrap; policy create, list,
 * show, delete. */
#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/lib/bytes.h"
#include "server/base/check.h"
#include "server/base/text.h"

#define ID_BYTES_MAX 255

/* --- made --- */

/* Its secret alone, so that a script can take it: TOKEN=$(muster token create ...). */
static void print_made(const json_t *made, const void *data UNUSED)
{
    const char *token = json_string_value(json_object_get(made, "token"));
    const char *id = json_string_value(json_object_get(made, "id"));
    printf("%s\n", token != NULL ? token : "");
    cli_complain("token %s is made; its secret is not shown again", id != NULL ? id : "");
}

/* "web": that service; "web*": those whose names begin so. */
static json_t *scope_of(const char *pattern, const char *access)
{
    size_t len = strlen(pattern);
    bool prefix = len > 0 && pattern[len - 1] == '*';
    json_t *scope = json_object();
    json_object_set_new(scope, prefix ? "prefix" : "name",
                        json_stringn(pattern, prefix ? len - 1 : len));
    json_object_set_new(scope, "access", json_string(access));
    return scope;
}

/* 90d, 12h, 30m, or seconds; false when it is none of these. */
static bool parse_ttl(const char *text, json_int_t *ret_seconds)
{
    static const struct {
        const char *suffix;
        uint64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char digits[TEXT_U64_SIZE];
    size_t len = strspn(text, "0123456789");
    uint64_t number;
    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (strcmp(text + len, units[i].suffix) == 0 &&
            text_parse_u64(digits, UINT32_MAX, &number)) {
            number *= units[i].seconds;
            *ret_seconds = (json_int_t)number;
            return true;
        }
    }
    return false;
}

/* NULL after a complaint. */
static json_t *body_of(const struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *ttl = args_get(args, "ttl");
    const char *description = args_get(args, "description");
    const char *operator= args_get(args, "operator");
    const char *access = args_get(args, "write") != NULL ? "write" : "read";
    const char *pattern;
    json_int_t seconds = 0;
    if (ttl != NULL && !parse_ttl(ttl, &seconds)) {
        (void)cli_usage(cli, "--ttl %s is no duration such as 90d or 12h", ttl);
        return NULL;
    }
    json_t *body = json_object();
    json_t *services = json_array();
    CHECK(body != NULL && services != NULL);
    for (size_t at = 0; (pattern = args_next(args, "service", &at)) != NULL;) {
        json_array_append_new(services, scope_of(pattern, access));
    }
    json_object_set_new(body, "services", services);
    if (*cli->space != '\0') {
        json_object_set_new(body, "namespace", json_string(cli->space));
    }
    if (ttl != NULL) {
        json_object_set_new(body, "ttl", json_integer(seconds));
    }
    if (description != NULL) {
        json_object_set_new(body, "description", json_string(description));
    }
    if (operator!= NULL) {
        json_object_set_new(body, "operator", json_string(operator));
    }
    json_object_set_new(body, "metrics", json_boolean(args_get(args, "metrics") != NULL));
    json_object_set_new(body, "events", json_boolean(args_get(args, "events") != NULL));
    return body;
}

static enum cli_exit create_token(struct cli *cli)
{
    json_t *body = body_of(cli);
    if (body == NULL) {
        return CLI_USAGE;
    }
    const struct http_request request = {.method = "POST", .path = "/tokens", .body = body};
    enum cli_exit exit_status = cli_show(cli, &request, print_made, NULL);
    json_decref(body);
    return exit_status;
}

static void print_policy_made(const json_t *body UNUSED, const void *data)
{
    printf("the policy for %s is made\n", (const char *)data);
}

static enum cli_exit create_policy(struct cli *cli)
{
    const char *subject = args_get(&cli->args, "subject");
    if (subject == NULL) {
        return cli_usage(cli, "policy create needs --subject, the name of a certificate");
    }
    json_t *body = body_of(cli);
    if (body == NULL) {
        return CLI_USAGE;
    }
    json_object_set_new(body, "subject", json_string(subject));
    const struct http_request request = {.method = "POST", .path = "/policies", .body = body};
    enum cli_exit exit_status = cli_show(cli, &request, print_policy_made, subject);
    json_decref(body);
    return exit_status;
}

static enum cli_exit bootstrap(struct cli *cli)
{
    const struct http_request request = {.method = "POST", .path = "/tokens/bootstrap"};
    return cli_show(cli, &request, print_made, NULL);
}

/* --- shown --- */

#define RIGHTS_COLUMNS                                                                             \
    {"NAMESPACE", "namespace"}, {"SERVICES", "services"}, {"OPERATOR", "operator"},                \
        {"METRICS", "metrics"}, {"EVENTS", "events"}, {"EXPIRES", "expires"},                      \
        {"CREATED", "created"}, {"DESCRIPTION", "description"},                                    \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static const struct table_column token_columns[] = {{"ID", "id"}, RIGHTS_COLUMNS};
static const struct table_column policy_columns[] = {{"SUBJECT", "subject"}, RIGHTS_COLUMNS};

/* How long it still counts, in the largest unit that there is a whole one of. */
static json_t *expires(const json_t *seconds)
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    char text[32];
    if (!json_is_number(seconds)) {
        return json_string("never");
    }
    uint64_t left = (uint64_t)json_number_value(seconds);
    size_t i = 0;
    while (i + 1 < ARRAY_LENGTH(units) && left < units[i].seconds) {
        i++;
    }
    (void)snprintf(text, sizeof text, "%" PRIu64 "%c", left / units[i].seconds, units[i].unit);
    return json_string(text);
}

/* web*:write */
static json_t *pattern_of(const json_t *scope)
{
    const char *name = json_string_value(json_object_get(scope, "name"));
    const char *prefix = json_string_value(json_object_get(scope, "prefix"));
    const char *access = json_string_value(json_object_get(scope, "access"));
    return json_sprintf("%s%s:%s",
                        name != NULL     ? name
                        : prefix != NULL ? prefix
                                         : "",
                        name != NULL ? "" : "*", access != NULL ? access : "");
}

static void add_row(struct table *table, const json_t *item)
{
    json_t *row = json_copy((json_t *)(uintptr_t)item);
    json_t *patterns = json_array();
    const json_t *services = json_object_get(item, "services");
    CHECK(row != NULL && patterns != NULL);
    for (size_t i = 0; i < json_array_size(services); i++) {
        json_array_append_new(patterns, pattern_of(json_array_get(services, i)));
    }
    json_object_set_new(row, "services", patterns);
    json_object_set_new(row, "expires", expires(json_object_get(item, "expires_in")));
    table_add(table, row);
    json_decref(row);
}

static void print_items(const json_t *items, const struct table_column *columns)
{
    struct table table;
    table_init(&table, columns);
    for (size_t i = 0; i < json_array_size(items); i++) {
        add_row(&table, json_array_get(items, i));
    }
    table_print(&table);
}

static void print_item(const json_t *item, const struct table_column *columns)
{
    struct table table;
    table_init(&table, columns);
    add_row(&table, item);
    table_print(&table);
}

static void print_tokens(const json_t *body, const void *data UNUSED)
{
    print_items(json_object_get(body, "tokens"), token_columns);
}

static void print_policies(const json_t *body, const void *data UNUSED)
{
    print_items(json_object_get(body, "policies"), policy_columns);
}

static void print_token(const json_t *body, const void *data UNUSED)
{
    print_item(body, token_columns);
}

static void print_policy(const json_t *body, const void *data UNUSED)
{
    print_item(body, policy_columns);
}

static enum cli_exit list_tokens(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/tokens", .read = true};
    return cli_show(cli, &request, print_tokens, NULL);
}

static enum cli_exit list_policies(struct cli *cli)
{
    const struct http_request request = {.method = "GET", .path = "/policies", .read = true};
    return cli_show(cli, &request, print_policies, NULL);
}

static void print_revoked(const json_t *body UNUSED, const void *data)
{
    printf("token %s is revoked\n", (const char *)data);
}

static void print_deleted(const json_t *body UNUSED, const void *data)
{
    printf("the policy for %s is deleted\n", (const char *)data);
}

/* The id of a token, or what its holder has: then the secret stays here. */
static bool token_path(const char *word, struct bytes *path)
{
    char id[ID_BYTES_MAX + 1];
    bool whole = strncmp(word, "mst_", 4) == 0;
    const char *begin = whole ? word + 4 : word;
    size_t len = whole ? strcspn(begin, "_") : strlen(begin);
    if (len == 0 || len > ID_BYTES_MAX) {
        return false;
    }
    memcpy(id, begin, len);
    id[len] = '\0';
    bytes_append_text(path, "/tokens/");
    bytes_append_encoded(path, id);
    return bytes_text(path) != NULL;
}

static bool policy_path(const char *subject, struct bytes *path)
{
    bytes_append_text(path, "/policies/");
    bytes_append_encoded(path, subject);
    return *subject != '\0' && bytes_text(path) != NULL;
}

/* What there is to do with one of its kind. */
struct kind {
    const char *what;
    bool (*path)(const char *word, struct bytes *path);
    void (*print)(const json_t *body, const void *data);
    void (*print_gone)(const json_t *body, const void *data);
};
static const struct kind a_token = {"id of a token", token_path, print_token, print_revoked};
static const struct kind a_policy = {"subject", policy_path, print_policy, print_deleted};

static enum cli_exit one(struct cli *cli, const struct kind *kind, bool removes)
{
    struct bytes path;
    const char *word = cli->args.words[1];
    bytes_init(&path, 4 * ID_BYTES_MAX);
    enum cli_exit exit_status;
    if (!kind->path(word, &path)) {
        exit_status = cli_usage(cli, "that is no %s", kind->what);
    } else {
        const struct http_request request = {.method = removes ? "DELETE" : "GET",
                                             .path = bytes_text(&path),
                                             .read = !removes,
                                             .repeatable = removes};
        exit_status = cli_show(cli, &request, removes ? kind->print_gone : kind->print, word);
    }
    bytes_done(&path);
    return exit_status;
}

/* Whether the command is `verb` with so many words behind it. */
static bool is_verb(const struct args *args, const char *verb, size_t words)
{
    return args->words_count == words + 1 && strcmp(args->words[0], verb) == 0;
}

enum cli_exit cmd_token(struct cli *cli)
{
    const struct args *args = &cli->args;
    bool revokes = is_verb(args, "revoke", 1);
    if (is_verb(args, "create", 0)) {
        return create_token(cli);
    }
    if (is_verb(args, "bootstrap", 0)) {
        return bootstrap(cli);
    }
    if (is_verb(args, "list", 0)) {
        return list_tokens(cli);
    }
    if (revokes || is_verb(args, "show", 1)) {
        return one(cli, &a_token, revokes);
    }
    return cli_usage(cli, "token needs one of: create, list, show ID, revoke ID, bootstrap");
}

enum cli_exit cmd_policy(struct cli *cli)
{
    const struct args *args = &cli->args;
    bool deletes = is_verb(args, "delete", 1);
    if (is_verb(args, "create", 0)) {
        return create_policy(cli);
    }
    if (is_verb(args, "list", 0)) {
        return list_policies(cli);
    }
    if (deletes || is_verb(args, "show", 1)) {
        return one(cli, &a_policy, deletes);
    }
    return cli_usage(cli, "policy needs one of: create, list, show SUBJECT, delete SUBJECT");
}
