/* Planted bugs: what the simulator (tests/sim) and the checkers of real clusters (jepsen/) must be
 * able to find. None is in product code: the linker puts a function of ours in place of the
 * product's (--wrap) in muster_sim and musterd_plant, or it is done at a seam that the test owns.
 * plant.c has what both do alike. Which of them a real cluster can show: jepsen/plant/README.md.
 *
 * Thread: chosen before any other starts. */
#ifndef MUSTER_PLANT_H
#define MUSTER_PLANT_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, what is wrong) */
#define PLANTS(X)                                                                                  \
    X(ack_before_durable, "the disk acknowledges an append before it is durable")                  \
    X(watermark_forgotten, "a start does not compare the log with the watermark")                  \
    X(vote_forgotten, "a vote is not stored, and the guard takes what the disk says")              \
    X(wall_clock, "the wall clock takes the place of the monotonic one")                           \
    X(expire_early, "leases lapse two seconds before their deadline")                              \
    X(no_grace, "a new leader lets leases lapse at once")                                          \
    X(stall_counts, "time counts while nothing can be committed")                                  \
    X(pause_counts, "time counts while the leader did not run")                                    \
    X(full_disk_counts, "time counts while heartbeats are refused for lack of space")              \
    X(expire_overtakes, "an expire entry goes before heartbeats received earlier")                 \
    X(sessions_off, "a bundle sent again is applied again")                                        \
    X(sessions_lost, "the sessions are lost in a snapshot")                                        \
    X(salt_forgotten, "after the loss of all files a life has the numbers of an earlier one")      \
    X(handover_forgotten, "at a change of leader, a bundle counts as never handed over")           \
    X(read_without_proof, "a leader answers linearizable reads without asking the others")         \
    X(read_too_early, "a leader answers linearizable reads before it knows what is committed")     \
    X(lease_drifts, "a restored snapshot moves deadlines by a millisecond")                        \
    X(slot_by_member, "the slot of a lease depends on the member")                                 \
    X(incarnation_ignored, "a deregister for an older incarnation is obeyed")                      \
    X(present_gap, "what changes while instances are presented is not told")                       \
    X(event_lost, "a stream that is resumed at another member skips an event")                     \
    X(guard_off_load, "guard: the log is loaded unchecked")                                        \
    X(guard_off_append, "guard: appends do not move the watermark")                                \
    X(guard_off_truncate, "guard: the watermark stays when the log is cut")                        \
    X(guard_off_snapshot_put, "guard: libraft's own token is stored as the snapshot")              \
    X(guard_off_snapshot_get, "guard: a snapshot is sent with the term of another")

enum plant {
    PLANT_none,
#define X(name, what) PLANT_##name,
    PLANTS(X)
#undef X
};

/* False when there is none of that name. */
bool plant_choose(const char *name);
void plant_list(void);
bool plant_is(enum plant plant);
/* The member that is running; given by the program. */
uint64_t plant_member(void);

#endif
