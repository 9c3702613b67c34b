/* The door of active checks: nobody comes in through it, the replica goes out. */
#include <stdlib.h>

#include "api/core/door.h"
#include "api/prober/runner.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"

extern const struct door_kind prober_door;

struct prober_own {
    struct door door;
    struct runner *runner;
    const char *allowed;
};

static struct prober_own *of_door(struct door *door)
{
    return CONTAINER_OF(door, struct prober_own, door);
}

static bool prober_open(const struct door_options *options, struct door **ret_door, char *error,
                        size_t error_size)
{
    (void)error, (void)error_size;
    struct runner_options own = {.ca = options->checks_ca,
                                 .connections = options->checks_connections};
    if (options->checks_allow == NULL) {
        return true;
    }
    CHECK(allow_parse(options->checks_allow, &own.allow)); /* as where it was read */
    if (allow_is_off(&own.allow)) {
        return true;
    }
    own.allow.loopback = !options->exposure.clients_reach && !options->exposure.members_reach;
    struct prober_own *p = mem_zalloc(1, sizeof *p);
    p->door.kind = &prober_door;
    p->allowed = options->checks_allow;
    p->runner = runner_new(&own);
    *ret_door = &p->door;
    return true;
}

static bool prober_begin(struct door *door, struct node *node, char *error, size_t error_size)
{
    struct prober_own *p = of_door(door);
    if (!runner_start(p->runner, node, error, error_size)) {
        return false;
    }
    log_write(LOG_INFO, "prober", "running checks", "allowed=\"%s\"", p->allowed);
    return true;
}

static void prober_end(struct door *door)
{
    runner_drain(of_door(door)->runner);
}

static void prober_close(struct door *door)
{
    runner_stop(of_door(door)->runner);
    free(of_door(door));
}

const struct door_kind prober_door = {.name = "prober",
                                      .open = prober_open,
                                      .start = prober_begin,
                                      .drain = prober_end,
                                      .stop = prober_close};
