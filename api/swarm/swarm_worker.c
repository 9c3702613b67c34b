#include "api/swarm/swarm_worker.h"

#include <stdio.h>

#include "server/base/compiler.h"
#include "server/base/log.h"

static void wake(struct node_listener *listener)
{
    struct swarm_worker *w = CONTAINER_OF(listener, struct swarm_worker, listener);
    if (!atomic_exchange(&w->woken, true)) {
        docker_wake(&w->docker);
    }
}

bool swarm_worker_start(struct swarm_worker *w, const struct swarm_options *options,
                        struct node *node, char *error, size_t error_size)
{
    w->options = *options;
    w->options.docker = options->docker != NULL ? options->docker : "";
    w->member = node_facts(node)->id;
    atomic_init(&w->stopping, false);
    atomic_init(&w->woken, false);
    for (size_t i = 0; i < SWARM_CALLS; i++) {
        atomic_init(&w->asked[i], false);
    }
    bool has_daemon = w->options.docker[0] != '\0';
    if (!docker_open(&w->docker, has_daemon ? w->options.docker : "unix:///nowhere")) {
        (void)snprintf(error, error_size,
                       "--docker: not of the form unix:///path or tcp://host:port");
        return false;
    }
    w->node = node;
    swarm_writer_init(&w->writer, node);
    w->listener.told = wake;
    node_listen(node, &w->listener);
    if (!thread_start(&w->thread, "swarm", swarm_worker_run, w)) {
        (void)snprintf(error, error_size, "cannot start a thread for the swarm");
        return false;
    }
    return true;
}

void swarm_worker_ask(struct swarm_worker *w, enum swarm_call call)
{
    atomic_store(&w->asked[call], true);
    atomic_store(&w->woken, true);
    docker_wake(&w->docker);
}

void swarm_worker_stop(struct swarm_worker *w)
{
    if (w->thread.runs) {
        atomic_store(&w->stopping, true);
        docker_end(&w->docker);
        thread_join(&w->thread);
    }
}

void swarm_worker_done(struct swarm_worker *w)
{
    swarm_worker_stop(w);
    if (w->node != NULL) {
        swarm_writer_done(&w->writer);
    }
    docker_close(&w->docker);
    swarm_listing_done(&w->listing);
    swarm_samples_done(&w->samples);
}
