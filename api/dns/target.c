#include "api/dns/target.h"

#include <string.h>

#include "server/base/naming.h"
#include "server/base/text.h"

#define IPV4_LABELS 4
#define IPV6_LABELS 32

/* The labels of a name before the domain, leftmost first. */
struct labels {
    const struct dns_question *question;
    size_t count;
    uint8_t at[DNS_LABELS_MAX + 1]; /* of its length */
};

static void split(const struct dns_question *question, size_t above, struct labels *ret)
{
    ret->question = question;
    ret->count = 0;
    for (size_t at = 0; at < above; at += question->lower.bytes[at] + 1u) {
        ret->at[ret->count++] = (uint8_t)at;
    }
}

static size_t label_len(const struct labels *l, size_t i)
{
    return l->question->lower.bytes[l->at[i]];
}

static const char *label(const struct labels *l, size_t i)
{
    return (const char *)&l->question->lower.bytes[l->at[i] + 1];
}

static bool is(const struct labels *l, size_t i, const char *text)
{
    return label_len(l, i) == strlen(text) && memcmp(label(l, i), text, strlen(text)) == 0;
}

/* --- what is behind the name of a service or node --- */

static bool find_keyword(const struct labels *l, size_t i, enum dns_kind *ret_kind)
{
    *ret_kind = is(l, i, "service") ? DNS_SERVICE
                : is(l, i, "node")  ? DNS_NODE
                : is(l, i, "addr")  ? DNS_ADDRESS
                                    : DNS_NOTHING;
    return *ret_kind != DNS_NOTHING;
}

/* Takes `.shop.ns`, `.default.ap` and `.dc1.dc` from the end. False: there can be nothing. */
static bool take_pairs(struct labels *l, const char *datacenter, struct dns_target *target)
{
    while (l->count >= 2) {
        size_t value = l->count - 2;
        const char *text = label(l, value);
        size_t len = label_len(l, value);
        if (is(l, value + 1, "dc")) {
            if (!is(l, value, datacenter)) {
                return false;
            }
        } else if (is(l, value + 1, "ap")) {
            if (!is(l, value, "default")) {
                return false;
            }
        } else if (is(l, value + 1, "ns")) {
            if (!naming_is_namespace(text, len)) {
                return false;
            }
            bool is_other = namespace_is_other((struct slice){text, len});
            memcpy(target->space, text, is_other ? len : 0);
            target->space[is_other ? len : 0] = '\0';
        } else {
            break;
        }
        l->count -= 2;
    }
    return true;
}

/* The labels up to the keyword remain. */
static enum dns_kind find_kind(struct labels *l, const char *datacenter, struct dns_target *target)
{
    enum dns_kind kind;
    size_t all = l->count;
    if (all == 0) {
        return DNS_APEX;
    }
    if (!take_pairs(l, datacenter, target)) {
        return DNS_NOTHING;
    }
    if (l->count == 0) {
        return DNS_BETWEEN;
    }
    if (find_keyword(l, l->count - 1, &kind)) {
        l->count--;
        return kind;
    }
    if (all > l->count) {
        return DNS_NOTHING;
    }
    if (l->count >= 2 && is(l, l->count - 1, datacenter) && find_keyword(l, l->count - 2, &kind)) {
        l->count -= 2;
        return kind;
    }
    bool is_between = l->count == 1 &&
                      (is(l, 0, datacenter) || is(l, 0, "dc") || is(l, 0, "ap") || is(l, 0, "ns"));
    return is_between ? DNS_BETWEEN : DNS_NOTHING;
}

/* --- the name itself --- */

/* Appends a label to both texts. False if no client's text can have it. */
static bool add_label(const struct labels *l, size_t i, size_t *len, struct dns_target *target)
{
    const char *lower = label(l, i);
    const char *given = (const char *)&l->question->name.bytes[l->at[i] + 1];
    size_t label_bytes = label_len(l, i);
    for (size_t k = 0; k < label_bytes; k++) {
        if ((uint8_t)lower[k] < ' ' || lower[k] == '.' || lower[k] == 0x7f) {
            return false;
        }
    }
    memcpy(target->text + *len, given, label_bytes);
    memcpy(target->lower + *len, lower, label_bytes);
    *len += label_bytes;
    return true;
}

static bool join(const struct labels *l, struct dns_target *target)
{
    size_t len = 0;
    for (size_t i = 0; i < l->count; i++) {
        if (i > 0) {
            target->text[len] = target->lower[len] = '.';
            len++;
        }
        target->name_at = len;
        if (!add_label(l, i, &len, target)) {
            return false;
        }
    }
    target->text[len] = target->lower[len] = '\0';
    return true;
}

static void find_service(const struct labels *l, struct dns_target *target)
{
    const char *text = target->text, *lower = target->lower;
    size_t first = l->count == 2 ? target->name_at - 1 : 0;
    size_t name_at = target->name_at;
    target->is_rfc2782 = l->count == 2 && text[0] == '_' && text[name_at] == '_' && first > 1 &&
                         text[name_at + 1] != '\0';
    target->tag[0] = '\0';
    if (target->is_rfc2782) {
        memcpy(target->name, text + 1, first - 1);
        memcpy(target->lower_name, lower + 1, first - 1);
        target->name[first - 1] = target->lower_name[first - 1] = '\0';
        if (strcmp(lower + name_at + 1, "tcp") != 0) {
            memcpy(target->tag, lower + name_at + 1, strlen(lower + name_at + 1) + 1);
        }
    } else if (name_at > 0) {
        memcpy(target->tag, lower, name_at - 1);
        target->tag[name_at - 1] = '\0';
    }
}

/* --- addresses --- */

static void find_address(const struct labels *l, struct dns_target *target)
{
    static const struct ip_address ipv4 = {{[10] = 0xff, [11] = 0xff}};
    size_t len = l->count == 1 ? label_len(l, 0) : 0;
    const char *text = label(l, 0);
    target->has_address = len == 8 || len == 32;
    target->address = ipv4;
    for (size_t i = 0; target->has_address && i < len; i++) {
        int digit = text_hex_digit(text[i]);
        uint8_t *byte = &target->address.bytes[(32 - len + i) / 2];
        target->has_address = digit >= 0;
        if (target->has_address) {
            *byte = (uint8_t)(i % 2 == 0 ? digit << 4 : *byte | digit);
        }
    }
}

static bool parse_octet(const struct labels *l, size_t i, uint8_t *ret)
{
    char text[4];
    uint64_t value;
    size_t len = label_len(l, i);
    if (len >= sizeof text) {
        return false;
    }
    memcpy(text, label(l, i), len);
    text[len] = '\0';
    if (!text_parse_u64(text, 255, &value)) {
        return false;
    }
    *ret = (uint8_t)value;
    return true;
}

static bool find_reverse(const struct dns_question *question, struct dns_target *target)
{
    static const struct dns_name ipv4 = {"\7in-addr\4arpa", 14}, ipv6 = {"\3ip6\4arpa", 10};
    struct labels l;
    size_t above;
    bool is_ipv4 = dns_name_is_below(&question->lower, &ipv4, &above);
    if (!is_ipv4 && !dns_name_is_below(&question->lower, &ipv6, &above)) {
        return false;
    }
    split(question, above, &l);
    memset(&target->address, 0, sizeof target->address);
    uint8_t *bytes = target->address.bytes;
    target->has_address = l.count == (is_ipv4 ? IPV4_LABELS : IPV6_LABELS);
    for (size_t i = 0; target->has_address && i < l.count; i++) {
        if (is_ipv4) {
            bytes[10] = bytes[11] = 0xff;
            target->has_address = parse_octet(&l, i, &bytes[15 - i]);
            continue;
        }
        int digit = label_len(&l, i) == 1 ? text_hex_digit(*label(&l, i)) : -1;
        target->has_address = digit >= 0;
        if (target->has_address) {
            bytes[15 - i / 2] = (uint8_t)(bytes[15 - i / 2] | (i % 2 == 0 ? digit : digit << 4));
        }
    }
    return target->has_address;
}

void dns_target_find(const struct dns_question *question, const struct dns_name *domain,
                     const char *datacenter, struct dns_target *target)
{
    struct labels l;
    target->space[0] = target->text[0] = target->lower[0] = target->tag[0] = '\0';
    target->name_at = 0;
    target->has_address = target->is_rfc2782 = false;
    if (!dns_name_is_below(&question->lower, domain, &target->above)) {
        target->kind = find_reverse(question, target) ? DNS_REVERSE : DNS_FOREIGN;
        return;
    }
    split(question, target->above, &l);
    target->kind = find_kind(&l, datacenter, target);
    if (target->kind != DNS_SERVICE && target->kind != DNS_NODE && target->kind != DNS_ADDRESS) {
        return;
    }
    if (l.count == 0) {
        target->kind = DNS_BETWEEN;
    } else if (!join(&l, target)) {
        target->kind = DNS_NOTHING;
    } else if (target->kind == DNS_SERVICE) {
        find_service(&l, target);
    } else if (target->kind == DNS_ADDRESS) {
        find_address(&l, target);
    }
}
