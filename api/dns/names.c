#include "api/dns/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "api/dns/wire.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/registry/mix.h"

/* Of services and instances; some hundred microseconds. */
#define ITEMS_A_SLICE 2048
#define ENTRIES_MIN   1024
/* Of one bucket that are looked at for a question. */
#define TRIES_MAX 1024
/* Time between two builds, in times of the first. */
#define PAUSE     10
#define UNUSED_NS (60 * 1000000000ull)

enum key { KEY_SERVICE, KEY_NODE, KEY_ADDRESS };

struct entry {
    uint32_t hash;
    uint32_t text; /* offset of the id or service's name */
    uint32_t next; /* of the same bucket, plus 1; 0: none */
};

/* Chained, as any number of instances may have one address. */
struct table {
    uint32_t *buckets; /* the first entry, plus 1; 0: none */
    struct entry *entries;
    size_t count, capacity; /* of both; a power of two, or 0 */
    char *text;
    size_t text_len, text_capacity;
    uint64_t index; /* the view's changed_index at its beginning */
};

struct dns_names {
    struct table *now;  /* NULL: none */
    struct table *next; /* NULL: none is being made */
    bool has_services;  /* the slices of services are done */
    size_t rank;        /* where the next slice begins */
    uint64_t busy_ns;   /* what the build has cost so far */
    uint64_t after_ns;  /* when the next may begin */
    uint64_t asked_ns;
    uint64_t seed;
};

/* --- a table --- */

static void table_free(struct table *t)
{
    if (t != NULL) {
        free(t->buckets);
        free(t->entries);
        free(t->text);
        free(t);
    }
}

static uint32_t hash_of(const struct dns_names *names, enum key key, const void *data, size_t len)
{
    return (uint32_t)mix64(names->seed ^ (uint64_t)key ^ mix_bytes(data, len));
}

static void chain(struct table *t, size_t i)
{
    uint32_t *bucket = &t->buckets[t->entries[i].hash & (t->capacity - 1)];
    t->entries[i].next = *bucket;
    *bucket = (uint32_t)i + 1;
}

static void grow(struct table *t)
{
    t->capacity = t->capacity > 0 ? t->capacity * 2 : ENTRIES_MIN;
    t->entries = mem_realloc(t->entries, t->capacity * sizeof *t->entries);
    free(t->buckets);
    t->buckets = mem_zalloc(t->capacity, sizeof *t->buckets);
    for (size_t i = 0; i < t->count; i++) {
        chain(t, i);
    }
}

static void put(struct table *t, uint32_t hash, size_t text)
{
    if (t->count == t->capacity) {
        grow(t);
    }
    t->entries[t->count] = (struct entry){.hash = hash, .text = (uint32_t)text};
    chain(t, t->count++);
}

/* Returns where it is. */
static size_t add_text(struct table *t, const char *text)
{
    size_t size = strlen(text) + 1, at = t->text_len;
    if (t->text_capacity - at < size) {
        t->text_capacity = t->text_capacity * 2 + 64 * 1024;
        t->text = mem_realloc(t->text, t->text_capacity);
    }
    memcpy(t->text + at, text, size);
    t->text_len += size;
    return at;
}

/* --- building --- */

static void lower_copy(const char *text, char out[STORED_NAME_SIZE])
{
    size_t i = 0;
    for (; text[i] != '\0' && i < STORED_NAME_SIZE - 1; i++) {
        out[i] = (char)dns_lower((uint8_t)text[i]);
    }
    out[i] = '\0';
}

const char *dns_names_node_of(const struct record *record)
{
    const char *node = record_metadata_value(record, "node");
    return node != NULL && node[0] != '\0' && strlen(node) < STORED_NAME_SIZE ? node
                                                                              : record_host(record);
}

static void add_service(struct dns_names *names, const struct service_view *service)
{
    char lower[STORED_NAME_SIZE];
    lower_copy(service->name, lower);
    if (strcmp(lower, service->name) != 0) {
        put(names->next, hash_of(names, KEY_SERVICE, lower, strlen(lower)),
            add_text(names->next, service->name));
    }
}

static void add_instance(struct dns_names *names, const struct record *record)
{
    char lower[STORED_NAME_SIZE];
    struct ip_address address;
    size_t id = add_text(names->next, record_id(record));
    lower_copy(dns_names_node_of(record), lower);
    put(names->next, hash_of(names, KEY_NODE, lower, strlen(lower)), id);
    if (ip_address_parse(record_host(record), &address)) {
        put(names->next, hash_of(names, KEY_ADDRESS, &address, sizeof address), id);
    }
}

/* True: it was the last. By rank: what comes or goes meanwhile may be met twice or not at all, and
 * is met by the next build, as the registry has changed. */
static bool run_slice(struct dns_names *names, const struct view *view)
{
    struct ptree_iterator it;
    const void *item = NULL;
    ptree_iterate(&it, names->has_services ? &view->instances : &view->services, names->rank);
    for (size_t i = 0; i < ITEMS_A_SLICE && (item = ptree_next(&it)) != NULL; i++) {
        if (names->has_services) {
            add_instance(names, item);
        } else {
            add_service(names, item);
        }
        names->rank++;
    }
    if (item != NULL && names->rank < NAMES_INSTANCES_MAX) {
        return false;
    }
    bool was_last = names->has_services;
    names->rank = 0;
    names->has_services = true;
    return was_last;
}

static void begin(struct dns_names *names, const struct view *view)
{
    names->next = mem_zalloc(1, sizeof *names->next);
    names->next->index = view->changed_index;
    names->rank = 0;
    names->busy_ns = 0;
    names->has_services = false;
}

static void finish(struct dns_names *names, uint64_t now_ns)
{
    table_free(names->now);
    names->now = names->next;
    names->next = NULL;
    names->after_ns = now_ns + PAUSE * names->busy_ns;
}

bool dns_names_step(struct dns_names *names, const struct view *view, uint64_t now_ns)
{
    if (names->next != NULL) {
        uint64_t before_ns = clock_monotonic_ns();
        bool is_done = run_slice(names, view);
        uint64_t after_ns = clock_monotonic_ns();
        names->busy_ns += clock_elapsed(before_ns, after_ns);
        if (is_done) {
            finish(names, after_ns);
        }
    } else if (names->now != NULL && clock_elapsed(names->asked_ns, now_ns) > UNUSED_NS) {
        table_free(names->now);
        names->now = NULL;
    }
    return names->next != NULL;
}

/* A small registry is done at once; a large one from slice to slice. */
static void refresh(struct dns_names *names, const struct view *view, uint64_t now_ns)
{
    bool is_current = names->now != NULL && names->now->index == view->changed_index;
    names->asked_ns = now_ns;
    if (is_current || names->next != NULL || now_ns < names->after_ns) {
        return;
    }
    begin(names, view);
    /* Services, and instances. */
    if (dns_names_step(names, view, now_ns)) {
        (void)dns_names_step(names, view, now_ns);
    }
}

struct dns_names *dns_names_new(void)
{
    struct dns_names *names = mem_zalloc(1, sizeof *names);
    CHECK(getrandom(&names->seed, sizeof names->seed, 0) == (ssize_t)sizeof names->seed);
    return names;
}

void dns_names_free(struct dns_names *names)
{
    if (names != NULL) {
        table_free(names->now);
        table_free(names->next);
        free(names);
    }
}

/* --- finding --- */

struct search {
    const struct table *table;
    uint32_t hash, next;
    unsigned tries;
};

static struct search search(const struct table *t, uint32_t hash)
{
    bool has_any = t != NULL && t->capacity > 0;
    return (struct search){t, hash, has_any ? t->buckets[hash & (t->capacity - 1)] : 0, 0};
}

/* The next text under that hash; NULL at the end. */
static const char *find(struct search *s)
{
    while (s->next != 0 && s->tries++ < TRIES_MAX) {
        const struct entry *entry = &s->table->entries[s->next - 1];
        s->next = entry->next;
        if (entry->hash == s->hash) {
            return s->table->text + entry->text;
        }
    }
    return NULL;
}

const struct service_view *dns_names_service(struct dns_names *names, const struct view *view,
                                             const char *space, const char *lower, uint64_t now_ns)
{
    char stored[STORED_NAME_SIZE];
    const char *name;
    refresh(names, view, now_ns);
    namespace_store(space, lower, stored);
    struct search s = search(names->now, hash_of(names, KEY_SERVICE, stored, strlen(stored)));
    while ((name = find(&s)) != NULL) {
        const struct service_view *service = view_service(view, name);
        if (service != NULL && strcasecmp(service->name, stored) == 0) {
            return service;
        }
    }
    return NULL;
}

const struct record *dns_names_node(struct dns_names *names, const struct view *view,
                                    const char *space, const char *lower, uint64_t now_ns)
{
    const char *id;
    refresh(names, view, now_ns);
    struct search s = search(names->now, hash_of(names, KEY_NODE, lower, strlen(lower)));
    while ((id = find(&s)) != NULL) {
        const struct record *record = view_instance(view, id);
        if (record != NULL && namespace_has(space, record_name(record)) &&
            strcasecmp(dns_names_node_of(record), lower) == 0) {
            return record;
        }
    }
    return NULL;
}

void dns_names_address(struct dns_names *names, const struct view *view,
                       const struct ip_address *address, uint64_t now_ns,
                       bool (*visit)(void *arg, const struct record *record), void *arg)
{
    const char *id;
    refresh(names, view, now_ns);
    struct search s = search(names->now, hash_of(names, KEY_ADDRESS, address, sizeof *address));
    while ((id = find(&s)) != NULL) {
        struct ip_address own;
        const struct record *record = view_instance(view, id);
        if (record != NULL && ip_address_parse(record_host(record), &own) &&
            memcmp(&own, address, sizeof own) == 0 && !visit(arg, record)) {
            break;
        }
    }
}
