#include "api/consul/query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/consul/handlers.h"
#include "api/consul/hash_wait.h"
#include "api/http/read_query.h"
#include "server/base/random.h"
#include "server/base/text.h"

#define WAIT_DEFAULT_MS (5 * 60 * 1000)
/* A wait is up to a sixteenth longer, so that many do not end together. */
#define WAIT_JITTER 16
#define NS_PER_MS   1000000u

static const struct {
    const char *unit;
    uint64_t ns;
} units[] = {{"ns", 1},         {"us", 1000},       {"\xc2\xb5s", 1000}, {"ms", 1000000},
             {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};

static bool take_unit(const char **text, uint64_t *ret_ns)
{
    size_t len = strcspn(*text, "0123456789.");
    for (size_t i = 0; i < ARRAY_LENGTH(units); i++) {
        if (len == strlen(units[i].unit) && strncmp(*text, units[i].unit, len) == 0) {
            *ret_ns = units[i].ns;
            *text += len;
            return true;
        }
    }
    return false;
}

/* Digits, at most as many as are exact, with at most one point. */
static bool take_number(const char **text, double *ret_value)
{
    char number[24];
    size_t len = strspn(*text, "0123456789.");
    if (len == 0 || len >= sizeof number || strcspn(*text, "0123456789") >= len) {
        return false;
    }
    memcpy(number, *text, len);
    number[len] = '\0';
    char *point = strchr(number, '.');
    if (point != NULL && strchr(point + 1, '.') != NULL) {
        return false;
    }
    double value = 0;
    double place = 1;
    for (const char *p = number; *p != '\0'; p++) {
        if (*p == '.') {
            place = 0.1;
        } else if (place < 1) {
            value += place * (*p - '0');
            place /= 10;
        } else {
            value = value * 10 + (*p - '0');
        }
    }
    *text += len;
    *ret_value = value;
    return true;
}

bool query_parse_duration(const char *text, uint64_t *ret_ns, bool *ret_negative)
{
    double sum = 0;
    *ret_negative = *text == '-';
    text += *text == '-' || *text == '+';
    if (strcmp(text, "0") == 0) {
        *ret_ns = 0;
        return true;
    }
    if (*text == '\0') {
        return false;
    }
    while (*text != '\0') {
        double number;
        uint64_t unit;
        if (!take_number(&text, &number) || !take_unit(&text, &unit)) {
            return false;
        }
        sum += number * (double)unit;
    }
    if (sum > (double)INT64_MAX / 2) {
        return false;
    }
    *ret_ns = *ret_negative ? 0 : (uint64_t)(sum + 0.5);
    return true;
}

bool query_has(const struct request *request, const char *name)
{
    return request_query(request, name) != NULL;
}

bool query_bool(const struct request *request, const char *name, bool *ret_value)
{
    static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
    static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};
    const char *text = request_query(request, name);
    *ret_value = false;
    if (text == NULL) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++) {
        if (strcmp(text, yes[i]) == 0) {
            *ret_value = true;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++) {
        if (strcmp(text, no[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool query_is_here(const struct exchange *x)
{
    const char *dc = request_query(&x->request, "dc");
    return dc == NULL || dc[0] == '\0' || strcasecmp(dc, x->context->datacenter) == 0;
}

const char *query_consistency(const struct request *request)
{
    if (query_has(request, "consistent")) {
        return "consistent";
    }
    return query_has(request, "stale") || query_has(request, "max_stale") ? "stale" : "leader";
}

static bool parse_wait(const struct request *request, uint64_t *ret_ms)
{
    const char *text = request_query(request, "wait");
    uint64_t ns = 0;
    bool negative;
    *ret_ms = WAIT_DEFAULT_MS;
    if (text == NULL || text[0] == '\0') {
        return true;
    }
    if (!query_parse_duration(text, &ns, &negative)) {
        return false;
    }
    if (!negative && ns > 0) {
        *ret_ms = ns / NS_PER_MS > WAIT_MS_MAX ? WAIT_MS_MAX : (ns + NS_PER_MS - 1) / NS_PER_MS;
    }
    return true;
}

bool query_parse_read(struct exchange *x, uint64_t *ret_wait_ms, struct problem *problem)
{
    static const enum node_watch watches[] = {
        [WATCH_SERVICE] = NODE_WATCH_SERVICE,
        [WATCH_CATALOG] = NODE_WATCH_CATALOG,
        [WATCH_CHANGED] = NODE_WATCH_CHANGED,
    };
    const struct request *request = &x->request;
    const char *index = request_query(request, "index");
    uint64_t wait_ms, stale_ns;
    bool negative;
    x->read.watch = watches[x->route->watch];
    if (index != NULL && index[0] != '\0' &&
        !text_parse_u64(index, UINT64_MAX, &x->read.after_index)) {
        problem_set(problem, "", "Invalid index");
        return false;
    }
    if (!parse_wait(request, &wait_ms)) {
        problem_set(problem, "", "Invalid wait time");
        return false;
    }
    const char *most = request_query(request, "max_stale");
    if (most != NULL && most[0] != '\0' && !query_parse_duration(most, &stale_ns, &negative)) {
        problem_set(problem, "", "Invalid max_stale value \"%.40s\"", most);
        return false;
    }
    if (query_has(request, "stale") && query_has(request, "consistent")) {
        problem_set(problem, "", "Cannot specify ?stale with ?consistent, conflicting semantics.");
        return false;
    }
    x->read.linearizable = query_has(request, "consistent");
    *ret_wait_ms = READ_QUERY_NO_WAIT;
    if (x->route->handle == consul_agent_service) {
        (void)hash_wait(x, wait_ms, ret_wait_ms);
        return true;
    }
    if (x->read.after_index > 0) {
        *ret_wait_ms = wait_ms + random_next(&x->scratch->random) % (wait_ms / WAIT_JITTER + 1);
        if (x->route->handle == consul_kv_get) {
            x->read.after_index = UINT64_MAX - 1; /* no change is one of keys */
        }
    }
    return true;
}

bool query_check(struct exchange *x, struct problem *problem)
{
    bool passing;
    if (!query_bool(&x->request, "passing", &passing)) {
        problem_set(problem, "", "Invalid value for ?passing");
        return false;
    }
    return true;
}
