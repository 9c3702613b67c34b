/* The leader's choice of the probers (server/registry/prober.h): the members that can run checks. A
 * member leaves the set when it says that it is about to stop, or was neither heard from nor able
 * for PROBERS_SILENT_MS; it comes when it was both for PROBERS_STEADY_MS.
 *
 * Nothing here keeps two members from running the same check: that is in probe.c, and holds
 * whatever the leader writes. Here it is decided how soon another takes over.
 *
 * Thread: loop. Pure: time and members are given. */
#ifndef MUSTER_NODE_PROBERS_H
#define MUSTER_NODE_PROBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "consensus/consensus.h"
#include "server/registry/command.h"

/* Above the election timeout: a leader that is slow, but leads, removes nobody. */
#define PROBERS_SILENT_MS 700
#define PROBERS_STEADY_MS 1000

struct probers_watch {
    uint64_t ticked_ms; /* 0: never */
    struct {
        uint64_t member;
        uint64_t seen_ms;  /* last heard from and able; or when it began to be watched */
        uint64_t since_ms; /* ... without interruption; 0: it is not now */
        bool leaves;
    } list[MEMBERS_MAX];
    size_t count;
};

/* A new leader: nobody was silent so far. */
void probers_watch_begin(struct probers_watch *w);
/* Every tick: what is known of the members of the configuration. */
void probers_watch_tick(struct probers_watch *w, uint64_t now_ms,
                        const struct consensus_presence *members, size_t count);
/* Whether the set should be another one: then it is in the command. */
bool probers_wanted(const struct probers_watch *w, const struct probers *present,
                    struct command *ret_command);

#endif
