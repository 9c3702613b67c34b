#include "api/prober/allow.h"

#include <string.h>

#define ITEM_SIZE 64

#define V4(a, b, c, d, len)                                                                        \
    {                                                                                              \
        .address.bytes = {[10] = 0xff, 0xff, a, b, c, d}, .bits = IP_MAPPED_BITS + (len)           \
    }
#define V6(len, ...)                                                                               \
    {                                                                                              \
        .address.bytes = {__VA_ARGS__}, .bits = (len)                                              \
    }

/* With the addresses that connect to it. */
static const struct ip_network loopbacks[] = {
    V4(127, 0, 0, 0, 8),
    V4(0, 0, 0, 0, 8),
    V6(128, [15] = 1),
    V6(128, 0),
};
static const struct ip_network link_locals[] = {
    V4(169, 254, 0, 0, 16),
    V6(10, 0xfe, 0x80),
};
/* Multicast, and what is reserved. */
static const struct ip_network odd_ones[] = {
    V4(224, 0, 0, 0, 3),
    V6(8, 0xff),
};
/* What clouds give to a machine that asks, keys among it, beside link-local addresses: AWS by IPv6,
 * Azure's host, Alibaba, Oracle. */
static const struct ip_network metadata[] = {
    V6(32, 0xfd, 0x00, 0x0e, 0xc2),
    V4(168, 63, 129, 16, 32),
    V4(100, 100, 100, 200, 32),
    V4(192, 0, 0, 192, 32),
};

static bool any_has(const struct ip_network *networks, size_t count,
                    const struct ip_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (ip_network_has(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

/* A gateway of NAT64 would connect to the IPv4 address at its end (RFC 6052, 2.1). */
static struct ip_address behind_nat64(struct ip_address address)
{
    static const struct ip_network nat64 = V6(96, 0x00, 0x64, 0xff, 0x9b);
    if (ip_network_has(&nat64, &address)) {
        memset(address.bytes, 0, IP_MAPPED_BYTES);
        memset(address.bytes + IP_MAPPED_BYTES - 2, 0xff, 2);
    }
    return address;
}

/* NULL: there is nothing special about it. */
static const char *find_special(const struct allow *allow, const struct ip_address *address)
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
    char item[ITEM_SIZE];
    if (len >= sizeof item) {
        return false;
    }
    memcpy(item, text, len);
    item[len] = '\0';
    if (strcmp(item, "instance") == 0) {
        allow->instance = true;
        return true;
    }
    if (strcmp(item, "any") == 0) {
        allow->any = true;
        return true;
    }
    return allow->count < ALLOW_NETWORKS_MAX &&
           ip_network_parse(item, &allow->networks[allow->count++]);
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

const char *allow_refusal(const struct allow *allow, const struct sockaddr *address, bool is_own)
{
    struct ip_address where;
    if (!ip_address_of_socket(address, &where)) {
        return "it has no address of the internet";
    }
    if (any_has(allow->networks, allow->count, &where)) {
        return NULL;
    }
    where = behind_nat64(where);
    const char *refusal = find_special(allow, &where);
    if (refusal != NULL) {
        return refusal;
    }
    return allow->any || (allow->instance && is_own)
               ? NULL
               : "it is another machine than the instance's (--checks-allow)";
}
