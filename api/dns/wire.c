#include "api/dns/wire.h"

#include <string.h>

#include "server/base/check.h"

#define FLAG_RESPONSE      0x8000u
#define FLAG_AUTHORITATIVE 0x0400u
#define FLAG_TRUNCATED     0x0200u
#define FLAG_RECURSION     0x0100u
#define FLAG_CHECKING      0x0010u
#define OPCODE_QUERY       0
#define POINTER            0xc0u
#define POINTER_MAX        0x3fffu
/* Of a question: OPT, and what is ignored, such as a signature. */
#define RECORDS_MAX 8

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint8_t dns_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

/* --- a question --- */

static bool parse_name(const uint8_t *message, size_t len, size_t *at, struct dns_question *q)
{
    size_t used = 0, from = *at;
    for (;;) {
        if (from + used >= len || used >= DNS_NAME_BYTES) {
            return false;
        }
        size_t label = message[from + used];
        if (label > DNS_LABEL_BYTES || used + label + 1 >= DNS_NAME_BYTES + (label == 0) ||
            from + used + label >= len) {
            return false;
        }
        used += label + 1;
        if (label == 0) {
            break;
        }
    }
    memcpy(q->name.bytes, message + from, used);
    /* Lengths of labels are below 'A'. */
    for (size_t i = 0; i < used; i++) {
        q->lower.bytes[i] = dns_lower(q->name.bytes[i]);
    }
    q->name.len = q->lower.len = (uint8_t)used;
    *at += used;
    return true;
}

/* Of a record whose owner does not matter. */
static bool skip_name(const uint8_t *message, size_t len, size_t *at)
{
    while (*at < len) {
        uint8_t label = message[*at];
        if (label >= POINTER) {
            *at += 2;
            return *at <= len;
        }
        if (label > DNS_LABEL_BYTES) {
            return false;
        }
        *at += label + 1u;
        if (label == 0) {
            return *at <= len;
        }
    }
    return false;
}

static bool take_opt(const uint8_t *record, bool is_at_root, struct dns_question *q,
                     enum dns_code *ret_code)
{
    if (q->has_edns || !is_at_root) {
        return false;
    }
    uint16_t size = get_u16(record + 2);
    q->has_edns = true;
    q->udp_size = size > DNS_PLAIN_BYTES ? size : DNS_PLAIN_BYTES;
    if (record[5] != 0) {
        *ret_code = DNS_BADVERS;
    }
    return true;
}

static bool parse_records(const uint8_t *message, size_t len, size_t at, unsigned count,
                          struct dns_question *q, enum dns_code *ret_code)
{
    for (unsigned i = 0; i < count; i++) {
        bool is_at_root = at < len && message[at] == 0;
        if (!skip_name(message, len, &at) || len - at < 10) {
            return false;
        }
        const uint8_t *record = message + at;
        size_t data = get_u16(record + 8);
        if (len - at - 10 < data) {
            return false;
        }
        if (get_u16(record) == DNS_OPT && !take_opt(record, is_at_root, q, ret_code)) {
            return false;
        }
        at += 10 + data;
    }
    return true;
}

bool dns_question_parse(const uint8_t *message, size_t len, struct dns_question *ret,
                        enum dns_code *ret_code)
{
    *ret_code = DNS_FORMERR;
    if (len < DNS_HEADER_BYTES || (message[2] & 0x80) != 0) {
        return false;
    }
    uint16_t flags = get_u16(message + 2);
    ret->id = get_u16(message);
    ret->opcode = (uint8_t)(flags >> 11 & 15);
    ret->recursion_desired = (flags & FLAG_RECURSION) != 0;
    ret->checking_disabled = (flags & FLAG_CHECKING) != 0;
    ret->has_name = ret->has_edns = false;
    ret->udp_size = DNS_PLAIN_BYTES;
    ret->end = DNS_HEADER_BYTES;
    unsigned records = get_u16(message + 10);
    if (ret->opcode != OPCODE_QUERY) {
        *ret_code = DNS_NOTIMP;
        return true;
    }
    size_t at = DNS_HEADER_BYTES;
    if (get_u16(message + 4) != 1 || get_u16(message + 6) != 0 || get_u16(message + 8) != 0 ||
        records > RECORDS_MAX || !parse_name(message, len, &at, ret) || len - at < 4) {
        return true;
    }
    ret->type = get_u16(message + at);
    ret->class = get_u16(message + at + 2);
    ret->end = at + 4;
    ret->has_name = true;
    enum dns_code code = DNS_NOERROR;
    if (parse_records(message, len, ret->end, records, ret, &code)) {
        *ret_code = code;
    } else {
        ret->has_edns = false;
    }
    return true;
}

/* --- names --- */

bool dns_name_parse(const char *text, struct dns_name *ret_name)
{
    size_t len = 0;
    while (*text != '\0') {
        size_t label = strcspn(text, ".");
        if (label == 0 || label > DNS_LABEL_BYTES || len + label + 2 > DNS_NAME_BYTES) {
            return false;
        }
        ret_name->bytes[len++] = (uint8_t)label;
        for (size_t i = 0; i < label; i++) {
            uint8_t byte = dns_lower((uint8_t)text[i]);
            if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-' &&
                byte != '_') {
                return false;
            }
            ret_name->bytes[len++] = byte;
        }
        text += label;
        if (*text == '.') {
            text++;
        }
    }
    if (len == 0) {
        return false;
    }
    ret_name->bytes[len++] = 0;
    ret_name->len = (uint8_t)len;
    return true;
}

bool dns_name_is_below(const struct dns_name *name, const struct dns_name *domain,
                       size_t *ret_above)
{
    if (name->len < domain->len) {
        return false;
    }
    size_t above = (size_t)name->len - domain->len, at = 0;
    while (at < above) {
        at += name->bytes[at] + 1u;
    }
    *ret_above = above;
    return at == above && memcmp(name->bytes + above, domain->bytes, domain->len) == 0;
}

/* --- an answer --- */

void dns_message_begin(struct dns_message *m, uint8_t *data, size_t room,
                       const struct dns_question *q)
{
    CHECK(room >= DNS_PLAIN_BYTES);
    *m = (struct dns_message){
        .data = data, .len = DNS_HEADER_BYTES, .limit = room - (q->has_edns ? DNS_OPT_BYTES : 0)};
    memset(data, 0, DNS_HEADER_BYTES);
    if (q->has_name) {
        dns_put_name(m, &q->name);
        dns_put_u16(m, q->type);
        dns_put_u16(m, q->class);
    }
    CHECK(!m->is_full);
}

void dns_put(struct dns_message *m, const void *data, size_t len)
{
    if (m->is_full || m->limit - m->len < len) {
        m->is_full = true;
        return;
    }
    memcpy(m->data + m->len, data, len);
    m->len += len;
}

void dns_put_u8(struct dns_message *m, uint8_t value)
{
    dns_put(m, &value, 1);
}

void dns_put_u16(struct dns_message *m, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    dns_put(m, bytes, sizeof bytes);
}

void dns_put_u32(struct dns_message *m, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                              (uint8_t)value};
    dns_put(m, bytes, sizeof bytes);
}

bool dns_put_pointer(struct dns_message *m, size_t offset)
{
    if (offset > POINTER_MAX) {
        return false;
    }
    dns_put_u16(m, (uint16_t)(POINTER << 8 | offset));
    return true;
}

void dns_put_name(struct dns_message *m, const struct dns_name *name)
{
    dns_put(m, name->bytes, name->len);
}

bool dns_put_labels(struct dns_message *m, const char *text)
{
    size_t before = m->len, total = 0;
    while (*text != '\0') {
        size_t label = strcspn(text, ".");
        total += label + 1;
        /* A final dot ends a host's name. */
        if (label == 0 || label > DNS_LABEL_BYTES || total >= DNS_NAME_BYTES) {
            m->len = before;
            return false;
        }
        dns_put_u8(m, (uint8_t)label);
        dns_put(m, text, label);
        text += label;
        text += *text == '.';
    }
    return total > 0;
}

void dns_record_mark(struct dns_message *m)
{
    m->begun = m->len;
    m->is_full = false;
}

void dns_record_begin(struct dns_message *m, uint16_t type, uint32_t ttl_s)
{
    dns_put_u16(m, type);
    dns_put_u16(m, DNS_CLASS_IN);
    dns_put_u32(m, ttl_s);
    dns_put_u16(m, 0);
    m->rdata = m->len;
}

void dns_record_drop(struct dns_message *m)
{
    m->len = m->begun;
    m->is_full = false;
}

bool dns_record_end(struct dns_message *m, enum dns_section section)
{
    if (m->is_full || m->counts[section] == UINT16_MAX) {
        dns_record_drop(m);
        return false;
    }
    size_t len = m->len - m->rdata;
    m->data[m->rdata - 2] = (uint8_t)(len >> 8);
    m->data[m->rdata - 1] = (uint8_t)len;
    m->counts[section]++;
    return true;
}

static void set_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

size_t dns_message_end(struct dns_message *m, const struct dns_question *q, enum dns_code code,
                       bool authoritative, bool truncated, uint16_t udp_size)
{
    unsigned flags = FLAG_RESPONSE | (unsigned)q->opcode << 11 | ((unsigned)code & 15u) |
                     (authoritative ? FLAG_AUTHORITATIVE : 0) | (truncated ? FLAG_TRUNCATED : 0) |
                     (q->recursion_desired ? FLAG_RECURSION : 0) |
                     (q->checking_disabled ? FLAG_CHECKING : 0);
    unsigned additional = m->counts[DNS_ADDITIONAL];
    if (q->has_edns) {
        m->limit += DNS_OPT_BYTES;
        m->is_full = false;
        dns_put_u8(m, 0);
        dns_put_u16(m, DNS_OPT);
        dns_put_u16(m, udp_size);
        dns_put_u32(m, (uint32_t)code >> 4 << 24);
        dns_put_u16(m, 0);
        CHECK(!m->is_full);
        additional++;
    }
    set_u16(m->data, q->id);
    set_u16(m->data + 2, flags);
    set_u16(m->data + 4, q->has_name ? 1 : 0);
    set_u16(m->data + 6, m->counts[DNS_ANSWER]);
    set_u16(m->data + 8, m->counts[DNS_AUTHORITY]);
    set_u16(m->data + 10, additional);
    return m->len;
}
