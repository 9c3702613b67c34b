/* The loop thread of a running member: an engine on libuv. Included by consensus.c and loop.c only.
 *
 * Thread: see the groups of fields. */
#ifndef MUSTER_CONSENSUS_LOOP_H
#define MUSTER_CONSENSUS_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include <raft/uv.h>
#include <uv.h>

#include "consensus/consensus.h"
#include "consensus/engine.h"
#include "consensus/peer.h"
#include "consensus/storage.h"

struct consensus {
    /* immutable after start */
    struct consensus_facts facts;
    struct consensus_app app;
    bool members_given;
    struct engine_options engine_options;
    char *secret;
    char *peer_listen;
    struct consensus_member members[MEMBERS_MAX];
    size_t members_count;
    struct storage *storage;
    pthread_t thread;

    /* loop only */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_check_t check;
    uv_work_t sync_work;
    enum status sync_status;
    struct peers *peers;
    struct raft_io io;
    struct raft_uv_transport transport;
    struct engine engine;
    uint64_t expected_ns; /* when the tick should fire next */
    uint64_t app_tick_ms, sync_ms, directory_ms;
    bool marked, syncing;
    bool stop_begun, closing;
    uint64_t stop_deadline_ms;

    /* crossing: into the loop */
    uv_async_t wake;
    struct cds_wfcq_head queue_head;
    struct cds_wfcq_tail queue_tail;
    _Atomic uint64_t queued_ops, queued_bytes;   /* not yet taken by the loop */
    _Atomic uint64_t waiting_ops, waiting_bytes; /* taken, and waiting for their bundle */
    _Atomic uint32_t submitting;                 /* threads inside of consensus_submit */
    _Atomic bool stopping;

    /* crossing: out of the loop; atomic */
    _Atomic uint64_t leader, term, applied_index, commit_index, contact_ms;
    _Atomic bool is_leader, caught_up, has_space;

    /* under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t started_changed;
    int started; /* 0: not yet, 1: yes, -1: failed */
    char start_error[5120];
    struct directory_entry directory[MEMBERS_MAX];
};

/* The thread: opens links and log, tells `started`, runs until stopped. `arg` is the consensus. */
void *loop_run(void *arg);

static inline bool loop_is_replicated(const struct consensus_op *op)
{
    return op->lane == CONSENSUS_URGENT || op->lane == CONSENSUS_NORMAL;
}

#endif
