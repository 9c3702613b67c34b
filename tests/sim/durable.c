/* Durability: what a log reported as durable must be there at the next start; a member may reveal
 * only that; and what is acknowledged is on the disks of a majority. The linker wraps these
 * functions around the product's (--wrap). */
#include <inttypes.h>

#include "consensus/configuration.h"
#include "consensus/disk/wal_internal.h"
#include "consensus/message.h"
#include "server/base/snapshot_block.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/checks.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/rng.h"

/* The fraction of acknowledged operations that is looked for on the disks themselves. */
#define READ_ONE_OF_MILLIONTHS 4000

static void note(struct sim_member *m, const struct wal *wal)
{
    m->durable.sequence = wal->sequence;
    m->durable.state = wal->tail.state;
    m->durable.last = wal->tail.last;
}

/* --- writing and loading --- */

int __real_wal_write(struct wal *wal, struct wal_frame *frame);
int __wrap_wal_write(struct wal *wal, struct wal_frame *frame)
{
    struct sim_member *m = member_current;
    int rc = __real_wal_write(wal, frame);
    if (rc == 0 && m != NULL && !m->dying) {
        checks_vote_stored(m, &wal->tail.state);
        note(m, wal);
    }
    return rc;
}

static void check_loaded(struct sim_member *m, const struct wal *wal)
{
    const struct durable *d = &m->durable;
    const struct wal_state *state = &wal->tail.state;
    figures.checks++;
    if (d->sequence == 0) {
        return;
    }
    if (wal->sequence < d->sequence) {
        world_violation("the_durable_stays",
                        "member %" PRIu64 " starts with frame %" PRIu64 " as its last; %" PRIu64
                        " was durable",
                        m->id, wal->sequence, d->sequence);
    }
    if (state->term < d->state.term) {
        world_violation("terms_rise",
                        "member %" PRIu64 " starts in term %" PRIu64 ", was in %" PRIu64, m->id,
                        state->term, d->state.term);
    }
    if (state->term == d->state.term && d->state.vote != 0 && state->vote != d->state.vote) {
        world_violation("votes_survive",
                        "member %" PRIu64 " has forgotten its vote of term %" PRIu64, m->id,
                        state->term);
    }
    if (state->commit < d->state.commit) {
        world_violation("commit_index_survives",
                        "member %" PRIu64 " starts with commit index %" PRIu64 ", had %" PRIu64,
                        m->id, state->commit, d->state.commit);
    }
}

struct wal *__real_wal_open(const struct files *files, const struct cluster_id *cluster,
                            uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                            size_t error_size);
struct wal *__wrap_wal_open(const struct files *files, const struct cluster_id *cluster,
                            uint64_t snapshot_index, struct wal_loaded *ret_loaded, char *error,
                            size_t error_size)
{
    struct sim_member *m = member_current;
    struct wal *wal =
        __real_wal_open(files, cluster, snapshot_index, ret_loaded, error, error_size);
    if (wal != NULL) {
        wal_set_segment_bytes(wal, tuning.segment_bytes);
    }
    if (wal != NULL && m != NULL) {
        check_loaded(m, wal);
        note(m, wal);
        m->durable.snapshot_index = snapshot_index;
    }
    return wal;
}

/* Segments of the product's size would dominate the run time. */
int __real_wal_create(const struct files *files, const struct cluster_id *cluster,
                      const struct wal_state *state);
int __wrap_wal_create(const struct files *files, const struct cluster_id *cluster,
                      const struct wal_state *state)
{
    if (member_current != NULL) {
        member_current->durable = (struct durable){.sequence = 0};
    }
    return wal_create_sized(files, cluster, state, tuning.segment_bytes);
}

int __real_snapshot_publish(const struct files *files, const char *temporary, uint64_t index,
                            uint64_t term);
int __wrap_snapshot_publish(const struct files *files, const char *temporary, uint64_t index,
                            uint64_t term)
{
    int rc = __real_snapshot_publish(files, temporary, index, term);
    if (rc == 0 && member_current != NULL && !member_current->dying) {
        member_current->durable.snapshot_index = index;
    }
    return rc;
}

/* --- messages --- */

static uint64_t durable_index(const struct sim_member *m)
{
    const struct durable *d = &m->durable;
    return d->last.index > d->snapshot_index ? d->last.index : d->snapshot_index;
}

static void check_vote_told(const struct sim_member *m, const struct raft_message *message,
                            uint64_t to)
{
    const struct raft_request_vote_result *r = &message->request_vote_result;
    const struct wal_state *state = &m->durable.state;
    if (!r->vote_granted || r->pre_vote) {
        return;
    }
    if (state->term < r->term || (state->term == r->term && !checks_was_life(to, state->vote))) {
        world_violation("votes_are_durable_when_told",
                        "member %" PRIu64 " tells member %" PRIu64 " of a vote in term %llu", m->id,
                        to, r->term);
    }
}

void checks_sent(const struct sim_member *m, uint64_t to, const struct peer_message *message)
{
    struct message decoded;
    const uint8_t *data = message->payload_len > 0 ? message->payload : message->head;
    size_t len = message->head_len + message->payload_len; /* only one of them is set */
    if (message->type != FRAME_RAFT || (m->damage & (DAMAGE_FORKED | DAMAGE_EMPTIED)) != 0 ||
        (data[0] != RAFT_REQUEST_VOTE_RESULT && data[0] != RAFT_APPEND_ENTRIES_RESULT &&
         data[0] != RAFT_REQUEST_VOTE)) {
        return;
    }
    if (message_decode(data, len, &decoded) != ST_OK) {
        world_violation("messages_are_sound", "member %" PRIu64, m->id);
    }
    figures.checks++;
    const struct raft_message *r = &decoded.raft;
    if (r->type == RAFT_REQUEST_VOTE_RESULT) {
        check_vote_told(m, r, to);
    }
    if (r->type == RAFT_REQUEST_VOTE && !r->request_vote.pre_vote &&
        m->durable.state.term < r->request_vote.term) {
        world_violation("votes_are_durable_when_told",
                        "member %" PRIu64 " stands in term %llu, which is not on its disk", m->id,
                        r->request_vote.term);
    }
    if (r->type == RAFT_APPEND_ENTRIES_RESULT && r->append_entries_result.rejected == 0 &&
        r->append_entries_result.last_log_index > durable_index(m)) {
        world_violation("entries_are_durable_when_told",
                        "member %" PRIu64 " confirms entry %llu, %" PRIu64 " is on its disk", m->id,
                        r->append_entries_result.last_log_index, durable_index(m));
    }
}

/* --- acknowledgements --- */

static uint64_t chance(void *data)
{
    (void)data;
    return rng_next();
}

/* Reads a copy of the disk as it would be after a power loss. */
static bool disk_holds(const struct sim_member *m, uint64_t index, uint64_t term, uint32_t checksum)
{
    char error[512];
    char name[SNAPSHOT_NAME_SIZE];
    bool found = false;
    uint64_t snapshot_index = 0;
    uint64_t snapshot_term;
    struct wal_loaded loaded;
    const struct files_options options_of_clone = {.random = chance};
    struct files_disk *disk = files_clone(m->disk, &options_of_clone);
    files_lose_power(disk);
    const struct files *files = files_boot(disk);
    bool holds = snapshot_find(files, &found, name) == 0 && found &&
                 snapshot_name_parse(name, &snapshot_index, &snapshot_term) &&
                 snapshot_index >= index;
    if (!holds) {
        struct wal *wal =
            __real_wal_open(files, checks_cluster(), snapshot_index, &loaded, error, sizeof error);
        uint64_t its_term;
        uint32_t its_checksum;
        holds = wal != NULL && log_position(&loaded.log, index, &its_term, &its_checksum) &&
                its_term == term && its_checksum == checksum;
        if (wal != NULL) {
            log_done(&loaded.log);
            wal_close(wal);
        }
    }
    files_destroy(disk);
    return holds;
}

static bool is_on_majority(const struct raft_configuration *conf, const bool has[MEMBERS_MAX])
{
    size_t have = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        size_t place = (size_t)configuration_member_of(&conf->servers[i]) - 1;
        bool is_there = members[place].life == conf->servers[i].id || members[place].was_damaged;
        have += conf->servers[i].role == RAFT_VOTER && is_there && has[place];
    }
    return have > configuration_voters(conf) / 2;
}

/* Committed by a configuration known to some member: the acknowledging one may not have the newest,
 * and others may have a newer one already. */
static bool is_committed(const bool has[MEMBERS_MAX])
{
    if (is_on_majority(checks_proposed(), has)) {
        return true;
    }
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        if (m->up && m->consensus->engine_open && m->consensus->engine.running &&
            (m->damage & DAMAGE_FORKED) == 0) {
            const struct raft *raft = &m->consensus->engine.driver.raft;
            if (is_on_majority(&raft->configuration, has) ||
                is_on_majority(&raft->configuration_committed, has)) {
                return true;
            }
        }
    }
    return false;
}

void checks_acknowledged(uint64_t index)
{
    const struct sim_member *by = member_current;
    bool has[MEMBERS_MAX];
    bool holds[MEMBERS_MAX];
    uint64_t term;
    uint32_t checksum;
    bool reads = rng_chance(READ_ONE_OF_MILLIONTHS) &&
                 log_position(&by->consensus->engine.driver.log, index, &term, &checksum);
    for (size_t i = 0; i < members_count; i++) {
        const struct sim_member *m = &members[i];
        has[i] = m->was_damaged || durable_index(m) >= index;
        holds[i] = !reads || m->was_damaged || disk_holds(m, index, term, checksum);
    }
    figures.checks++;
    if (!is_committed(has) || !is_committed(holds)) {
        world_violation("acknowledged_is_on_disk", "entry %" PRIu64 " of member %" PRIu64, index,
                        by->id);
    }
}
