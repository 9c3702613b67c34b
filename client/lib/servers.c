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

bool servers_add(struct servers *servers, const char *url, size_t len, char *error,
                 size_t error_size)
{
    char text[SERVER_URL_MAX + 1];
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    bool has_scheme = memmem(url, len, "://", 3) != NULL;
    int length = snprintf(text, sizeof text, "%s%.*s", has_scheme ? "" : "http://", (int)len, url);
    if (len == 0 || len > SERVER_URL_MAX || (size_t)length >= sizeof text ||
        !text_is_printable(text, (size_t)length) || strchr(text, ' ') != NULL ||
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
