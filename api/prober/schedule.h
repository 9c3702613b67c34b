/* When each check runs next: a binary heap of times, and the rule that spreads them.
 *
 * Thread: one owner. Owns: its array, not the items. */
#ifndef MUSTER_API_PROBER_SCHEDULE_H
#define MUSTER_API_PROBER_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of what is scheduled. All zeros: it is not. */
struct schedule_item {
    uint64_t due_ms;
    size_t place; /* private: in the heap, from 1 */
};

/* All zeros: empty. */
struct schedule {
    struct schedule_item **items;
    size_t count, room;
};

void schedule_done(struct schedule *s);
/* Adds the item, or moves it to another time. */
void schedule_put(struct schedule *s, struct schedule_item *item, uint64_t due_ms);
/* Nothing if it is not there. */
void schedule_remove(struct schedule *s, struct schedule_item *item);
/* The item that is due first; NULL: there is none. */
struct schedule_item *schedule_first(const struct schedule *s);

/* The first run of a check that this replica has just been given: soon, for another may have died
 * with it. *ret_turn_ms is the turn that it stands for, up to half an interval earlier: those that
 * begin together are spread from the second run on. `seed` stands for the check. */
uint64_t schedule_begin_ms(uint64_t now_ms, uint32_t interval_ms, uint64_t seed,
                           uint64_t *ret_turn_ms);
/* The run after the one that was due then. Runs that could not take place are left out: they are
 * counted in *ret_skipped. */
uint64_t schedule_next_ms(uint64_t due_ms, uint64_t now_ms, uint32_t interval_ms,
                          uint64_t *ret_skipped);

#endif
