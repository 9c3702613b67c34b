/* Planted bugs: what the checkers of jepsen/ must be able to find on a real cluster. None is in
 * product code: the linker puts a function of this file in place of the product's (--wrap), in the
 * program musterd_plant alone. CHAOS_PLANT in the environment chooses one, CHAOS_MEMBER is this
 * member's id.
 *
 * Thread: as the function that is replaced. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "consensus/engine.h"
#include "server/node/feed.h"
#include "server/node/internal.h"
#include "server/registry/internal.h"
#include "server/registry/snapshot.h"
#include "server/wire/wire_command.h"

/* X(name, what is wrong) */
#define PLANTS(X)                                                                                  \
    X(sessions_off, "a bundle sent again is applied again")                                        \
    X(handover_forgotten, "at a change of leader, a bundle counts as never handed over")           \
    X(wall_clock, "the wall clock takes the place of the monotonic one")                           \
    X(expire_early, "leases lapse two seconds before their deadline")                              \
    X(pause_counts, "time counts while the leader did not run")                                    \
    X(read_without_proof, "a leader answers linearizable reads without asking the others")         \
    X(read_too_early, "a leader answers linearizable reads before it knows what is committed")     \
    X(lease_drifts, "a restored snapshot moves deadlines by a millisecond")                        \
    X(slot_by_member, "the slot of a lease depends on the member")                                 \
    X(incarnation_ignored, "a deregister for an older incarnation is obeyed")                      \
    X(event_lost, "a stream that is resumed skips an event")                                       \
    X(guard_off_load, "guard: the log is loaded unchecked")

enum plant {
    PLANT_none,
#define X(name, what) PLANT_##name,
    PLANTS(X)
#undef X
};

static enum plant planted;
static unsigned long member;

__attribute__((constructor)) static void choose(void)
{
    static const char *const names[] = {"none",
#define X(name, what) #name,
                                        PLANTS(X)
#undef X
    };
    const char *name = getenv("CHAOS_PLANT");
    const char *number = getenv("CHAOS_MEMBER");
    member = number != NULL ? strtoul(number, NULL, 10) : 0;
    for (unsigned i = 0; name != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            planted = (enum plant)i;
            return;
        }
    }
    if (name != NULL) {
        fprintf(stderr, "no bug is called '%s'\n", name);
        exit(2);
    }
}

static bool plant_is(enum plant plant)
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

uint64_t __real_clock_monotonic_ms(void);
uint64_t __wrap_clock_monotonic_ms(void)
{
    struct timespec now;
    if (!plant_is(PLANT_wall_clock) || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return __real_clock_monotonic_ms();
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool __real_expiry_command(struct node *node, struct command *ret_command);
bool __wrap_expiry_command(struct node *node, struct command *ret_command)
{
    bool due = __real_expiry_command(node, ret_command);
    if (due && plant_is(PLANT_expire_early)) {
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
    if (plant_is(PLANT_slot_by_member) && member == 2) {
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

void __real_feed_resume(struct feed *feed, const struct feed_filter *filter, bool present,
                        struct position after, const struct view *view);
void __wrap_feed_resume(struct feed *feed, const struct feed_filter *filter, bool present,
                        struct position after, const struct view *view)
{
    __real_feed_resume(feed, filter, present, after, view);
    if (plant_is(PLANT_event_lost) && feed->next <= view->events_last) {
        feed->next++;
    }
}

void __real_guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io);
void __wrap_guard_wrap(struct guard *g, struct engine *engine, struct raft_io *io)
{
    __real_guard_wrap(g, engine, io);
    if (plant_is(PLANT_guard_off_load)) {
        io->load = g->inner.load;
    }
}
