#include "api/swarm/swarm_stats.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define PROCESSORS_MAX 65536

static bool take_u64(const json_t *object, const char *key, uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    *ret_value = number > 0 ? (uint64_t)number : 0;
    return json_is_integer(value) && number >= 0;
}

bool swarm_sample_parse(struct swarm_sample *s, const char *text, size_t len)
{
    json_error_t why;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    const json_t *cpu = json_object_get(json, "cpu_stats");
    const json_t *usage = json_object_get(cpu, "cpu_usage");
    json_int_t processors = json_integer_value(json_object_get(cpu, "online_cpus"));
    if (processors <= 0) {
        processors = (json_int_t)json_array_size(json_object_get(usage, "percpu_usage"));
    }
    *s = (struct swarm_sample){
        .processors = processors > 0 && processors <= PROCESSORS_MAX ? (unsigned)processors : 1};
    /* Of one that has ended there are zeros, and no memory. */
    bool good = take_u64(usage, "total_usage", &s->total) &&
                take_u64(cpu, "system_cpu_usage", &s->system) &&
                take_u64(json_object_get(json, "memory_stats"), "usage", &s->memory);
    json_decref(json);
    return good;
}

double swarm_sample_cpu(const struct swarm_sample *before, const struct swarm_sample *now)
{
    if (before == NULL || now->total <= before->total || now->system <= before->system) {
        return 0;
    }
    return (double)(now->total - before->total) / (double)(now->system - before->system) *
           now->processors * 100;
}

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct swarm_sample *)left)->container,
                  ((const struct swarm_sample *)right)->container);
}

void swarm_samples_sort(struct swarm_samples *samples)
{
    if (samples->count > 0) {
        qsort(samples->rows, samples->count, sizeof *samples->rows, compare);
    }
}

const struct swarm_sample *swarm_samples_find(const struct swarm_samples *samples,
                                              const char *container)
{
    struct swarm_sample key;
    size_t len = strlen(container);
    if (samples->count == 0 || len >= sizeof key.container) {
        return NULL;
    }
    memcpy(key.container, container, len + 1);
    return bsearch(&key, samples->rows, samples->count, sizeof key, compare);
}

void swarm_samples_done(struct swarm_samples *samples)
{
    free(samples->rows);
    *samples = (struct swarm_samples){.rows = NULL};
}
