#include "api/http/origin.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "server/base/text.h"

/* Domains that nobody can have outside of a network: reserved (RFC 6761, 6762, 8375; .internal by
 * ICANN), or never to be delegated because so many networks have them; and what Kubernetes adds. */
static const char *const private_domains[] = {".localhost", ".local", ".internal", ".home.arpa",
                                              ".lan",       ".home",  ".corp",     ".private",
                                              ".intranet",  ".svc"};

/* The host and port of "host", "host:80", "[::1]:80": without brackets, and without the dot of the
 * root. */
struct authority {
    const char *host;
    size_t len;
    const char *port; /* "" when there is none */
};

static struct authority authority_of(const char *text)
{
    struct authority a = {.host = text, .len = strcspn(text, ":"), .port = text + strlen(text)};
    if (*text == '[') {
        a.host = text + 1;
        a.len = strcspn(a.host, "]");
        text = a.host + a.len;
        text += *text == ']';
    } else {
        text += a.len;
    }
    if (*text == ':') {
        a.port = text + 1;
    }
    if (a.len > 1 && a.host[a.len - 1] == '.') {
        a.len--;
    }
    return a;
}

static bool is_text(const char *text, size_t len, const char *other)
{
    return len == strlen(other) && strncasecmp(text, other, len) == 0;
}

/* Whether a list between commas has the text, or stands for all with "*". */
static bool list_has(const char *list, const char *text, size_t text_len, bool *ret_all)
{
    *ret_all = false;
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        if (len == 1 && *list == '*') {
            *ret_all = true;
            return true;
        }
        if (len == text_len && strncasecmp(list, text, len) == 0) {
            return true;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

static void set_own(char own[HOST_BYTES_MAX + 1], const char *address)
{
    uint16_t port;
    if (address == NULL || !text_parse_address(address, own, HOST_BYTES_MAX + 1, &port)) {
        own[0] = '\0';
    }
}

void origins_init(struct origins *origins, const struct door_options *options)
{
    origins->allow_host = options->allow_host != NULL ? options->allow_host : "";
    origins->cors = options->cors != NULL ? options->cors : "";
    set_own(origins->own[0], options->advertise_http);
    set_own(origins->own[1], options->advertise_peer);
    if (gethostname(origins->own[2], HOST_BYTES_MAX) != 0) {
        origins->own[2][0] = '\0';
    }
    origins->own[2][HOST_BYTES_MAX] = '\0';
}

static bool is_address(const struct authority *a)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (a->len >= sizeof host) {
        return false;
    }
    memcpy(host, a->host, a->len);
    host[a->len] = '\0';
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* A name that no page can have brought here: one that only a network's own servers, or the machine
 * itself, can say anything about. */
static bool is_private(const struct authority *a)
{
    const char *dot = memrchr(a->host, '.', a->len);
    if (dot == NULL || memchr(dot, '_', (size_t)(a->host + a->len - dot)) != NULL) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(private_domains); i++) {
        size_t len = strlen(private_domains[i]);
        if (a->len > len && strncasecmp(a->host + a->len - len, private_domains[i], len) == 0) {
            return true;
        }
    }
    return false;
}

/* No host is what HTTP/1.0 sends, which no browser does any more. */
static bool is_own_host(const struct origins *origins, const char *host)
{
    bool all;
    if (host == NULL) {
        return true;
    }
    struct authority a = authority_of(host);
    if (is_address(&a) || is_private(&a) || list_has(origins->allow_host, a.host, a.len, &all)) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(origins->own); i++) {
        if (is_text(a.host, a.len, origins->own[i])) {
            return true;
        }
    }
    return false;
}

/* Whether a page of this origin came from where it now asks. A proxy before the replica may speak
 * TLS. */
static bool is_same_origin(const char *origin, const char *host)
{
    const char *port;
    if (strncasecmp(origin, "http://", 7) == 0) {
        origin += 7;
        port = "80";
    } else if (strncasecmp(origin, "https://", 8) == 0) {
        origin += 8;
        port = "443";
    } else {
        return false; /* "null" among others */
    }
    if (host == NULL) {
        return false;
    }
    struct authority a = authority_of(origin), b = authority_of(host);
    return a.len == b.len && strncasecmp(a.host, b.host, a.len) == 0 &&
           strcmp(*a.port != '\0' ? a.port : port, *b.port != '\0' ? b.port : port) == 0;
}

/* A browser says so in one way or another, and a page cannot keep all of them back: Accept-Language
 * it can change, but not leave out. */
static bool may_be_browser(const struct request *request)
{
    const char *agent = request_header(request, "User-Agent");
    return request_header(request, "Origin") != NULL ||
           request_header(request, "Sec-Fetch-Site") != NULL ||
           request_header(request, "Accept-Language") != NULL ||
           (agent != NULL && strcasestr(agent, "Mozilla/") != NULL);
}

static bool refuse_page(struct response *response)
{
    response_error(response, 403, "forbidden", "Origin",
                   "web pages of other origins may not change anything, nor take a backup");
    return false;
}

static bool refuse_host(struct response *response)
{
    response_error(response, 421, "wrong_host", "Host",
                   "this replica does not know itself by the name in Host, which may be one that a "
                   "web page lets point here; ask by an address, or start musterd with "
                   "--allow-host NAME");
    return false;
}

/* Whether --cors names the origin that the request comes from. */
static bool is_let_in(const struct origins *origins, const struct request *request, bool *ret_all)
{
    const char *origin = request_header(request, "Origin");
    *ret_all = false;
    return origin != NULL && list_has(origins->cors, origin, strlen(origin), ret_all);
}

bool origin_allows(const struct origins *origins, const struct request *request, bool changes,
                   struct response *response)
{
    const char *origin = request_header(request, "Origin");
    const char *site = request_header(request, "Sec-Fetch-Site");
    const char *host = request_header(request, "Host");
    bool all;
    if (changes && site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        return refuse_page(response);
    }
    if (changes && origin != NULL && !is_same_origin(origin, host)) {
        return refuse_page(response);
    }
    if (!is_own_host(origins, host) &&
        (changes || (may_be_browser(request) && !is_let_in(origins, request, &all)))) {
        return refuse_host(response);
    }
    return true;
}

void origin_headers(const struct origins *origins, const struct request *request,
                    struct response *response)
{
    bool all;
    bool is_preflight = request->method == METHOD_OPTIONS &&
                        request_header(request, "Access-Control-Request-Method") != NULL;
    if (origins->cors[0] == '\0' ||
        (request->method != METHOD_GET && request->method != METHOD_HEAD && !is_preflight)) {
        return;
    }
    if (!is_let_in(origins, request, &all)) {
        response_header_static(response, "Vary", "Origin");
        return;
    }
    if (all) {
        response_header_static(response, "Access-Control-Allow-Origin", "*");
    } else {
        response_header_static(response, "Vary", "Origin");
        response_header_static(response, "Access-Control-Allow-Origin",
                               request_header(request, "Origin"));
    }
    if (is_preflight) {
        response_header_static(response, "Access-Control-Allow-Methods", "GET, HEAD");
        response_header_static(response, "Access-Control-Allow-Headers",
                               "Accept, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, "
                               "X-Muster-Namespace");
        response_header_static(response, "Access-Control-Max-Age", "600");
    } else {
        response_header_static(response, "Access-Control-Expose-Headers",
                               "ETag, Retry-After, X-Muster-Index, X-Muster-Leader, "
                               "X-Muster-Staleness-Ms");
    }
}
