#include "consensus/recovery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "consensus/configuration.h"
#include "consensus/disk/complaint.h"
#include "consensus/disk/files_still.h"
#include "consensus/disk/founding.h"
#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/base/mem.h"
#include "server/base/snapshot_scan.h"

#define PIECE_BYTES (256u * 1024)

/* --- a new one-member cluster from the state of an engine that never ran --- */

static void sink(void *writer, const void *data, size_t len)
{
    snapshot_writer_add(writer, data, len);
}

static void set_configuration(struct snapshot_meta *meta, uint64_t life,
                              const struct consensus_member *self)
{
    struct raft_configuration conf;
    struct buffer bytes;
    char address[CONFIGURATION_ADDRESS_SIZE];
    configuration_server_address(self, address);
    raft_configuration_init(&conf);
    configuration_add(&conf, life, address, RAFT_VOTER);
    buffer_init(&bytes, sizeof meta->configuration);
    configuration_encode(&conf, &bytes);
    CHECK(!bytes.overflowed);
    meta->configuration_index = meta->index;
    meta->configuration_len = bytes.len;
    memcpy(meta->configuration, bytes.data, bytes.len);
    buffer_done(&bytes);
    raft_configuration_close(&conf);
}

/* `meta` describes the state. */
static bool found(const struct files *files, struct engine *e, struct snapshot_meta *meta,
                  const struct consensus_member *self, struct cluster_id *ret_cluster,
                  const struct complaint *c)
{
    struct identity identity = {
        .member = self->id, .life = life_make(), .cluster = cluster_id_make()};
    uint64_t bytes;
    int rc = 0;
    configuration_members_text(self, 1, identity.members, sizeof identity.members);
    set_configuration(meta, identity.life, self);
    e->fsm.sessions.count = 0;
    struct snapshot_writer *w = snapshot_writer_open(files, SNAPSHOT_FOUNDING_TEMPORARY,
                                                     &identity.cluster, meta, NULL, &rc);
    if (w != NULL) {
        struct fsm_snapshot *state = fsm_snapshot_take(e);
        fsm_snapshot_encode(state, sink, w);
        fsm_snapshot_release(e, state);
        rc = snapshot_writer_finish(w, &bytes);
    }
    if (rc == 0) {
        rc = files->sync_dir(files->ctx);
    }
    if (rc != 0) {
        return complain(c, "the state cannot be written: %s", strerror(-rc));
    }
    rc = founding_decide(files, &identity);
    if (rc != 0) {
        return complain(c, "the new identity cannot be written: %s", strerror(-rc));
    }
    *ret_cluster = identity.cluster;
    return founding_finish(files, c->text, c->size);
}

/* --- restore --- */

static void note_any(void *data, const char *name, uint64_t bytes UNUSED)
{
    char *first = data;
    /* Left by an interrupted restore that had not decided yet. */
    bool is_left = strcmp(name, SNAPSHOT_FOUNDING_TEMPORARY) == 0 ||
                   strcmp(name, "founding.new") == 0 || strcmp(name, "lock") == 0 ||
                   strcmp(name, "lost+found") == 0;
    /* `founding`, the decision itself, takes precedence. */
    if (!is_left && (first[0] == '\0' || strcmp(name, "founding") == 0)) {
        (void)snprintf(first, 64, "%s", name);
    }
}

static bool check_empty(const struct files *files, const struct complaint *c)
{
    char first[64] = "";
    int rc = files->list(files->ctx, note_any, first);
    if (rc != 0) {
        return complain(c, "the directory cannot be listed: %s", strerror(-rc));
    }
    if (strcmp(first, "founding") == 0) {
        return complain(
            c, "%s",
            "a restore or recovery was begun here, and is complete with the next start: "
            "start without --restore");
    }
    return first[0] == '\0' ||
           complain(c,
                    "it is not empty (there is %s), and a restore needs an empty directory. Was it "
                    "restored already? Then start without --restore",
                    first);
}

struct reading {
    struct fsm_restore *restore;
};

static const char *read_state(void *ctx, const uint8_t *data, size_t len)
{
    const struct reading *r = ctx;
    return fsm_restore_feed(r->restore, data, len) == ST_OK ? NULL : "the state in it is malformed";
}

/* Reads the whole source. NULL, or what is wrong with it. */
static const char *read_all(const struct recovery_source *source, struct snapshot_scan *scan)
{
    uint8_t *piece = mem_alloc(PIECE_BYTES);
    const char *wrong = NULL;
    size_t len = 1;
    while (wrong == NULL && len > 0) {
        int rc = source->read(source->ctx, piece, PIECE_BYTES, &len);
        wrong = rc != 0   ? strerror(-rc)
                : len > 0 ? snapshot_scan_add(scan, piece, len)
                          : snapshot_scan_end(scan);
    }
    free(piece);
    return wrong;
}

/* Valid checksums do not prove that the numbers make sense. */
static bool check_position(const struct snapshot_meta *meta, const char *name,
                           const struct complaint *c)
{
    const uint64_t max = INT64_MAX / 2;
    return (meta->term > 0 && meta->term <= max && meta->index <= max) ||
           complain(c, "%s cannot be restored: its index or term is beyond all that there can be",
                    name);
}

static bool check_level(const struct engine *e, const struct snapshot_meta *meta,
                        const struct complaint *c)
{
    return (meta->level >= e->app.level_min && meta->level <= e->app.level_max) ||
           complain(
               c,
               "it is of level %u, and this version reads %u to %u: restore it with the version "
               "that wrote it, or a newer one",
               meta->level, e->app.level_min, e->app.level_max);
}

/* Loads the backup's state into the engine. */
static bool load_backup(struct engine *e, const struct recovery_source *source,
                        struct snapshot_scan *scan, const struct complaint *c)
{
    struct reading r = {.restore = fsm_restore_begin(e)};
    snapshot_scan_init(scan);
    scan->state = read_state;
    scan->ctx = &r;
    const char *wrong = read_all(source, scan);
    bool fine = wrong == NULL || complain(c, "%s cannot be restored: %s, at byte %" PRIu64,
                                          source->name, wrong, scan->at);
    fine = fine && check_position(&scan->meta, source->name, c) && check_level(e, &scan->meta, c) &&
           (fsm_restore_end(r.restore) == ST_OK ||
            complain(c, "%s cannot be restored: the state in it is malformed", source->name));
    if (!fine) {
        fsm_restore_drop(e, r.restore);
        return false;
    }
    fsm_restore_swap(e, r.restore, scan->meta.index, scan->meta.level, scan->at);
    uint64_t hash = e->app.hash(e->app.ctx);
    return hash == scan->info.hash ||
           complain(c,
                    "%s cannot be restored: the state in it has the hash %016" PRIx64
                    ", and had %016" PRIx64 " when it was taken",
                    source->name, hash, scan->info.hash);
}

bool recovery_restore(const struct files *files, const char *data_dir,
                      const struct consensus_member *self, const struct consensus_fsm *app,
                      const struct recovery_source *source, struct consensus_restored *ret_restored,
                      char *error, size_t error_size)
{
    char sentence[640] = "";
    const struct complaint c = {.text = sentence, .size = sizeof sentence};
    struct engine *e = mem_zalloc(1, sizeof *e);
    struct snapshot_scan *scan = mem_alloc(sizeof *scan);
    struct cluster_id cluster;
    e->app = *app;
    bool fine = check_empty(files, &c) && load_backup(e, source, scan, &c) &&
                found(files, e, &scan->meta, self, &cluster, &c);
    if (fine) {
        *ret_restored = (struct consensus_restored){.index = scan->meta.index,
                                                    .hash = scan->info.hash,
                                                    .items = scan->info.items,
                                                    .taken_ms = scan->info.taken_ms};
        cluster_id_text(&scan->chain.cluster, ret_restored->cluster_before);
        cluster_id_text(&cluster, ret_restored->cluster);
    } else {
        (void)snprintf(error, error_size, "%s: %s", data_dir, sentence);
    }
    free(scan);
    free(e);
    return fine;
}

/* --- recovery: an engine that opens the directory and does nothing more --- */

static uint64_t env_now_ms(void *ctx UNUSED)
{
    return clock_monotonic_ms();
}

static enum status env_send(void *ctx UNUSED, uint64_t to UNUSED,
                            const struct peer_message *message UNUSED)
{
    return ST_IO;
}

static bool env_is_up(void *ctx UNUSED, uint64_t id UNUSED)
{
    return false;
}

static void env_work(void *ctx UNUSED, struct engine_work *work UNUSED)
{
    CHECK(false); /* never pumped */
}

static void env_link(void *ctx UNUSED, uint64_t id UNUSED, const char *address UNUSED)
{
}

static void env_unlink(void *ctx UNUSED, uint64_t id UNUSED)
{
}

static void env_introduce(void *ctx UNUSED, const struct hello_facts *self UNUSED)
{
}

/* Nothing has been changed yet. */
static void env_fatal(void *ctx UNUSED, const char *sentence)
{
    log_write(LOG_ERROR, "raft", "nothing was changed: what is here cannot be recovered",
              "reason=\"%s\"", sentence);
    _exit(CONSENSUS_EXIT_FATAL);
}

static bool start(struct engine *e, const struct files *still, const char *data_dir,
                  const struct identity *identity, const struct consensus_fsm *app, char *error,
                  size_t error_size)
{
    struct consensus_member members[MEMBERS_MAX];
    size_t count;
    const struct engine_env env = {
        .now_ms = env_now_ms,
        .send = env_send,
        .is_up = env_is_up,
        .work = env_work,
        .files = still,
        .link = env_link,
        .unlink = env_unlink,
        .introduce = env_introduce,
        .fatal = env_fatal,
        .removed = env_fatal,
    };
    if (!configuration_parse_members(identity->members, members, &count)) {
        (void)snprintf(error, error_size, "the members in its identity file are malformed");
        return false;
    }
    const struct engine_options options = {
        .id = identity->member,
        .members = members,
        .members_count = count,
        .data_dir = data_dir,
        .takes_all = true,
        .election_timeout_ms = 1000,
        .heartbeat_interval_ms = 100,
        .write_timeout_ms = 1000,
        .snapshot_log_bytes = UINT64_MAX,
        .name = "",
        .http_address = "",
        .version = "",
    };
    return engine_open(e, &options, &env, app, error, error_size) &&
           engine_start(e, error, error_size);
}

static bool read_identity(const struct files *files, uint64_t id, struct identity *ret_identity,
                          const struct complaint *c)
{
    bool is_decided;
    if (!founding_is_decided(files, &is_decided, c->text, c->size)) {
        return false;
    }
    if (is_decided) {
        return complain(
            c, "%s",
            "a restore or recovery was begun here, and is complete with the next start: "
            "start it as usual");
    }
    switch (identity_read(files, ret_identity, c->text, c->size)) {
    case IDENTITY_REFUSED:
        return false;
    case IDENTITY_MISSING:
        return complain(c, "%s", "there is nothing to recover: the directory is empty");
    case IDENTITY_FINE:
        break;
    }
    if (id != 0 && ret_identity->member != id) {
        return complain(c, "it belongs to member %" PRIu64 ", and --id says %" PRIu64,
                        ret_identity->member, id);
    }
    return !cluster_id_is_none(&ret_identity->cluster) ||
           complain(
               c, "%s",
               "there is nothing to recover: this member has never been in a cluster. Start it "
               "with an empty directory");
}

/* Lists the members of the newest configuration. */
static bool note_members(struct engine *e, struct consensus_recovered *r,
                         struct consensus_member *ret_self, const struct complaint *c)
{
    const struct raft_configuration *conf = &e->driver.raft.configuration;
    const struct raft_server *self = configuration_find(conf, e->identity.life);
    if (self == NULL || !configuration_parse_server(self->address, ret_self)) {
        return complain(c, "%s",
                        "this life of the member was taken out of the cluster: what it holds is "
                        "older than what the others did since. Recover another member");
    }
    if (self->role == RAFT_VOTER && configuration_voters(conf) == 1) {
        return complain(c, "%s",
                        "there is nothing to recover: this member has the only vote, and is a "
                        "majority by itself. Start it as usual");
    }
    r->is_voter = self->role == RAFT_VOTER;
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        struct consensus_member other;
        if (server->id == e->identity.life ||
            !configuration_parse_server(server->address, &other)) {
            continue;
        }
        r->lost_voters[r->lost_count] = server->role == RAFT_VOTER;
        r->lost[r->lost_count++] = other;
    }
    return true;
}

static void note_state(struct engine *e, uint64_t commit, struct consensus_recovered *r)
{
    struct snapshot_meta meta;
    snapshot_take_meta(e, &meta);
    r->member = e->identity.member;
    r->last_index = meta.index;
    r->last_term = meta.term;
    r->commit_index = commit < meta.index ? commit : meta.index;
    r->term = raft_current_term(&e->driver.raft);
    r->hash = e->app.hash(e->app.ctx);
    r->items = e->app.items != NULL ? e->app.items(e->app.ctx) : 0;
    cluster_id_text(&e->identity.cluster, r->cluster_before);
}

static bool recover(struct engine *e, const struct files *files, bool confirmed,
                    struct consensus_recovered *r, const struct complaint *c)
{
    struct consensus_member self;
    struct cluster_id cluster;
    struct snapshot_meta meta;
    fsm_pump(e); /* applies the whole log */
    fsm_publish(e);
    if (e->fsm.applied_index == 0) {
        return complain(
            c, "%s",
            "there is nothing to recover: this life of the member was let in, and had got "
            "nothing of the log yet. Recover another member");
    }
    if (!note_members(e, r, &self, c)) {
        return false;
    }
    note_state(e, e->leader_commit, r);
    if (!confirmed) {
        return true;
    }
    snapshot_take_meta(e, &meta);
    if (!found(files, e, &meta, &self, &cluster, c)) {
        return false;
    }
    cluster_id_text(&cluster, r->cluster);
    return true;
}

bool recovery_recover(const struct files *files, const char *data_dir, uint64_t id,
                      const struct consensus_fsm *app, bool confirmed,
                      struct consensus_recovered *ret_recovered, char *error, size_t error_size)
{
    char sentence[1024] = "";
    const struct complaint c = {.text = sentence, .size = sizeof sentence};
    const struct files still = files_still(files);
    struct identity identity;
    *ret_recovered = (struct consensus_recovered){.is_voter = false};
    if (!read_identity(&still, id, &identity, &c)) {
        (void)snprintf(error, error_size, "%s: %s", data_dir, sentence);
        return false;
    }
    struct engine *e = mem_zalloc(1, sizeof *e);
    bool fine = start(e, &still, data_dir, &identity, app, error, error_size);
    if (fine && !recover(e, files, confirmed, ret_recovered, &c)) {
        (void)snprintf(error, error_size, "%s: %s", data_dir, sentence);
        fine = false;
    }
    engine_close(e);
    free(e);
    return fine;
}
