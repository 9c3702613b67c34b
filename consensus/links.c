#include "consensus/links.h"

#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/check.h"

void links_move(struct engine *e, const struct consensus_member *to)
{
    struct links *l = &e->links;
    CHECK(l->moved_count < MEMBERS_MAX);
    l->moved[l->moved_count++] = *to;
}

void links_readdressed(struct engine *e, uint64_t id, const char *before)
{
    struct links *l = &e->links;
    const struct consensus_member *moved = configuration_find_member(l->moved, l->moved_count, id);
    if (moved != NULL && (e->caught_up || strcmp(moved->address, before) == 0)) {
        l->moved[moved - l->moved] = l->moved[l->moved_count - 1];
        l->moved_count--;
    }
}

void links_changed(struct engine *e)
{
    e->links.is_stale = true;
}

/* --- which members, at which addresses --- */

/* The links to keep. */
struct wanted {
    struct consensus_member list[LINKS_MAX];
    size_t count;
};

static void want(struct engine *e, struct wanted *w, const struct consensus_member *member)
{
    const struct consensus_member *moved =
        configuration_find_member(e->links.moved, e->links.moved_count, member->id);
    const char *told = member_info_advertised_address(e, member->id);
    if (member->id == e->options.id ||
        configuration_find_member(w->list, w->count, member->id) != NULL) {
        return;
    }
    CHECK(w->count < LINKS_MAX);
    struct consensus_member *to = &w->list[w->count++];
    to->id = member->id;
    (void)snprintf(to->address, sizeof to->address, "%s",
                   told != NULL    ? told
                   : moved != NULL ? moved->address
                                   : member->address);
}

/* The later life of a member follows the earlier one. */
static void want_configured(struct engine *e, struct wanted *w,
                            const struct raft_configuration *conf)
{
    for (unsigned i = conf->n; i > 0; i--) {
        struct consensus_member member;
        bool sound = configuration_parse_server(conf->servers[i - 1].address, &member);
        CHECK(sound); /* configuration_decode() has checked it */
        want(e, w, &member);
    }
}

/* The members of the configuration in force, and of the committed one, as the former may still be
 * rolled back. Also guests with a known address, except on a leader, which ignores them. As long as
 * no configuration is known, the first members. */
static void want_all(struct engine *e, struct wanted *w)
{
    const struct raft *raft = &e->driver.raft;
    if (e->running) {
        want_configured(e, w, &raft->configuration);
        want_configured(e, w, &raft->configuration_committed);
    }
    for (size_t i = 0; i < e->members.guests_count && !e->links.knew_all; i++) {
        const struct consensus_member_info *info = &e->members.guests[i].info;
        struct consensus_member guest = {.id = info->id};
        if (e->members.guests[i].advertised_address[0] != '\0') {
            want(e, w, &guest);
        }
    }
    if (!e->running || raft->configuration.n == 0) {
        for (size_t i = 0; i < e->forming.count; i++) {
            want(e, w, &e->forming.members[i]);
        }
    }
}

/* --- opening and closing --- */

void links_tick(struct engine *e)
{
    struct links *l = &e->links;
    struct wanted w = {.count = 0};
    if (!l->is_stale && l->knew_all == engine_knows_all(e)) {
        return;
    }
    l->is_stale = false;
    l->knew_all = engine_knows_all(e);
    want_all(e, &w);
    for (size_t i = 0; i < l->count; i++) {
        uint64_t id = l->list[i].id;
        if (configuration_find_member(w.list, w.count, id) == NULL) {
            /* If it was removed, it will try to connect, and get the reason. */
            e->env.unlink(e->env.ctx, id);
        }
    }
    for (size_t i = 0; i < w.count; i++) {
        e->env.link(e->env.ctx, w.list[i].id, w.list[i].address);
    }
    memcpy(l->list, w.list, w.count * sizeof *w.list);
    l->count = w.count;
    if (l->knew_all) {
        e->env.review(e->env.ctx); /* links accepted as a follower, when its log was behind */
    }
}
