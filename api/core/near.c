#include "api/core/near.h"

#include <string.h>

/* `text` is "10.1.0.0/16=eu-a", of that length. */
static bool parse_rule(const char *text, size_t len, struct near_rule *rule)
{
    char item[NAME_BYTES_MAX + 64];
    if (len >= sizeof item) {
        return false;
    }
    memcpy(item, text, len);
    item[len] = '\0';
    char *equals = strchr(item, '=');
    if (equals == NULL || memchr(item, '/', (size_t)(equals - item)) == NULL) {
        return false;
    }
    *equals = '\0';
    size_t zone_len = strlen(equals + 1);
    if (!ip_network_parse(item, &rule->network) || zone_len == 0 || zone_len > NAME_BYTES_MAX) {
        return false;
    }
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

const char *near_zone_of(const struct near *near, const struct ip_address *asker)
{
    const struct near_rule *best = NULL;
    for (size_t i = 0; i < near->count; i++) {
        const struct near_rule *rule = &near->rules[i];
        if (ip_network_has(&rule->network, asker) &&
            (best == NULL || rule->network.bits > best->network.bits)) {
            best = rule;
        }
    }
    return best != NULL ? best->zone : NULL;
}

unsigned near_class(const struct near *near, const struct ip_address *asker, const char *asker_zone,
                    const struct ip_address *address, const char *zone)
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
    bool is_ipv4 = ip_address_is_ipv4(asker);
    return ip_address_same(asker, address, is_ipv4 ? IP_MAPPED_BITS + 24 : 64)   ? 0
           : ip_address_same(asker, address, is_ipv4 ? IP_MAPPED_BITS + 16 : 48) ? 1
                                                                                 : 2;
}
