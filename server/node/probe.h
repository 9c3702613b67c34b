/* Which of the active checks this replica runs, when it may, and what a run writes. The checks
 * themselves are run above (api/prober); what they are is in the records of view->checks that are
 * `active`, as JSON in their `extra`.
 *
 *     uint64_t until_ms = node_probe_until_ms(node);
 *     const struct view *view = node_view_lock(node);
 *     if (view->active_index or view->probers.epoch has changed) { rescan view->checks:
 *         record->active && node_probe_is_ours(node, view, record) }
 *
 * Right before each connection of a probe: clock_boot_ms() < node_probe_until_ms(node), or wait.
 * Both indexes are as of the same view; node_listen is called when either has moved.
 *
 * Thread: any; functions with a view: inside its read-side critical section. */
#ifndef MUSTER_NODE_PROBE_H
#define MUSTER_NODE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/node/node.h"
#include "server/registry/prober.h"

/* Until when, on clock_boot_ms(), this replica may start probes; 0: not now. It goes on being
 * extended while the replica is ready, is in the set of probers, and has proof that the leader
 * knows; the leader takes a replica out of the set only after the last such time. An atomic load.
 */
uint64_t node_probe_until_ms(const struct node *node);
/* Whether the check is assigned to this replica. */
bool node_probe_is_ours(const struct node *node, const struct view *view,
                        const struct record *check);

/* What a run has found. */
struct node_probed {
    const char *check_id; /* as stored: record_id(); borrowed during the call, as the note */
    uint64_t definition;  /* prober_definition() of the record that was run */
    uint64_t epoch;       /* view->probers.epoch when the run was started */
    enum health status;   /* passing, warning or critical */
    struct slice note;    /* its output, at most NOTE_BYTES_MAX */
};
/* As node_write, of which `data` and `done` are to be set. In `done`, write->result.status is
 * ST_NOT_FOUND: the check is gone; ST_CONFLICT: it has another definition, or was or is another
 * replica's to run since: nothing was written. Write only what is new: with the same status and
 * note nothing changes. */
MUST_USE enum status node_probe_write(struct node *node, struct node_write *write,
                                      const struct node_probed *probed);

#endif
