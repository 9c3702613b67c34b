#include "server/base/snapshot_block.h"
#include "tests/unit/engine_fixture.h"

/* --- disk contents --- */

/* Writes identity and first log of a member; its life is 1000 + id. */
static void found(struct host *h, const struct log *genesis)
{
    const struct wal_state state = {.term = 1, .commit = 1};
    const struct files *files = files_boot(h->disk);
    struct identity identity = {
        .member = h->id, .life = 1000 + h->id, .cluster = {.bytes = {0xc1}}};
    struct wal_loaded loaded;
    struct wal_frame frame;
    char error[512];
    configuration_members_text(h->world->list, h->world->count, identity.members,
                               sizeof identity.members);
    CHECK(wal_create(files, &identity.cluster, &(const struct wal_state){.term = 1}) == 0);
    struct wal *wal = wal_open(files, &identity.cluster, 0, &loaded, error, sizeof error);
    CHECK(wal != NULL);
    wal_frame_init(&frame);
    wal_frame_entry(&frame, 1, log_get(genesis, 1));
    wal_frame_state(&frame, &state);
    CHECK(wal_write(wal, &frame) == 0);
    wal_frame_done(&frame);
    log_done(&loaded.log);
    wal_close(wal);
    CHECK(identity_write(files, &identity) == 0);
    files_kill(h->disk);
}

void world_found(struct world *w, size_t voters)
{
    struct raft_configuration conf;
    struct forger f = {.proposer = 1};
    w->voters = voters;
    raft_configuration_init(&conf);
    for (uint64_t id = 1; id <= w->count; id++) {
        char address[CONFIGURATION_ADDRESS_SIZE];
        configuration_server_address(&w->list[id - 1], address);
        CHECK(raft_configuration_add(&conf, 1000 + id, address,
                                     id <= voters ? RAFT_VOTER : RAFT_STANDBY) == 0);
    }
    log_init(&f.log);
    forger_configuration(&f, 1, &conf);
    raft_configuration_close(&conf);
    for (uint64_t id = 1; id <= w->count; id++) {
        found(world_host(w, id), &f.log);
    }
    forger_done(&f);
}

bool host_read_disk(const struct host *h, bool power_lost, struct on_disk *ret, char *error,
                    size_t error_size)
{
    uint64_t chance = h->world->chance;
    struct identity identity;
    struct wal_loaded loaded;
    char name[SNAPSHOT_NAME_SIZE];
    bool found = false;
    struct wal *wal = NULL;
    struct files_disk *copy =
        files_clone(h->disk, &(const struct files_options){.random = world_draw, .data = &chance});
    if (power_lost) {
        files_lose_power(copy);
    }
    const struct files *files = files_boot(copy);
    ret->snapshot_index = ret->snapshot_term = 0;
    if (snapshot_find(files, &found, name) == 0 && found) {
        CHECK(snapshot_name_parse(name, &ret->snapshot_index, &ret->snapshot_term));
    }
    if (identity_read(files, &identity, error, error_size) == IDENTITY_FINE) {
        wal = wal_open(files, &identity.cluster, ret->snapshot_index, &loaded, error, error_size);
    }
    if (wal != NULL) {
        ret->state = loaded.state;
        ret->log = loaded.log;
        wal_close(wal);
    }
    files_destroy(copy);
    return wal != NULL;
}

/* --- forged entries --- */

void forger_init(struct forger *f, const struct host *h, uint64_t last)
{
    const struct log *from = &h->engine->driver.log;
    uint64_t term;
    uint32_t checksum;
    log_init(&f->log);
    f->cluster = h->engine->identity.cluster;
    f->proposer = h->engine->identity.life;
    CHECK(log_position(from, log_first_index(from) - 1, &term, &checksum));
    log_reset(&f->log, log_first_index(from) - 1, term, checksum);
    for (uint64_t index = log_first_index(from); index <= last; index++) {
        const struct log_entry *entry = log_get(from, index);
        CHECK(entry != NULL);
        (void)log_append(&f->log, entry->term, entry->type, entry->data, entry->len);
    }
}

void forger_done(struct forger *f)
{
    log_done(&f->log);
}

void forger_command(struct forger *f, uint64_t term, uint16_t level, const char *text)
{
    struct buffer batch;
    struct buffer entry;
    const struct batch_header batch_header = {.origin = 0};
    const struct entry_header header = {
        .index = log_last_index(&f->log) + 1,
        .term = term,
        .cluster = f->cluster,
        .proposer = f->proposer,
        .level = level != 0 ? level : 1,
    };
    buffer_init(&batch, BATCH_BYTES_MAX);
    batch_begin(&batch, &batch_header);
    batch_append(&batch, (const uint8_t *)text, strlen(text));
    batch_set_count(&batch, 1);
    buffer_init(&entry, ENTRY_BYTES_MAX);
    entry_begin(&entry, &header, (const uint8_t *)"");
    entry_append_batch(&entry, batch.data, batch.len);
    entry_seal(&entry, 1);
    (void)log_append(&f->log, term, RAFT_COMMAND, entry.data, entry.len);
    buffer_done(&entry);
    buffer_done(&batch);
}

void forger_configuration(struct forger *f, uint64_t term, const struct raft_configuration *conf)
{
    struct buffer bytes;
    buffer_init(&bytes, 64 * 1024);
    configuration_encode(conf, &bytes);
    (void)log_append(&f->log, term, RAFT_CHANGE, bytes.data, bytes.len);
    buffer_done(&bytes);
}

void forger_encode(const struct forger *f, uint64_t term, uint64_t prev, unsigned n,
                   uint64_t commit, struct buffer *out)
{
    uint64_t prev_term = 0;
    uint32_t checksum;
    CHECK(log_position(&f->log, prev, &prev_term, &checksum));
    const struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .append_entries = {.term = term,
                           .prev_log_index = prev,
                           .prev_log_term = prev_term,
                           .leader_commit = commit,
                           .n_entries = n},
    };
    message_encode(&message, &f->log, out);
}

bool forger_send(const struct forger *f, struct host *to, uint64_t from, uint64_t term,
                 uint64_t prev, unsigned n, uint64_t commit)
{
    struct buffer bytes;
    buffer_init(&bytes, PEER_FRAME_BYTES_MAX);
    forger_encode(f, term, prev, n, commit, &bytes);
    bool alive = host_receive(to, from, FRAME_RAFT, bytes.data, bytes.len);
    buffer_done(&bytes);
    return alive;
}
