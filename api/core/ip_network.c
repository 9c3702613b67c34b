#include "api/core/ip_network.h"

#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "server/base/text.h"

#define ADDRESS_SIZE 64

static const uint8_t mapped[IP_MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

bool ip_address_is_ipv4(const struct ip_address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

/* Dotted decimal, as hosts are stored: some ten times as fast as inet_pton. */
static bool parse_ipv4(const char *text, uint8_t out[4])
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        while (*text >= '0' && *text <= '9' && digits < 4) {
            value = value * 10 + (unsigned)(*text++ - '0');
            digits++;
        }
        if (digits == 0 || digits > 3 || value > 255 || *text != (i < 3 ? '.' : '\0')) {
            return false;
        }
        out[i] = (uint8_t)value;
        text++;
    }
    return true;
}

bool ip_address_parse(const char *text, struct ip_address *ret_address)
{
    memcpy(ret_address->bytes, mapped, sizeof mapped);
    if (parse_ipv4(text, ret_address->bytes + IP_MAPPED_BYTES)) {
        return true;
    }
    return strchr(text, ':') != NULL && inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

bool ip_address_of_socket(const struct sockaddr *socket, struct ip_address *ret_address)
{
    if (socket->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, socket, sizeof in);
        memcpy(ret_address->bytes, mapped, sizeof mapped);
        memcpy(ret_address->bytes + IP_MAPPED_BYTES, &in.sin_addr, sizeof in.sin_addr);
        return true;
    }
    if (socket->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, socket, sizeof in6);
        memcpy(ret_address->bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
        return true;
    }
    return false;
}

bool ip_address_same(const struct ip_address *a, const struct ip_address *b, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    return memcmp(a->bytes, b->bytes, bytes) == 0 &&
           (rest == 0 || (a->bytes[bytes] ^ b->bytes[bytes]) >> (8 - rest) == 0);
}

bool ip_network_parse(const char *text, struct ip_network *ret_network)
{
    char address[ADDRESS_SIZE];
    size_t len = strcspn(text, "/");
    if (len >= sizeof address) {
        return false;
    }
    memcpy(address, text, len);
    address[len] = '\0';
    if (!ip_address_parse(address, &ret_network->address)) {
        return false;
    }
    bool is_ipv4 = strchr(address, ':') == NULL;
    uint64_t most = is_ipv4 ? 32 : 128, bits = most;
    if (text[len] == '/' && !text_parse_u64(text + len + 1, most, &bits)) {
        return false;
    }
    ret_network->bits = (unsigned)bits + (is_ipv4 ? IP_MAPPED_BITS : 0);
    return true;
}

bool ip_network_has(const struct ip_network *network, const struct ip_address *address)
{
    return ip_address_same(&network->address, address, network->bits);
}
