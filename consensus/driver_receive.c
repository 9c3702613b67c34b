#include "consensus/driver_receive.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "consensus/entry.h"
#include "consensus/message.h"
#include "server/base/check.h"
#include "server/base/log.h"

void driver_note_leader(struct engine *e, uint64_t term, uint64_t life)
{
    struct driver *d = &e->driver;
    /* Do not use raft_leader() here: a follower in a new term still names the old term's leader
     * until it hears from another one. */
    if (term == d->leader_seen_term && d->leader_seen != life) {
        engine_fatal(e, "two leaders in term %" PRIu64, term);
        return;
    }
    if (term >= d->leader_seen_term) {
        d->leader_seen_term = term;
        d->leader_seen = life;
    }
}

/* --- entries --- */

enum verdict { GOOD, UNREADABLE, FATAL };

/* Our entry at this index, or the one before our first, must equal the leader's: by Raft it does if
 * the terms are equal, and the checksums prove it. */
static bool agrees(struct engine *e, uint64_t index, uint64_t term, uint32_t checksum)
{
    uint64_t our_term;
    uint32_t our_checksum;
    if (!log_position(&e->driver.log, index, &our_term, &our_checksum)) {
        return true; /* nothing to compare */
    }
    if (our_term != term) {
        if (index <= e->driver.last_commit) {
            engine_fatal(e,
                         "entry %" PRIu64 " is committed here in term %" PRIu64
                         ", but the leader has it in term %" PRIu64,
                         index, our_term, term);
            return false;
        }
        return true; /* an uncommitted one that was replaced */
    }
    if (our_checksum != checksum) {
        engine_fatal(e,
                     "entry %" PRIu64 " of term %" PRIu64
                     " differs from the leader's: the two have different histories",
                     index, term);
        return false;
    }
    return true;
}

static enum verdict check_command(struct engine *e, uint64_t index, const struct raft_entry *entry)
{
    struct entry_header header;
    if (entry_check(entry->buf.base, entry->buf.len, &header) != ST_OK || header.index != index ||
        header.term != entry->term || !cluster_id_equal(&header.cluster, &e->identity.cluster)) {
        engine_fatal(e, "entry %" PRIu64 " from the leader is damaged, or not of this cluster",
                     index);
        return FATAL;
    }
    return fsm_understands(e, entry->buf.base, &header) ? GOOD : UNREADABLE;
}

static enum verdict check_entries(struct engine *e, const struct message *m)
{
    const struct raft_append_entries *args = &m->raft.append_entries;
    uint32_t checksum = m->parent;
    if (!agrees(e, args->prev_log_index, args->prev_log_term, checksum)) {
        return FATAL;
    }
    for (unsigned i = 0; i < args->n_entries; i++) {
        const struct raft_entry *entry = &args->entries[i];
        uint64_t index = args->prev_log_index + 1 + i;
        checksum = log_checksum(checksum, entry->term, (uint8_t)entry->type, entry->buf.base,
                                entry->buf.len);
        if (checksum != m->checksums[i]) {
            engine_fatal(e, "the checksum of entry %" PRIu64 " from the leader is wrong", index);
            return FATAL;
        }
        if (!agrees(e, index, entry->term, checksum)) {
            return FATAL;
        }
        enum verdict verdict = entry->type == RAFT_COMMAND ? check_command(e, index, entry) : GOOD;
        if (verdict != GOOD) {
            return verdict;
        }
    }
    return GOOD;
}

static void refuse_unreadable(struct engine *e, const struct member *from,
                              const struct raft_append_entries *args)
{
    static struct log_gate gate;
    uint64_t held;
    uint8_t bytes[16];
    if (log_gate_open(&gate, &held)) {
        log_write(LOG_ERROR, "raft",
                  "an entry from the leader is in a format that this version does not read: it is "
                  "not taken; upgrade this replica",
                  "leader=%" PRIu64 " after=%" PRIu64, from->info.id,
                  (uint64_t)args->prev_log_index);
    }
    store_u64(bytes, args->term);
    store_u64(bytes + 8, args->prev_log_index);
    engine_send(e, from->info.id, FRAME_UNREADABLE, bytes, sizeof bytes);
}

void driver_unreadable(struct engine *e, struct member *from, const uint8_t *data, size_t len)
{
    size_t unreadable = 0;
    if (len != 16 || !e->is_leader || load_u64(data) != raft_current_term(&e->driver.raft)) {
        return;
    }
    from->unreadable_term = load_u64(data);
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        unreadable += member_info_is_voter(m) && m->unreadable_term == from->unreadable_term;
    }
    if (!member_info_is_majority(e, member_info_voters(e) - unreadable)) {
        engine_fatal(e, "the other members run a version that cannot read what this one wrote to "
                        "the log; nothing of that is committed. Upgrade them, too, or start the "
                        "version that they run");
    }
}

/* libraft takes the end of a message for the commit index even if its own is higher: a message
 * resent after a broken link would lower it. */
static void keep_commit(const struct engine *e, struct raft_append_entries *m)
{
    uint64_t end = m->prev_log_index + m->n_entries;
    if (end < raft_commit_index(&e->driver.raft) && m->leader_commit > end) {
        m->leader_commit = end;
    }
}

static void deliver_entries(struct engine *e, const struct member *from,
                            const struct raft_message *whole, unsigned first, unsigned count)
{
    struct raft_message part = *whole;
    struct raft_append_entries *args = &part.append_entries;
    struct raft_entry entries[APPEND_ENTRIES_MAX];
    void *token = NULL;
    args->entries = NULL;
    args->n_entries = count;
    if (first > 0) {
        args->prev_log_index += first;
        args->prev_log_term = whole->append_entries.entries[first - 1].term;
    }
    if (count > 0) {
        /* libraft frees the batch of the first entry, and uses nothing else of it. */
        token = raft_malloc(sizeof(uint64_t));
        CHECK(token != NULL);
        memcpy(entries, &whole->append_entries.entries[first], count * sizeof *entries);
        for (unsigned i = 0; i < count; i++) {
            entries[i].batch = token;
        }
        args->entries = entries;
    }
    keep_commit(e, args);
    driver_deliver(e, from, &part);
}

/* libraft takes any entry that is not in its log for a new one, even if it is gone because a
 * snapshot contains it. So entries committed here are removed from the message: the leader must
 * have the same ones. */
static void skip_committed(const struct engine *e, struct raft_append_entries *m)
{
    uint64_t commit = e->driver.last_commit;
    uint64_t term = 0;
    uint32_t checksum = 0;
    if (m->prev_log_index >= commit || e->driver.installing) {
        return;
    }
    CHECK(log_position(&e->driver.log, commit, &term, &checksum));
    unsigned skipped = m->n_entries < commit - m->prev_log_index
                           ? m->n_entries
                           : (unsigned)(commit - m->prev_log_index);
    m->prev_log_index = commit;
    m->prev_log_term = term;
    m->n_entries -= skipped;
    m->entries = m->n_entries > 0 ? m->entries + skipped : NULL;
}

/* libraft records a configuration under the index of the message's first entry: so each gets a
 * message of its own, as its first entry. */
static void deliver_append_entries(struct engine *e, const struct member *from,
                                   const struct raft_message *received)
{
    struct raft_message whole = *received;
    const uint64_t id = from->info.id;
    const uint64_t life = from->info.life;
    unsigned first = 0;
    if (whole.append_entries.term >= raft_current_term(&e->driver.raft)) {
        skip_committed(e, &whole.append_entries);
    }
    unsigned n = whole.append_entries.n_entries;
    do {
        unsigned end = first < n ? first + 1 : n;
        while (end < n && whole.append_entries.entries[end].type != RAFT_CHANGE) {
            end++;
        }
        deliver_entries(e, from, &whole, first, end - first);
        from = member_info_sender(e, id, life); /* a configuration changes the table */
        first = end;
    } while (first < n && from != NULL);
}

static void receive_append_entries(struct engine *e, struct member *from, const struct message *m)
{
    const struct raft_append_entries *args = &m->raft.append_entries;
    if (args->term >= raft_current_term(&e->driver.raft)) {
        driver_note_leader(e, args->term, from->info.life);
        /* While a snapshot replaces the log, there is nothing to compare with. */
        enum verdict verdict = e->driver.installing ? GOOD : check_entries(e, m);
        if (verdict == UNREADABLE) {
            refuse_unreadable(e, from, args);
            return;
        }
        if (verdict == FATAL) {
            return;
        }
    }
    e->driver.answers_stale = args->term < raft_current_term(&e->driver.raft);
    deliver_append_entries(e, from, &m->raft);
    e->driver.answers_stale = false;
}

/* --- replies to entries --- */

/* A follower whose log is shorter than its matchIndex has lost part of it. libraft never lowers
 * matchIndex, so only another leader would resend it. A single short reply may be stale: act only
 * if none has reached matchIndex for two election timeouts. */
static void check_lost_log(struct engine *e, struct member *from,
                           const struct raft_append_entries_result *result)
{
    uint64_t now_ms = engine_now_ms(e);
    uint64_t term = raft_current_term(&e->driver.raft);
    raft_index match;
    if (raft_match_index(&e->driver.raft, from->info.life, &match) != 0) {
        return;
    }
    if (from->confirmed_term != term || result->last_log_index >= match) {
        from->confirmed_term = term;
        from->confirmed_ms = now_ms;
    } else if (now_ms - from->confirmed_ms > 2ull * e->options.election_timeout_ms) {
        static struct log_gate gate;
        uint64_t held;
        from->confirmed_ms = now_ms;
        e->transfer.excluding = from->info.id; /* with the next tick */
        if (log_gate_open(&gate, &held)) {
            log_write(LOG_WARN, "raft",
                      "a member has less of the log than it confirmed; another leader will send it "
                      "again",
                      "member=%" PRIu64, from->info.id);
        }
    }
}

/* A rejection at an index that the member has confirmed in this term is stale or a duplicate.
 * libraft checks that only in its pipeline state; in the probe state it would go back behind the
 * confirmed index, and never send again. */
static bool is_old_rejection(struct engine *e, const struct member *from,
                             const struct raft_append_entries_result *result)
{
    raft_index match;
    return result->rejected > 0 && result->term == raft_current_term(&e->driver.raft) &&
           raft_match_index(&e->driver.raft, from->info.life, &match) == 0 &&
           result->rejected <= match;
}

static void receive_result(struct engine *e, struct member *from, struct raft_message *message)
{
    struct raft_append_entries_result *result = &message->append_entries_result;
    check_lost_log(e, from, result);
    if (is_old_rejection(e, from, result)) {
        return;
    }
    snapshot_send_amend(e, from, result);
    driver_deliver(e, from, message);
}

/* --- votes --- */

/* libraft grants no vote if its own log gives it none. Then a cluster would wait forever if it
 * needs a member that was just promoted and has not received that entry. The candidate counts only
 * voters by its own log (section 4.2.2 of the dissertation), so granting is harmless. */
static void deliver_request_vote(struct engine *e, const struct member *from,
                                 struct raft_message *message)
{
    struct raft *raft = &e->driver.raft;
    struct raft_configuration kept = raft->configuration;
    struct raft_server self = {.id = e->identity.life, .address = "", .role = RAFT_VOTER};
    const struct raft_server *known = configuration_find(&kept, self.id);
    bool borrows = known == NULL || known->role != RAFT_VOTER;
    if (election_goes_before(e, message)) {
        return;
    }
    election_hear_candidate(e, message);
    if (borrows) {
        raft->configuration = (struct raft_configuration){.servers = &self, .n = 1};
    }
    driver_deliver(e, from, message);
    if (borrows) {
        raft->configuration = kept;
    }
}

/* --- dispatch --- */

bool driver_receive(struct engine *e, struct member *from, const uint8_t *data, size_t len)
{
    struct message m;
    if (message_decode(data, len, &m) != ST_OK) {
        return false;
    }
    m.raft.server_id = from->info.life;
    switch (m.raft.type) {
    case RAFT_APPEND_ENTRIES:
        receive_append_entries(e, from, &m);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        receive_result(e, from, &m.raft);
        break;
    case RAFT_REQUEST_VOTE:
        deliver_request_vote(e, from, &m.raft);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        /* libraft decides on its term by what a candidate has in memory, in whatever state it is
         * now. */
        if (raft_state(&e->driver.raft) == RAFT_CANDIDATE) {
            driver_deliver(e, from, &m.raft);
        }
        break;
    case RAFT_TIMEOUT_NOW:
        election_timeout_now(e, &m.raft);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        return false; /* sent in pieces; message_decode() rejects it */
    }
    return true;
}
