#include "server/node/probers.h"

#include <string.h>

#include "server/base/clock.h"

/* After a turn of the loop this long, what came from the members may not have been read yet. */
#define PAUSE_MS 250

void probers_watch_begin(struct probers_watch *w)
{
    *w = (struct probers_watch){.count = 0};
}

/* How long ago an able member was heard from; UINT64_MAX: it is not able. Of two rows of an id, the
 * lives of a member, one is enough. */
static uint64_t silent_ms(const struct consensus_presence *members, size_t count, uint64_t id)
{
    uint64_t least_ms = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id && members[i].available && !members[i].leaves &&
            members[i].silent_ms < least_ms) {
            least_ms = members[i].silent_ms;
        }
    }
    return least_ms;
}

static bool leaves(const struct consensus_presence *members, size_t count, uint64_t id)
{
    bool said = false;
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id && members[i].silent_ms != UINT64_MAX) {
            said = members[i].leaves;
        }
    }
    return said;
}

static bool is_listed(const struct probers_watch *w, uint64_t id)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i].member == id) {
            return true;
        }
    }
    return false;
}

/* Keeps the rows of members that are still there, and makes those of new ones. */
static void follow(struct probers_watch *w, uint64_t now_ms,
                   const struct consensus_presence *members, size_t count)
{
    struct probers_watch before = *w;
    w->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = members[i].id;
        if (is_listed(w, id)) {
            continue;
        }
        size_t old = 0;
        while (old < before.count && before.list[old].member != id) {
            old++;
        }
        w->list[w->count].member = id;
        w->list[w->count].seen_ms = old < before.count ? before.list[old].seen_ms : now_ms;
        w->list[w->count].since_ms = old < before.count ? before.list[old].since_ms : 0;
        w->count++;
    }
}

void probers_watch_tick(struct probers_watch *w, uint64_t now_ms,
                        const struct consensus_presence *members, size_t count)
{
    bool paused = w->ticked_ms != 0 && clock_elapsed(w->ticked_ms, now_ms) > PAUSE_MS;
    w->ticked_ms = now_ms;
    follow(w, now_ms, members, count);
    for (size_t i = 0; i < w->count; i++) {
        uint64_t ago_ms = silent_ms(members, count, w->list[i].member);
        uint64_t heard_ms = paused ? now_ms : ago_ms < now_ms ? now_ms - ago_ms : 0;
        w->list[i].leaves = leaves(members, count, w->list[i].member);
        if (heard_ms > w->list[i].seen_ms) {
            w->list[i].seen_ms = heard_ms;
        }
        if (ago_ms >= PROBERS_SILENT_MS) {
            w->list[i].since_ms = 0;
        } else if (w->list[i].since_ms == 0) {
            w->list[i].since_ms = now_ms;
        }
    }
}

static bool belongs(const struct probers_watch *w, size_t i, const struct probers *present,
                    bool is_empty)
{
    uint64_t since_ms = w->list[i].since_ms;
    if (w->list[i].leaves) {
        return false;
    }
    if (probers_find(present, w->list[i].member) != NULL) {
        return clock_elapsed(w->list[i].seen_ms, w->ticked_ms) < PROBERS_SILENT_MS;
    }
    return since_ms != 0 &&
           (is_empty || clock_elapsed(since_ms, w->ticked_ms) >= PROBERS_STEADY_MS);
}

static void add(struct command *command, uint64_t member)
{
    uint32_t place = command->probers.count++;
    uint64_t *members = command->probers.members;
    for (; place > 0 && members[place - 1] > member; place--) {
        members[place] = members[place - 1];
    }
    members[place] = member;
}

bool probers_wanted(const struct probers_watch *w, const struct probers *present,
                    struct command *ret_command)
{
    struct command command = {.kind = COMMAND_PROBERS};
    size_t now = 0;
    size_t kept = 0;
    if (w->ticked_ms == 0) {
        return false;
    }
    for (uint32_t i = 0; i < present->count; i++) {
        now += present->rows[i].until == 0;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (belongs(w, i, present, now == 0)) {
            add(&command, w->list[i].member);
            kept += probers_find(present, w->list[i].member) != NULL;
        }
    }
    if (kept == now && command.probers.count == now) {
        return false;
    }
    *ret_command = command;
    return true;
}
