#include "api/consul/expression.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/compiler.h"
#include "server/base/mem.h"

#define PATTERN_BYTES_MAX 256

enum type { TYPE_text, TYPE_number, TYPE_truth, TYPE_texts, TYPE_map, TYPE_things };

static const struct {
    enum selectors kind;
    enum type type;
    const char *path;
} known[] = {
#define SELECTOR(KIND, PATH, TYPE) {SELECTORS_##KIND, TYPE_##TYPE, (PATH)},
#include "api/consul/selectors.def"
#undef SELECTOR
};

enum node_kind { NODE_AND, NODE_OR, NODE_NOT, NODE_EQUAL, NODE_HAS, NODE_EMPTY, NODE_MATCHES };

/* A place in the tree; what is negated is so by `negated`, but for NODE_NOT. */
struct node {
    enum node_kind kind;
    enum type type; /* of what is selected */
    bool negated;
    int left, right;
    unsigned parts_count;
    const char *parts[EXPRESSION_PARTS_MAX];
    const char *value;
    regex_t regex;
    bool has_regex;
};

struct expression {
    enum selectors selectors;
    struct problem *problem;
    char *text;    /* the tokens, each with its NUL */
    char *text_at; /* where the next one goes */
    int root;
    unsigned count;
    struct node nodes[EXPRESSION_NODES_MAX];
};

/* --- tokens --- */

enum token { TOKEN_END, TOKEN_WORD, TOKEN_QUOTED, TOKEN_SIGN, TOKEN_BAD };

struct lexer {
    const char *at;
    enum token token;
    const char *text; /* of a word or a quoted text, in e->text; of a sign, its characters */
    /* In a selector: further parts behind a word. */
};

static const char *keep(struct expression *e, const char *from, size_t len)
{
    char *text = e->text_at;
    memcpy(text, from, len);
    text[len] = '\0';
    e->text_at += len + 1;
    return text;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_-/.:", c) != NULL);
}

/* Between double quotes, with \" and \\, or between backticks, as it is. */
static void lex_quoted(struct expression *e, struct lexer *l)
{
    char quote = *l->at++;
    char *to = e->text_at;
    l->text = to;
    l->token = TOKEN_BAD;
    while (*l->at != '\0' && *l->at != quote) {
        if (quote == '"' && *l->at == '\\' && (l->at[1] == '"' || l->at[1] == '\\')) {
            l->at++;
        }
        *to++ = *l->at++;
    }
    if (*l->at == quote) {
        l->at++;
        *to++ = '\0';
        e->text_at = to;
        l->token = TOKEN_QUOTED;
    }
}

static void lex(struct expression *e, struct lexer *l)
{
    static const char *const signs[] = {"==", "!=", "(", ")", "[", "]"};
    l->at += strspn(l->at, " \t\r\n");
    if (*l->at == '\0') {
        l->token = TOKEN_END;
        return;
    }
    if (*l->at == '"' || *l->at == '`') {
        lex_quoted(e, l);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(signs); i++) {
        if (strncmp(l->at, signs[i], strlen(signs[i])) == 0) {
            l->at += strlen(signs[i]);
            l->token = TOKEN_SIGN;
            l->text = signs[i];
            return;
        }
    }
    size_t len = 0;
    while (is_word(l->at[len])) {
        len++;
    }
    l->token = len > 0 ? TOKEN_WORD : TOKEN_BAD;
    l->text = keep(e, l->at, len);
    l->at += len;
}

static bool is_sign(const struct lexer *l, const char *sign)
{
    return l->token == TOKEN_SIGN && strcmp(l->text, sign) == 0;
}

static bool is_keyword(const struct lexer *l, const char *word)
{
    return l->token == TOKEN_WORD && strcmp(l->text, word) == 0;
}

static int fail(struct expression *e, const char *what)
{
    if (e->problem->message[0] == '\0') {
        problem_set(e->problem, "", "Failed to create boolean expression evaluator: %s", what);
    }
    return -1;
}

static int add(struct expression *e, enum node_kind kind)
{
    if (e->count == EXPRESSION_NODES_MAX) {
        return fail(e, "it is too long");
    }
    e->nodes[e->count] = (struct node){.kind = kind, .left = -1, .right = -1};
    return (int)e->count++;
}

/* --- selectors --- */

/* Whether the path of a known selector is this one; a `*` is any part. */
static bool is_path(const char *path, const struct node *n)
{
    for (unsigned i = 0; i < n->parts_count; i++) {
        size_t len = strcspn(path, ".");
        bool any = len == 1 && path[0] == '*';
        if (len == 0 ||
            (!any && (strlen(n->parts[i]) != len || strncmp(path, n->parts[i], len) != 0))) {
            return false;
        }
        path += len;
        path += *path == '.';
    }
    return *path == '\0';
}

static bool find_selector(struct expression *e, struct node *n)
{
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (known[i].kind == e->selectors && is_path(known[i].path, n)) {
            n->type = known[i].type;
            return true;
        }
    }
    char what[120];
    (void)snprintf(what, sizeof what, "Selector \"%.60s\" is not valid here",
                   n->parts_count > 0 ? n->parts[n->parts_count - 1] : "");
    (void)fail(e, what);
    return false;
}

/* The word that was read, split at its dots, and ["parts"] behind it. */
static bool take_selector(struct expression *e, struct lexer *l, const char *word, struct node *n)
{
    const char *part = word;
    while (n->parts_count < EXPRESSION_PARTS_MAX) {
        size_t len = strcspn(part, ".");
        n->parts[n->parts_count++] = keep(e, part, len);
        if (len == 0) {
            return fail(e, "a selector is not complete") == 0;
        }
        if (part[len] == '\0') {
            break;
        }
        part += len + 1;
    }
    while (is_sign(l, "[") && n->parts_count < EXPRESSION_PARTS_MAX) {
        lex(e, l);
        if (l->token != TOKEN_QUOTED) {
            return fail(e, "a key must stand in quotes") == 0;
        }
        n->parts[n->parts_count++] = l->text;
        lex(e, l);
        if (!is_sign(l, "]")) {
            return fail(e, "] is missing") == 0;
        }
        lex(e, l);
    }
    return find_selector(e, n);
}

/* --- matches --- */

static bool compile_pattern(struct expression *e, struct node *n)
{
    /* What takes long to compile or to match is not taken. */
    if (strlen(n->value) > PATTERN_BYTES_MAX || strpbrk(n->value, "{\\") != NULL) {
        return fail(e, "a pattern has at most 256 bytes, and neither { nor \\") == 0;
    }
    if (regcomp(&n->regex, n->value, REG_EXTENDED | REG_NOSUB) != 0) {
        return fail(e, "a pattern is not valid") == 0;
    }
    n->has_regex = true;
    return true;
}

/* Whether the operator is for such a value. */
static bool check_operator(struct expression *e, struct node *n)
{
    bool fits = true;
    switch (n->kind) {
    case NODE_EQUAL:
        fits = n->type == TYPE_text || n->type == TYPE_number || n->type == TYPE_truth;
        break;
    case NODE_HAS:
        fits = n->type == TYPE_text || n->type == TYPE_texts || n->type == TYPE_map;
        break;
    case NODE_EMPTY:
        fits = n->type != TYPE_number && n->type != TYPE_truth;
        break;
    case NODE_MATCHES:
        fits = n->type == TYPE_text;
        break;
    default:
        break;
    }
    if (fits && n->kind == NODE_EQUAL && n->type == TYPE_number) {
        char *end;
        (void)strtoll(n->value, &end, 10);
        fits = n->value[0] != '\0' && *end == '\0';
    } else if (fits && n->kind == NODE_EQUAL && n->type == TYPE_truth) {
        fits = strcmp(n->value, "true") == 0 || strcmp(n->value, "false") == 0;
    }
    if (!fits) {
        return fail(e, "an operator or value does not fit what is selected") == 0;
    }
    return n->kind != NODE_MATCHES || compile_pattern(e, n);
}

/* Behind a selector. */
static bool take_operator(struct expression *e, struct lexer *l, struct node *n)
{
    if (is_keyword(l, "is")) {
        lex(e, l);
        n->kind = NODE_EMPTY;
        if (is_keyword(l, "not")) {
            n->negated = true;
            lex(e, l);
        }
        if (!is_keyword(l, "empty")) {
            return fail(e, "\"empty\" is missing") == 0;
        }
        lex(e, l);
        return check_operator(e, n);
    }
    if (is_sign(l, "==") || is_sign(l, "!=")) {
        n->kind = NODE_EQUAL;
        n->negated = is_sign(l, "!=");
    } else {
        if (is_keyword(l, "not")) {
            n->negated = true;
            lex(e, l);
        }
        if (!is_keyword(l, "contains") && !is_keyword(l, "matches")) {
            return fail(e, "an operator is missing") == 0;
        }
        n->kind = is_keyword(l, "matches") ? NODE_MATCHES : NODE_HAS;
    }
    lex(e, l);
    if (l->token != TOKEN_WORD && l->token != TOKEN_QUOTED) {
        return fail(e, "a value is missing") == 0;
    }
    n->value = l->text;
    lex(e, l);
    return check_operator(e, n);
}

/* value ["not"] "in" selector; the value has been read. */
static bool take_in(struct expression *e, struct lexer *l, const char *value, struct node *n)
{
    n->kind = NODE_HAS;
    n->value = value;
    if (is_keyword(l, "not")) {
        n->negated = true;
        lex(e, l);
    }
    if (!is_keyword(l, "in")) {
        return fail(e, "an operator is missing") == 0;
    }
    lex(e, l);
    if (l->token != TOKEN_WORD) {
        return fail(e, "a selector is missing") == 0;
    }
    const char *word = l->text;
    lex(e, l);
    return take_selector(e, l, word, n) && check_operator(e, n);
}

/* Whether "in" or "not in" follows, without reading it. */
static bool is_before_in(struct expression *e, const struct lexer *l)
{
    struct lexer ahead = *l;
    char *text_at = e->text_at;
    bool is = is_keyword(&ahead, "in");
    if (is_keyword(&ahead, "not")) {
        lex(e, &ahead);
        is = is_keyword(&ahead, "in");
    }
    e->text_at = text_at;
    return is;
}

static int parse_match(struct expression *e, struct lexer *l)
{
    bool quoted = l->token == TOKEN_QUOTED;
    const char *first = l->text;
    if (!quoted && l->token != TOKEN_WORD) {
        return fail(e, "a selector is missing");
    }
    int place = add(e, NODE_EQUAL);
    if (place < 0) {
        return -1;
    }
    struct node *n = &e->nodes[place];
    lex(e, l);
    if (quoted || is_before_in(e, l)) {
        return take_in(e, l, first, n) ? place : -1;
    }
    return take_selector(e, l, first, n) && take_operator(e, l, n) ? place : -1;
}

/* --- and, or, not --- */

static int parse_or(struct expression *e, struct lexer *l, unsigned depth);

static int parse_not(struct expression *e, struct lexer *l, unsigned depth)
{
    if (depth > EXPRESSION_DEPTH_MAX) {
        return fail(e, "it is too deep");
    }
    if (is_keyword(l, "not")) {
        lex(e, l);
        int place = add(e, NODE_NOT);
        int inner = place < 0 ? -1 : parse_not(e, l, depth + 1);
        if (inner < 0) {
            return -1;
        }
        e->nodes[place].left = inner;
        return place;
    }
    if (is_sign(l, "(")) {
        lex(e, l);
        int inner = parse_or(e, l, depth + 1);
        if (inner < 0) {
            return -1;
        }
        if (!is_sign(l, ")")) {
            return fail(e, ") is missing");
        }
        lex(e, l);
        return inner;
    }
    return parse_match(e, l);
}

static int parse_chain(struct expression *e, struct lexer *l, unsigned depth, bool is_or)
{
    int left = is_or ? parse_chain(e, l, depth, false) : parse_not(e, l, depth);
    while (left >= 0 && is_keyword(l, is_or ? "or" : "and")) {
        lex(e, l);
        int place = add(e, is_or ? NODE_OR : NODE_AND);
        int right = place < 0 ? -1
                    : is_or   ? parse_chain(e, l, depth, false)
                              : parse_not(e, l, depth);
        if (right < 0) {
            return -1;
        }
        e->nodes[place].left = left;
        e->nodes[place].right = right;
        left = place;
    }
    return left;
}

static int parse_or(struct expression *e, struct lexer *l, unsigned depth)
{
    return parse_chain(e, l, depth, true);
}

struct expression *expression_compile(const char *text, enum selectors selectors,
                                      struct problem *problem)
{
    size_t len = strlen(text);
    problem->field[0] = problem->message[0] = '\0';
    if (len > EXPRESSION_BYTES_MAX) {
        problem_set(problem, "", "a filter has at most %d bytes", EXPRESSION_BYTES_MAX);
        return NULL;
    }
    struct expression *e = mem_zalloc(1, sizeof *e);
    e->selectors = selectors;
    e->problem = problem;
    /* Each token is kept at most three times: as a word, in parts, and looked at ahead. */
    e->text = e->text_at = mem_alloc(4 * (len + 2));
    struct lexer l = {.at = text};
    lex(e, &l);
    e->root = parse_or(e, &l, 0);
    if (e->root >= 0 && l.token != TOKEN_END) {
        (void)fail(e, "it goes on behind its end");
    }
    e->problem = NULL;
    if (problem->message[0] != '\0') {
        expression_free(e);
        return NULL;
    }
    return e;
}

void expression_free(struct expression *e)
{
    if (e == NULL) {
        return;
    }
    for (unsigned i = 0; i < e->count; i++) {
        if (e->nodes[i].has_regex) {
            regfree(&e->nodes[i].regex);
        }
    }
    free(e->text);
    free(e);
}

/* --- matching --- */

static bool text_is(const struct node *n, const char *text)
{
    switch (n->kind) {
    case NODE_EQUAL:
        return strcmp(text, n->value) == 0;
    case NODE_HAS:
        return strstr(text, n->value) != NULL;
    case NODE_EMPTY:
        return text[0] == '\0';
    default:
        return regexec(&n->regex, text, 0, NULL, 0) == 0;
    }
}

static bool list_has(const json_t *list, const char *text)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *own = json_string_value(item);
        if (own != NULL && strcmp(own, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Without its negation. */
static bool value_is(const struct node *n, const json_t *value)
{
    switch (n->type) {
    case TYPE_number:
        return json_integer_value(value) == strtoll(n->value, NULL, 10);
    case TYPE_truth:
        return json_is_true(value) == (strcmp(n->value, "true") == 0);
    case TYPE_texts:
        return n->kind == NODE_EMPTY ? json_array_size(value) == 0 : list_has(value, n->value);
    case TYPE_map:
        return n->kind == NODE_EMPTY ? json_object_size(value) == 0
                                     : json_object_get(value, n->value) != NULL;
    case TYPE_things:
        return json_array_size(value) == 0;
    case TYPE_text:
        return text_is(n, json_is_string(value) ? json_string_value(value) : "");
    }
    return false;
}

static enum match match_at(const struct node *n, const json_t *value, unsigned part)
{
    if (json_is_array(value) && part < n->parts_count) {
        /* Of a list, one is enough. */
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item)
        {
            if (match_at(n, item, part) == MATCH_YES) {
                return MATCH_YES;
            }
        }
        return MATCH_NO;
    }
    if (part < n->parts_count) {
        const json_t *inner = json_object_get(value, n->parts[part]);
        bool is_key = inner == NULL && part + 1 == n->parts_count && n->type == TYPE_text;
        bool is_of_map = is_key && part > 0 && strstr(n->parts[part - 1], "Meta") != NULL;
        if (is_of_map && n->kind == NODE_EMPTY) {
            return MATCH_ERROR;
        }
        if (is_of_map) {
            return n->negated ? MATCH_YES : MATCH_NO;
        }
        return match_at(n, inner, part + 1);
    }
    return value_is(n, value) != n->negated ? MATCH_YES : MATCH_NO;
}

static enum match match_node(const struct expression *e, int place, const json_t *entry)
{
    const struct node *n = &e->nodes[place];
    if (n->kind != NODE_AND && n->kind != NODE_OR && n->kind != NODE_NOT) {
        return match_at(n, entry, 0);
    }
    enum match left = match_node(e, n->left, entry);
    if (n->kind == NODE_NOT) {
        return left == MATCH_ERROR ? left : left == MATCH_YES ? MATCH_NO : MATCH_YES;
    }
    if (left == MATCH_ERROR || (n->kind == NODE_AND) == (left == MATCH_NO)) {
        return left;
    }
    return match_node(e, n->right, entry);
}

enum match expression_match(const struct expression *e, const json_t *entry)
{
    return match_node(e, e->root, entry);
}
