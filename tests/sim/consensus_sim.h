/* consensus.h on the simulated world: replaces consensus.c and loop.c, without thread, sockets and
 * the kernel's files. The engine below is the product's.
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
    struct consensus_fsm app; /* the node's; the engine gets an observed one */
    struct engine_options engine_options;
    struct consensus_member list[MEMBERS_MAX];
    struct files files; /* the disk's, behind the mutants */
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
/* The process ends: completes and closes everything, and sends nothing. False: a pool thread is
 * using something, and nothing was done. */
bool consensus_sim_abandon(struct consensus *c);
/* A frame; a change of the outgoing link. */
void consensus_sim_receive(struct consensus *c, const struct hello_facts *from, uint8_t type,
                           const uint8_t *data, size_t len);
void consensus_sim_link_up(struct consensus *c, const struct hello_facts *facts);
void consensus_sim_link_rejected(struct consensus *c, uint64_t by, enum hello_verdict verdict);
void consensus_sim_link_refused(struct consensus *c, uint64_t id);

/* app.c: the node's application, observed; and a version of it with a new operation kind. */
struct consensus_fsm app_watched(struct consensus *c);
/* An operation of the new kind, from malloc. */
uint8_t *app_new_kind(uint64_t tag, size_t *ret_len);
bool app_is_new_kind(const uint8_t *data, size_t len);

/* Parameters of the product, drawn for each run. */
struct tuning {
    uint64_t snapshot_log_bytes;
    uint32_t segment_bytes; /* of the log on disk */
    uint32_t write_timeout_ms;
    uint32_t events_kept; /* requested by leaders with even ids; others request twice as many, if
                           *                              they differ */
    bool events_differ;
    uint64_t state_bytes;     /* requested by leaders with even ids; others request twice as much */
    bool versions_differ;     /* members run two versions, upgraded one by one */
    uint32_t busy_millionths; /* writes refused on admission */
    uint32_t lazy_pump_millionths; /* several events in one turn of the loop */
};
extern struct tuning tuning;

#endif
