/* A musterd with mutants, to test the checkers of real clusters: those of tests/mutants/, and
 * these, which the simulator has elsewhere. CHAOS_MUTANT in the environment selects one,
 * CHAOS_MEMBER is this member's id.
 *
 * Thread: that of the replaced function. */
#include "tests/mutants/mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/node/event_cursor.h"

static uint64_t member;

uint64_t mutant_member(void)
{
    return member;
}

__attribute__((constructor)) static void choose(void)
{
    const char *name = getenv("CHAOS_MUTANT");
    const char *number = getenv("CHAOS_MEMBER");
    member = number != NULL ? strtoul(number, NULL, 10) : 0;
    if (name != NULL && !mutant_choose(name)) {
        fprintf(stderr, "no mutant is called '%s'\n", name);
        exit(2);
    }
}

uint64_t __real_clock_monotonic_ms(void);
uint64_t __wrap_clock_monotonic_ms(void)
{
    struct timespec now;
    if (!mutant_is(MUTANT_wall_clock) || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return __real_clock_monotonic_ms();
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void __real_event_cursor_resume(struct event_cursor *cursor, const struct event_filter *filter,
                                bool present, struct event_id after, const struct view *view);
void __wrap_event_cursor_resume(struct event_cursor *cursor, const struct event_filter *filter,
                                bool present, struct event_id after, const struct view *view)
{
    __real_event_cursor_resume(cursor, filter, present, after, view);
    if (mutant_is(MUTANT_event_lost) && cursor->next <= view->events_last) {
        cursor->next++;
    }
}
