/* What a Docker daemon answers: services, tasks and nodes, a container's statistics, an event, what
 * was written of usage. What is taken of a listing obeys all limits of a registration, and comes
 * back through the log's decoder as it was; services and tasks are found by their ids.
 *
 * Input: services, NUL, tasks, NUL, nodes. Each is tried as the others, too. */
#include "api/core/swarm_entry.h"
#include "api/swarm/docker.h"
#include "api/swarm/swarm_listing.h"
#include "api/swarm/swarm_record.h"
#include "api/swarm/swarm_stats.h"
#include "server/registry/check.h"
#include "server/wire/wire_command.h"
#include "tests/fuzz/fuzz.h"

static const struct swarm_labels labels = {.enabled = "e",
                                           .metric = "m",
                                           .cpu_threshold = "c",
                                           .memory_threshold = "b",
                                           .min = "l",
                                           .max = "h"};

static struct swarm_answer next_part(const uint8_t **data, size_t *left)
{
    const uint8_t *end = *left > 0 ? memchr(*data, 0, *left) : NULL;
    struct swarm_answer part = {(const char *)*data, end != NULL ? (size_t)(end - *data) : *left};
    size_t used = part.len + (end != NULL);
    *data += used;
    *left -= used;
    return part;
}

/* The log takes it as it is. */
static void check_registration(const struct registration *r)
{
    struct problem problem;
    struct wire_command back;
    struct buffer out;
    const struct command command = {.kind = COMMAND_REGISTER,
                                    .register_ = {.registration = *r, .health = HEALTH_PASSING}};
    CHECK(registration_check(r, &problem));
    buffer_init(&out, OP_BYTES_MAX);
    wire_command_encode(&command, &out);
    CHECK(!out.overflowed);
    CHECK(wire_command_decode(out.data, out.len, level_limits(LEVEL_MAX), &back) == ST_OK);
    CHECK(back.command.register_.registration.metadata_count == r->metadata_count);
    wire_command_done(&back);
    buffer_done(&out);
}

static void check_listing(const struct swarm_listing *l)
{
    struct swarm_texts texts;
    struct registration r;
    size_t left_out = 0;
    for (size_t i = 0; i < l->services_count; i++) {
        const struct swarm_service *s = &l->services[i];
        const struct swarm_service *found = swarm_listing_service(l, s->id);
        CHECK(found != NULL && strcmp(found->id, s->id) == 0);
        if (swarm_record_service(s, &texts, &r, &left_out)) {
            check_registration(&r);
        }
    }
    for (size_t i = 0; i < l->tasks_count; i++) {
        const struct swarm_task *t = &l->tasks[i];
        const struct swarm_task *found = swarm_listing_task(l, t->id);
        CHECK(found != NULL && strcmp(found->id, t->id) == 0 && t->service != NULL);
        if (swarm_record_task(t, &texts, &r)) {
            CHECK(t->host[0] != '\0');
            check_registration(&r);
        }
    }
}

static void try_alone(struct swarm_answer part)
{
    struct swarm_sample sample;
    struct swarm_usage usage;
    char text[128];
    if (swarm_sample_parse(&sample, part.text, part.len)) {
        CHECK(sample.processors > 0 && swarm_sample_cpu(&sample, &sample) == 0);
    }
    (void)docker_event_matters(part.text, part.len);
    if (part.len < sizeof text && part.len > 0) {
        memcpy(text, part.text, part.len);
        text[part.len] = '\0';
        CHECK(!swarm_usage_parse(text, &usage) || usage.containers > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct swarm_listing listing;
    char error[200];
    uint8_t *copy = fuzz_copy(data, len);
    const uint8_t *at = copy;
    size_t left = len;
    struct swarm_answer services = next_part(&at, &left);
    struct swarm_answer tasks = next_part(&at, &left);
    struct swarm_answer nodes = next_part(&at, &left);
    try_alone(services);
    try_alone(nodes);
    if (swarm_listing_parse(&listing, &labels, 1796030668000, services, tasks, nodes, error,
                            sizeof error)) {
        check_listing(&listing);
    }
    swarm_listing_done(&listing);
    free(copy);
    return 0;
}
