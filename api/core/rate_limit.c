#include "api/core/rate_limit.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/core/client_address.h"
#include "server/base/check.h"
#include "server/net/loopback.h"
#include "server/registry/mix.h"

#define SECOND_NS 1000000000ull
#define WAYS      4
#define SETS      (RATE_LIMIT_BUCKETS / WAYS)

/* Ten wrong secrets for a token, then one every 10 s. A hundred of an address, then one a second:
 * behind one address there may be many programs whose tokens were revoked. */
#define LOGINS_OF_TOKEN_NS   (10 * SECOND_NS)
#define LOGINS_OF_TOKEN      10
#define LOGINS_OF_ADDRESS_NS SECOND_NS
#define LOGINS_OF_ADDRESS    100

struct bucket {
    _Atomic uint64_t key;     /* whose it is; 0: nobody's */
    _Atomic uint64_t full_ns; /* when it is full; a time that is over: now */
};

/* One cache line: to look for a bucket costs one. */
struct set {
    _Alignas(64) struct bucket buckets[WAYS];
};

struct rule {
    uint64_t interval_ns; /* in which one comes; 0: there is no limit */
    uint64_t burst_ns;    /* that of all which a bucket holds */
};

struct rate_limits {
    struct set sets[SETS];
    struct rule rules[RATES]; /* immutable, as the next two */
    uint64_t seed;
    bool local;
};

static_assert(sizeof(struct set) == 64, "a set is a cache line");

static struct rule rule_of(unsigned a_second)
{
    return (struct rule){.interval_ns = a_second > 0 ? SECOND_NS / a_second : 0,
                         .burst_ns = RATE_LIMIT_BURST_S * SECOND_NS};
}

struct rate_limits *rate_limits_new(const struct rate_limit_options *options)
{
    struct rate_limits *limits = aligned_alloc(_Alignof(struct set), sizeof *limits);
    CHECK(limits != NULL);
    memset(limits, 0, sizeof *limits);
    CHECK(getrandom(&limits->seed, sizeof limits->seed, 0) == (ssize_t)sizeof limits->seed);
    limits->local = options->local;
    limits->rules[RATE_REQUESTS] = rule_of(options->requests);
    limits->rules[RATE_WRITES] = rule_of(options->writes);
    limits->rules[RATE_CONNECTIONS] = rule_of(options->connections);
    limits->rules[RATE_DATAGRAMS] = rule_of(options->datagrams);
    limits->rules[RATE_DATAGRAMS].burst_ns = SECOND_NS;
    limits->rules[RATE_LOGINS_OF_TOKEN] =
        (struct rule){LOGINS_OF_TOKEN_NS, LOGINS_OF_TOKEN * LOGINS_OF_TOKEN_NS};
    limits->rules[RATE_LOGINS_OF_ADDRESS] =
        (struct rule){LOGINS_OF_ADDRESS_NS, LOGINS_OF_ADDRESS * LOGINS_OF_ADDRESS_NS};
    return limits;
}

void rate_limits_free(struct rate_limits *limits)
{
    free(limits);
}

uint64_t rate_limits_client(const struct rate_limits *limits, const struct sockaddr *peer)
{
    if (!limits->local && loopback_has(peer)) {
        return 0;
    }
    return client_address_hash(limits->seed, peer) | 1;
}

static uint64_t key_of(const struct rate_limits *limits, enum rate rate, uint64_t client,
                       const char *token)
{
    uint64_t key = mix64(limits->seed ^ (uint64_t)rate);
    if (token == NULL || token[0] == '\0') {
        return mix64(key ^ client) | 1;
    }
    if (rate == RATE_LOGINS_OF_TOKEN) {
        key = mix64(key ^ client);
    }
    return mix64(key + mix_bytes(token, strlen(token))) | 1;
}

/* NULL: it is full, and has no place. */
static struct bucket *find(struct set *set, uint64_t key)
{
    for (size_t i = 0; i < WAYS; i++) {
        if (atomic_load_explicit(&set->buckets[i].key, memory_order_relaxed) == key) {
            return &set->buckets[i];
        }
    }
    return NULL;
}

static struct bucket *make(struct set *set, uint64_t key)
{
    struct bucket *fullest = &set->buckets[0];
    uint64_t full_ns = UINT64_MAX;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t other_ns = atomic_load_explicit(&set->buckets[i].full_ns, memory_order_relaxed);
        if (other_ns < full_ns) {
            fullest = &set->buckets[i];
            full_ns = other_ns;
        }
    }
    atomic_store_explicit(&fullest->full_ns, 0, memory_order_relaxed);
    atomic_store_explicit(&fullest->key, key, memory_order_relaxed);
    return fullest;
}

/* How long until there is what takes that time to come; 0: now. */
static uint64_t wait_ns(const struct rule *rule, uint64_t cost_ns, uint64_t full_ns,
                        uint64_t now_ns)
{
    uint64_t next_ns = full_ns + cost_ns;
    return next_ns > now_ns + rule->burst_ns ? next_ns - now_ns - rule->burst_ns : 0;
}

/* `cost_ns`: the interval of the rule for each that is taken. */
static bool ask(struct rate_limits *limits, const struct rule *rule, uint64_t key, uint64_t cost_ns,
                uint64_t now_ns, bool takes, unsigned *ret_wait_s)
{
    struct set *set = &limits->sets[key / 2 % SETS];
    struct bucket *bucket = find(set, key);
    if (bucket == NULL && !takes) {
        return true;
    }
    bucket = bucket != NULL ? bucket : make(set, key);
    uint64_t full_ns = atomic_load_explicit(&bucket->full_ns, memory_order_relaxed);
    for (;;) {
        uint64_t wait = wait_ns(rule, cost_ns, full_ns, now_ns);
        if (wait > 0) {
            *ret_wait_s = (unsigned)((wait + SECOND_NS - 1) / SECOND_NS);
            return false;
        }
        uint64_t next_ns = (full_ns > now_ns ? full_ns : now_ns) + cost_ns;
        if (!takes ||
            atomic_compare_exchange_weak_explicit(&bucket->full_ns, &full_ns, next_ns,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
}

bool rate_limits_take(struct rate_limits *limits, enum rate rate, uint64_t client,
                      const char *token, uint64_t now_ns, unsigned *ret_wait_s)
{
    return client == 0 || limits->rules[rate].interval_ns == 0 ||
           ask(limits, &limits->rules[rate], key_of(limits, rate, client, token),
               limits->rules[rate].interval_ns, now_ns, true, ret_wait_s);
}

bool rate_limits_has(struct rate_limits *limits, enum rate rate, uint64_t client, const char *token,
                     uint64_t now_ns, unsigned *ret_wait_s)
{
    return client == 0 || limits->rules[rate].interval_ns == 0 ||
           ask(limits, &limits->rules[rate], key_of(limits, rate, client, token),
               limits->rules[rate].interval_ns, now_ns, false, ret_wait_s);
}

bool rate_limits_take_many(struct rate_limits *limits, enum rate rate, uint64_t client,
                           unsigned count, uint64_t now_ns)
{
    const struct rule *rule = &limits->rules[rate];
    unsigned wait_s;
    if (client == 0 || rule->interval_ns == 0) {
        return true;
    }
    uint64_t cost_ns = rule->interval_ns * count;
    return ask(limits, rule, key_of(limits, rate, client, NULL),
               cost_ns < rule->burst_ns ? cost_ns : rule->burst_ns, now_ns, true, &wait_s);
}

bool rate_limits_take_namespace(struct rate_limits *limits, const char *space, unsigned a_second,
                                uint64_t now_ns, unsigned *ret_wait_s)
{
    const struct rule rule = rule_of(a_second);
    if (a_second == 0) {
        return true;
    }
    uint64_t key = mix64(mix64(limits->seed ^ RATES) + mix_bytes(space, strlen(space))) | 1;
    return ask(limits, &rule, key, rule.interval_ns, now_ns, true, ret_wait_s);
}
