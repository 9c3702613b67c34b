/* consensus.h on the simulated world: what consensus.c and loop.c are in production, without the
 * thread, the sockets and the files. The engine below is the product's.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CONSENSUS_SIM_H
#define MUSTER_SIM_CONSENSUS_SIM_H

#include "consensus/engine.h"
#include "tests/sim/member.h"

struct sim_work;

struct consensus {
    struct member *member;
    struct consensus_facts facts;
    struct consensus_app app; /* the node's; the engine gets a watched one */
    struct engine_options engine_options;
    struct raft_io io;
    struct engine engine;
    bool engine_open;
    struct consensus_status status; /* as of the last pump */
    struct op_list queue;
    uint64_t queued;
    uint64_t app_tick_ms, sync_ms;
    bool marked;
    bool stopping, stop_begun, closing;
    uint64_t stop_deadline_ms;
    struct sim_work *works;
};

/* The engine's part of a turn of the loop. */
void consensus_sim_pump(struct consensus *c);
/* The process ends: everything is called back and freed, nothing goes out. */
void consensus_sim_abandon(struct consensus *c);
/* A frame, a change of the outgoing link. */
void consensus_sim_receive(struct consensus *c, uint64_t from, uint8_t type, const uint8_t *data,
                           size_t len);
void consensus_sim_link_up(struct consensus *c, uint64_t id);
void consensus_sim_link_refused(struct consensus *c, uint64_t id);

/* How production code would turn these; drawn for each run. */
struct tuning {
    uint64_t snapshot_log_bytes;
    uint32_t write_timeout_ms;
    uint32_t
        events_kept; /* by members of even ids; the others keep twice as many, if they differ */
    bool events_differ;
    uint32_t busy_millionths;      /* writes refused at the door */
    uint32_t lazy_pump_millionths; /* several events in one turn of the loop */
};
extern struct tuning tuning;

#endif
