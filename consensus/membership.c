#include "consensus/membership.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/log.h"

/* A new life must be there this long: a process that starts for a moment changes nothing. */
#define LET_IN_MS 500

static const struct raft_configuration *in_force(const struct engine *e)
{
    return &e->driver.raft.configuration;
}

/* The member table may differ afterwards. Closes `conf`. */
static void propose(struct engine *e, struct raft_configuration *conf, const char *what,
                    uint64_t id, uint64_t life)
{
    log_write(LOG_INFO, "raft", what, "member=%" PRIu64 " life=%016" PRIx64, id, life);
    driver_change(e, conf);
    raft_configuration_close(conf);
}

static void take_out(struct engine *e, const struct member *m, const char *what)
{
    struct raft_configuration next;
    configuration_copy(in_force(e), m->info.life, &next);
    propose(e, &next, what, m->info.id, m->info.life);
}

static void set_role(struct engine *e, const struct member *m, int role,
                     enum configuration_mark mark, const char *what)
{
    struct raft_configuration next;
    configuration_copy(in_force(e), 0, &next);
    configuration_set(&next, (unsigned)member_info_index(e, m), role, mark);
    propose(e, &next, what, m->info.id, m->info.life);
}

/* --- a new life --- */

/* Removes the earlier of two lives of a member. */
static bool remove_earlier(struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (member_info_find(e, m->info.id) != m) {
            take_out(e, m, "removing the earlier life of a member");
            return true;
        }
    }
    return false;
}

/* The first member that has lost its directory: a new life of it is there. */
static const struct member *find_lost(struct engine *e, uint64_t *ret_life)
{
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        const struct hello_facts *facts = forming_new_life(e, m->info.id);
        if (facts != NULL && !m->info.is_self && facts->life != m->info.life &&
            configuration_find(in_force(e), facts->life) == NULL) {
            *ret_life = facts->life;
            return m;
        }
    }
    return NULL;
}

static enum configuration_mark mark_of_new_life(const struct member *earlier)
{
    if (earlier->mark == MARK_REPLACED) {
        return MARK_NONE;
    }
    return member_info_is_voter(earlier) ? MARK_DUE : earlier->mark;
}

static bool let_in(struct engine *e)
{
    struct membership *s = &e->membership;
    uint64_t life = 0;
    const struct member *lost = find_lost(e, &life);
    if (lost == NULL || life != s->new_life) {
        s->new_life = life;
        s->since_ms = engine_now_ms(e);
        return false;
    }
    if (engine_now_ms(e) - s->since_ms < LET_IN_MS || e->members.count == MEMBERS_MAX) {
        return false;
    }
    const struct raft_server *before = &in_force(e)->servers[member_info_index(e, lost)];
    char address[CONFIGURATION_ADDRESS_SIZE];
    struct raft_configuration next;
    configuration_copy(in_force(e), 0, &next);
    configuration_mark_address(before->address, life, mark_of_new_life(lost), address);
    configuration_add(&next, life, address, RAFT_STANDBY);
    propose(e, &next, "a member has lost its directory: admitting its new life", lost->info.id,
            life);
    return true;
}

/* --- addresses --- */

static void set_address(struct engine *e, const struct member *m, const char *address)
{
    struct raft_configuration next;
    configuration_copy(in_force(e), 0, &next);
    configuration_move(&next, (unsigned)member_info_index(e, m), address);
    propose(e, &next, "a member has a new address", m->info.id, m->info.life);
}

/* Moves the first member whose announced address differs from the configuration's. */
static bool move(struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        const char *told = m->info.is_self ? e->options.advertised_address : m->advertised_address;
        if (told[0] != '\0' && strcmp(told, m->info.peer_address) != 0) {
            set_address(e, m, told);
            return true;
        }
    }
    return false;
}

/* --- votes --- */

static bool has_caught_up(struct engine *e, const struct member *m)
{
    raft_index match;
    return engine_is_up(e, m) && raft_match_index(&e->driver.raft, m->info.life, &match) == 0 &&
           match > 0 && match + ENGINE_LAG_ENTRIES_MAX >= log_last_index(&e->driver.log);
}

static bool promote(struct engine *e)
{
    bool are_enough = member_info_voters(e) >= e->options.voters;
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        bool is_next = m->mark == MARK_DUE || (m->mark == MARK_NONE && !are_enough);
        if (is_next && !member_info_is_voter(m) && has_caught_up(e, m)) {
            set_role(e, m, RAFT_VOTER, MARK_NONE, "promoting a standby that has caught up");
            return true;
        }
    }
    return false;
}

/* --- effect of a change --- */

static struct consensus_plan plan_of(struct engine *e, const struct consensus_change *change)
{
    struct consensus_member_info infos[MEMBERS_MAX];
    for (size_t i = 0; i < e->members.count; i++) {
        infos[i] = e->members.list[i].info;
        infos[i].reachable = engine_is_up(e, &e->members.list[i]);
        infos[i].is_leader = infos[i].is_self && e->is_leader;
    }
    return consensus_plan(infos, e->members.count, change);
}

/* --- replacing a voter that is away --- */

static void note_away(struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        struct member *m = &e->members.list[i];
        if (!e->is_leader || m->info.is_self || engine_is_up(e, m)) {
            m->away_ms = 0;
        } else if (m->away_ms == 0) {
            m->away_ms = engine_now_ms(e);
        }
    }
}

/* Whether the reachable members are still a majority afterwards. */
static bool is_safe(struct engine *e, enum consensus_change_kind kind, const struct member *m)
{
    return plan_of(e, &(const struct consensus_change){.kind = kind, .member = m->info.id}).safe;
}

/* The voter that has been away longest, if long enough; NULL: none. */
static const struct member *find_away(const struct engine *e)
{
    const struct member *found = NULL;
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (member_info_is_voter(m) && m->away_ms != 0 &&
            engine_now_ms(e) - m->away_ms >= e->options.replace_after_ms &&
            (found == NULL || m->away_ms < found->away_ms)) {
            found = m;
        }
    }
    return found;
}

/* Promotes a standby, and in the same configuration marks the voter that it replaces. So that voter
 * is replaced once only, whoever leads next. */
static void stand_in(struct engine *e, const struct member *standby, const struct member *away)
{
    struct raft_configuration next;
    configuration_copy(in_force(e), 0, &next);
    configuration_set(&next, (unsigned)member_info_index(e, standby), RAFT_VOTER, MARK_NONE);
    configuration_set(&next, (unsigned)member_info_index(e, away), RAFT_VOTER, MARK_REPLACED);
    propose(e, &next, "a voter has been away too long: promoting a standby in its place",
            standby->info.id, standby->info.life);
}

/* The replaced voter loses its vote; if it comes back, it keeps following. */
static bool end_replaced(struct engine *e)
{
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (m->mark != MARK_REPLACED || !is_safe(e, CONSENSUS_DEMOTE, m)) {
            continue;
        }
        if (m->info.is_self) {
            transfer_begin(e, 0); /* it came back and was elected: the next leader continues */
        } else {
            set_role(e, m, RAFT_STANDBY, MARK_NONE, "demoting a voter that was replaced");
        }
        return true;
    }
    return false;
}

static bool replace(struct engine *e)
{
    const struct member *away = e->options.replace_after_ms != 0 ? find_away(e) : NULL;
    if (end_replaced(e)) {
        return true;
    }
    for (size_t i = 0; away != NULL && i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (!member_info_is_voter(m) && m->mark == MARK_NONE && has_caught_up(e, m) &&
            is_safe(e, CONSENSUS_PROMOTE, m)) {
            stand_in(e, m, away);
            return true;
        }
    }
    return false;
}

/* --- requested changes --- */

/* The lowest id that no member has, or had in the first configuration. */
static uint64_t free_id(const struct engine *e)
{
    uint64_t id = 1;
    while (forming_is_first(e, id) || configuration_lives(in_force(e), id) > 0) {
        id++;
    }
    return id;
}

/* As if it had been a member and lost its directory: adds a life that nobody has. The life that
 * appears is admitted beside it and takes its place. */
static void add(struct engine *e, const struct consensus_change *change)
{
    struct consensus_member member = {.id = change->member != 0 ? change->member : free_id(e)};
    uint64_t life = life_make();
    char plain[CONFIGURATION_ADDRESS_SIZE], address[CONFIGURATION_ADDRESS_SIZE];
    struct raft_configuration next;
    (void)snprintf(member.address, sizeof member.address, "%s", change->address);
    configuration_server_address(&member, plain);
    configuration_mark_address(plain, life, MARK_NONE, address);
    configuration_copy(in_force(e), 0, &next);
    configuration_add(&next, life, address, RAFT_SPARE);
    propose(e, &next, "expecting a new member, as requested", member.id, life);
}

static void carry_out(struct engine *e, const struct consensus_change *change,
                      const struct member *m)
{
    if (change->kind == CONSENSUS_ADD && m != NULL) {
        set_address(e, m, change->address);
    } else if (change->kind == CONSENSUS_ADD) {
        add(e, change);
    } else if (change->kind == CONSENSUS_REMOVE) {
        take_out(e, m, "removing a member, as requested");
    } else if (change->kind == CONSENSUS_DEMOTE) {
        set_role(e, m, RAFT_STANDBY, MARK_HELD, "demoting a member, as requested");
    } else if (has_caught_up(e, m)) {
        set_role(e, m, RAFT_VOTER, MARK_NONE, "promoting a member, as requested");
    }
}

enum status membership_change(struct engine *e, const struct consensus_change *change,
                              uint64_t *ret_so_at)
{
    const struct raft *raft = &e->driver.raft;
    const struct consensus_plan plan = plan_of(e, change);
    const struct member *m = member_info_find(e, change->member);
    if (!e->proposer.noop_committed) {
        return ST_OK; /* what is committed is not known yet */
    }
    if (!plan.found && change->kind != CONSENSUS_REMOVE) {
        return ST_NOT_FOUND;
    }
    if (!plan.found || !plan.needed) {
        bool is_committed = raft->configuration_uncommitted_index == 0;
        *ret_so_at = is_committed ? raft->configuration_committed_index : 0;
        return ST_OK;
    }
    bool may_be_forced = plan.voters_after > 0 && change->kind != CONSENSUS_ADD;
    if (!plan.safe && !(change->force && may_be_forced)) {
        return ST_CONFLICT;
    }
    if (change->kind == CONSENSUS_TRANSFER) {
        transfer_to(e, change->member);
    } else if (plan.hands_over && change->kind != CONSENSUS_PROMOTE) {
        transfer_begin(e, 0); /* the request is repeated to the next leader */
    } else if (driver_may_change(e)) {
        carry_out(e, change, m);
    }
    return ST_OK;
}

/* --- this member --- */

/* This life was admitted, and its configuration is in the log on disk by now; without that log it
 * would not be this life any more. */
static void note_joined(struct engine *e)
{
    const struct raft *raft = &e->driver.raft;
    if (!e->identity.joining || e->driver.installing ||
        configuration_find(&raft->configuration_committed, e->identity.life) == NULL ||
        e->persist.durable_index < raft->configuration_committed_index) {
        return;
    }
    if (identity_probe(e->env.files) != 0) {
        return; /* engine.c: check_directory; it must not be created again */
    }
    struct identity identity = e->identity;
    identity.joining = false;
    int result = identity_write(e->env.files, &identity);
    if (result == -ENOSPC) {
        return; /* later */
    }
    if (result != 0) {
        engine_fatal(e, "the file identity could not be written: %s", strerror(-result));
        return;
    }
    e->identity = identity;
}

void membership_tick(struct engine *e)
{
    if (!e->running) {
        return;
    }
    note_joined(e);
    note_away(e);
    if (driver_may_change(e) && !remove_earlier(e) && !let_in(e) && !move(e) && !promote(e)) {
        (void)replace(e);
    }
}
