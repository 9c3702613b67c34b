#include "client/lib/instance.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/health.h"
#include "server/base/limits.h"

struct block {
    struct muster_instance instance; /* first: its address is the block's */
    _Atomic size_t references;
    const char *tags[TAGS_MAX];
    struct muster_pair metadata[METADATA_MAX];
    char texts[];
};

/* Texts are copied one behind the other; without a place for them they are only measured. */
struct writer {
    char *at; /* NULL: measuring */
    size_t size;
    bool failed;
};

static const char *copy_text(struct writer *writer, const char *text, size_t max)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (len > max) {
        writer->failed = true;
        return "";
    }
    writer->size += len + 1;
    if (writer->at == NULL) {
        return "";
    }
    char *copy = writer->at;
    memcpy(copy, text != NULL ? text : "", len + 1);
    writer->at += len + 1;
    return copy;
}

static const char *copy_member(struct writer *writer, const json_t *json, const char *name,
                               size_t max)
{
    return copy_text(writer, json_string_value(json_object_get(json, name)), max);
}

static void copy_lists(struct writer *writer, const json_t *json, struct block *block)
{
    const json_t *tags = json_object_get(json, "tags");
    json_t *metadata = json_object_get(json, "metadata");
    const char *key;
    json_t *value;
    size_t count = 0;
    if (json_array_size(tags) > TAGS_MAX || json_object_size(metadata) > METADATA_MAX) {
        writer->failed = true;
        return;
    }
    for (size_t i = 0; i < json_array_size(tags); i++) {
        block->tags[i] =
            copy_text(writer, json_string_value(json_array_get(tags, i)), TAG_BYTES_MAX);
    }
    json_object_foreach(metadata, key, value)
    {
        block->metadata[count].key = copy_text(writer, key, METADATA_KEY_BYTES_MAX);
        block->metadata[count++].value =
            copy_text(writer, json_string_value(value), METADATA_VALUE_BYTES_MAX);
    }
    block->instance.tags_count = json_array_size(tags);
    block->instance.metadata_count = count;
}

static enum muster_health read_health(struct writer *writer, const json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "health"));
    enum health health = HEALTH_CRITICAL;
    if (name == NULL || !health_parse(name, &health)) {
        writer->failed = true;
    }
    return (enum muster_health)health;
}

static uint64_t read_number(struct writer *writer, const json_t *json, const char *name,
                            json_int_t max)
{
    json_int_t value = json_integer_value(json_object_get(json, name));
    if (value < 0 || value > max) {
        writer->failed = true;
        return 0;
    }
    return (uint64_t)value;
}

static void copy_all(struct writer *writer, const json_t *json, struct block *block)
{
    struct muster_instance *instance = &block->instance;
    double ttl = json_number_value(json_object_get(json, "ttl"));
    instance->id = copy_member(writer, json, "id", NAME_BYTES_MAX);
    instance->name = copy_member(writer, json, "name", NAME_BYTES_MAX);
    instance->type = copy_member(writer, json, "type", NAME_BYTES_MAX);
    instance->host = copy_member(writer, json, "host", HOST_BYTES_MAX);
    instance->zone = copy_member(writer, json, "zone", NAME_BYTES_MAX);
    instance->health = read_health(writer, json);
    instance->note = copy_member(
        writer, json, instance->health == MUSTER_MAINTENANCE ? "reason" : "note", NOTE_BYTES_MAX);
    copy_lists(writer, json, block);
    instance->incarnation = read_number(writer, json, "incarnation", INT64_MAX);
    instance->index = read_number(writer, json, "index", INT64_MAX);
    instance->port = (uint16_t)read_number(writer, json, "port", UINT16_MAX);
    instance->weight = (uint16_t)read_number(writer, json, "weight", WEIGHT_MAX);
    instance->ttl_ms = ttl >= 0 && ttl * 1000 <= TTL_MS_MAX ? (uint32_t)(ttl * 1000 + 0.5) : 0;
}

const struct muster_instance *instance_make(const json_t *json)
{
    struct block measured = {.references = 0};
    struct writer writer = {.at = NULL};
    copy_all(&writer, json, &measured);
    if (writer.failed || json_string_length(json_object_get(json, "id")) == 0) {
        return NULL;
    }
    struct block *block = calloc(1, sizeof *block + writer.size);
    if (block == NULL) {
        return NULL;
    }
    writer = (struct writer){.at = block->texts};
    copy_all(&writer, json, block);
    block->instance.tags = block->tags;
    block->instance.metadata = block->metadata;
    atomic_init(&block->references, 1);
    return &block->instance;
}

static struct block *block_of(const struct muster_instance *instance)
{
    /* Only the count is changed, which the pointer's users do not see. */
    return (struct block *)(uintptr_t)instance;
}

const struct muster_instance *muster_instance_ref(const struct muster_instance *instance)
{
    atomic_fetch_add(&block_of(instance)->references, 1);
    return instance;
}

void muster_instance_unref(const struct muster_instance *instance)
{
    if (instance != NULL && atomic_fetch_sub(&block_of(instance)->references, 1) == 1) {
        free(block_of(instance));
    }
}
