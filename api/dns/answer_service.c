/* The instances of a service: those that are found, in an order that changes with each answer.
 *
 * A walk begins at a random instance and ends before that one, or where the message is full: so a
 * complete answer is a rotation of the set, and a part of it is another part each time. */
#include <string.h>

#include "api/dns/internal.h"
#include "server/base/check.h"
#include "server/base/random.h"
#include "server/registry/mix.h"

#define PASSING      (1u << HEALTH_PASSING)
#define WARNING      (1u << HEALTH_WARNING)
#define SRV_PRIORITY 1

struct walk {
    struct answering *a;
    const struct service_view *service;
    const char *tag;        /* in lower case; "": any */
    unsigned health;        /* a bit for each that is found */
    const char *asker_zone; /* NULL: none */
    unsigned class;         /* only those that are so near */
    bool has_any;           /* there is one that fits, of whatever type its records are */
    bool is_full;
    const char *host; /* of the first that has a name for an address; NULL: none */
};

/* --- which --- */

static bool same_lower(const char *text, const char *lower)
{
    size_t i = 0;
    while (lower[i] != '\0' && dns_lower((uint8_t)text[i]) == (uint8_t)lower[i]) {
        i++;
    }
    return text[i] == lower[i];
}

static bool has_tag(const struct record *record, const char *lower)
{
    const char *tag = record_tags(record);
    for (unsigned i = 0; i < record->tags_count; i++) {
        if (same_lower(tag, lower)) {
            return true;
        }
        tag += strlen(tag) + 1;
    }
    return false;
}

static bool fits(const struct walk *w, const struct record *record)
{
    return (w->health & 1u << record_health(record)) != 0 &&
           (w->tag[0] == '\0' || has_tag(record, w->tag));
}

/* --- their records --- */

/* False: the answer has it already. */
static bool add_seen(struct dns_scratch *s, const struct ip_address *address)
{
    size_t i = mix_bytes(address, sizeof *address) & (SEEN_SLOTS - 1);
    while (s->seen[i].turn == s->turn) {
        if (memcmp(&s->seen[i].address, address, sizeof *address) == 0) {
            return false;
        }
        i = (i + 1) & (SEEN_SLOTS - 1);
    }
    if (s->seen_count < SEEN_SLOTS / 2) {
        s->seen[i].turn = s->turn;
        s->seen[i].address = *address;
        s->seen_count++;
    }
    return true;
}

static void put_srv(struct walk *w, const struct record *record, const struct ip_address *address)
{
    struct answering *a = w->a;
    struct dns_message *m = &a->message;
    struct dns_scratch *s = a->answerer->scratch;
    dns_record_mark(m);
    CHECK(dns_put_pointer(m, OWNER));
    dns_record_begin(m, DNS_SRV, a->settings->ttl_s);
    dns_put_u16(m, (uint16_t)(SRV_PRIORITY + w->class));
    dns_put_u16(m, record->weight);
    dns_put_u16(m, record->port);
    size_t name_at = m->len;
    if (address != NULL) {
        answering_put_address_name(a, address);
    } else if (dns_put_labels(m, record_host(record))) {
        dns_put_u8(m, 0);
    } else {
        dns_record_drop(m);
        return;
    }
    if (!dns_record_end(m, DNS_ANSWER)) {
        w->is_full = true;
    } else if (address != NULL && s->count < ADDITIONAL_MAX && add_seen(s, address)) {
        s->additional[s->count].name_at = name_at;
        s->additional[s->count++].address = *address;
    }
}

static void put_address(struct walk *w, const struct ip_address *address)
{
    struct answering *a = w->a;
    if (!answering_wants_address(a, ip_address_is_ipv4(address)) ||
        !add_seen(a->answerer->scratch, address)) {
        return;
    }
    dns_record_mark(&a->message);
    CHECK(dns_put_pointer(&a->message, OWNER));
    w->is_full = !answering_put_address(a, address, DNS_ANSWER);
}

static void put_instance(struct walk *w, const struct record *record)
{
    const struct answering *a = w->a;
    const struct near *near = &a->settings->near;
    struct ip_address address;
    bool has_address = ip_address_parse(record_host(record), &address);
    w->has_any = true;
    if (near->how != NEAR_OFF &&
        near_class(near, &a->asker->address, w->asker_zone, has_address ? &address : NULL,
                   record_zone(record)) != w->class) {
        return;
    }
    if (a->question.type == DNS_SRV) {
        put_srv(w, record, has_address ? &address : NULL);
    } else if (has_address) {
        put_address(w, &address);
    } else if (w->host == NULL) {
        w->host = record_host(record);
    }
}

/* --- all of them --- */

static bool is_enough(const struct walk *w)
{
    uint16_t type = w->a->question.type;
    bool lists = type == DNS_A || type == DNS_AAAA || type == DNS_ANY || type == DNS_SRV ||
                 type == DNS_CNAME;
    return w->is_full || (w->has_any && !lists);
}

static void walk_ring(struct walk *w, size_t first)
{
    const struct ptree *instances = &w->service->instances;
    size_t left = ptree_count(instances);
    struct ptree_iterator it;
    ptree_iterate(&it, instances, first);
    for (; left > 0 && !is_enough(w); left--) {
        const struct record *record = ptree_next(&it);
        if (record == NULL) {
            ptree_iterate(&it, instances, 0);
            record = ptree_next(&it);
        }
        if (fits(w, record)) {
            put_instance(w, record);
        }
    }
}

static void walk_all(struct walk *w)
{
    struct answering *a = w->a;
    struct dns_scratch *s = a->answerer->scratch;
    size_t first = random_next(&a->answerer->random) % ptree_count(&w->service->instances);
    unsigned classes = a->settings->near.how == NEAR_OFF ? 1 : NEAR_CLASSES;
    s->count = s->seen_count = 0;
    s->turn++;
    if (s->turn == 0) { /* those of long ago look as if they were of now */
        memset(s->seen, 0, sizeof s->seen);
        s->turn = 1;
    }
    w->asker_zone = near_zone_of(&a->settings->near, &a->asker->address);
    for (w->class = 0; w->class < classes && !is_enough(w); w->class ++) {
        walk_ring(w, first);
    }
}

/* --- the service --- */

static const struct service_view *find_service(const struct answering *a, const char *given,
                                               const char *lower)
{
    char stored[STORED_NAME_SIZE];
    const char *space = a->target.space;
    namespace_store(space, lower, stored);
    const struct service_view *service = view_service(a->view, stored);
    if (service == NULL && strcmp(given, lower) != 0) {
        namespace_store(space, given, stored);
        service = view_service(a->view, stored);
    }
    return service != NULL
               ? service
               : dns_names_service(a->answerer->names, a->view, space, lower, a->now_ns);
}

/* True if there is an instance of it. */
static bool answer_with(struct answering *a, const char *given, const char *lower, const char *tag)
{
    struct walk w = {.a = a, .tag = tag, .service = find_service(a, given, lower)};
    if (w.service == NULL) {
        return false;
    }
    bool has_warning = a->settings->has_warning;
    w.health = PASSING | (has_warning ? WARNING : 0);
    walk_all(&w);
    if (!w.has_any && !has_warning && w.service->counts[HEALTH_WARNING] > 0) {
        /* Better than none. */
        w.health = WARNING;
        walk_all(&w);
    }
    a->is_truncated = w.is_full;
    bool wants_host = answering_wants_address(a, true) || answering_wants_address(a, false) ||
                      a->question.type == DNS_CNAME;
    /* A name that has a CNAME has nothing else. */
    if (w.host != NULL && wants_host && a->message.counts[DNS_ANSWER] == 0) {
        (void)answering_put_cname(a, w.host);
    }
    return w.has_any;
}

static void put_additional(struct answering *a)
{
    struct dns_message *m = &a->message;
    const struct dns_scratch *s = a->answerer->scratch;
    for (size_t i = 0; i < s->count; i++) {
        dns_record_mark(m);
        if (!dns_put_pointer(m, s->additional[i].name_at)) {
            answering_put_address_name(a, &s->additional[i].address);
        }
        if (!answering_put_address(a, &s->additional[i].address, DNS_ADDITIONAL)) {
            break;
        }
    }
}

void answering_service(struct answering *a)
{
    const struct dns_target *target = &a->target;
    const char *given = target->text, *lower = target->lower, *tag = target->tag;
    bool is_there;
    if (target->is_rfc2782) {
        is_there = answer_with(a, target->name, target->lower_name, tag);
    } else {
        size_t at = target->name_at;
        is_there = answer_with(a, given + at, lower + at, tag);
        if (!is_there && at > 0) { /* a service whose name has dots */
            is_there = answer_with(a, given, lower, "");
        }
    }
    if (a->message.counts[DNS_ANSWER] > 0 || a->is_truncated) {
        if (a->question.type == DNS_SRV && !a->is_truncated) {
            put_additional(a);
        }
        return;
    }
    /* Below `_tcp.service` there are names, so it is one. */
    bool is_between = target->name_at == 0 && lower[0] == '_';
    answering_put_nothing(a, is_there || is_between ? DNS_NOERROR : DNS_NXDOMAIN);
}
