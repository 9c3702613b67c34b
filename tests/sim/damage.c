#include "tests/sim/damage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/disk/identity.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/snapshot_block.h"
#include "server/wire/wire_command.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/growth.h"
#include "tests/sim/operators.h"
#include "tests/sim/rng.h"

#define DRIFTS_APART_NS (5 * SECOND)

static size_t damaged_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < members_count; i++) {
        count += members[i].damage != 0;
    }
    return count;
}

bool damage_is_any(void)
{
    return damaged_count() > 0;
}

bool damage_may(const struct sim_member *m)
{
    return m->damage == 0 && !operators_are_here() && damaged_count() < (members_count - 1) / 2;
}

/* While members come and go: only a minority of the present voters, and no other damage. */
static bool may_be_emptied(const struct sim_member *m)
{
    unsigned voters = checks_voters();
    unsigned proposed = configuration_voters(checks_proposed());
    if (!growth_is_on()) {
        return damage_may(m);
    }
    voters = proposed > 0 && proposed < voters ? proposed : voters;
    return m->damage == 0 && !m->outside && checks_is_voter(m) && !operators_wait() &&
           damaged_count() + 1 <= (voters - 1) / 2;
}

static void mark(struct sim_member *m, enum damage damage, const char *what)
{
    world_trace("member %" PRIu64 ": %s", m->id, what);
    m->damage |= damage;
    m->was_damaged = true;
    figures.faults++;
    figures.damaged++;
}

bool damage_empty(struct sim_member *m)
{
    /* A running new member would write all it needs when it is informed of its cluster. */
    if (!may_be_emptied(m) || (m->up && !m->consensus->engine.running)) {
        return false;
    }
    /* A running process continues with its open files, and may leave files behind. */
    mark(m, DAMAGE_EMPTIED, "its directory is emptied");
    m->damage |= m->up ? DAMAGE_CUT : 0;
    files_empty(m->disk);
    checks_forget_life(m);
    m->joins = m->joins || options.replicas == 1; /* otherwise it would form a cluster of its own */
    return true;
}

/* --- bits and lengths --- */

/* A file of the directory; NULL: none, or it is empty. Snapshots, though few, are as likely as log
 * segments. */
static const char *a_file(const struct sim_member *m)
{
    size_t count = files_name_count(m->disk);
    const char *found = NULL;
    bool wants_snapshot = rng_chance(500000);
    for (size_t i = 0, from = count > 0 ? (size_t)rng_below(count) : 0; i < count; i++) {
        const char *name = files_name(m->disk, (from + i) % count);
        bool is_snapshot = strncmp(name, "snapshot-", 9) == 0;
        if (files_size(m->disk, name) > 0 && (found == NULL || is_snapshot == wants_snapshot)) {
            found = name;
            if (is_snapshot == wants_snapshot) {
                break;
            }
        }
    }
    return found;
}

/* Most of a segment may be zeros not written yet. */
static uint64_t written_bytes(const struct sim_member *m, const char *name)
{
    uint64_t size = files_size(m->disk, name);
    const uint8_t *content = files_content(m->disk, name);
    while (size > 1 && content[size - 1] == 0) {
        size--;
    }
    return size;
}

bool damage_flip(struct sim_member *m)
{
    const char *name = damage_may(m) ? a_file(m) : NULL;
    if (name == NULL) {
        return false;
    }
    char what[128];
    uint64_t bytes = rng_chance(900000) ? written_bytes(m, name) : files_size(m->disk, name);
    uint64_t bit = rng_below(bytes * 8);
    (void)snprintf(what, sizeof what, "bit %" PRIu64 " of %s flips", bit, name);
    mark(m, DAMAGE_FLIPPED, what);
    files_flip_bit(m->disk, name, bit);
    return true;
}

bool damage_cut(struct sim_member *m)
{
    const char *name = damage_may(m) && !m->up ? a_file(m) : NULL;
    if (name == NULL) {
        return false;
    }
    char what[128];
    uint64_t bytes = rng_below(files_size(m->disk, name));
    if (rng_chance(500000)) {
        (void)snprintf(what, sizeof what, "%s is removed", name);
        mark(m, DAMAGE_CUT, what);
        files_remove(m->disk, name);
    } else {
        (void)snprintf(what, sizeof what, "%s is cut to %" PRIu64 " bytes", name, bytes);
        mark(m, DAMAGE_CUT, what);
        files_cut(m->disk, name, bytes);
    }
    return true;
}

/* --- another cluster's directory --- */

static void genesis(const struct sim_member *m, uint64_t life, bool same_lives, struct buffer *out)
{
    struct raft_configuration conf;
    struct consensus_member list[MEMBERS_MAX];
    member_list(list);
    raft_configuration_init(&conf);
    for (size_t i = 0; i < members_count; i++) {
        char address[CONFIGURATION_ADDRESS_SIZE];
        configuration_server_address(&list[i], address);
        uint64_t other = rng_next() >> 1 | 1;
        /* A new life is not in the other cluster's history. */
        bool is_old = same_lives && (members[i].damage & DAMAGE_EMPTIED) == 0;
        uint64_t its = list[i].id == m->id ? life : is_old ? checks_life(list[i].id) : other;
        CHECK(raft_configuration_add(&conf, its, address, RAFT_VOTER) == 0);
    }
    configuration_encode(&conf, out);
    raft_configuration_close(&conf);
}

static void add_noop(struct wal_frame *frame, struct log *log, const struct cluster_id *cluster,
                     uint64_t term)
{
    struct buffer bytes;
    uint8_t stamp[ENTRY_STAMP_MAX];
    const struct stamp time = {.now_ms = 1, .wall_ms = 1};
    uint64_t index = log_last_index(log) + 1;
    wire_stamp_encode(&time, stamp);
    const struct entry_header header = {.index = index,
                                        .term = term,
                                        .cluster = *cluster,
                                        .proposer = 1,
                                        .level = 1,
                                        .stamp_len = WIRE_STAMP_BYTES};
    buffer_init(&bytes, 4096);
    entry_begin(&bytes, &header, stamp);
    entry_seal(&bytes, 0);
    (void)log_append(log, term, RAFT_COMMAND, bytes.data, bytes.len);
    wal_frame_entry(frame, index, log_get(log, index));
    buffer_done(&bytes);
}

static void write_log(const struct files *files, const struct cluster_id *cluster,
                      const struct buffer *configuration, uint64_t term, uint64_t entries)
{
    const struct wal_state first = {.term = 1};
    struct wal_loaded loaded;
    struct wal_frame frame;
    char error[512];
    CHECK(wal_create_sized(files, cluster, &first, tuning.segment_bytes) == 0);
    struct wal *wal = wal_open(files, cluster, 0, &loaded, error, sizeof error);
    CHECK(wal != NULL);
    wal_frame_init(&frame);
    (void)log_append(&loaded.log, 1, RAFT_CHANGE, configuration->data, configuration->len);
    wal_frame_entry(&frame, 1, log_get(&loaded.log, 1));
    for (uint64_t i = 0; i < entries; i++) {
        add_noop(&frame, &loaded.log, cluster, term);
    }
    const struct wal_state state = {.term = term, .commit = 1 + entries / 2, .boot = 1};
    wal_frame_state(&frame, &state);
    CHECK(wal_write(wal, &frame) == 0);
    wal_frame_done(&frame);
    log_done(&loaded.log);
    wal_close(wal);
}

/* A new member not informed yet would believe the first cluster of its life that it hears of. */
static bool all_were_told(const struct sim_member *but)
{
    for (size_t i = 0; i < members_count; i++) {
        if (&members[i] != but && members[i].damage == 0 && members[i].durable.sequence == 0) {
            return false;
        }
    }
    return true;
}

/* As if all directories had been copied before the cluster was formed, and another cluster formed
 * with the copies: the same lives. Or as if it had been set up again. */
bool damage_fork(struct sim_member *m)
{
    if (!damage_may(m) || m->up || !checks_is_voter(m)) {
        return false;
    }
    struct buffer configuration;
    struct consensus_member list[MEMBERS_MAX];
    bool same_lives = rng_chance(700000) && all_were_told(m);
    uint64_t other = rng_next() >> 1 | 1;
    uint64_t term = rng_between(1, 40);
    uint64_t entries = rng_between(0, 60);
    struct identity identity = {.member = m->id, .life = same_lives ? m->life : other};
    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        identity.cluster.bytes[i] = (uint8_t)rng_below(256);
    }
    member_list(list);
    configuration_members_text(list, members_count, identity.members, sizeof identity.members);
    mark(m, DAMAGE_FORKED,
         same_lives ? "its directory is another cluster's, of the same lives"
                    : "its directory is another cluster's");
    buffer_init(&configuration, 16 * 1024);
    genesis(m, identity.life, same_lives, &configuration);
    files_set_capacity(m->disk, 0);
    m->full = false;
    files_empty(m->disk);
    const struct files *files = files_boot(m->disk);
    CHECK(identity_write(files, &identity) == 0);
    write_log(files, &identity.cluster, &configuration, term, entries);
    files_kill(m->disk);
    buffer_done(&configuration);
    checks_forget_life(m);
    return true;
}

/* --- earlier copies --- */

void damage_copy(struct sim_member *m)
{
    if (m->damage == 0 && checks_is_voter(m)) {
        world_trace("member %" PRIu64 ": its directory is copied", m->id);
        files_image_destroy(m->copy.image);
        m->copy = (struct copy){.image = files_copy(m->disk), .index = m->durable.last.index};
    }
}

/* README.md, "Older copies": nothing that it confirmed or voted may be needed; and with a log that
 * ends at this entry it must not be elected. */
static bool is_not_needed(const struct sim_member *m, uint64_t ends_with)
{
    const struct durable *its = &m->durable;
    for (size_t i = 0; i < members_count; i++) {
        const struct durable *d = &members[i].durable;
        if (&members[i] == m || members[i].damage != 0) {
            continue;
        }
        bool holds = d->last.term == its->last.term && d->last.index >= its->last.index &&
                     d->last.index > ends_with;
        uint64_t leader = checks_leader_of(d->state.term);
        bool later = d->state.term > its->state.term;
        bool follows = d->state.term == its->state.term && leader != 0 &&
                       (d->state.vote == 0 || d->state.vote == leader);
        if (!holds || !(later || follows)) {
            return false;
        }
    }
    return its->sequence != 0;
}

bool damage_put_back(struct sim_member *m)
{
    if (m->copy.image == NULL || !damage_may(m) || m->up || !is_not_needed(m, m->copy.index)) {
        return false;
    }
    char what[96];
    (void)snprintf(what, sizeof what, "a copy is put back that ended with entry %" PRIu64,
                   m->copy.index);
    mark(m, DAMAGE_OLDER, what);
    files_put_back(m->disk, m->copy.image);
    checks_forget_life(m);
    return true;
}

/* --- another history --- */

/* Committed by all others, according to their disks. */
static uint64_t committed_by_others(const struct sim_member *m)
{
    uint64_t commit = UINT64_MAX;
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *other = &members[i];
        if (other != m && other->damage == 0 && other->durable.state.commit < commit) {
            commit = other->durable.state.commit;
        }
    }
    return commit;
}

/* Rewrites the log: unchanged up to `keep`, then another entry of the same term. */
static void write_history(const struct files *files, const struct wal_loaded *old, uint64_t keep)
{
    char error[512];
    struct wal_loaded loaded;
    struct wal_frame frame;
    const struct wal_state first = {.term = 1};
    struct wal_state state = old->state;
    uint64_t base = old->log.first_index - 1;
    state.commit = state.commit < keep ? state.commit : keep;
    CHECK(wal_create_sized(files, checks_cluster(), &first, tuning.segment_bytes) == 0);
    struct wal *wal = wal_open(files, checks_cluster(), base, &loaded, error, sizeof error);
    CHECK(wal != NULL);
    wal_frame_init(&frame);
    if (base > 0) {
        log_reset(&loaded.log, base, old->log.base_term, old->log.base_checksum);
        wal_frame_reset(&frame, base, old->log.base_term, old->log.base_checksum);
    }
    for (uint64_t index = base + 1; index <= keep; index++) {
        const struct log_entry *entry = log_get(&old->log, index);
        (void)log_append(&loaded.log, entry->term, entry->type, entry->data, entry->len);
        wal_frame_entry(&frame, index, log_get(&loaded.log, index));
    }
    add_noop(&frame, &loaded.log, checks_cluster(), log_get(&old->log, keep + 1)->term);
    wal_frame_state(&frame, &state);
    CHECK(wal_write(wal, &frame) == 0);
    wal_frame_done(&frame);
    log_done(&loaded.log);
    wal_close(wal);
}

static bool rewrite(struct sim_member *m, const struct files *files)
{
    char error[512];
    char name[SNAPSHOT_NAME_SIZE];
    char what[96];
    bool found;
    uint64_t snapshot = 0;
    uint64_t term;
    struct wal_loaded old;
    CHECK(snapshot_find(files, &found, name) == 0);
    if (found && !snapshot_name_parse(name, &snapshot, &term)) {
        return false;
    }
    struct wal *wal = wal_open(files, checks_cluster(), snapshot, &old, error, sizeof error);
    if (wal == NULL) {
        return false;
    }
    wal_close(wal);
    uint64_t base = old.log.first_index - 1;
    uint64_t lowest = snapshot > base ? snapshot : base;
    uint64_t committed = committed_by_others(m);
    uint64_t highest = log_last_index(&old.log);
    /* Shorter than every other log, so that it is never elected. */
    highest = committed < highest ? committed : highest;
    highest = highest > 0 ? highest - 1 : 0;
    bool can = highest > lowest + 1 && lowest > 0;
    if (can) {
        uint64_t keep = rng_between(lowest, highest - 1);
        (void)snprintf(what, sizeof what, "its log has another entry %" PRIu64 ", and ends with it",
                       keep + 1);
        mark(m, DAMAGE_OLDER, what);
        write_history(files, &old, keep);
    }
    log_done(&old.log);
    return can;
}

bool damage_rewrite(struct sim_member *m)
{
    if (!damage_may(m) || m->up || !checks_is_voter(m) || !is_not_needed(m, 0)) {
        return false;
    }
    files_set_capacity(m->disk, 0);
    m->full = false;
    const struct files *files = files_boot(m->disk);
    bool done = rewrite(m, files);
    files_kill(m->disk);
    if (done) {
        checks_forget_life(m);
    }
    return done;
}

/* --- memory --- */

static uint64_t drifted_ns; /* of the last drift */

bool damage_drift(struct sim_member *m)
{
    /* A majority that agrees must be up to find out who is wrong. */
    for (size_t i = 0; i < members_count; i++) {
        if (!members[i].up || !members[i].consensus->engine.running) {
            return false;
        }
    }
    if (!damage_may(m) || world_now_ns() - drifted_ns < DRIFTS_APART_NS) {
        return false;
    }
    drifted_ns = world_now_ns();
    mark(m, DAMAGE_DRIFTED, "its state drifts");
    m->drift = rng_next() | 1;
    m->drift_ns = world_now_ns();
    return true;
}
