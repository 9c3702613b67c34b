#include "tests/plant/plant.h"

#include <stdio.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/node/internal.h"
#include "server/registry/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"

static enum plant planted;

static const struct {
    const char *name, *what;
} list[] = {{"none", "nothing is wrong"},
#define X(name, what) {#name, what},
            PLANTS(X)
#undef X
};

bool plant_choose(const char *name)
{
    for (unsigned i = 1; i < ARRAY_LENGTH(list); i++) {
        if (strcmp(name, list[i].name) == 0) {
            planted = (enum plant)i;
            return true;
        }
    }
    return false;
}

void plant_list(void)
{
    for (unsigned i = 1; i < ARRAY_LENGTH(list); i++) {
        printf("%-24s %s\n", list[i].name, list[i].what);
    }
}

bool plant_is(enum plant plant)
{
    return planted == plant;
}

/* --- in place of the product's functions; each calls the one it replaces --- */

bool __real_sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t sequence,
                             uint64_t index);
bool __wrap_sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t sequence,
                             uint64_t index)
{
    return __real_sessions_advance(s, origin, boot, sequence, index) ||
           plant_is(PLANT_sessions_off);
}

void __real_outbox_resend(struct engine *e);
void __wrap_outbox_resend(struct engine *e)
{
    if (plant_is(PLANT_handover_forgotten)) {
        e->outbox.handed = 0;
    }
    __real_outbox_resend(e);
}

bool __real_expiry_command(struct node *node, struct command *ret_command);
bool __wrap_expiry_command(struct node *node, struct command *ret_command)
{
    bool due = __real_expiry_command(node, ret_command);
    if (due && ret_command->kind == COMMAND_EXPIRE && plant_is(PLANT_expire_early)) {
        ret_command->expire.until_ms += 2000;
    }
    return due;
}

void __real_expiry_tick(struct node *node, uint64_t now_ms);
void __wrap_expiry_tick(struct node *node, uint64_t now_ms)
{
    struct expiry *x = &node->expiry;
    if (plant_is(PLANT_pause_counts) && x->leads) {
        x->clock_ms += now_ms - x->counted_ms;
        x->counted_ms = x->seen_ms = now_ms;
    }
    __real_expiry_tick(node, now_ms);
}

void __real_readgate_pump(struct engine *e);
void __wrap_readgate_pump(struct engine *e)
{
    struct readgate *g = &e->readgate;
    if (plant_is(PLANT_read_without_proof) && e->is_leader && e->leader.started &&
        g->waiting.first != NULL) {
        op_list_move(&g->waiting, &g->indexed);
        g->indexed_index = raft_commit_index(&e->raft);
    }
    __real_readgate_pump(e);
}

void __real_leader_begin(struct engine *e);
void __wrap_leader_begin(struct engine *e)
{
    __real_leader_begin(e);
    if (plant_is(PLANT_read_too_early)) {
        e->leader.started = true;
    }
}

enum status __real_registry_restore_instance(struct registry *registry, struct record *record,
                                             uint32_t stamp, uint64_t renewed_ms,
                                             uint64_t deadline_ms);
enum status __wrap_registry_restore_instance(struct registry *registry, struct record *record,
                                             uint32_t stamp, uint64_t renewed_ms,
                                             uint64_t deadline_ms)
{
    return __real_registry_restore_instance(registry, record, stamp, renewed_ms,
                                            deadline_ms + plant_is(PLANT_lease_drifts));
}

uint32_t __real_leases_take_slot(struct leases *leases);
uint32_t __wrap_leases_take_slot(struct leases *leases)
{
    uint32_t slot = __real_leases_take_slot(leases);
    if (plant_is(PLANT_slot_by_member) && plant_member() == 2) {
        slot = __real_leases_take_slot(leases);
    }
    return slot;
}

enum status __real_wire_command_decode(const uint8_t *data, size_t len,
                                       struct wire_command *ret_command);
enum status __wrap_wire_command_decode(const uint8_t *data, size_t len,
                                       struct wire_command *ret_command)
{
    enum status status = __real_wire_command_decode(data, len, ret_command);
    if (plant_is(PLANT_incarnation_ignored) && ret_command->command.kind == COMMAND_DEREGISTER) {
        ret_command->command.deregister.incarnation = 0;
    }
    return status;
}

void __real_guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io);
void __wrap_guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io)
{
    __real_guard_wrap(g, engine, io);
    switch (planted) {
    case PLANT_guard_off_load:
        io->load = g->inner.load;
        break;
    case PLANT_guard_off_append:
        io->append = g->inner.append;
        break;
    case PLANT_guard_off_truncate:
        io->truncate = g->inner.truncate;
        break;
    case PLANT_guard_off_snapshot_put:
        io->snapshot_put = g->inner.snapshot_put;
        break;
    case PLANT_guard_off_snapshot_get:
        io->snapshot_get = g->inner.snapshot_get;
        break;
    default:
        break;
    }
}
