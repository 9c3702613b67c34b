#include "api/core/near.h"

#include <string.h>

#include <arpa/inet.h>

#include "server/base/text.h"

#define MAPPED_BYTES 12
#define MAPPED_BITS  (8 * MAPPED_BYTES)

static const uint8_t mapped[MAPPED_BYTES] = {[10] = 0xff, [11] = 0xff};

bool near_address_is_ipv4(const struct near_address *address)
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

bool near_address_parse(const char *text, struct near_address *ret_address)
{
    memcpy(ret_address->bytes, mapped, sizeof mapped);
    if (parse_ipv4(text, ret_address->bytes + MAPPED_BYTES)) {
        return true;
    }
    return strchr(text, ':') != NULL && inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

static bool same_bits(const struct near_address *a, const struct near_address *b, unsigned bits)
{
    unsigned bytes = bits / 8;
    if (memcmp(a->bytes, b->bytes, bytes) != 0) {
        return false;
    }
    return bits % 8 == 0 || (a->bytes[bytes] ^ b->bytes[bytes]) >> (8 - bits % 8) == 0;
}

/* `text` is "10.1.0.0/16=eu-a", of that length. */
static bool parse_rule(const char *text, size_t len, struct near_rule *rule)
{
    char item[NAME_BYTES_MAX + 64];
    uint64_t bits;
    if (len >= sizeof item) {
        return false;
    }
    memcpy(item, text, len);
    item[len] = '\0';
    char *slash = strchr(item, '/');
    char *equals = slash != NULL ? strchr(slash, '=') : NULL;
    if (equals == NULL) {
        return false;
    }
    *slash = *equals = '\0';
    size_t zone_len = strlen(equals + 1);
    if (!near_address_parse(item, &rule->network) || !text_parse_u64(slash + 1, 128, &bits) ||
        zone_len == 0 || zone_len > NAME_BYTES_MAX) {
        return false;
    }
    bool is_ipv4 = near_address_is_ipv4(&rule->network) && strchr(item, ':') == NULL;
    if (is_ipv4 && bits > 32) {
        return false;
    }
    rule->bits = (unsigned)bits + (is_ipv4 ? MAPPED_BITS : 0);
    memcpy(rule->zone, equals + 1, zone_len + 1);
    return true;
}

bool near_parse(const char *text, struct near *ret_near)
{
    ret_near->count = 0;
    ret_near->how = strcmp(text, "no") == 0       ? NEAR_OFF
                    : strcmp(text, "subnet") == 0 ? NEAR_SUBNET
                                                  : NEAR_ZONES;
    while (ret_near->how == NEAR_ZONES) {
        size_t len = strcspn(text, ",");
        if (ret_near->count == NEAR_RULES_MAX ||
            !parse_rule(text, len, &ret_near->rules[ret_near->count])) {
            return false;
        }
        ret_near->count++;
        if (text[len] == '\0') {
            break;
        }
        text += len + 1;
    }
    return true;
}

const char *near_zone_of(const struct near *near, const struct near_address *asker)
{
    const struct near_rule *best = NULL;
    for (size_t i = 0; i < near->count; i++) {
        const struct near_rule *rule = &near->rules[i];
        if (same_bits(asker, &rule->network, rule->bits) &&
            (best == NULL || rule->bits > best->bits)) {
            best = rule;
        }
    }
    return best != NULL ? best->zone : NULL;
}

unsigned near_class(const struct near *near, const struct near_address *asker,
                    const char *asker_zone, const struct near_address *address, const char *zone)
{
    if (near->how == NEAR_ZONES) {
        return asker_zone != NULL && strcmp(asker_zone, zone) == 0 ? 0 : 1;
    }
    if (near->how == NEAR_OFF) {
        return 0;
    }
    if (address == NULL) {
        return NEAR_CLASSES - 1;
    }
    bool is_ipv4 = near_address_is_ipv4(asker);
    return same_bits(asker, address, is_ipv4 ? MAPPED_BITS + 24 : 64)   ? 0
           : same_bits(asker, address, is_ipv4 ? MAPPED_BITS + 16 : 48) ? 1
                                                                        : 2;
}
