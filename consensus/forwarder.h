/* Operations that this member took, on their way to the leader: while one batch is on its way, the
 * others gather for the next. A batch is sent again whenever the leader or the link changes; the
 * sessions in the replicated state see to it that it is applied once (section 6.3 of the Raft
 * dissertation).
 *
 * What goes wrong without it: an election would turn every write that is on its way into an error,
 * or, sent again without a number, into two.
 *
 * Thread: loop. Owns: the operations' bytes until they are answered. */
#ifndef MUSTER_CONSENSUS_FORWARDER_H
#define MUSTER_CONSENSUS_FORWARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/op_list.h"
#include "server/base/buffer.h"
#include "server/base/limits.h"

struct engine;

/* The number of one start of a life: how often it was started, and chance. The count makes it rise;
 * the chance tells it from another start even when an older copy of the directory was put back. */
#define BOOT(count, salt) ((uint64_t)(count) << 32 | (uint32_t)(salt))
#define BOOT_COUNT(boot)  ((uint64_t)(boot) >> 32)
#define BOOT_SALT(boot)   ((uint64_t)(boot)&UINT32_MAX)

struct forwarder {
    struct op_list urgent, normal;
    size_t waiting; /* in the two lists */
    size_t waiting_bytes;
    size_t urgent_waiting, urgent_bytes; /* of these */
    uint64_t added, batched;             /* operations ever */
    bool active;                         /* a batch is on its way */
    uint64_t boot;                       /* of this process, for numbering: BOOT */
    uint64_t serial;
    uint32_t sends;   /* times that it was handed over and not refused: it may happen */
    uint64_t sent_to; /* a member; 0: must be sent (again) */
    uint64_t sent_ms;
    uint64_t first_deadline_ms;
    struct buffer bytes;
    uint32_t ops_count;
    struct consensus_op *ops[BATCH_OPS_MAX]; /* NULL: given up while the batch was on its way */
};

void forwarder_init(struct forwarder *f, uint64_t boot);
void forwarder_done(struct forwarder *f);
void forwarder_add(struct engine *e, struct consensus_op *op);
/* Builds and sends the next batch, when it is time. */
void forwarder_pump(struct engine *e);
void forwarder_tick(struct engine *e);
bool forwarder_is_ours(const struct engine *e, uint64_t origin, uint64_t boot, uint64_t serial);
/* The batch on its way was applied, operation by operation. */
void forwarder_applied(struct engine *e);
/* A snapshot may hold it: the results are not known. */
void forwarder_overtaken(struct engine *e);
/* It was skipped: its number was used by another start of this life. */
void forwarder_skipped(struct engine *e);
/* A leader did not take it. */
void forwarder_refused(struct engine *e, uint64_t from, const uint8_t *data, size_t len);
/* There is a new leader, or a new link to it. */
void forwarder_resend(struct engine *e);
void forwarder_fail_all(struct engine *e);
bool forwarder_is_empty(const struct forwarder *f);

#endif
