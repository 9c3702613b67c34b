/* A client as a whole: its thread, its start and its end. */
#include "client/lib/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/arguments.h"
#include "server/base/clock.h"

static void *run(void *arg)
{
    struct muster *muster = arg;
    struct core *core = &muster->core;
    pthread_mutex_lock(&core->mutex);
    while (!muster->stopping) {
        renewer_work(&muster->renewer);
        discovery_work(&muster->discovery);
        lookups_work(&muster->lookups);
        pthread_mutex_unlock(&core->mutex);
        loop_turn(&core->loop, LOOP_NEVER, NULL, 0);
        pthread_mutex_lock(&core->mutex);
    }
    renewer_stop(&muster->renewer);
    discovery_stop(&muster->discovery);
    lookups_stop(&muster->lookups);
    pthread_mutex_unlock(&core->mutex);
    return NULL;
}

/* The thread blocks all signals: handlers are the program's and run on its own threads. */
static bool start_thread(struct muster *muster)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return false;
    }
    bool started = pthread_create(&muster->core.thread, NULL, run, muster) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        (void)pthread_setname_np(muster->core.thread, "muster");
    }
    return started;
}

static bool start(struct muster *muster)
{
    if (!core_init(&muster->core)) {
        return false;
    }
    renewer_init(&muster->renewer, &muster->core);
    discovery_init(&muster->discovery, &muster->core);
    muster->lookups = (struct lookups){.core = &muster->core};
    if (!start_thread(muster)) {
        core_done(&muster->core);
        return false;
    }
    return true;
}

enum muster_error muster_open(const struct muster_options *options, struct muster **ret_muster,
                              char *why, size_t why_size)
{
    char unseen[1];
    if (why == NULL || why_size == 0) {
        why = unseen;
        why_size = sizeof unseen;
    }
    if (ret_muster == NULL) {
        return arguments_invalid("ret_muster is NULL");
    }
    struct muster *muster = calloc(1, sizeof *muster);
    if (muster == NULL) {
        (void)snprintf(why, why_size, "%s", muster_error_text(MUSTER_NO_MEMORY));
        return MUSTER_NO_MEMORY;
    }
    struct core *core = &muster->core;
    if (!settings_init(&core->settings, options, &core->servers, why, why_size)) {
        free(muster);
        return arguments_invalid("options, or the environment: `why` says which, and how");
    }
    if (!start(muster)) {
        settings_done(&core->settings);
        free(muster);
        (void)snprintf(why, why_size, "%s", muster_error_text(MUSTER_SYSTEM));
        return MUSTER_SYSTEM;
    }
    *ret_muster = muster;
    return MUSTER_OK;
}

/* Requires the mutex. */
static void deregister_all(struct muster *muster, uint32_t timeout_ms)
{
    struct renewer *renewer = &muster->renewer;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        one->removing = one->abandoned = true;
        renewer_queue(renewer, one);
    }
    loop_wake(&muster->core.loop);
    while (renewer->count > 0 && core_await(&muster->core, deadline_ms)) {
    }
}

void muster_close(struct muster *muster, uint32_t timeout_ms)
{
    if (muster == NULL) {
        return;
    }
    struct core *core = &muster->core;
    if (core->pid != getpid()) {
        /* The thread is not in this process and may have held any lock: touch nothing else. */
        http_close_sockets(core->loop.shared);
        if (core->descriptor >= 0) {
            (void)close(core->descriptor);
        }
        return;
    }
    if (core_is_callback_thread(core)) {
        return;
    }
    pthread_mutex_lock(&core->mutex);
    if (timeout_ms > 0) {
        deregister_all(muster, timeout_ms);
    }
    muster->stopping = true;
    pthread_mutex_unlock(&core->mutex);
    loop_wake(&core->loop);
    (void)pthread_join(core->thread, NULL);
    core_done(core);
    settings_done(&core->settings);
    free(muster);
}
