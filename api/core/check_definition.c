#include "api/core/check_definition.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/base/mem.h"
#include "server/base/naming.h"
#include "server/base/text.h"

const char *check_kind_name(enum check_kind kind)
{
    static const char *const names[] = {"http", "tcp", "grpc"};
    return names[kind];
}

void check_definition_init(struct check_definition *d, enum check_kind kind, const char *target)
{
    memset(d, 0, sizeof *d);
    d->kind = kind;
    d->target = target;
    d->path = d->service = d->body = d->server_name = "";
    d->method = "GET";
    d->rise = d->fall = 1;
}

/* --- the target --- */

/* "host:port"; with a `port` given, "host" alone, too. */
static bool parse_address(const char *text, size_t len, uint16_t port,
                          char ret_host[HOST_BYTES_MAX + 1], uint16_t *ret_port)
{
    char address[ADDRESS_SIZE];
    if (len >= sizeof address) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    bool in_brackets = address[0] == '[';
    if (!text_parse_address(address, ret_host, HOST_BYTES_MAX + 1, ret_port)) {
        if (port == 0) {
            return false;
        }
        if (in_brackets && address[len - 1] == ']') {
            address[len - 1] = '\0';
            len -= 2;
            memmove(address, address + 1, len + 1);
        } else if (strchr(address, ':') != NULL) {
            return false;
        }
        if (len > HOST_BYTES_MAX) {
            return false;
        }
        memcpy(ret_host, address, len + 1);
        *ret_port = port;
    }
    return in_brackets == (strchr(ret_host, ':') != NULL) &&
           naming_is_host(ret_host, strlen(ret_host));
}

static bool take_address(const char *text, size_t len, uint16_t port, struct check_definition *d)
{
    return parse_address(text, len, port, d->host, &d->port);
}

static bool take_url(struct check_definition *d)
{
    const char *at = d->target;
    d->tls = strncasecmp(at, "https://", 8) == 0;
    if (!d->tls && strncasecmp(at, "http://", 7) != 0) {
        return false;
    }
    at += d->tls ? 8 : 7;
    size_t len = strcspn(at, "/?#");
    d->path = at[len] == '\0' ? "/" : at + len;
    return d->path[0] == '/' && strchr(d->path, '#') == NULL &&
           take_address(at, len, d->tls ? 443 : 80, d);
}

static bool take_target(struct check_definition *d)
{
    size_t len = strlen(d->target);
    d->path = d->service = "";
    for (size_t i = 0; i < len; i++) {
        if (d->target[i] <= ' ' || d->target[i] > '~') {
            return false;
        }
    }
    switch (d->kind) {
    case CHECK_HTTP:
        return take_url(d);
    case CHECK_TCP:
        return take_address(d->target, len, 0, d);
    default:
        len = strcspn(d->target, "/");
        d->service = d->target + len + (d->target[len] == '/');
        return take_address(d->target, len, 0, d);
    }
}

static bool check_target(struct check_definition *d, struct problem *problem)
{
    static const char *const forms[] = {
        "a URL such as http://10.0.0.5:8080/health: http or https, a host, and possibly a port and "
        "a path, in visible ASCII, without user, password and fragment",
        "an address with a port such as 10.0.0.5:6379, [2001:db8::7]:22 or db.example:5432",
        "an address with a port, and possibly a service, such as 10.0.0.5:50051/orders.Orders"};
    const char *field = check_kind_name(d->kind);
    if (strlen(d->target) > CHECK_TARGET_BYTES_MAX) {
        problem_set(problem, field, "must be at most %d bytes", CHECK_TARGET_BYTES_MAX);
        return false;
    }
    if (!take_target(d)) {
        problem_set(problem, field, "must be %s", forms[d->kind]);
        return false;
    }
    return true;
}

/* --- times and counts --- */

static bool check_times(struct check_definition *d, struct problem *problem)
{
    if (d->interval_ms == 0) {
        d->interval_ms = CHECK_INTERVAL_MS_DEFAULT;
    }
    if (d->interval_ms < CHECK_INTERVAL_MS_MIN || d->interval_ms > CHECK_INTERVAL_MS_MAX) {
        problem_set(problem, "interval", "must be from %d to %d seconds",
                    CHECK_INTERVAL_MS_MIN / 1000, CHECK_INTERVAL_MS_MAX / 1000);
        return false;
    }
    if (d->timeout_ms == 0) {
        d->timeout_ms =
            d->interval_ms < CHECK_TIMEOUT_MS_DEFAULT ? d->interval_ms : CHECK_TIMEOUT_MS_DEFAULT;
    }
    if (d->timeout_ms < CHECK_TIMEOUT_MS_MIN || d->timeout_ms > CHECK_TIMEOUT_MS_MAX) {
        problem_set(problem, "timeout", "must be from %g to %d seconds",
                    CHECK_TIMEOUT_MS_MIN / 1000.0, CHECK_TIMEOUT_MS_MAX / 1000);
        return false;
    }
    if (d->timeout_ms > d->interval_ms) {
        problem_set(problem, "timeout", "must not be longer than the interval");
        return false;
    }
    return true;
}

static bool check_results(uint16_t count, const char *field, struct problem *problem)
{
    if (count < 1 || count > CHECK_RESULTS_MAX) {
        problem_set(problem, field, "must be a whole number from 1 to %d", CHECK_RESULTS_MAX);
        return false;
    }
    return true;
}

static bool check_counts(struct check_definition *d, struct problem *problem)
{
    if (!check_results(d->rise, "rise", problem) || !check_results(d->fall, "fall", problem)) {
        return false;
    }
    if (d->warn == 0) {
        d->warn = d->fall;
    }
    if (d->warn > d->fall) {
        problem_set(problem, "warn", "must be from 1 to fall");
        return false;
    }
    return true;
}

/* --- what is sent --- */

static bool is_token(const char *text, size_t max)
{
    size_t len = 0;
    while (text_is_token_byte(text[len])) {
        len++;
    }
    return len > 0 && len <= max && text[len] == '\0';
}

/* Those say where a message ends or goes, and are the sender's. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {
        "connection", "content-length",    "expect",  "keep-alive",     "te",
        "trailer",    "transfer-encoding", "upgrade", "http2-settings", NULL};
    if (strncasecmp(name, "proxy-", 6) == 0) {
        return true;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcasecmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* One that names several would be understood differently by those on the way. */
static bool check_host(const struct check_definition *d, const char *value, struct problem *problem)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    unsigned count = 0;
    for (unsigned i = 0; i < d->headers_count; i++) {
        count += strcasecmp(d->headers[i].name, "host") == 0;
    }
    if (count > 1 || !parse_address(value, strlen(value), 80, host, &port)) {
        problem_set(problem, "headers",
                    "Host must be given once, as a host and possibly a port, such as shop.example");
        return false;
    }
    return true;
}

static bool check_header(const struct check_header *h, struct problem *problem)
{
    size_t len = strlen(h->value);
    if (!is_token(h->name, NAME_BYTES_MAX)) {
        problem_set(problem, "headers",
                    "a name must be letters, digits and any of !#$%%&'*+-.^_`|~, at most %d",
                    NAME_BYTES_MAX);
        return false;
    }
    if (is_reserved(h->name)) {
        problem_set(problem, "headers", "%.40s must not be given: it follows from the request",
                    h->name);
        return false;
    }
    if (len > CHECK_HEADER_BYTES_MAX || !text_is_printable(h->value, len) ||
        (len > 0 && (h->value[0] == ' ' || h->value[len - 1] == ' '))) {
        problem_set(problem, "headers",
                    "a value must be at most %d bytes of printable UTF-8, without spaces at its "
                    "ends",
                    CHECK_HEADER_BYTES_MAX);
        return false;
    }
    return true;
}

static bool check_headers(const struct check_definition *d, struct problem *problem)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < d->headers_count; i++) {
        if (!check_header(&d->headers[i], problem) ||
            (strcasecmp(d->headers[i].name, "host") == 0 &&
             !check_host(d, d->headers[i].value, problem))) {
            return false;
        }
        bytes += strlen(d->headers[i].name) + strlen(d->headers[i].value);
    }
    if (bytes > CHECK_HEADERS_BYTES_MAX) {
        problem_set(problem, "headers", "must be at most %d bytes together",
                    CHECK_HEADERS_BYTES_MAX);
        return false;
    }
    return true;
}

static bool check_body(const char *body, struct problem *problem)
{
    size_t len = strlen(body);
    if (len > CHECK_BODY_BYTES_MAX) {
        problem_set(problem, "body", "must be at most %d bytes", CHECK_BODY_BYTES_MAX);
        return false;
    }
    size_t n;
    for (size_t at = 0; at < len; at += n) {
        uint32_t code;
        n = text_next(body + at, len - at, &code);
        if (n == 0 || (!text_code_is_printable(code) && strchr("\t\r\n", body[at]) == NULL)) {
            problem_set(problem, "body",
                        "must be UTF-8, without control characters but tabs and line ends");
            return false;
        }
    }
    return true;
}

static bool check_sent(const struct check_definition *d, struct problem *problem)
{
    size_t len = strlen(d->server_name);
    if (!is_token(d->method, CHECK_METHOD_BYTES_MAX) || strcmp(d->method, "CONNECT") == 0) {
        problem_set(problem, "method",
                    "must be a method such as GET or HEAD, at most %d letters, and not CONNECT",
                    CHECK_METHOD_BYTES_MAX);
        return false;
    }
    if (!check_headers(d, problem) || !check_body(d->body, problem)) {
        return false;
    }
    if (len > CHECK_NAME_BYTES_MAX || (len > 0 && !naming_is_host(d->server_name, len))) {
        problem_set(problem, "tls.server_name", "must be the name of a host, at most %d bytes",
                    CHECK_NAME_BYTES_MAX);
        return false;
    }
    return true;
}

bool check_definition_settle(struct check_definition *d, struct problem *problem)
{
    return check_target(d, problem) && check_times(d, problem) && check_counts(d, problem) &&
           check_sent(d, problem);
}

/* --- copies --- */

static void move_text(const char **text, char **at)
{
    size_t size = strlen(*text) + 1;
    memcpy(*at, *text, size);
    *text = *at;
    *at += size;
}

struct check_definition *check_definition_copy(const struct check_definition *d)
{
    size_t size = sizeof *d + strlen(d->target) + strlen(d->method) + strlen(d->body) +
                  strlen(d->server_name) + 4;
    for (unsigned i = 0; i < d->headers_count; i++) {
        size += strlen(d->headers[i].name) + strlen(d->headers[i].value) + 2;
    }
    struct check_definition *copy = mem_alloc(size);
    char *at = (char *)(copy + 1);
    *copy = *d;
    move_text(&copy->target, &at);
    move_text(&copy->method, &at);
    move_text(&copy->body, &at);
    move_text(&copy->server_name, &at);
    for (unsigned i = 0; i < d->headers_count; i++) {
        move_text(&copy->headers[i].name, &at);
        move_text(&copy->headers[i].value, &at);
    }
    (void)take_target(copy);
    return copy;
}
