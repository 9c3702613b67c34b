/* Membership changes requested by operators: held at the member that was asked until they are
 * committed there, and carried out by the leader, one at a time (membership.h). Retrying is
 * harmless: a request names the wanted state. The leader reports when that is reached; the
 * configuration known here may be older.
 *
 *   FRAME_CHANGE:        serial u64, kind u8, force u8, member u64; for CONSENSUS_ADD the address
 *   FRAME_CHANGE_RESULT: serial u64, status u32 (ST_OK, or why the leader refuses), index u64 of
 *                        the committed configuration that has it
 *
 * Thread: loop. Owns: the waiting operations. */
#ifndef MUSTER_CONSENSUS_CHANGE_H
#define MUSTER_CONSENSUS_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/op_list.h"

struct engine;
struct member;

struct changes {
    struct op_list waiting; /* the first is in progress */
    uint64_t serial;        /* of the first */
    uint64_t leader_before; /* the leader when it began */
    uint64_t asked_ms;      /* last request to a leader; 0: none */
    uint64_t so_at;         /* index of the configuration that has it; 0: not known */
};

void change_init(struct changes *c);
/* Takes an operation of lane CONSENSUS_CHANGE. */
void change_add(struct engine *e, struct consensus_op *op);
/* FRAME_CHANGE, FRAME_CHANGE_RESULT. */
void change_receive(struct engine *e, const struct member *from, const uint8_t *data, size_t len);
void change_receive_result(struct engine *e, const uint8_t *data, size_t len);
void change_tick(struct engine *e);
void change_fail_all(struct engine *e);

#endif
