#include "client/lib/servers.h"

#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

#include "server/base/text.h"

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* http or https, a host, perhaps a port and a path; nothing else. */
static bool is_valid(const char *text)
{
    CURLU *url = curl_url();
    bool valid = url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                 has_part(url, CURLUPART_HOST) && !has_part(url, CURLUPART_QUERY) &&
                 !has_part(url, CURLUPART_FRAGMENT) && !has_part(url, CURLUPART_USER);
    curl_url_cleanup(url);
    return valid;
}

static bool has_port(const char *authority, size_t len)
{
    const char *bracket = memrchr(authority, ']', len);
    size_t skipped = bracket != NULL ? (size_t)(bracket - authority) : 0;
    return memchr(authority + skipped, ':', len - skipped) != NULL;
}

/* A host without a scheme means our own port; with one, the URL means what it says. */
static int complete(char text[SERVER_URL_MAX + 1], const char *url, size_t len)
{
    if (memmem(url, len, "://", 3) != NULL) {
        return snprintf(text, SERVER_URL_MAX + 1, "%.*s", (int)len, url);
    }
    const char *slash = memchr(url, '/', len);
    size_t host = slash != NULL ? (size_t)(slash - url) : len;
    return snprintf(text, SERVER_URL_MAX + 1, "http://%.*s%s%.*s", (int)host, url,
                    has_port(url, host) ? "" : ":" SERVER_PORT_DEFAULT, (int)(len - host),
                    url + host);
}

bool servers_add(struct servers *servers, const char *url, size_t len, char *error,
                 size_t error_size)
{
    char text[SERVER_URL_MAX + 1];
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    int length = len <= SERVER_URL_MAX ? complete(text, url, len) : 0;
    if (len == 0 || len > SERVER_URL_MAX || (size_t)length >= sizeof text ||
        !text_is_printable(text, (size_t)length) || strchr(text, ' ') != NULL ||
        text[length - 1] == ':' ||
        (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) ||
        !is_valid(text)) {
        (void)snprintf(error, error_size,
                       "\"%.*s\" is not the URL of a replica such as http://127.0.0.1:9000",
                       len < 200 ? (int)len : 200, url);
        return false;
    }
    for (size_t i = 0; i < servers->count; i++) {
        if (strcmp(servers->urls[i], text) == 0) {
            return true;
        }
    }
    if (servers->count == SERVERS_MAX) {
        (void)snprintf(error, error_size, "more than %d replicas are given", SERVERS_MAX);
        return false;
    }
    memcpy(servers->urls[servers->count++], text, (size_t)length + 1);
    return true;
}

bool servers_parse(const char *list, struct servers *ret_servers, char *error, size_t error_size)
{
    ret_servers->count = 0;
    for (;;) {
        size_t len = strcspn(list, ",");
        if (!servers_add(ret_servers, list, len, error, error_size)) {
            return false;
        }
        if (list[len] == '\0') {
            return true;
        }
        list += len + 1;
    }
}

/* A part of a URL as a text for curl_free(), NULL when it is not there. */
static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

bool servers_parse_host(const char *url, char *host, size_t host_size, uint16_t *ret_port)
{
    CURLU *parsed = curl_url();
    bool valid = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    char *name = valid ? part_of(parsed, CURLUPART_HOST) : NULL;
    char *port = valid ? part_of(parsed, CURLUPART_PORT) : NULL;
    uint64_t number;
    size_t len = name != NULL ? strlen(name) : 0;
    valid = len > 0 && port != NULL && text_parse_u64(port, UINT16_MAX, &number) && number > 0;
    if (valid) {
        bool bracketed = name[0] == '[' && name[len - 1] == ']';
        int printed = bracketed ? snprintf(host, host_size, "%.*s", (int)len - 2, name + 1)
                                : snprintf(host, host_size, "%s", name);
        valid = printed > 0 && (size_t)printed < host_size;
        *ret_port = (uint16_t)number;
    }
    curl_free(name);
    curl_free(port);
    curl_url_cleanup(parsed);
    return valid;
}
