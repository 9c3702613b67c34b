/* The loop thread of a running member: an engine on libuv. Included by consensus.c and loop.c only.
 *
 * Thread: see the groups of fields. */
#ifndef MUSTER_CONSENSUS_LOOP_H
#define MUSTER_CONSENSUS_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include <uv.h>

#include "consensus/admission.h"
#include "consensus/consensus.h"
#include "consensus/disk/files.h"
#include "consensus/disk_thread.h"
#include "consensus/engine.h"
#include "consensus/peer/peer.h"

struct consensus {
    /* immutable after start */
    struct consensus_facts facts;
    struct consensus_fsm app;
    bool members_given;
    struct engine_options engine_options;
    char *secret;
    char *secret_old; /* NULL: none */
    struct link_tls *tls;
    bool plain_too;
    char *peer_listen;
    unsigned peer_connections;
    struct consensus_member members[MEMBERS_MAX];
    size_t members_count;
    struct files *files;
    pthread_t thread;

    /* loop only */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_check_t check;
    struct disk_thread disk;
    struct peers *peers;
    struct engine engine;
    uint64_t expected_ns; /* when the next tick is due */
    uint64_t app_tick_ms, members_ms;
    bool stop_begun, links_closed;
    uint64_t stop_deadline_ms;

    /* crossing into the loop */
    uv_async_t wake;
    struct cds_wfcq_head queue_head;
    struct cds_wfcq_tail queue_tail;
    struct admission admission;
    _Atomic uint32_t submitting; /* threads inside consensus_submit */
    _Atomic bool stopping;

    /* crossing out of the loop; atomic */
    _Atomic uint64_t turned_ms; /* monotonic: last turn of the loop; 0: not running yet */
    _Atomic uint64_t leader, term, applied_index, commit_index, contact_ms;
    _Atomic bool is_leader, caught_up, has_space;
    _Atomic uint32_t phase, level;

    /* under mutex */
    pthread_mutex_t mutex;
    pthread_cond_t started_changed;
    int started; /* 0: not yet, 1: yes, -1: failed */
    char start_error[5120];
    struct consensus_cluster_event events[CONSENSUS_CLUSTER_EVENTS_MAX];
    size_t events_count;
    struct member_table table;
    char cluster[CONSENSUS_CLUSTER_SIZE];
};

/* The thread: opens links and log, sets `started`, runs until stopped. `arg` is the consensus. */
void *loop_run(void *arg);

static inline bool loop_is_replicated(const struct consensus_op *op)
{
    return op->lane == CONSENSUS_URGENT || op->lane == CONSENSUS_NORMAL;
}

#endif
