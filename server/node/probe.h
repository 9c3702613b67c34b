/* Which of the active checks this replica runs, when it may, and what a run writes. The checks
 * themselves are run above (api/prober); what they are is in the records of view->checks that are
 * `active`, as JSON in their `extra`.
 *
 *     uint64_t version = node_probe_version(node);
 *     if (it is another than at the last scan) {
 *         const struct view *view = node_view_lock(node);
 *         for each record of view->checks: record->active && node_probe_is_ours(node, view, record)
 *         keep its id, prober_definition(record) and view->probers.epoch
 *     }
 *     right before each connection of a run: node_probe_may_start(node, version), or scan or wait
 *
 * node_listen tells when the version moves. At no time may two replicas start a run of a check, if
 * their clocks run at the same rate within a tenth: a replica is permitted for PROBE_PERMITTED_MS
 * from when it asked for a leader proof (ReadIndex), with which it knows every set of probers
 * committed before that; and a check that it has gained is its own only PROBE_WAIT_MS after it has
 * learned of the set, when whoever had it before can have no older permission left.
 *
 * Thread: any; functions with a view: inside its read-side critical section. */
#ifndef MUSTER_NODE_PROBE_H
#define MUSTER_NODE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"
#include "server/registry/prober.h"

#define PROBE_PERMITTED_MS 500
#define PROBE_WAIT_MS      625

/* Moves when the active checks, or those of them that are this replica's, may be others, and when
 * permission comes back. Read it before the view. */
uint64_t node_probe_version(const struct node *node);
/* Whether a run may start now, of a check that was this replica's at that version. Cheap: three
 * atomic loads and a clock. */
bool node_probe_may_start(const struct node *node, uint64_t version);
/* Until when, on clock_boot_ms(), it is permitted; 0: it is not. Goes on being extended while the
 * replica is ready, is a prober, and there are active checks. */
uint64_t node_probe_until_ms(const struct node *node);
/* Whether the check is this replica's to run. */
bool node_probe_is_ours(const struct node *node, const struct view *view,
                        const struct record *check);

/* This replica runs no checks: the leader shares them out among the others. Before it is ready. */
void node_probe_decline(struct node *node);

/* What a run has found. */
struct node_probed {
    const char *check_id; /* as stored: record_id(); borrowed during the call, as the note */
    uint64_t definition;  /* prober_definition() of the record that was run */
    uint64_t epoch;       /* view->probers.epoch of the scan before the run */
    enum health status;   /* passing, warning or critical */
    struct slice note;    /* its output, at most OUTPUT_BYTES_MAX */
};
/* As node_write, of which `data` and `done` are to be set. In `done`, write->result.status is
 * ST_NOT_FOUND: the check is gone, or active no longer; ST_CONFLICT: it has another definition, or
 * somebody else was to run it since: nothing was written. Write only what is new: with the same
 * status and note nothing changes. */
MUST_USE enum status node_probe_write(struct node *node, struct node_write *write,
                                      const struct node_probed *probed);

#endif
