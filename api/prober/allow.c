#include "api/prober/allow.h"

#include <string.h>

#include <netinet/in.h>

#include "server/base/text.h"

#define ITEM_SIZE 64
#define MAPPED    12 /* bytes before an IPv4 address that stands as an IPv6 address */

#define V4(a, b, c, d, len)                                                                        \
    {                                                                                              \
        .network.bytes = {[10] = 0xff, 0xff, a, b, c, d}, .bits = 8 * MAPPED + (len)               \
    }
#define V6(len, ...)                                                                               \
    {                                                                                              \
        .network.bytes = {__VA_ARGS__}, .bits = (len)                                              \
    }

/* With the addresses that connect to it. */
static const struct allow_network loopbacks[] = {
    V4(127, 0, 0, 0, 8),
    V4(0, 0, 0, 0, 8),
    V6(128, [15] = 1),
    V6(128, 0),
};
static const struct allow_network link_locals[] = {
    V4(169, 254, 0, 0, 16),
    V6(10, 0xfe, 0x80),
};
/* Multicast, and what is reserved. */
static const struct allow_network odd_ones[] = {
    V4(224, 0, 0, 0, 3),
    V6(8, 0xff),
};
/* What clouds give to a machine that asks, keys among it, beside link-local addresses: AWS by IPv6,
 * Azure's host, Alibaba, Oracle. */
static const struct allow_network metadata[] = {
    V6(32, 0xfd, 0x00, 0x0e, 0xc2),
    V4(168, 63, 129, 16, 32),
    V4(100, 100, 100, 200, 32),
    V4(192, 0, 0, 192, 32),
};

static bool parse_network(const char *text, size_t len, struct allow_network *ret_network)
{
    char item[ITEM_SIZE];
    uint64_t bits;
    if (len >= sizeof item) {
        return false;
    }
    memcpy(item, text, len);
    item[len] = '\0';
    char *slash = strchr(item, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (!near_address_parse(item, &ret_network->network)) {
        return false;
    }
    bool is_ipv4 = strchr(item, ':') == NULL;
    unsigned most = is_ipv4 ? 32 : 128;
    bits = most;
    if (slash != NULL && !text_parse_u64(slash + 1, most, &bits)) {
        return false;
    }
    ret_network->bits = (unsigned)bits + (is_ipv4 ? 8 * MAPPED : 0);
    return true;
}

static bool has(const struct allow_network *network, const struct near_address *address)
{
    unsigned bytes = network->bits / 8, rest = network->bits % 8;
    return memcmp(network->network.bytes, address->bytes, bytes) == 0 &&
           (rest == 0 ||
            (network->network.bytes[bytes] ^ address->bytes[bytes]) >> (8 - rest) == 0);
}

static bool any_has(const struct allow_network *networks, size_t count,
                    const struct near_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (has(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

/* NULL: there is nothing special about it. */
static const char *find_special(const struct allow *allow, const struct near_address *address)
{
    if (!allow->loopback && any_has(loopbacks, ARRAY_LENGTH(loopbacks), address)) {
        return "loopback addresses are the replica's own, and are not checked";
    }
    if (any_has(link_locals, ARRAY_LENGTH(link_locals), address)) {
        return "link-local addresses are not checked";
    }
    if (any_has(metadata, ARRAY_LENGTH(metadata), address)) {
        return "metadata services are not checked";
    }
    return any_has(odd_ones, ARRAY_LENGTH(odd_ones), address)
               ? "multicast and reserved addresses are not checked"
               : NULL;
}

static bool parse_item(const char *text, size_t len, struct allow *allow)
{
    if (len == 8 && memcmp(text, "instance", len) == 0) {
        allow->instance = true;
        return true;
    }
    if (len == 3 && memcmp(text, "any", len) == 0) {
        allow->any = true;
        return true;
    }
    return allow->count < ALLOW_NETWORKS_MAX &&
           parse_network(text, len, &allow->networks[allow->count++]);
}

bool allow_parse(const char *text, struct allow *ret_allow)
{
    *ret_allow = (struct allow){.any = false};
    if (strcmp(text, "off") == 0) {
        return true;
    }
    for (;;) {
        size_t len = strcspn(text, ",");
        if (!parse_item(text, len, ret_allow)) {
            return false;
        }
        if (text[len] == '\0') {
            return true;
        }
        text += len + 1;
    }
}

bool allow_is_off(const struct allow *allow)
{
    return !allow->any && !allow->instance && allow->count == 0;
}

static bool from_socket(const struct sockaddr *address, struct near_address *ret_address)
{
    if (address->sa_family == AF_INET) {
        static const uint8_t mapped[MAPPED] = {[10] = 0xff, [11] = 0xff};
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        memcpy(ret_address->bytes, mapped, MAPPED);
        memcpy(ret_address->bytes + MAPPED, &in.sin_addr, sizeof in.sin_addr);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        memcpy(ret_address->bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
        return true;
    }
    return false;
}

const char *allow_refusal(const struct allow *allow, const struct sockaddr *address, bool is_own)
{
    struct near_address where;
    if (!from_socket(address, &where)) {
        return "it has no address of the internet";
    }
    if (any_has(allow->networks, allow->count, &where)) {
        return NULL;
    }
    if (allow_is_off(allow)) {
        return "checks are off (--checks-allow)";
    }
    const char *refusal = find_special(allow, &where);
    if (refusal != NULL) {
        return refusal;
    }
    return allow->any || (allow->instance && is_own)
               ? NULL
               : "it is another machine than the instance's (--checks-allow)";
}
