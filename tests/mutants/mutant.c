#include "tests/mutants/mutant.h"

#include <stdio.h>
#include <string.h>

#include "consensus/engine.h"
#include "server/node/internal.h"
#include "server/registry/internal.h"
#include "server/registry/restore.h"
#include "server/registry/size.h"
#include "server/wire/wire_command.h"

static enum mutant chosen;

static const struct {
    const char *name, *what;
} list[] = {{"none", "nothing is wrong"},
#define X(name, what) {#name, what},
            MUTANTS(X)
#undef X
};

bool mutant_choose(const char *name)
{
    for (unsigned i = 1; i < ARRAY_LENGTH(list); i++) {
        if (strcmp(name, list[i].name) == 0) {
            chosen = (enum mutant)i;
            return true;
        }
    }
    return false;
}

void mutant_list(void)
{
    for (unsigned i = 1; i < ARRAY_LENGTH(list); i++) {
        printf("%-24s %s\n", list[i].name, list[i].what);
    }
}

bool mutant_is(enum mutant mutant)
{
    return chosen == mutant;
}

/* --- replacements of product functions; each calls the one it replaces --- */

bool __real_sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial,
                             uint64_t index);
bool __wrap_sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial,
                             uint64_t index)
{
    return __real_sessions_advance(s, origin, boot, serial, index) ||
           mutant_is(MUTANT_sessions_off);
}

void __real_forwarder_resend(struct engine *e);
void __wrap_forwarder_resend(struct engine *e)
{
    if (mutant_is(MUTANT_handover_forgotten)) {
        e->forwarder.sends = 0;
    }
    __real_forwarder_resend(e);
}

bool __real_expiry_command(struct node *node, struct command *ret_command);
bool __wrap_expiry_command(struct node *node, struct command *ret_command)
{
    bool due = __real_expiry_command(node, ret_command);
    if (due && ret_command->kind == COMMAND_EXPIRE && mutant_is(MUTANT_expire_early)) {
        ret_command->expire.until_ms += 2000;
    }
    return due;
}

void __real_expiry_tick(struct node *node, uint64_t now_ms);
void __wrap_expiry_tick(struct node *node, uint64_t now_ms)
{
    struct expiry *x = &node->expiry;
    if (mutant_is(MUTANT_pause_counts) && x->leads) {
        x->clock_ms += now_ms - x->counted_ms;
        x->counted_ms = x->seen_ms = now_ms;
    }
    __real_expiry_tick(node, now_ms);
}

uint32_t __real_brake_allowance(struct brake *brake, uint32_t leases, uint64_t now_ms);
uint32_t __wrap_brake_allowance(struct brake *brake, uint32_t leases, uint64_t now_ms)
{
    uint32_t may = __real_brake_allowance(brake, leases, now_ms);
    bool small = mutant_is(MUTANT_brake_ignores_small) && brake->expired < 256 && may < 256;
    return small ? 256 - brake->expired : may;
}

void __real_read_index_pump(struct engine *e);
void __wrap_read_index_pump(struct engine *e)
{
    struct read_index *r = &e->read_index;
    if (mutant_is(MUTANT_read_without_proof) && e->is_leader && e->proposer.noop_committed &&
        r->waiting.first != NULL) {
        op_list_move(&r->waiting, &r->indexed);
        r->indexed_index = raft_commit_index(&e->driver.raft);
    }
    __real_read_index_pump(e);
}

void __real_proposer_begin(struct engine *e);
void __wrap_proposer_begin(struct engine *e)
{
    __real_proposer_begin(e);
    if (mutant_is(MUTANT_read_too_early)) {
        e->proposer.noop_committed = true;
    }
}

enum status __real_registry_restore_instance(struct registry *registry, struct record *record,
                                             uint64_t renewed_ms, uint64_t deadline_ms);
enum status __wrap_registry_restore_instance(struct registry *registry, struct record *record,
                                             uint64_t renewed_ms, uint64_t deadline_ms)
{
    return __real_registry_restore_instance(registry, record, renewed_ms,
                                            deadline_ms + mutant_is(MUTANT_lease_drifts));
}

enum status __real_tokens_admit(struct registry *r, const struct command *command);
enum status __wrap_tokens_admit(struct registry *r, const struct command *command)
{
    enum status status = __real_tokens_admit(r, command);
    return mutant_is(MUTANT_guard_ignored) ? ST_OK : status;
}

uint64_t __real_size_instance(const struct record *record);
uint64_t __wrap_size_instance(const struct record *record)
{
    return mutant_is(MUTANT_state_uncounted) && record->expired ? 0 : __real_size_instance(record);
}

uint32_t __real_leases_take_slot(struct leases *leases);
uint32_t __wrap_leases_take_slot(struct leases *leases)
{
    uint32_t slot = __real_leases_take_slot(leases);
    if (mutant_is(MUTANT_slot_by_member) && mutant_member() == 2) {
        slot = __real_leases_take_slot(leases);
    }
    return slot;
}

/* A build with a lower limit on notes. */
static const struct registry_limits *limits_of_build(const struct registry_limits *limits)
{
    static struct registry_limits ours;
    if (!mutant_is(MUTANT_limit_compiled_in) || mutant_member() != 2) {
        return limits;
    }
    ours = *limits;
    ours.note_bytes = 4;
    return &ours;
}

enum status __real_wire_command_decode(const uint8_t *data, size_t len,
                                       const struct registry_limits *limits,
                                       struct wire_command *ret_command);
enum status __wrap_wire_command_decode(const uint8_t *data, size_t len,
                                       const struct registry_limits *limits,
                                       struct wire_command *ret_command)
{
    enum status status =
        __real_wire_command_decode(data, len, limits_of_build(limits), ret_command);
    if (status == ST_OK && mutant_is(MUTANT_incarnation_ignored) &&
        ret_command->command.kind == COMMAND_DEREGISTER) {
        ret_command->command.deregister.incarnation = 0;
    }
    if (status == ST_OK && mutant_is(MUTANT_namespace_forgotten) &&
        ret_command->command.kind == COMMAND_DEREGISTER && ret_command->command.space.len > 0) {
        ret_command->command.space.len = 0;
        ret_command->command.deregister.incarnation = 0;
    }
    return status;
}
