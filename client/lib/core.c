#include "client/lib/core.h"

#include <time.h>
#include <unistd.h>

#include "client/lib/random.h"

static bool init_locks(struct core *core)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool made = pthread_cond_init(&core->changed, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made && pthread_mutex_init(&core->mutex, NULL) == 0;
}

bool core_init(struct core *core)
{
    core->pid = getpid();
    /* Spread clients that start together over the replicas. */
    core->failover = (struct failover){.servers = &core->servers,
                                       .preferred = random_below(core->servers.count)};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return false;
    }
    if (!loop_init(&core->loop)) {
        curl_global_cleanup();
        return false;
    }
    if (!init_locks(core)) {
        loop_done(&core->loop);
        curl_global_cleanup();
        return false;
    }
    return true;
}

void core_done(struct core *core)
{
    loop_done(&core->loop);
    (void)pthread_cond_destroy(&core->changed);
    (void)pthread_mutex_destroy(&core->mutex);
    curl_global_cleanup();
}

bool core_is_callback_thread(const struct core *core)
{
    return pthread_equal(core->thread, pthread_self()) != 0;
}

enum muster_error core_check(const struct core *core, uint32_t timeout_ms)
{
    if (core->pid != getpid()) {
        return MUSTER_FORKED;
    }
    return timeout_ms > 0 && core_is_callback_thread(core) ? MUSTER_INVALID : MUSTER_OK;
}

bool core_await(struct core *core, uint64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&core->changed, &core->mutex, &until) == 0;
}
