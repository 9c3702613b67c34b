#include "consensus/guard_snapshot.h"

#include <stdlib.h>

#include "consensus/engine.h"
#include "consensus/machine.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

#define SNAPSHOT_BYTES_PER_MS 10000 /* 10 MB/s: a slow network, or a slow disk */

struct guard_put {
    struct raft_io_snapshot_put inner;
    struct engine_work work;
    struct guard *guard;
    unsigned trailing;
    struct raft_io_snapshot_put *req;
    raft_io_snapshot_put_cb cb;
    struct raft_snapshot snapshot; /* libraft's, with our bytes in place of its buffer */
    struct machine_snapshot *taken;
    struct raft_buffer bytes;
    struct buffer encoded;
    uint64_t begun_ns;
};

static void finish(struct guard_put *p, int status)
{
    p->cb(p->req, status);
    buffer_done(&p->encoded);
    free(p);
}

static void stored(struct raft_io_snapshot_put *inner, int status)
{
    struct guard_put *p = inner->data;
    struct guard *g = p->guard;
    if (status != 0 && !g->closing) {
        g->engine->env.fatal(g->engine->env.ctx, "a snapshot could not be written");
    }
    if (status == 0) {
        metric_add(METRIC_snapshots_taken_total, 1);
        metric_observe_us(HISTOGRAM_snapshot_seconds, (clock_monotonic_ns() - p->begun_ns) / 1000);
        log_write(LOG_INFO, "snapshot", "stored", "index=%llu bytes=%zu",
                  (unsigned long long)p->snapshot.index, p->encoded.len);
    }
    g->storing_snapshot = false;
    finish(p, status);
    if (!g->closing) {
        guard_deliver_held(g);
    }
}

static void encode(struct engine_work *work)
{
    struct guard_put *p = CONTAINER_OF(work, struct guard_put, work);
    machine_snapshot_encode(p->taken, &p->encoded);
}

static void store(struct guard_put *p)
{
    struct guard *g = p->guard;
    p->bytes = (struct raft_buffer){.base = p->encoded.data, .len = p->encoded.len};
    p->snapshot.bufs = &p->bytes;
    p->snapshot.n_bufs = 1;
    int rv = g->inner.snapshot_put(g->io, p->trailing, &p->inner, &p->snapshot, stored);
    if (rv != 0) {
        g->engine->env.fatal(g->engine->env.ctx, "a snapshot could not be submitted for writing");
    }
}

void guard_snapshot_pump(struct guard *g)
{
    struct guard_put *p = g->early_snapshot;
    if (p != NULL && g->durable_index >= p->snapshot.index) {
        g->early_snapshot = NULL;
        store(p);
    }
}

void guard_snapshot_close(struct guard *g)
{
    struct guard_put *p = g->early_snapshot;
    if (p != NULL) {
        g->early_snapshot = NULL;
        g->storing_snapshot = false;
        finish(p, RAFT_CANCELED);
    }
}

static void encoded(struct engine_work *work)
{
    struct guard_put *p = CONTAINER_OF(work, struct guard_put, work);
    struct guard *g = p->guard;
    g->encoding_snapshot = false;
    machine_snapshot_release(g->engine, p->taken);
    g->engine->snapshot_bytes = p->encoded.len;
    if (p->encoded.overflowed) {
        g->engine->env.fatal(g->engine->env.ctx, "the state is too large for a snapshot");
    }
    /* A majority may have written what our own disk has not. With a snapshot that reaches beyond
     * the log on disk the backend would not start again. */
    g->early_snapshot = p;
    guard_snapshot_pump(g);
    if (g->closing) {
        guard_snapshot_close(g);
    }
}

static void installed(struct raft_io_snapshot_put *inner, int status)
{
    struct guard_put *p = inner->data;
    struct guard *g = p->guard;
    if (status != 0 && !g->closing) {
        g->engine->env.fatal(g->engine->env.ctx, "a snapshot received could not be written");
    }
    g->installing = false;
    if (status == 0) {
        guard_installed(g, p->snapshot.index, p->snapshot.term);
        metric_add(METRIC_snapshots_installed_total, 1);
        log_write(LOG_INFO, "snapshot", "installed", "index=%llu",
                  (unsigned long long)p->snapshot.index);
    }
    finish(p, status);
}

int guard_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                       const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    struct engine *e = guard_of(io)->engine;
    struct guard *g = &e->guard;
    struct guard_put *p = mem_alloc(sizeof *p);
    *p = (struct guard_put){
        .inner.data = p,
        .work = {.run = encode, .done = encoded},
        .guard = g,
        .trailing = trailing,
        .req = req,
        .cb = cb,
        .snapshot = *snapshot,
        .begun_ns = clock_monotonic_ns(),
    };
    buffer_init(&p->encoded, PEER_BULK_BYTES_MAX / 2);
    if (trailing == 0) {
        /* Libraft passes none for those that a leader sent. */
        g->installing = true;
        if (g->durable_index >= snapshot->index) {
            /* It installs only if our log has something else there, which is superseded. A death
             * between the snapshot and the removal of the log would leave both. */
            (void)io->truncate(io, snapshot->index);
        }
        g->cuts++;
        int rv = g->inner.snapshot_put(io, 0, &p->inner, snapshot, installed);
        if (rv != 0) {
            e->env.fatal(e->env.ctx, "a snapshot received could not be submitted for writing");
        }
        return rv;
    }
    p->taken = machine_snapshot_take(e);
    g->storing_snapshot = true;
    g->encoding_snapshot = true;
    e->env.work(e->env.ctx, &p->work);
    return 0;
}

/* --- reading --- */

struct guard_get {
    struct raft_io_snapshot_get inner;
    struct guard *guard;
    struct raft_io_snapshot_get *req;
    raft_io_snapshot_get_cb cb;
};

static void got(struct raft_io_snapshot_get *inner, struct raft_snapshot *snapshot, int status)
{
    struct guard_get *p = inner->data;
    if (status == 0) {
        /* A large one may take longer before it is sent again. */
        raft_set_install_snapshot_timeout(
            &p->guard->engine->raft, INSTALL_SNAPSHOT_TIMEOUT_MS +
                                         (unsigned)(snapshot->bufs[0].len / SNAPSHOT_BYTES_PER_MS));
        p->guard->snapshot_term = snapshot->term;
        p->cb(p->req, snapshot, 0); /* sends it */
        p->guard->snapshot_term = 0;
    } else if (!p->guard->closing) {
        /* libraft would free what it never allocated. */
        p->guard->engine->env.fatal(p->guard->engine->env.ctx, "a snapshot could not be read");
    }
    free(p);
}

int guard_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                       raft_io_snapshot_get_cb cb)
{
    struct engine *e = guard_of(io)->engine;
    struct guard_get *p = mem_alloc(sizeof *p);
    *p = (struct guard_get){.inner.data = p, .guard = &e->guard, .req = req, .cb = cb};
    int rv = e->guard.inner.snapshot_get(io, &p->inner, got);
    if (rv != 0) {
        free(p);
        e->env.fatal(e->env.ctx, "a snapshot could not be submitted for reading");
    }
    return rv;
}
