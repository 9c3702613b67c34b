/* The audit log: a line for each change that a client asked for, and for each client that was
 * refused (audit_line.h). To a file, stderr or syslog.
 *
 * Nobody waits for a disk: a line goes into a bounded queue, and a thread writes the queue out. A
 * line that finds no room is dropped and counted (audit_lines_lost_total). When writing fails, the
 * lines stay in the queue, and the thread tries again each second.
 *
 * When the log is required, audit_accepts() is false while it cannot be written: writing has failed
 * or takes longer than STALL_UNFIT_MS, or half of the queue is used. The other half is for the
 * changes that were let in before. Lines of refusals, which strangers may cause, use a quarter of
 * the queue at most.
 *
 * Lines are written, but not synced. So these can be missing: what is in the queue when the process
 * is killed, and what the kernel has not written to the disk when the machine dies.
 *
 * Thread: audit_open, audit_reopen, audit_close: main. The rest: any.
 * Owns: its file, queue and thread. */
#ifndef MUSTER_API_CORE_AUDIT_H
#define MUSTER_API_CORE_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/audit_line.h"
#include "server/base/compiler.h"

struct audit;

struct audit_options {
    const char *target; /* "stderr", "syslog", or the path of a file; borrowed until audit_close */
    uint64_t replica;   /* member id, which goes into every line */
    bool required;      /* not with "syslog", which does not say whether it has taken a line */
};

/* Opens the target, a new file with mode 0600, and starts the thread. After signals are blocked.
 * NULL with a sentence in `error`. */
struct audit *audit_open(const struct audit_options *options, char *error, size_t error_size);
/* After the file was renamed: opens the path again. If that fails, it is logged, and lines go to
 * the renamed file. */
void audit_reopen(struct audit *audit);
/* Writes what waits, for at most this long; the rest is lost, and counted. No other call may run.
 * NULL is allowed. */
void audit_close(struct audit *audit, uint64_t within_ms);

/* Queues a line; fills in its time and replica. */
void audit_write(struct audit *audit, struct audit_line *line);
/* Whether a change may be made now: always, unless the log is required. */
MUST_USE bool audit_accepts(struct audit *audit);

#endif
