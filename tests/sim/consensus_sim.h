/* consensus.h on the simulated world: what consensus.c and loop.c are in production, without the
 * thread, the sockets and the kernel's files. The engine below is the product's.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CONSENSUS_SIM_H
#define MUSTER_SIM_CONSENSUS_SIM_H

#include "consensus/admission.h"
#include "consensus/engine.h"
#include "tests/sim/member.h"

struct sim_work;

struct consensus {
    struct sim_member *member;
    struct consensus_facts facts;
    struct consensus_fsm app; /* the node's; the engine gets a watched one */
    struct engine_options engine_options;
    struct consensus_member list[MEMBERS_MAX];
    struct files files; /* the disk's, through the mutants */
    const struct files *disk_files;
    struct engine engine;
    bool engine_open;
    struct consensus_status status; /* as of the last pump */
    struct op_list queue;
    struct admission admission;
    uint64_t app_tick_ms;
    bool stopping, stop_begun, closing;
    uint64_t stop_deadline_ms;
    struct sim_work *works;
};

/* The engine's part of a turn of the loop. */
void consensus_sim_pump(struct consensus *c);
/* The process ends: everything is called back and closed, nothing goes out. False: a pool thread
 * has hold of something, and nothing was done. */
bool consensus_sim_abandon(struct consensus *c);
/* A frame, a change of the outgoing link. */
void consensus_sim_receive(struct consensus *c, const struct hello_facts *from, uint8_t type,
                           const uint8_t *data, size_t len);
void consensus_sim_link_up(struct consensus *c, const struct hello_facts *facts);
void consensus_sim_link_rejected(struct consensus *c, uint64_t by, enum hello_verdict verdict);
void consensus_sim_link_refused(struct consensus *c, uint64_t id);

/* app.c: the node's application, watched; and a version of it with a new kind of operation. */
struct consensus_fsm app_watched(struct consensus *c);
/* An operation of the new kind: from malloc. */
uint8_t *app_new_kind(uint64_t tag, size_t *ret_len);
bool app_is_new_kind(const uint8_t *data, size_t len);

/* How production code would turn these; drawn for each run. */
struct tuning {
    uint64_t snapshot_log_bytes;
    uint32_t segment_bytes; /* of the log on disk */
    uint32_t write_timeout_ms;
    uint32_t events_kept; /* asked for by leaders of even ids; the others ask for twice as many, if
                             they differ */
    bool events_differ;
    uint64_t state_bytes; /* asked for by leaders of even ids; the others ask for twice as much */
    bool versions_differ; /* members run two versions, upgraded one by one */
    uint32_t busy_millionths;      /* writes refused at the door */
    uint32_t lazy_pump_millionths; /* several events in one turn of the loop */
};
extern struct tuning tuning;

#endif
