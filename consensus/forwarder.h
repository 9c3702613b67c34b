/* Forwards the operations that this member took to the leader: while one batch is in flight, the
 * others gather for the next. A batch is resent whenever the leader or the link changes; the
 * sessions in the replicated state ensure that it is applied once (section 6.3 of the Raft
 * dissertation).
 *
 * Without it, an election would turn every write in flight into an error or, resent without a
 * number, into two.
 *
 * Thread: loop. Owns: the operations' bytes until they are completed. */
#ifndef MUSTER_CONSENSUS_FORWARDER_H
#define MUSTER_CONSENSUS_FORWARDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/op_list.h"
#include "server/base/buffer.h"
#include "server/base/limits.h"

struct engine;

/* Numbers one start of a life: a count of starts, and a random part. The count makes it rise; the
 * random part tells two starts apart even after an older copy of the directory was put back. */
#define BOOT(count, salt) ((uint64_t)(count) << 32 | (uint32_t)(salt))
#define BOOT_COUNT(boot)  ((uint64_t)(boot) >> 32)
#define BOOT_SALT(boot)   ((uint64_t)(boot)&UINT32_MAX)

struct forwarder {
    struct op_list urgent, normal;
    size_t waiting; /* in both lists */
    size_t waiting_bytes;
    size_t urgent_waiting, urgent_bytes; /* of these */
    uint64_t added, batched;             /* operations, since the start */
    bool active;                         /* a batch is in flight */
    uint64_t boot;                       /* of this process, for numbering: BOOT */
    uint64_t serial;
    uint32_t sends;   /* times it was sent and not refused: it may be applied */
    uint64_t sent_to; /* a member; 0: must be (re)sent */
    uint64_t sent_ms;
    uint64_t first_deadline_ms;
    struct buffer bytes;
    uint32_t ops_count;
    struct consensus_op *ops[BATCH_OPS_MAX]; /* NULL: given up while the batch was in flight */
};

void forwarder_init(struct forwarder *f, uint64_t boot);
void forwarder_done(struct forwarder *f);
void forwarder_add(struct engine *e, struct consensus_op *op);
/* Builds and sends the next batch if none is in flight. */
void forwarder_pump(struct engine *e);
void forwarder_tick(struct engine *e);
bool forwarder_is_ours(const struct engine *e, uint64_t origin, uint64_t boot, uint64_t serial);
/* The batch in flight was applied, operation by operation. */
void forwarder_applied(struct engine *e);
/* A snapshot may contain it: the results are unknown. */
void forwarder_overtaken(struct engine *e);
/* It was skipped: another start of this life has used its number. */
void forwarder_skipped(struct engine *e);
/* A leader refused it. */
void forwarder_refused(struct engine *e, uint64_t from, const uint8_t *data, size_t len);
/* The leader, or the link to it, is new. */
void forwarder_resend(struct engine *e);
void forwarder_fail_all(struct engine *e);
bool forwarder_is_empty(const struct forwarder *f);

#endif
