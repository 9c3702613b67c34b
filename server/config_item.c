/* What an item of a list may be. */
#include <stdint.h>
#include <string.h>

#ifdef MUSTER_PROBER
#include "api/prober/allow.h"
#endif
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/base/text.h"
#include "server/config_internal.h"

bool config_is_host(const char *item, size_t len)
{
    return naming_is_host(item, len);
}

bool config_is_origin(const char *item, size_t len)
{
    char authority[ADDRESS_SIZE], host[HOST_BYTES_MAX + 1];
    uint16_t port;
    size_t scheme = strncmp(item, "https://", 8) == 0  ? 8
                    : strncmp(item, "http://", 7) == 0 ? 7
                                                       : 0;
    if (scheme == 0 || len <= scheme || len - scheme >= sizeof authority - 3) {
        return false;
    }
    len -= scheme;
    memcpy(authority, item + scheme, len);
    authority[len] = '\0';
    if (authority[len - 1] == ']' || strchr(authority, ':') == NULL) {
        memcpy(authority + len, ":1", 3);
    }
    return text_parse_address(authority, host, sizeof host, &port) &&
           naming_is_host(host, strlen(host));
}

bool config_is_allow(const char *text)
{
#ifdef MUSTER_PROBER
    struct allow allow;
    return allow_parse(text, &allow);
#else
    return strcmp(text, "instance") == 0 || strcmp(text, "off") == 0; /* nothing is run */
#endif
}
