/* Mutants: bugs that the simulator (tests/sim) and the checkers of real clusters (jepsen/) must
 * find. None is in product code: the linker replaces a product function (--wrap) in muster_sim and
 * musterd_mutant, or it is done at a seam that the test owns. mutant.c has those used by both.
 * Which a real cluster can show: jepsen/mutants/README.md.
 *
 * Thread: chosen before any other starts. */
#ifndef MUSTER_MUTANT_H
#define MUSTER_MUTANT_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, what is wrong) */
#define MUTANTS(X)                                                                                 \
    X(amnesiac_votes, "a member whose directory was emptied takes its old life")                   \
    X(cluster_id_unchecked, "what is of another cluster is believed")                              \
    X(parent_unchecked, "an entry's checksum says nothing of those before it")                     \
    X(torn_tail_taken, "an incomplete frame at the end of the log is taken for a whole one")       \
    X(cut_not_logged, "a truncation of the log is not written")                                    \
    X(change_before_own_term,                                                                      \
      "a leader changes the configuration before it has committed anything")                       \
    X(standby_counts, "a standby counts as a voter")                                               \
    X(two_changes_at_once, "a change is begun before the one before it is committed")              \
    X(conf_index_wrong, "a configuration is noted under the index before its own")                 \
    X(removed_disrupts, "whoever wants to lead is heard, also one that was taken out")             \
    X(old_life_returns, "a life that was taken out is let in again")                               \
    X(commit_not_kept, "the commit index is not written")                                          \
    X(snapshot_unverified, "the checksums of a snapshot are not compared")                         \
    X(sync_skipped, "nothing is synced")                                                           \
    X(error_ignored, "a write that fails counts as done")                                          \
    X(new_kind_ungated, "a new kind of operation is proposed before all members know it")          \
    X(hash_not_compared, "members do not compare the hashes of their states")                      \
    X(limit_compiled_in, "a limit that decides an outcome is not the same in all builds")          \
    X(ack_before_durable, "entries count as durable when they are being written")                  \
    X(vote_before_durable, "a vote is told before it is durable")                                  \
    X(wall_clock, "the wall clock takes the place of the monotonic one")                           \
    X(expire_early, "leases expire two seconds before their deadline")                             \
    X(no_grace, "a new leader lets leases expire at once")                                         \
    X(brake_ignores_small, "the mass-expiry brake does nothing below 256 leases")                  \
    X(stall_counts, "time counts while nothing can be committed")                                  \
    X(pause_counts, "time counts while the leader did not run")                                    \
    X(full_disk_counts, "time counts while heartbeats are refused for lack of space")              \
    X(heartbeats_share_lost, "other writes take the room of heartbeats")                           \
    X(time_counts_while_refused, "time counts while heartbeats are refused at the leader's door")  \
    X(follower_refusal_untold, "a member does not tell that it refuses heartbeats")                \
    X(expire_overtakes, "an expire entry goes before heartbeats received earlier")                 \
    X(sessions_off, "a batch sent again is applied again")                                         \
    X(sessions_lost, "the sessions are lost in a snapshot")                                        \
    X(salt_forgotten, "with an older copy of its directory a start has the number of another")     \
    X(handover_forgotten, "at a change of leader, a batch counts as never handed over")            \
    X(read_without_proof, "a leader answers linearizable reads without asking the others")         \
    X(read_too_early, "a leader answers linearizable reads before it knows what is committed")     \
    X(state_uncounted, "instances that expired are left out of the size of the state")             \
    X(lease_drifts, "a restored snapshot moves deadlines by a millisecond")                        \
    X(slot_by_member, "the slot of a lease depends on the member")                                 \
    X(incarnation_ignored, "a deregister for an older incarnation is obeyed")                      \
    X(namespace_forgotten, "a deregister in a namespace is obeyed in `default`")                   \
    X(unique_ignored, "a registration takes a unique type that another has")                       \
    X(guard_ignored, "a command is obeyed whoever wants it")                                       \
    X(permission_outlasts, "a replica runs checks after its permission has ended")                 \
    X(gained_at_once, "a check that was gained is run while its former prober may still run it")   \
    X(suspension_uncounted, "a permission lasts through the suspension of its machine")            \
    X(late_result_counts, "a result counts, however old the set of probers that it is of")         \
    X(prober_stays, "a member that is not heard from remains a prober")                            \
    X(present_gap, "what changes while instances are presented is not told")                       \
    X(event_lost, "a stream that is resumed at another member skips an event")

enum mutant {
    MUTANT_none,
#define X(name, what) MUTANT_##name,
    MUTANTS(X)
#undef X
};

/* False if there is no such mutant. */
bool mutant_choose(const char *name);
void mutant_list(void);
bool mutant_is(enum mutant mutant);
/* The running member; given by the program. */
uint64_t mutant_member(void);

#endif
