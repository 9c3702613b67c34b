/* Changes of the members that somebody asks for: at the member that was asked, until they are
 * committed there; and at the leader, who carries them out one after the other (membership.h).
 * Asking again does no harm, as what is asked for is how it should be. The leader says when it is
 * so: the configuration that is known here may be an older one.
 *
 *   FRAME_CHANGE:        serial u64, kind u8, force u8, member u64; of CONSENSUS_ADD the address
 *   FRAME_CHANGE_RESULT: serial u64, status u32 (ST_OK, or why the leader will not), index u64 of
 *                        the committed configuration in which it is so
 *
 * Thread: loop. Owns: the operations that wait. */
#ifndef MUSTER_CONSENSUS_CHANGE_H
#define MUSTER_CONSENSUS_CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "consensus/op_list.h"

struct engine;
struct member;

struct changes {
    struct op_list waiting; /* the first one is under way */
    uint64_t serial;        /* of that */
    uint64_t leader_before; /* who led when it began */
    uint64_t asked_ms;      /* when a leader was last asked; 0: never */
    uint64_t so_at;         /* index of the configuration in which it is so; 0: not known */
};

void change_init(struct changes *c);
/* An operation of the lane CONSENSUS_CHANGE. */
void change_add(struct engine *e, struct consensus_op *op);
/* FRAME_CHANGE, FRAME_CHANGE_RESULT. */
void change_receive(struct engine *e, const struct member *from, const uint8_t *data, size_t len);
void change_receive_result(struct engine *e, const uint8_t *data, size_t len);
void change_tick(struct engine *e);
void change_fail_all(struct engine *e);

#endif
