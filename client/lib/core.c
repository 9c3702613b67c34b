#include "client/lib/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/arguments.h"
#include "client/lib/random.h"

#define LOG_LINE_SIZE 1024

static _Thread_local const struct core *dispatched; /* by this thread; NULL: none */

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

static void close_descriptor(struct core *core)
{
    if (core->descriptor >= 0) {
        (void)close(core->descriptor);
    }
}

static bool init_parts(struct core *core)
{
    core->descriptor = core->settings.use_dispatch ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (core->settings.use_dispatch && core->descriptor < 0) {
        return false;
    }
    if (!loop_init(&core->loop)) {
        close_descriptor(core);
        return false;
    }
    if (!http_set_namespace(core->loop.shared, core->settings.space) || !init_locks(core)) {
        loop_done(&core->loop);
        close_descriptor(core);
        return false;
    }
    return true;
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
    if (!init_parts(core)) {
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
    close_descriptor(core);
    curl_global_cleanup();
}

bool core_is_callback_thread(const struct core *core)
{
    return dispatched == core || pthread_equal(core->thread, pthread_self()) != 0;
}

enum muster_error core_check(const struct core *core, uint32_t timeout_ms)
{
    if (core->pid != getpid()) {
        return MUSTER_FORKED;
    }
    if (timeout_ms > 0 && core_is_callback_thread(core)) {
        return arguments_invalid("the call would wait, and comes from a callback");
    }
    return MUSTER_OK;
}

bool core_await(struct core *core, uint64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&core->changed, &core->mutex, &until) == 0;
}

bool core_uses_dispatch(const struct core *core)
{
    return core->descriptor >= 0;
}

void core_signal(struct core *core)
{
    (void)eventfd_write(core->descriptor, 1);
}

bool core_begin_dispatch(struct core *core)
{
    eventfd_t signals;
    if (core->dispatching) {
        return false;
    }
    core->dispatching = true;
    dispatched = core;
    (void)eventfd_read(core->descriptor, &signals);
    return true;
}

void core_end_dispatch(struct core *core)
{
    dispatched = NULL;
    core->dispatching = false;
}

void core_log(const struct core *core, enum muster_log_level level, const char *format, ...)
{
    char line[LOG_LINE_SIZE];
    va_list args;
    if (core->settings.on_log == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    core->settings.on_log(core->settings.log_ctx, level, line);
}
