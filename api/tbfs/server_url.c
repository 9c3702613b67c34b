#include "api/tbfs/server_url.h"

#include <stdio.h>
#include <string.h>

#include "server/base/naming.h"
#include "server/base/text.h"

bool server_url_join(const char *url, uint16_t port, char ret_url[SERVER_URL_SIZE],
                     struct problem *problem)
{
    const char *scheme = strncmp(url, "http", 4) == 0 ? "" : "http://";
    char suffix[sizeof ":65535"] = "";
    if (port != 80 && port != 443) {
        (void)snprintf(suffix, sizeof suffix, ":%u", (unsigned)port);
    }
    int len = snprintf(ret_url, SERVER_URL_SIZE, "%s%s%s", scheme, url, suffix);
    if (len < 0 || len >= SERVER_URL_SIZE) {
        problem_set(problem, "url", "must be at most %d bytes with its scheme and port",
                    SERVER_URL_SIZE - 1);
        return false;
    }
    return true;
}

/* The part between scheme and path, without a user's name. */
static void find_authority(const char *url, const char **ret_begin, size_t *ret_len)
{
    const char *scheme = strstr(url, "://");
    const char *begin = scheme != NULL ? scheme + 3 : url;
    size_t len = strcspn(begin, "/?#");
    for (size_t i = len; i > 0; i--) {
        if (begin[i - 1] == '@') {
            begin += i;
            len -= i;
            break;
        }
    }
    *ret_begin = begin;
    *ret_len = len;
}

/* Where the host ends: before the port's colon, if there is one. An address with several colons and
 * no brackets is IPv6 without a port. */
static size_t host_length(const char *authority, size_t len)
{
    const char *colon = memchr(authority, ':', len);
    if (authority[0] == '[') {
        const char *bracket = memchr(authority, ']', len);
        return bracket != NULL ? (size_t)(bracket - authority) + 1 : len;
    }
    if (colon == NULL || memchr(colon + 1, ':', len - (size_t)(colon + 1 - authority)) != NULL) {
        return len;
    }
    return (size_t)(colon - authority);
}

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
    char digits[sizeof "65535"];
    uint64_t value;
    if (len == 0) {
        return true; /* none is there: the one beside the URL counts */
    }
    if (text[0] != ':' || len - 1 >= sizeof digits) {
        return false;
    }
    memcpy(digits, text + 1, len - 1);
    digits[len - 1] = '\0';
    if (!text_parse_u64(digits, UINT16_MAX, &value) || value == 0) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

bool server_url_address(const char *url, uint16_t port, struct server_address *ret_address,
                        struct problem *problem)
{
    const char *authority;
    size_t len;
    find_authority(url, &authority, &len);
    size_t host_len = host_length(authority, len);
    ret_address->port = port;
    if (!parse_port(authority + host_len, len - host_len, &ret_address->port)) {
        problem_set(problem, "url", "must have no port, or one from 1 to 65535");
        return false;
    }
    if (host_len >= 2 && authority[0] == '[' && authority[host_len - 1] == ']') {
        authority++;
        host_len -= 2;
    }
    if (host_len > HOST_BYTES_MAX || !naming_is_host(authority, host_len)) {
        problem_set(
            problem, "url",
            "must be or hold a host name or address that others can dial, of at most %d bytes",
            HOST_BYTES_MAX);
        return false;
    }
    memcpy(ret_address->host, authority, host_len);
    ret_address->host[host_len] = '\0';
    return true;
}
