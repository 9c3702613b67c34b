#include "api/dns/answer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/dns/internal.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define SOA_REFRESH_S 3600
#define SOA_RETRY_S   600
#define SOA_EXPIRE_S  86400
/* Names that are told for one address. */
#define PTR_MAX 16

/* --- records --- */

bool answering_wants_address(const struct answering *a, bool is_ipv4)
{
    uint16_t type = a->question.type;
    return type == DNS_ANY || type == (is_ipv4 ? DNS_A : DNS_AAAA);
}

bool answering_put_address(struct answering *a, const struct ip_address *address,
                           enum dns_section section)
{
    struct dns_message *m = &a->message;
    bool is_ipv4 = ip_address_is_ipv4(address);
    dns_record_begin(m, is_ipv4 ? DNS_A : DNS_AAAA, a->settings->ttl_s);
    if (is_ipv4) {
        dns_put(m, address->bytes + IP_MAPPED_BYTES, 4);
    } else {
        dns_put(m, address->bytes, sizeof address->bytes);
    }
    return dns_record_end(m, section);
}

void answering_put_below(struct answering *a, const char *keyword)
{
    struct dns_message *m = &a->message;
    (void)dns_put_labels(m, keyword);
    (void)dns_put_labels(m, a->settings->datacenter);
    dns_put_name(m, &a->settings->domain);
}

void answering_put_address_name(struct answering *a, const struct ip_address *address)
{
    static const char digits[] = "0123456789abcdef";
    char text[33];
    size_t len = 0;
    for (size_t i = ip_address_is_ipv4(address) ? IP_MAPPED_BYTES : 0; i < sizeof address->bytes;
         i++) {
        text[len++] = digits[address->bytes[i] >> 4];
        text[len++] = digits[address->bytes[i] & 15];
    }
    dns_put_u8(&a->message, (uint8_t)len);
    dns_put(&a->message, text, len);
    answering_put_below(a, "addr");
}

static void put_owner(struct answering *a)
{
    dns_record_mark(&a->message);
    CHECK(dns_put_pointer(&a->message, OWNER));
}

bool answering_put_cname(struct answering *a, const char *host)
{
    struct dns_message *m = &a->message;
    put_owner(a);
    dns_record_begin(m, DNS_CNAME, a->settings->ttl_s);
    if (!dns_put_labels(m, host)) {
        dns_record_drop(m);
        return false;
    }
    dns_put_u8(m, 0);
    if (!dns_record_end(m, DNS_ANSWER)) {
        a->is_truncated = true;
    }
    return true;
}

/* The domain's, which ends the question's name. */
static void put_soa(struct answering *a, enum dns_section section)
{
    struct dns_message *m = &a->message;
    size_t domain_at = OWNER + a->target.above;
    dns_record_mark(m);
    CHECK(dns_put_pointer(m, domain_at));
    dns_record_begin(m, DNS_SOA, a->settings->negative_ttl_s);
    (void)dns_put_labels(m, "ns");
    CHECK(dns_put_pointer(m, domain_at));
    (void)dns_put_labels(m, "hostmaster");
    CHECK(dns_put_pointer(m, domain_at));
    dns_put_u32(m, (uint32_t)a->view->changed_index);
    dns_put_u32(m, SOA_REFRESH_S);
    dns_put_u32(m, SOA_RETRY_S);
    dns_put_u32(m, SOA_EXPIRE_S);
    dns_put_u32(m, a->settings->negative_ttl_s);
    (void)dns_record_end(m, section);
}

void answering_put_nothing(struct answering *a, enum dns_code code)
{
    a->code = code;
    put_soa(a, DNS_AUTHORITY);
}

/* --- the domain itself --- */

static void put_member(struct answering *a, const struct dns_member *member)
{
    struct dns_message *m = &a->message;
    struct ip_address address;
    put_owner(a);
    dns_record_begin(m, DNS_NS, a->settings->ttl_s);
    size_t name_at = m->len;
    if (!dns_put_labels(m, member->name)) {
        dns_record_drop(m);
        return;
    }
    answering_put_below(a, "node");
    if (m->len - name_at > DNS_NAME_BYTES) {
        dns_record_drop(m);
        return;
    }
    if (!dns_record_end(m, DNS_ANSWER)) {
        a->is_truncated = true;
        return;
    }
    struct dns_scratch *scratch = a->answerer->scratch;
    if (ip_address_parse(member->host, &address)) {
        scratch->additional[scratch->count].name_at = name_at;
        scratch->additional[scratch->count++].address = address;
    }
}

static void put_members(struct answering *a)
{
    struct dns_scratch *scratch = a->answerer->scratch;
    scratch->count = 0;
    for (size_t i = 0; i < a->answerer->members_count; i++) {
        put_member(a, &a->answerer->members[i]);
    }
    for (size_t i = 0; i < scratch->count; i++) {
        dns_record_mark(&a->message);
        if (!dns_put_pointer(&a->message, scratch->additional[i].name_at) ||
            !answering_put_address(a, &scratch->additional[i].address, DNS_ADDITIONAL)) {
            break;
        }
    }
}

static void answer_apex(struct answering *a)
{
    uint16_t type = a->question.type;
    if (type == DNS_SOA || type == DNS_ANY) {
        put_soa(a, DNS_ANSWER);
    }
    if (type == DNS_NS || type == DNS_ANY) {
        put_members(a);
    }
    if (a->message.counts[DNS_ANSWER] == 0) {
        answering_put_nothing(a, DNS_NOERROR);
    }
}

/* --- nodes and addresses --- */

static void answer_address(struct answering *a, const struct ip_address *address)
{
    put_owner(a);
    if (!answering_wants_address(a, ip_address_is_ipv4(address))) {
        dns_record_drop(&a->message);
        answering_put_nothing(a, DNS_NOERROR);
    } else {
        (void)answering_put_address(a, address, DNS_ANSWER);
    }
}

static void answer_host(struct answering *a, const char *host)
{
    struct ip_address address;
    if (ip_address_parse(host, &address)) {
        answer_address(a, &address);
    } else if (!answering_put_cname(a, host)) {
        answering_put_nothing(a, DNS_NOERROR);
    }
}

static void answer_node(struct answering *a)
{
    const struct dns_target *target = &a->target;
    const struct dns_answerer *answerer = a->answerer;
    for (size_t i = 0; i < answerer->members_count && target->space[0] == '\0'; i++) {
        if (strcmp(answerer->members[i].name, target->lower) == 0) {
            answer_host(a, answerer->members[i].host);
            return;
        }
    }
    const struct record *record =
        dns_names_node(answerer->names, a->view, target->space, target->lower, a->now_ns);
    if (record != NULL) {
        answer_host(a, record_host(record));
    } else {
        answering_put_nothing(a, DNS_NXDOMAIN);
    }
}

/* --- names of an address --- */

struct reverse {
    struct answering *a;
    size_t count;
    const char *services[PTR_MAX]; /* as they are stored */
};

static bool put_pointed(struct answering *a, const char *name, const char *keyword,
                        struct slice space)
{
    struct dns_message *m = &a->message;
    put_owner(a);
    dns_record_begin(m, DNS_PTR, a->settings->ttl_s);
    if (!dns_put_labels(m, name)) {
        dns_record_drop(m);
        return true;
    }
    (void)dns_put_labels(m, keyword);
    if (space.len > 0) {
        dns_put_u8(m, (uint8_t)space.len);
        dns_put(m, space.data, space.len);
        (void)dns_put_labels(m, "ns");
    }
    (void)dns_put_labels(m, a->settings->datacenter);
    if (space.len > 0) {
        (void)dns_put_labels(m, "dc");
    }
    dns_put_name(m, &a->settings->domain);
    if (m->len - m->rdata > DNS_NAME_BYTES) {
        dns_record_drop(m);
        return true;
    }
    a->is_truncated = !dns_record_end(m, DNS_ANSWER);
    return !a->is_truncated;
}

static bool add_pointed(void *arg, const struct record *record)
{
    struct reverse *r = arg;
    const char *name = record_name(record);
    if (!record_discoverable(record)) {
        return true;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (strcmp(r->services[i], name) == 0) {
            return true;
        }
    }
    r->services[r->count++] = name;
    return put_pointed(r->a, namespace_bare(name), "service", namespace_of(name)) &&
           r->count < PTR_MAX;
}

/* We answer for the addresses that we know, and for nobody else's. */
static void answer_reverse(struct answering *a)
{
    struct reverse r = {.a = a};
    struct ip_address own;
    const struct dns_answerer *answerer = a->answerer;
    uint16_t type = a->question.type;
    for (size_t i = 0; i < answerer->members_count; i++) {
        if (ip_address_parse(answerer->members[i].host, &own) &&
            memcmp(&own, &a->target.address, sizeof own) == 0) {
            (void)put_pointed(a, answerer->members[i].name, "node", (struct slice){"", 0});
        }
    }
    dns_names_address(answerer->names, a->view, &a->target.address, a->now_ns, add_pointed, &r);
    a->is_authoritative = a->message.counts[DNS_ANSWER] > 0 || a->is_truncated;
    if (!a->is_authoritative || (type != DNS_PTR && type != DNS_ANY)) {
        a->code = DNS_REFUSED;
    }
}

/* --- the whole --- */

static void find_answer(struct answering *a)
{
    switch (a->target.kind) {
    case DNS_FOREIGN:
        a->code = DNS_REFUSED;
        a->is_authoritative = false;
        break;
    case DNS_NOTHING:
        answering_put_nothing(a, DNS_NXDOMAIN);
        break;
    case DNS_BETWEEN:
        answering_put_nothing(a, DNS_NOERROR);
        break;
    case DNS_APEX:
        answer_apex(a);
        break;
    case DNS_SERVICE:
        answering_service(a);
        break;
    case DNS_NODE:
        answer_node(a);
        break;
    case DNS_ADDRESS:
        if (a->target.has_address) {
            answer_address(a, &a->target.address);
        } else {
            answering_put_nothing(a, DNS_NOERROR);
        }
        break;
    case DNS_REVERSE:
        answer_reverse(a);
        break;
    }
}

/* Who asks is nobody. */
static bool may_ask(const struct answering *a)
{
    const struct principal nobody = {.anonymous = a->settings->anonymous};
    return principal_may(&nobody, a->view, PERMISSION_READ, NULL) == ST_OK;
}

static enum dns_code refusal(const struct answering *a)
{
    const struct dns_question *q = &a->question;
    if (q->class != DNS_CLASS_IN || q->type == DNS_AXFR || q->type == DNS_IXFR) {
        return DNS_REFUSED;
    }
    if (a->view == NULL) {
        return DNS_SERVFAIL;
    }
    return may_ask(a) ? DNS_NOERROR : DNS_REFUSED;
}

static size_t room_for(const struct answering *a)
{
    if (a->asker->is_tcp) {
        return DNS_ANSWER_BYTES_MAX;
    }
    uint16_t asked = a->question.udp_size, ours = a->settings->udp_size;
    return asked < ours ? asked : ours;
}

size_t dns_answer(struct dns_answerer *answerer, const struct view *view,
                  const struct dns_asker *asker, const uint8_t *message, size_t len,
                  uint64_t now_ns, uint8_t *out)
{
    struct answering a;
    a.answerer = answerer;
    a.settings = &answerer->settings;
    a.view = view;
    a.asker = asker;
    a.now_ns = now_ns;
    a.is_authoritative = a.is_truncated = false;
    if (!dns_question_parse(message, len, &a.question, &a.code)) {
        return 0;
    }
    dns_message_begin(&a.message, out, room_for(&a), &a.question);
    if (a.code == DNS_NOERROR) {
        a.code = refusal(&a);
        if (a.code == DNS_NOERROR) {
            dns_target_find(&a.question, &a.settings->domain, a.settings->datacenter, &a.target);
            a.is_authoritative = true;
            find_answer(&a);
        }
    }
    return dns_message_end(&a.message, &a.question, a.code, a.is_authoritative,
                           a.is_truncated && !asker->is_tcp, a.settings->udp_size);
}

size_t dns_answer_slip(const uint8_t *message, size_t len, uint8_t *out)
{
    struct dns_question question;
    struct dns_message answer;
    enum dns_code code;
    if (!dns_question_parse(message, len, &question, &code)) {
        return 0;
    }
    dns_message_begin(&answer, out, DNS_PLAIN_BYTES, &question);
    return dns_message_end(&answer, &question, code, false, true, DNS_PLAIN_BYTES);
}

void dns_answerer_init(struct dns_answerer *a, const struct dns_settings *settings,
                       struct dns_names *names)
{
    *a = (struct dns_answerer){.settings = *settings, .names = names};
    a->scratch = mem_zalloc(1, sizeof *a->scratch);
    CHECK(getrandom(&a->random, sizeof a->random, 0) == (ssize_t)sizeof a->random);
}

void dns_answerer_done(struct dns_answerer *a)
{
    free(a->scratch);
    a->scratch = NULL;
}
