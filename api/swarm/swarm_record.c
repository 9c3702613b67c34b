#include "api/swarm/swarm_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/core/swarm_entry.h"
#include "server/base/limits.h"
#include "server/registry/check.h"

#define CALL_MS     60000u
#define WEIGHT      1
#define HOST_OF_OWN "swarm" /* of what is no instance, and has no address */
#define OWN_COUNT   8       /* pairs that begin with SWARM_MARK */

static void begin(struct registration *r, const char *id, const char *name, const char *type,
                  uint32_t ttl_ms)
{
    *r = (struct registration){.id = slice_of(id),
                               .name = slice_of(name),
                               .type = slice_of(type),
                               .host = slice_of(HOST_OF_OWN),
                               .zone = slice_of(""),
                               .port = SWARM_NO_PORT,
                               .weight = WEIGHT,
                               .ttl_ms = ttl_ms,
                               .reap_after_ms = SWARM_REAP_AFTER_MS};
}

static void add(struct registration *r, const char *key, const char *value)
{
    r->metadata[r->metadata_count++] = (struct pair){slice_of(key), slice_of(value)};
}

/* Keys are in order, as the registry compares them one by one. */
static void add_number(struct registration *r, const char *key, char text[64], double number)
{
    (void)snprintf(text, 64, "%.15g", number);
    if (strcspn(text, ".e") == strlen(text)) {
        (void)snprintf(text, 64, "%.1f", number);
    }
    add(r, key, text);
}

static void add_count(struct registration *r, const char *key, char text[64], int64_t number)
{
    (void)snprintf(text, 64, "%" PRId64, number);
    add(r, key, text);
}

/* --- services --- */

static bool fits(const char *key, const char *value)
{
    size_t key_len = strlen(key);
    size_t len = strlen(value);
    struct problem problem;
    return key[0] != SWARM_MARK && key_len > 0 && key_len <= METADATA_KEY_BYTES_MAX &&
           len <= METADATA_VALUE_BYTES_MAX &&
           registration_check_text("", (struct slice){key, key_len}, key_len, &problem) &&
           registration_check_text("", (struct slice){value, len}, len, &problem);
}

static void add_labels(struct registration *r, json_t *labels, size_t *left_out)
{
    const char *key;
    json_t *value;
    json_object_foreach(labels, key, value)
    {
        const char *text = json_string_value(value);
        if (text != NULL && r->metadata_count < METADATA_MAX && fits(key, text)) {
            add(r, key, text);
        } else {
            ++*left_out;
        }
    }
}

bool swarm_record_service(const struct swarm_service *s, struct swarm_texts *texts,
                          struct registration *r, size_t *left_out)
{
    struct problem problem;
    begin(r, s->id, s->name, SWARM_TYPE_SERVICE, SWARM_TTL_MS);
    add_number(r, "@cpu", texts->lines[0], s->cpu_threshold);
    add(r, "@created_at", s->created_at);
    add_count(r, "@max", texts->lines[1], s->max);
    add_number(r, "@memory", texts->lines[2], s->memory_threshold);
    add(r, "@metric", s->metric);
    add_count(r, "@min", texts->lines[3], s->min);
    add_count(r, "@replicas", texts->lines[4], s->replicas);
    add(r, "@updated_at", s->updated_at);
    static_assert(OWN_COUNT < METADATA_MAX, "there is room for labels");
    add_labels(r, s->labels, left_out);
    return registration_check(r, &problem);
}

/* --- tasks --- */

bool swarm_record_task(const struct swarm_task *t, struct swarm_texts *texts,
                       struct registration *r)
{
    struct problem problem;
    begin(r, t->id, t->service->name, SWARM_TYPE_TASK, SWARM_TTL_MS);
    r->host = slice_of(t->host);
    r->port = t->port;
    r->weight = t->weight;
    r->zone = slice_of(t->zone);
    if (t->container != NULL && strlen(t->container) <= METADATA_VALUE_BYTES_MAX) {
        add(r, "swarm.container", t->container);
    }
    add(r, "swarm.node", t->node);
    add(r, "swarm.service", t->service->id);
    if (t->slot > 0) {
        add_count(r, "swarm.slot", texts->lines[0], t->slot);
    }
    if (t->port == SWARM_NO_PORT) {
        r->tags[r->tags_count++] = slice_of("no-port");
    }
    return registration_check(r, &problem);
}

/* --- its own --- */

void swarm_record_replica(uint64_t member, const char *node, struct swarm_texts *texts,
                          struct registration *r)
{
    (void)snprintf(texts->id, sizeof texts->id, "replica.%" PRIu64, member);
    begin(r, texts->id, "muster.replicas", SWARM_TYPE_REPLICA, SWARM_REPLICA_MS);
    r->reap_after_ms = SWARM_REPLICA_MS;
    add_count(r, "member", texts->lines[0], (int64_t)member);
    add(r, "node", node);
}

void swarm_record_cache(uint64_t version, int64_t refreshed_ms, struct swarm_texts *texts,
                        struct registration *r)
{
    begin(r, "cache", "muster.cache", SWARM_TYPE_CACHE, SWARM_TTL_MS);
    add_count(r, "refreshed", texts->lines[0], refreshed_ms);
    add_count(r, "version", texts->lines[1], (int64_t)version);
}

void swarm_record_health(int64_t checked_s, struct swarm_texts *texts, struct registration *r)
{
    begin(r, "health", "muster.health", SWARM_TYPE_HEALTH, SWARM_TTL_MS);
    add_count(r, "checked", texts->lines[0], checked_s);
}

void swarm_record_call(const char *what, uint64_t nonce, const char *argument,
                       struct swarm_texts *texts, struct registration *r)
{
    (void)snprintf(texts->id, sizeof texts->id, "call.%s", what);
    begin(r, texts->id, "muster.calls", SWARM_TYPE_CALL, CALL_MS);
    r->reap_after_ms = CALL_MS;
    add(r, "argument", argument);
    (void)snprintf(texts->lines[0], sizeof texts->lines[0], "%" PRIu64, nonce);
    add(r, "nonce", texts->lines[0]);
}

void swarm_record_metrics(uint64_t member, unsigned part, uint32_t ttl_ms,
                          struct swarm_texts *texts, struct registration *r)
{
    (void)snprintf(texts->id, sizeof texts->id, "metrics.%" PRIu64 ".%u", member, part);
    begin(r, texts->id, "muster.metrics", SWARM_TYPE_METRICS, ttl_ms);
    r->reap_after_ms = ttl_ms;
}
