/* The planted bugs that only the simulator can have; the others are in tests/plant/. */
#include "tests/plant/plant.h"

#include "consensus/guard_load.h"
#include "consensus/sessions.h"
#include "server/node/feed.h"
#include "server/node/internal.h"
#include "tests/sim/member.h"

uint64_t plant_member(void)
{
    return member_current->id;
}

/* --- in place of the product's functions; each calls the one it replaces --- */

enum status __real_sessions_decode(struct sessions *s, const uint8_t **data, size_t *len);
enum status __wrap_sessions_decode(struct sessions *s, const uint8_t **data, size_t *len)
{
    enum status status = __real_sessions_decode(s, data, len);
    if (plant_is(PLANT_sessions_lost)) {
        s->count = 0;
    }
    return status;
}

void __real_expiry_leadership(struct node *node, bool leader);
void __wrap_expiry_leadership(struct node *node, bool leader)
{
    __real_expiry_leadership(node, leader);
    if (plant_is(PLANT_no_grace)) {
        node->expiry.grace_until_ms = 0;
    }
}

struct feed_item __real_feed_next(struct feed *feed, const struct view *view);
struct feed_item __wrap_feed_next(struct feed *feed, const struct view *view)
{
    if (plant_is(PLANT_present_gap) && feed->presenting) {
        feed->next = view->events_last + 1;
    }
    return __real_feed_next(feed, view);
}

int __real_guard_load(struct raft_io *io, raft_term *term, raft_id *vote,
                      struct raft_snapshot **snapshot, raft_index *start_index,
                      struct raft_entry **entries, size_t *n);
int __wrap_guard_load(struct raft_io *io, raft_term *term, raft_id *vote,
                      struct raft_snapshot **snapshot, raft_index *start_index,
                      struct raft_entry **entries, size_t *n)
{
    int rv = __real_guard_load(io, term, vote, snapshot, start_index, entries, n);
    if (plant_is(PLANT_vote_forgotten)) {
        *vote = member_current->disk.vote;
    }
    return rv;
}
