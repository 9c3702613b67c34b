#include "api/prober/schedule.h"

#include <stdlib.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/random.h"

/* A check that is taken over runs within this time. */
#define BEGIN_MS_MAX 250

void schedule_done(struct schedule *s)
{
    free(s->items);
    *s = (struct schedule){.items = NULL};
}

static void set(struct schedule *s, size_t place, struct schedule_item *item)
{
    s->items[place - 1] = item;
    item->place = place;
}

static void rise(struct schedule *s, struct schedule_item *item)
{
    size_t place = item->place;
    while (place > 1 && s->items[place / 2 - 1]->due_ms > item->due_ms) {
        set(s, place, s->items[place / 2 - 1]);
        place /= 2;
    }
    set(s, place, item);
}

static void sink(struct schedule *s, struct schedule_item *item)
{
    size_t place = item->place;
    for (size_t child; (child = 2 * place) <= s->count; place = child) {
        if (child < s->count && s->items[child]->due_ms < s->items[child - 1]->due_ms) {
            child++;
        }
        if (s->items[child - 1]->due_ms >= item->due_ms) {
            break;
        }
        set(s, place, s->items[child - 1]);
    }
    set(s, place, item);
}

void schedule_put(struct schedule *s, struct schedule_item *item, uint64_t due_ms)
{
    if (item->place == 0) {
        if (s->count == s->room) {
            s->room = s->room > 0 ? 2 * s->room : 64;
            s->items = mem_realloc(s->items, s->room * sizeof(struct schedule_item *));
        }
        s->count++;
        set(s, s->count, item);
    }
    item->due_ms = due_ms;
    rise(s, item);
    sink(s, item);
}

void schedule_remove(struct schedule *s, struct schedule_item *item)
{
    size_t place = item->place;
    if (place == 0) {
        return;
    }
    CHECK(place <= s->count && s->items[place - 1] == item);
    struct schedule_item *last = s->items[--s->count];
    item->place = 0;
    if (last != item) {
        set(s, place, last);
        rise(s, last);
        sink(s, last);
    }
}

struct schedule_item *schedule_first(const struct schedule *s)
{
    return s->count > 0 ? s->items[0] : NULL;
}

uint64_t schedule_begin_ms(uint64_t now_ms, uint32_t interval_ms, uint64_t seed,
                           uint64_t *ret_turn_ms)
{
    uint32_t within_ms = interval_ms < BEGIN_MS_MAX ? interval_ms : BEGIN_MS_MAX;
    uint64_t due_ms = now_ms + random_next(&seed) % within_ms;
    *ret_turn_ms = due_ms - random_next(&seed) % (interval_ms / 2);
    return due_ms;
}

uint64_t schedule_next_ms(uint64_t due_ms, uint64_t now_ms, uint32_t interval_ms,
                          uint64_t *ret_skipped)
{
    uint64_t late_ms = now_ms > due_ms ? now_ms - due_ms : 0;
    *ret_skipped = late_ms / interval_ms;
    return due_ms + (*ret_skipped + 1) * interval_ms;
}
