/* Mutants that only the simulator can have; the others are in tests/mutants/. Also replaces the
 * kernel's random numbers by the seed's. */
#include "tests/sim/mutants.h"

#include <string.h>

#include "server/base/crc32c.h"
#include "server/base/snapshot_block.h"
#include "server/node/event_cursor.h"
#include "server/node/internal.h"
#include "server/node/probe.h"
#include "server/registry/internal.h"
#include "tests/mutants/mutant.h"
#include "tests/sim/consensus_sim.h"
#include "tests/sim/rng.h"

uint64_t mutant_member(void)
{
    return member_current->id;
}

/* --- randomness --- */

uint64_t __real_life_make(void);
uint64_t __wrap_life_make(void)
{
    uint64_t life = rng_next() >> 1 | 1;
    bool returns = mutant_is(MUTANT_amnesiac_votes) && member_current->life != 0;
    return returns ? member_current->life : life;
}

struct cluster_id __real_cluster_id_make(void);
struct cluster_id __wrap_cluster_id_make(void)
{
    struct cluster_id id;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id.bytes[i] = (uint8_t)(1 + rng_below(255));
    }
    return id;
}

/* --- files --- */

static const struct files *disk_of(void *ctx)
{
    const struct consensus *c = ctx;
    return c->disk_files;
}

static int write_unsynced(void *ctx, int file, uint64_t at, const void *data, size_t len,
                          bool durable)
{
    const struct files *files = disk_of(ctx);
    (void)durable;
    return files->write(files->ctx, file, at, data, len, false);
}

static int write_unseen(void *ctx, int file, uint64_t at, const void *data, size_t len,
                        bool durable)
{
    const struct files *files = disk_of(ctx);
    (void)files->write(files->ctx, file, at, data, len, durable);
    return 0;
}

static int sync_nothing(void *ctx, int file)
{
    (void)ctx;
    (void)file;
    return 0;
}

static int sync_no_dir(void *ctx)
{
    (void)ctx;
    return 0;
}

static int pass_open(void *ctx, const char *name, enum file_mode mode, int *ret_file)
{
    const struct files *files = disk_of(ctx);
    return files->open(files->ctx, name, mode, ret_file);
}

static void pass_close(void *ctx, int file)
{
    const struct files *files = disk_of(ctx);
    files->close(files->ctx, file);
}

static int pass_preallocate(void *ctx, int file, uint64_t bytes)
{
    const struct files *files = disk_of(ctx);
    return files->preallocate(files->ctx, file, bytes);
}

static int pass_sync(void *ctx, int file)
{
    const struct files *files = disk_of(ctx);
    return files->sync(files->ctx, file);
}

static int pass_read(void *ctx, int file, uint64_t at, void *data, size_t len, size_t *ret_len)
{
    const struct files *files = disk_of(ctx);
    return files->read(files->ctx, file, at, data, len, ret_len);
}

static int pass_rename(void *ctx, const char *from, const char *to)
{
    const struct files *files = disk_of(ctx);
    return files->rename(files->ctx, from, to);
}

static int pass_unlink(void *ctx, const char *name)
{
    const struct files *files = disk_of(ctx);
    return files->unlink(files->ctx, name);
}

static int pass_sync_dir(void *ctx)
{
    const struct files *files = disk_of(ctx);
    return files->sync_dir(files->ctx);
}

static int pass_list(void *ctx, void (*each)(void *data, const char *name, uint64_t bytes),
                     void *data)
{
    const struct files *files = disk_of(ctx);
    return files->list(files->ctx, each, data);
}

static uint64_t pass_free_bytes(void *ctx)
{
    const struct files *files = disk_of(ctx);
    return files->free_bytes(files->ctx);
}

void mutants_wrap_files(struct consensus *c)
{
    bool skips = mutant_is(MUTANT_sync_skipped);
    bool ignores = mutant_is(MUTANT_error_ignored);
    if (!skips && !ignores) {
        c->files = *c->disk_files;
        return;
    }
    c->files = (struct files){
        .ctx = c,
        .open = pass_open,
        .close = pass_close,
        .preallocate = pass_preallocate,
        .write = skips ? write_unsynced : write_unseen,
        .sync = skips ? sync_nothing : pass_sync,
        .read = pass_read,
        .rename = pass_rename,
        .unlink = pass_unlink,
        .sync_dir = skips ? sync_no_dir : pass_sync_dir,
        .list = pass_list,
        .free_bytes = pass_free_bytes,
    };
}

/* --- durability --- */

void mutants_pumped(struct engine *e)
{
    struct persist *p = &e->persist;
    if (mutant_is(MUTANT_ack_before_durable) && e->running && p->busy_writing &&
        p->writing_last > p->durable_index) {
        p->durable_index = p->writing_last;
        driver_durable(e);
    }
}

uint64_t __real_persist_vote(struct persist *p, uint64_t term, uint64_t vote);
uint64_t __wrap_persist_vote(struct persist *p, uint64_t term, uint64_t vote)
{
    uint64_t frame = __real_persist_vote(p, term, vote);
    return mutant_is(MUTANT_vote_before_durable) ? 0 : frame;
}

void __real_persist_commit(struct persist *p, uint64_t commit);
void __wrap_persist_commit(struct persist *p, uint64_t commit)
{
    if (!mutant_is(MUTANT_commit_not_kept)) {
        __real_persist_commit(p, commit);
    }
}

void __real_wal_frame_truncate(struct wal_frame *frame, uint64_t index, uint64_t term,
                               uint32_t checksum);
void __wrap_wal_frame_truncate(struct wal_frame *frame, uint64_t index, uint64_t term,
                               uint32_t checksum)
{
    if (!mutant_is(MUTANT_cut_not_logged)) {
        __real_wal_frame_truncate(frame, index, term, checksum);
    }
}

/* All of the file is in memory: the segments of a run are small. */
enum wal_look __real_wal_header_decode(const uint8_t sector[FILE_SECTOR_BYTES],
                                       struct wal_header *ret_header);
enum wal_look __wrap_wal_header_decode(const uint8_t sector[FILE_SECTOR_BYTES],
                                       struct wal_header *ret_header)
{
    enum wal_look look = __real_wal_header_decode(sector, ret_header);
    if (look == WAL_LOOK_FINE && mutant_is(MUTANT_torn_tail_taken) &&
        ret_header->len < tuning.segment_bytes / 2) {
        ret_header->content_crc =
            crc32c(0, sector + WAL_HEADER_BYTES, wal_extent(ret_header->len) - WAL_HEADER_BYTES);
    }
    return look;
}

bool __real_snapshot_block_accept(struct snapshot_chain *chain, const uint8_t *block, size_t len);
bool __wrap_snapshot_block_accept(struct snapshot_chain *chain, const uint8_t *block, size_t len)
{
    bool right = __real_snapshot_block_accept(chain, block, len);
    if (!right && mutant_is(MUTANT_snapshot_unverified)) {
        chain->number++;
        chain->parent = load_u32(block + SNAPSHOT_BLOCK_HEADER - 4);
        return true;
    }
    return right;
}

/* --- membership --- */

bool __real_driver_may_change(const struct engine *e);
bool __wrap_driver_may_change(const struct engine *e)
{
    const struct raft *raft = &e->driver.raft;
    bool before = mutant_is(MUTANT_change_before_own_term) && e->is_leader && e->running &&
                  raft_transferee((struct raft *)(uintptr_t)raft) == 0 &&
                  raft->configuration_uncommitted_index == 0;
    bool second = mutant_is(MUTANT_two_changes_at_once) && engine_knows_all(e) &&
                  raft_transferee((struct raft *)(uintptr_t)raft) == 0;
    return before || second || __real_driver_may_change(e);
}

void __real_driver_change(struct engine *e, const struct raft_configuration *conf);
void __wrap_driver_change(struct engine *e, const struct raft_configuration *conf)
{
    if (mutant_is(MUTANT_two_changes_at_once)) {
        e->driver.raft.configuration_uncommitted_index = 0;
    }
    __real_driver_change(e, conf);
}

/* What libraft does with one that is not its message's first entry. */
bool __real_driver_receive(struct engine *e, struct member *from, const uint8_t *data, size_t len);
bool __wrap_driver_receive(struct engine *e, struct member *from, const uint8_t *data, size_t len)
{
    struct raft *raft = &e->driver.raft;
    uint64_t before = raft->configuration_uncommitted_index;
    bool good = __real_driver_receive(e, from, data, len);
    if (mutant_is(MUTANT_conf_index_wrong) && raft->configuration_uncommitted_index > before) {
        raft->configuration_uncommitted_index--;
    }
    return good;
}

void __real_election_hear_candidate(struct engine *e, struct raft_message *message);
void __wrap_election_hear_candidate(struct engine *e, struct raft_message *message)
{
    if (mutant_is(MUTANT_removed_disrupts)) {
        raft_set_pre_vote(&e->driver.raft, false);
        message->request_vote.disrupt_leader = true;
        return;
    }
    __real_election_hear_candidate(e, message);
}

enum hello_verdict __real_engine_admit(const struct engine *e, const struct hello_facts *facts);
enum hello_verdict __wrap_engine_admit(const struct engine *e, const struct hello_facts *facts)
{
    enum hello_verdict verdict = __real_engine_admit(e, facts);
    bool is_let_in = mutant_is(MUTANT_old_life_returns) || mutant_is(MUTANT_removed_disrupts);
    return is_let_in && verdict == HELLO_EARLIER_LIFE ? HELLO_ACCEPTED : verdict;
}

bool __real_member_info_is_voter(const struct member *m);
bool __wrap_member_info_is_voter(const struct member *m)
{
    return mutant_is(MUTANT_standby_counts) || __real_member_info_is_voter(m);
}

/* --- histories --- */

uint32_t __real_log_checksum(uint32_t parent, uint64_t term, uint8_t type, const void *data,
                             size_t len);
uint32_t __wrap_log_checksum(uint32_t parent, uint64_t term, uint8_t type, const void *data,
                             size_t len)
{
    return mutant_is(MUTANT_parent_unchecked) ? (uint32_t)term
                                              : __real_log_checksum(parent, term, type, data, len);
}

uint32_t __real_log_append(struct log *log, uint64_t term, uint8_t type, const void *data,
                           size_t len);
uint32_t __wrap_log_append(struct log *log, uint64_t term, uint8_t type, const void *data,
                           size_t len)
{
    uint32_t checksum = __real_log_append(log, term, type, data, len);
    if (!mutant_is(MUTANT_parent_unchecked)) {
        return checksum;
    }
    struct log_entry *entry = (struct log_entry *)(uintptr_t)log_get(log, log_last_index(log));
    return entry->checksum = (uint32_t)term;
}

bool __real_cluster_id_equal(const struct cluster_id *a, const struct cluster_id *b);
bool __wrap_cluster_id_equal(const struct cluster_id *a, const struct cluster_id *b)
{
    return __real_cluster_id_equal(a, b) || mutant_is(MUTANT_cluster_id_unchecked);
}

void __real_fsm_compare(struct engine *e, struct member *m, uint64_t index, uint64_t hash);
void __wrap_fsm_compare(struct engine *e, struct member *m, uint64_t index, uint64_t hash)
{
    if (!mutant_is(MUTANT_hash_not_compared)) {
        __real_fsm_compare(e, m, index, hash);
    }
}

enum status __real_sessions_decode(struct sessions *s, const uint8_t **data, size_t *len);
enum status __wrap_sessions_decode(struct sessions *s, const uint8_t **data, size_t *len)
{
    enum status status = __real_sessions_decode(s, data, len);
    if (mutant_is(MUTANT_sessions_lost)) {
        s->count = 0;
    }
    return status;
}

bool __real_admission_enter(struct admission *door, enum consensus_lane lane, size_t len,
                            uint64_t now_ms);
bool __wrap_admission_enter(struct admission *door, enum consensus_lane lane, size_t len,
                            uint64_t now_ms)
{
    if (mutant_is(MUTANT_heartbeats_share_lost) && lane == CONSENSUS_URGENT &&
        !admission_has_room(door, CONSENSUS_NORMAL, len)) {
        return false;
    }
    return __real_admission_enter(door, lane, len, now_ms);
}

/* --- the registry --- */

bool __real_types_is_taken(const struct registry *r, const struct registration *registration,
                           const struct record *own);
bool __wrap_types_is_taken(const struct registry *r, const struct registration *registration,
                           const struct record *own)
{
    return !mutant_is(MUTANT_unique_ignored) && __real_types_is_taken(r, registration, own);
}

void __real_checks_apply_result(struct registry *r, const struct command *command,
                                struct result *ret_result);
void __wrap_checks_apply_result(struct registry *r, const struct command *command,
                                struct result *ret_result)
{
    struct command late = *command;
    if (mutant_is(MUTANT_late_result_counts)) {
        late.check_result.epoch = r->work.probers.epoch;
        late.check_result.member = prober_of(&r->work.probers, late.check_result.id);
    }
    __real_checks_apply_result(r, &late, ret_result);
}

/* --- the node --- */

bool __real_node_probe_may_start(const struct node *node, uint64_t version);
bool __wrap_node_probe_may_start(const struct node *node, uint64_t version)
{
    return __real_node_probe_may_start(node, version) ||
           (mutant_is(MUTANT_permission_outlasts) && node_probe_version(node) == version &&
            node_probe_until_ms(node) > 0);
}

bool __real_node_probe_is_ours(const struct node *node, const struct view *view,
                               const struct record *check);
bool __wrap_node_probe_is_ours(const struct node *node, const struct view *view,
                               const struct record *check)
{
    uint64_t own = node_facts(node)->id;
    return __real_node_probe_is_ours(node, view, check) ||
           (mutant_is(MUTANT_gained_at_once) &&
            prober_of(&view->probers, slice_of(record_id(check))) == own);
}

void __real_probers_watch_tick(struct probers_watch *w, uint64_t now_ms,
                               const struct consensus_presence *given, size_t count);
void __wrap_probers_watch_tick(struct probers_watch *w, uint64_t now_ms,
                               const struct consensus_presence *given, size_t count)
{
    struct consensus_presence seen[MEMBERS_MAX];
    memcpy(seen, given, count * sizeof *given);
    for (size_t i = 0; i < count && mutant_is(MUTANT_prober_stays); i++) {
        seen[i].silent_ms = 0;
    }
    __real_probers_watch_tick(w, now_ms, seen, count);
}

void __real_expiry_leadership(struct node *node, bool leader);
void __wrap_expiry_leadership(struct node *node, bool leader)
{
    __real_expiry_leadership(node, leader);
    if (mutant_is(MUTANT_no_grace)) {
        node->expiry.grace_until_ms = node->expiry.pause_grace_until_ms = 0;
    }
}

struct event_item __real_event_cursor_next(struct event_cursor *cursor, const struct view *view);
struct event_item __wrap_event_cursor_next(struct event_cursor *cursor, const struct view *view)
{
    if (mutant_is(MUTANT_present_gap) && cursor->presenting) {
        cursor->next = view->events_last + 1;
    }
    return __real_event_cursor_next(cursor, view);
}
