#include "consensus/cluster_events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/log.h"

static void tell(struct engine *e, uint64_t index, const char *what,
                 const struct raft_server *server, const struct raft_configuration *after)
{
    struct cluster_events *events = &e->cluster_events;
    struct consensus_cluster_event *event =
        &events->ring[events->count++ % CONSENSUS_CLUSTER_EVENTS_MAX];
    *event = (struct consensus_cluster_event){
        .index = index,
        .member = configuration_member_of(server),
        .life = server->id,
        .voters = configuration_voters(after),
    };
    (void)snprintf(event->what, sizeof event->what, "%s", what);
    log_write(LOG_INFO, "raft", "member",
              "event=%s member=%" PRIu64 " life=%016" PRIx64 " voters=%u", what, event->member,
              event->life, event->voters);
}

static const char *name_of_new(const struct raft_server *server)
{
    return server->role == RAFT_SPARE ? "expected" : "let_in";
}

static const char *name_of_change(const struct raft_server *was, const struct raft_server *is)
{
    struct consensus_member before, after;
    if (was->role != RAFT_VOTER && is->role == RAFT_VOTER) {
        return "promoted";
    }
    if (was->role == RAFT_VOTER && is->role != RAFT_VOTER) {
        return "demoted";
    }
    return configuration_parse_server(was->address, &before) &&
                   configuration_parse_server(is->address, &after) &&
                   strcmp(before.address, after.address) != 0
               ? "moved"
               : NULL;
}

void cluster_events_note(struct engine *e, uint64_t index, const struct raft_configuration *before,
                         const struct raft_configuration *after)
{
    if (before->n == 0) {
        return; /* only addresses differ */
    }
    for (unsigned i = 0; i < after->n; i++) {
        const struct raft_server *is = &after->servers[i];
        const struct raft_server *was = configuration_find(before, is->id);
        const char *what = was == NULL ? name_of_new(is) : name_of_change(was, is);
        if (what != NULL) {
            tell(e, index, what, is, after);
        }
    }
    for (unsigned i = 0; i < before->n; i++) {
        const struct raft_server *was = &before->servers[i];
        if (configuration_find(after, was->id) == NULL) {
            bool is_there = configuration_lives(after, configuration_member_of(was)) > 0;
            tell(e, index, is_there ? "earlier_life_removed" : "removed", was, after);
        }
    }
}

size_t cluster_events_list(const struct cluster_events *events,
                           struct consensus_cluster_event *ret_events)
{
    size_t kept = events->count < CONSENSUS_CLUSTER_EVENTS_MAX ? (size_t)events->count
                                                               : CONSENSUS_CLUSTER_EVENTS_MAX;
    for (size_t i = 0; i < kept; i++) {
        ret_events[i] = events->ring[(events->count - kept + i) % CONSENSUS_CLUSTER_EVENTS_MAX];
    }
    return kept;
}
