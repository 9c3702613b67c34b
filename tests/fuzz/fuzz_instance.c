/* An instance in a replica's response to a client: what is accepted is within all limits, whatever
 * the JSON.
 *
 * Input: JSON. */
#include "client/lib/instance.h"

#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *copy = fuzz_copy(data, len);
    json_t *json = json_loadb((const char *)copy, len, 0, NULL);
    free(copy);
    const struct muster_instance *instance = instance_make(json);
    json_decref(json);
    if (instance == NULL) {
        return 0;
    }
    CHECK(instance->id[0] != '\0' && strlen(instance->id) <= NAME_BYTES_MAX);
    CHECK(strlen(instance->name) <= NAME_BYTES_MAX && strlen(instance->type) <= NAME_BYTES_MAX);
    CHECK(strlen(instance->host) <= HOST_BYTES_MAX && strlen(instance->zone) <= NAME_BYTES_MAX);
    CHECK(strlen(instance->note) <= NOTE_BYTES_MAX && instance->health <= MUSTER_MAINTENANCE);
    CHECK(instance->ttl_ms <= TTL_MS_MAX);
    CHECK(instance->tags_count <= TAGS_MAX && instance->metadata_count <= METADATA_MAX);
    for (size_t i = 0; i < instance->tags_count; i++) {
        CHECK(strlen(instance->tags[i]) <= TAG_BYTES_MAX);
    }
    for (size_t i = 0; i < instance->metadata_count; i++) {
        CHECK(strlen(instance->metadata[i].key) <= METADATA_KEY_BYTES_MAX);
        CHECK(strlen(instance->metadata[i].value) <= METADATA_VALUE_BYTES_MAX);
    }
    muster_instance_unref(muster_instance_ref(instance));
    muster_instance_unref(instance);
    return 0;
}
