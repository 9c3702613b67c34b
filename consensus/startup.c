#include "consensus/startup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/disk/founding.h"
#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/log.h"

/* Advice about a refused directory. */
static const char *advice(const struct engine *e)
{
    return e->forming.count > 1
               ? "This replica must not go on with less than it had: check the disk, and keep the "
                 "directory. The others go on without it; started with an empty directory, it "
                 "is let in again as a new life of the member"
               : "This replica must not go on with less than it had: check the disk, and keep the "
                 "directory. There is no other copy; with an empty directory it starts over";
}

/* --- identity --- */

static bool check_identity(struct engine *e, const struct identity *found, char *error,
                           size_t error_size)
{
    struct consensus_member list[MEMBERS_MAX];
    size_t count;
    const char *dir = e->options.data_dir;
    if (found->member != e->options.id) {
        (void)snprintf(error, error_size,
                       "%s belongs to member %" PRIu64 ", but this is member %" PRIu64
                       ": use --id %" PRIu64 " or another --data directory",
                       dir, found->member, e->options.id, found->member);
        return false;
    }
    if (!configuration_parse_members(found->members, list, &count)) {
        (void)snprintf(error, error_size, "%s: the members in its identity file are malformed",
                       dir);
        return false;
    }
    return true;
}

/* Records the list, for the next start. */
static bool write_identity(struct engine *e, struct identity identity, const char *members,
                           char *error, size_t error_size)
{
    (void)snprintf(identity.members, sizeof identity.members, "%s", members);
    int result = identity_write(e->env.files, &identity);
    if (result != 0) {
        (void)snprintf(error, error_size,
                       "cannot write %s/identity: %s; correct that, or use "
                       "another --data directory",
                       e->options.data_dir, strerror(-result));
        return false;
    }
    e->identity = identity;
    return true;
}

bool startup_identify(struct engine *e, char *error, size_t error_size)
{
    char members[IDENTITY_MEMBERS_BYTES_MAX];
    char sentence[1024];
    if (!founding_finish(e->env.files, sentence, sizeof sentence)) {
        (void)snprintf(error, error_size, "%s: %s", e->options.data_dir, sentence);
        return false;
    }
    configuration_members_text(e->options.members, e->options.members_count, members,
                               sizeof members);
    switch (identity_read(e->env.files, &e->identity, sentence, sizeof sentence)) {
    case IDENTITY_FINE:
        break;
    case IDENTITY_MISSING:
        e->identity = (struct identity){
            .member = e->options.id, .life = life_make(), .joins = e->options.joins};
        return write_identity(e, e->identity, members, error, error_size);
    case IDENTITY_REFUSED:
        (void)snprintf(error, error_size, "%s: %s", e->options.data_dir, sentence);
        return false;
    }
    if (!check_identity(e, &e->identity, error, error_size)) {
        return false;
    }
    bool is_new = cluster_id_is_none(&e->identity.cluster);
    if (is_new && e->options.members_given && strcmp(e->identity.members, members) != 0) {
        /* It has promised nothing to members of the previous list. */
        return write_identity(e, e->identity, members, error, error_size);
    }
    return true;
}

/* Whether the directory's cluster has a member with that id. */
static bool is_of_cluster(const struct engine *e, uint64_t id)
{
    return forming_is_first(e, id) || configuration_lives(&e->driver.raft.configuration, id) > 0;
}

/* A --cluster list that differs from the last start's: the same members at other addresses, or the
 * directory belongs to another cluster. */
static bool take_list(struct engine *e, char *error, size_t error_size)
{
    const struct engine_options *o = &e->options;
    struct consensus_member before[MEMBERS_MAX];
    size_t before_count = e->forming.count;
    char members[IDENTITY_MEMBERS_BYTES_MAX];
    configuration_members_text(o->members, o->members_count, members, sizeof members);
    if (!o->members_given || strcmp(e->identity.members, members) == 0) {
        return true;
    }
    for (size_t i = 0; i < o->members_count; i++) {
        if (!is_of_cluster(e, o->members[i].id)) {
            (void)snprintf(error, error_size,
                           "%s belongs to another cluster, whose members are %s, and none is "
                           "member %" PRIu64 ": leave out --cluster to go on with that one, or use "
                           "another --data directory",
                           o->data_dir, e->identity.members, o->members[i].id);
            return false;
        }
    }
    memcpy(before, e->forming.members, sizeof before);
    if (!write_identity(e, e->identity, members, error, error_size)) {
        return false;
    }
    forming_init(e);
    for (size_t i = 0; i < o->members_count; i++) {
        const struct consensus_member *was =
            configuration_find_member(before, before_count, o->members[i].id);
        if (was == NULL || strcmp(was->address, o->members[i].address) != 0) {
            links_move(e, &o->members[i]);
        }
    }
    log_write(LOG_INFO, "raft", "using the addresses in --cluster", "members=%s", members);
    return true;
}

/* --- snapshot --- */

static bool read_state(struct engine *e, struct snapshot_reader *reader,
                       const struct snapshot_meta *meta, char *error, size_t error_size)
{
    if (meta->level < e->app.level_min || meta->level > e->app.level_max) {
        (void)snprintf(error, error_size,
                       "the snapshot is of level %u, and this version reads %u to %u: start the "
                       "version that wrote it, or a newer one",
                       meta->level, e->app.level_min, e->app.level_max);
        return false;
    }
    struct fsm_restore *restore = fsm_restore_begin(e);
    if (!fsm_restore_read(restore, reader, "the state in the snapshot is malformed", error,
                          error_size)) {
        fsm_restore_drop(e, restore);
        return false;
    }
    fsm_restore_swap(e, restore, meta->index, meta->level, snapshot_reader_file_bytes(reader));
    return true;
}

/* Restores the newest snapshot, if there is one. */
static bool load_snapshot(struct engine *e, bool *ret_found, struct snapshot_meta *ret_meta,
                          char *error, size_t error_size)
{
    char name[SNAPSHOT_NAME_SIZE];
    int result = snapshot_find(e->env.files, ret_found, name);
    if (result != 0) {
        (void)snprintf(error, error_size, "the directory cannot be listed: %s", strerror(-result));
        return false;
    }
    if (!*ret_found) {
        return true;
    }
    struct snapshot_reader *reader =
        snapshot_reader_open(e->env.files, name, &e->identity.cluster, ret_meta, error, error_size);
    if (reader == NULL) {
        return false;
    }
    bool restored = read_state(e, reader, ret_meta, error, error_size);
    snapshot_reader_close(reader);
    return restored;
}

/* --- log --- */

/* `joining`: it may have been admitted, and have crashed before the leader sent anything. */
static bool check_beginning(const struct log *log, const struct snapshot_meta *snapshot,
                            bool joining, char *error, size_t error_size)
{
    const struct log_entry *first = log_get(log, 1);
    bool is_empty = log->first_index == 1 && log->count == 0;
    if (snapshot != NULL || (first != NULL && first->type == RAFT_CHANGE) ||
        (joining && is_empty)) {
        return true;
    }
    (void)snprintf(error, error_size, "%s",
                   "the log does not begin with the first configuration, and there is no snapshot");
    return false;
}

static bool check_entries(struct engine *e, const struct log *log, char *error, size_t error_size)
{
    for (uint64_t index = log->first_index; index <= log_last_index(log); index++) {
        const struct log_entry *entry = log_get(log, index);
        struct entry_header header;
        if (entry->type != RAFT_COMMAND) {
            continue;
        }
        if (entry_check(entry->data, entry->len, &header) != ST_OK || header.index != index ||
            header.term != entry->term ||
            !cluster_id_equal(&header.cluster, &e->identity.cluster)) {
            (void)snprintf(error, error_size,
                           "log entry %" PRIu64 " is damaged or not this cluster's", index);
            return false;
        }
        if (!fsm_understands(e, entry->data, &header)) {
            (void)snprintf(error, error_size,
                           "log entry %" PRIu64 " is of level %u, or holds what this version does "
                           "not know (it reads levels %u to %u): start the version that wrote it, "
                           "or a newer one",
                           index, header.level, e->app.level_min, e->app.level_max);
            return false;
        }
    }
    return true;
}

/* A snapshot was being installed when this member crashed: it is in place, but the log before it is
 * not gone yet. Entries that differ from it, or end before it, are superseded. */
static bool supersedes(const struct snapshot_meta *meta, const struct log *log)
{
    uint64_t term;
    uint32_t checksum;
    return !log_position(log, meta->index, &term, &checksum) || term != meta->term ||
           checksum != meta->checksum;
}

/* Writes a frame synchronously. */
static bool write_now(struct wal *wal, struct wal_frame *frame, char *error, size_t error_size)
{
    int result = wal_write(wal, frame);
    if (result != 0) {
        (void)snprintf(error, error_size, "the log cannot be written: %s", strerror(-result));
    }
    return result == 0;
}

/* Whether the newest configuration, committed or not, gives a vote to this life only. */
static bool is_only_voter(const struct engine *e, const struct log *log,
                          const struct snapshot_meta *snapshot)
{
    const uint8_t *bytes = snapshot != NULL ? snapshot->configuration : NULL;
    size_t len = snapshot != NULL ? snapshot->configuration_len : 0;
    for (uint64_t index = log->first_index; index <= log_last_index(log); index++) {
        const struct log_entry *entry = log_get(log, index);
        if (entry->type == RAFT_CHANGE) {
            bytes = entry->data;
            len = entry->len;
        }
    }
    struct raft_configuration conf;
    if (bytes == NULL || !configuration_decode(bytes, len, &conf)) {
        return false;
    }
    const struct raft_server *self = configuration_find(&conf, e->identity.life);
    bool only = self != NULL && self->role == RAFT_VOTER && configuration_voters(&conf) == 1;
    raft_configuration_close(&conf);
    return only;
}

static bool count_boot(struct engine *e, struct wal *wal, struct wal_loaded *loaded,
                       const struct snapshot_meta *snapshot, char *error, size_t error_size)
{
    struct wal_frame frame;
    wal_frame_init(&frame);
    if (snapshot != NULL && supersedes(snapshot, &loaded->log)) {
        log_write(LOG_WARN, "disk", "finishing the installation of a snapshot", "index=%" PRIu64,
                  snapshot->index);
        wal_frame_reset(&frame, snapshot->index, snapshot->term, snapshot->checksum);
        log_reset(&loaded->log, snapshot->index, snapshot->term, snapshot->checksum);
        if (loaded->state.term < snapshot->term) {
            loaded->state.term = snapshot->term;
            loaded->state.vote = 0;
        }
    }
    if (snapshot != NULL && loaded->state.commit < snapshot->index) {
        loaded->state.commit = snapshot->index;
    }
    if (is_only_voter(e, &loaded->log, snapshot)) {
        /* libraft would lead at once, in its present term: possibly one in which it sent others
         * entries that it has lost since. */
        loaded->state.term++;
        loaded->state.vote = e->identity.life;
    }
    loaded->state.boot++;
    wal_frame_state(&frame, &loaded->state);
    bool written = write_now(wal, &frame, error, error_size);
    wal_frame_done(&frame);
    e->forwarder.boot = BOOT(loaded->state.boot, e->options.boot_salt);
    return written;
}

static bool load_log(struct engine *e, const struct snapshot_meta *snapshot, char *error,
                     size_t error_size)
{
    struct wal_loaded loaded;
    struct wal *wal = wal_open(e->env.files, &e->identity.cluster,
                               snapshot != NULL ? snapshot->index : 0, &loaded, error, error_size);
    if (wal == NULL) {
        return false;
    }
    /* All checks come before the first change. */
    if (!check_beginning(&loaded.log, snapshot, e->identity.joining, error, error_size) ||
        !check_entries(e, &loaded.log, error, error_size) ||
        !count_boot(e, wal, &loaded, snapshot, error, error_size)) {
        log_done(&loaded.log);
        wal_close(wal);
        return false;
    }
    persist_init(&e->persist, e, wal, &loaded.state, log_last_index(&loaded.log));
    if (e->options.takes_all) {
        e->leader_commit = loaded.state.commit; /* for status only */
        loaded.state.commit = log_last_index(&loaded.log);
    }
    return driver_start(e, &loaded, snapshot, error, error_size);
}

bool startup_run(struct engine *e, char *error, size_t error_size)
{
    char sentence[640];
    struct snapshot_meta meta;
    bool found = false;
    e->fsm.level = e->app.level_min;
    if (load_snapshot(e, &found, &meta, sentence, sizeof sentence) &&
        load_log(e, found ? &meta : NULL, sentence, sizeof sentence)) {
        int result = snapshot_sweep(e->env.files);
        if (result == 0) {
            return take_list(e, error, error_size);
        }
        (void)snprintf(sentence, sizeof sentence, "temporary files cannot be removed: %s",
                       strerror(-result));
    }
    (void)snprintf(error, error_size, "%s: %s. %s", e->options.data_dir, sentence, advice(e));
    return false;
}
