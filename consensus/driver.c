#include "consensus/driver.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/driver_receive.h"
#include "consensus/engine.h"
#include "consensus/message.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* Always plenty: disk space is checked by engine_has_space(), not by libraft. */
#define CAPACITY          USHRT_MAX
#define MESSAGE_BYTES_MAX PEER_FRAME_BYTES_MAX
/* A lost snapshot is noticed by snapshot_send.c, not by libraft's timeout. */
#define INSTALL_SNAPSHOT_TIMEOUT_MS INT_MAX
/* The first election after a start comes early: an existing leader is heard within a heartbeat, and
 * pre-votes protect it. */
#define FIRST_ELECTION_HEARTBEATS 3

/* --- effects of a step --- */

struct held_message {
    struct held_message *next;
    uint64_t frame; /* released when this one is durable */
    uint64_t to;
    size_t len;
    uint8_t *data;
};

static void free_sent(void *data, enum status status UNUSED)
{
    free(data);
}

/* Takes over `data`, which is from malloc. */
static void send_now(struct engine *e, uint64_t to, uint8_t *data, size_t len)
{
    const struct peer_message message = {
        .type = FRAME_RAFT, .payload = data, .payload_len = len, .sent = free_sent, .data = data};
    if (e->env.send(e->env.ctx, to, &message) != ST_OK) {
        metric_add(METRIC_peer_messages_dropped_total, 1);
        free(data);
    }
}

static void hold(struct driver *d, uint64_t to, uint8_t *data, size_t len)
{
    struct held_message *h = mem_alloc(sizeof *h);
    *h = (struct held_message){.frame = d->vote_frame, .to = to, .len = len, .data = data};
    *d->held_end = h;
    d->held_end = &h->next;
}

static void release_held(struct engine *e)
{
    struct driver *d = &e->driver;
    while (d->held != NULL && d->held->frame <= e->persist.frames_durable) {
        struct held_message *h = d->held;
        d->held = h->next;
        if (d->held == NULL) {
            d->held_end = &d->held;
        }
        send_now(e, h->to, h->data, h->len);
        free(h);
    }
}

static void send_message(struct engine *e, struct raft_message *message)
{
    struct driver *d = &e->driver;
    struct member *to = member_info_of_life(e, message->server_id);
    struct buffer bytes;
    if (to != NULL && message->type == RAFT_INSTALL_SNAPSHOT) {
        snapshot_send_begin(e, to); /* libraft now waits for it, whether the link is up or not */
        return;
    }
    if (to == NULL || !engine_is_up(e, to)) {
        return; /* the asking life is not ours, or another life of the member is connected */
    }
    if (message->type == RAFT_APPEND_ENTRIES_RESULT && d->answers_stale) {
        /* Left undefined by libraft. */
        struct raft_append_entries_result *result = &message->append_entries_result;
        result->last_log_index = result->rejected > 0 ? result->rejected - 1 : 0;
    }
    election_amend(e, message);
    buffer_init(&bytes, MESSAGE_BYTES_MAX);
    message_encode(message, &d->log, &bytes);
    CHECK(!bytes.overflowed);
    if (message->type == RAFT_APPEND_ENTRIES) {
        to->sent_index = message->append_entries.prev_log_index + message->append_entries.n_entries;
    }
    size_t len;
    uint8_t *data = buffer_take(&bytes, &len);
    /* A term or a vote must be durable before anyone hears of it. */
    if (d->vote_frame > e->persist.frames_durable) {
        hold(d, to->info.id, data, len);
    } else {
        send_now(e, to->info.id, data, len);
    }
}

/* Appends entries to the log in memory and on disk. A configuration is not revealed before it is on
 * our disk: otherwise the only member that has it might have no vote by it, and if we then forgot
 * it, that member would neither stand for election nor vote for anybody with a shorter log. */
static void take_entries(struct engine *e, const struct raft_update *update)
{
    struct driver *d = &e->driver;
    uint64_t index = update->entries.index;
    struct raft_entry *entries = update->entries.batch;
    CHECK(index > d->last_commit && !d->installing);
    if (index <= log_last_index(&d->log)) {
        log_truncate(&d->log, index);
        (void)persist_truncate(&e->persist, index, log_last_term(&d->log),
                               log_last_checksum(&d->log));
    }
    CHECK(index == log_last_index(&d->log) + 1);
    for (unsigned i = 0; i < update->entries.n; i++) {
        const struct raft_entry *entry = &entries[i];
        (void)log_append(&d->log, entry->term, (uint8_t)entry->type, entry->buf.base,
                         entry->buf.len);
        uint64_t frame = persist_entry(&e->persist, index + i, log_get(&d->log, index + i));
        if (entry->type == RAFT_CHANGE) {
            d->vote_frame = frame;
        }
    }
    if (entries[0].batch != d->submitted) {
        raft_free(entries[0].batch);
    }
}

static void note_configuration(struct engine *e)
{
    member_info_configure(e, &e->driver.raft.configuration);
}

static void handle(struct engine *e, struct raft_update *update)
{
    struct driver *d = &e->driver;
    if ((update->flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) != 0) {
        d->vote_frame =
            persist_vote(&e->persist, raft_current_term(&d->raft), raft_voted_for(&d->raft));
    }
    if ((update->flags & RAFT_UPDATE_ENTRIES) != 0) {
        take_entries(e, update);
    }
    if ((update->flags & RAFT_UPDATE_SNAPSHOT) != 0) {
        CHECK(d->installing); /* driver_install() examines the result */
    }
    if ((update->flags & RAFT_UPDATE_MESSAGES) != 0) {
        for (unsigned i = 0; i < update->messages.n; i++) {
            send_message(e, &update->messages.batch[i]);
        }
    }
    if ((update->flags & RAFT_UPDATE_COMMIT_INDEX) != 0) {
        uint64_t commit = raft_commit_index(&d->raft);
        if (commit > e->persist.state.commit) {
            persist_commit(&e->persist, commit);
        }
    }
}

/* Makes one step; an error ends the process. */
static void step(struct engine *e, struct raft_event *event)
{
    struct driver *d = &e->driver;
    struct raft_update update = {0};
    CHECK(!d->stepping);
    d->stepping = true;
    event->time = engine_now_ms(e);
    event->capacity = CAPACITY;
    int rv = raft_step(&d->raft, event, &update);
    d->stepping = false;
    if (rv != 0) {
        engine_fatal(e, "libraft failed on an event of type %d: %s", (int)event->type,
                     raft_strerror(rv));
        return;
    }
    /* The member table first: messages also go to members of the new configuration. */
    if ((update.flags & RAFT_UPDATE_ENTRIES) != 0 || event->type == RAFT_PERSISTED_SNAPSHOT) {
        note_configuration(e);
    }
    handle(e, &update);
    driver_watch(e);
    engine_observe(e);
}

/* What libraft keeps of a snapshot. False if its configuration is malformed. */
static bool metadata_of(const struct snapshot_meta *meta, struct raft_snapshot_metadata *metadata)
{
    metadata->index = meta->index;
    metadata->term = meta->term;
    metadata->configuration_index = meta->configuration_index;
    return configuration_decode(meta->configuration, meta->configuration_len,
                                &metadata->configuration);
}

/* --- start and stop --- */

void driver_init(struct driver *d)
{
    memset(d, 0, sizeof *d);
    log_init(&d->log);
    d->held_end = &d->held;
}

static void tune(struct engine *e)
{
    struct raft *raft = &e->driver.raft;
    uint32_t first_ms = FIRST_ELECTION_HEARTBEATS * e->options.heartbeat_interval_ms;
    raft->tracer = NULL; /* otherwise it formats every step */
    raft_seed(raft, e->options.seed);
    raft_set_election_timeout(raft, first_ms < e->options.election_timeout_ms
                                        ? first_ms
                                        : e->options.election_timeout_ms);
    raft_set_heartbeat_timeout(raft, e->options.heartbeat_interval_ms);
    raft_set_install_snapshot_timeout(raft, INSTALL_SNAPSHOT_TIMEOUT_MS);
    raft_set_pre_vote(raft, true);
    raft_set_max_inflight_entries(raft, APPEND_ENTRIES_MAX);
}

/* For RAFT_START: all entries, with content borrowed from the log. */
static struct raft_entry *loaded_entries(const struct log *log)
{
    if (log->count == 0) {
        return NULL;
    }
    struct raft_entry *entries = raft_calloc(log->count, sizeof *entries);
    CHECK(entries != NULL);
    for (size_t i = 0; i < log->count; i++) {
        const struct log_entry *from = log_get(log, log->first_index + i);
        entries[i] = (struct raft_entry){
            .term = from->term,
            .type = (enum raft_entry_type)from->type,
            .buf = {.base = from->data, .len = from->len},
        };
    }
    return entries;
}

/* Not through `step`: here an error is returned as a message. */
static bool start_raft(struct engine *e, const struct wal_state *state,
                       struct raft_snapshot_metadata *metadata, char *error, size_t error_size)
{
    struct driver *d = &e->driver;
    struct raft_update update = {0};
    struct raft_event event = {
        .type = RAFT_START,
        .time = engine_now_ms(e),
        .capacity = CAPACITY,
        .start = {.term = state->term,
                  .voted_for = state->vote,
                  .metadata = metadata,
                  .start_index = d->log.first_index,
                  .entries = loaded_entries(&d->log),
                  .n_entries = (unsigned)d->log.count},
    };
    struct raft_entry *entries = event.start.entries;
    int rv = raft_step(&d->raft, &event, &update);
    if (rv != 0) {
        (void)snprintf(error, error_size, "libraft refuses the log: %s", raft_strerror(rv));
        return false; /* libraft has freed the entries */
    }
    raft_free(entries);
    /* A commit index on disk is valid, and may be applied before a leader repeats it. */
    uint64_t commit =
        state->commit < log_last_index(&d->log) ? state->commit : log_last_index(&d->log);
    if (commit > d->raft.commit_index) {
        d->raft.commit_index = commit;
    }
    note_configuration(e);
    handle(e, &update);
    return true;
}

bool driver_start(struct engine *e, struct wal_loaded *loaded, const struct snapshot_meta *snapshot,
                  char *error, size_t error_size)
{
    struct driver *d = &e->driver;
    char address[CONFIGURATION_ADDRESS_SIZE];
    struct raft_snapshot_metadata metadata = {0};
    struct wal_state state = loaded->state;
    log_done(&d->log);
    d->log = loaded->log;
    log_init(&loaded->log);
    (void)snprintf(address, sizeof address, "%" PRIu64, e->options.id);
    CHECK(raft_init(&d->raft, NULL, NULL, e->identity.life, address) == 0);
    d->open = true;
    tune(e);
    if (snapshot != NULL && !metadata_of(snapshot, &metadata)) {
        (void)snprintf(error, error_size, "%s", "the configuration in the snapshot is malformed");
        return false;
    }
    if (!start_raft(e, &state, snapshot != NULL ? &metadata : NULL, error, error_size)) {
        return false;
    }
    engine_observe(e);
    return true;
}

void driver_close(struct driver *d)
{
    while (d->held != NULL) {
        struct held_message *h = d->held;
        d->held = h->next;
        free(h->data);
        free(h);
    }
    if (d->open) {
        raft_close(&d->raft, NULL);
        d->open = false;
    }
    log_done(&d->log);
}

/* --- events --- */

uint64_t driver_leader_life(struct engine *e)
{
    raft_id life;
    const char *address;
    raft_leader(&e->driver.raft, &life, &address);
    return life;
}

void driver_deliver(struct engine *e, const struct member *from, struct raft_message *message)
{
    char address[CONFIGURATION_ADDRESS_SIZE];
    struct raft_event event = {.type = RAFT_RECEIVE, .receive.message = message};
    (void)snprintf(address, sizeof address, "%" PRIu64, from->info.id);
    message->server_id = from->info.life;
    message->server_address = address;
    step(e, &event);
    message->server_address = NULL;
    if (message->type == RAFT_APPEND_ENTRIES || message->type == RAFT_INSTALL_SNAPSHOT) {
        engine_heard_leader(e, message);
    }
}

void driver_timeout(struct engine *e)
{
    struct raft_event event = {.type = RAFT_TIMEOUT};
    step(e, &event);
}

static void submit(struct engine *e, enum raft_entry_type type, void *data, size_t len)
{
    struct driver *d = &e->driver;
    struct raft_entry entry = {
        .term = raft_current_term(&d->raft),
        .type = type,
        .buf = {.base = data, .len = len},
        .batch = data,
    };
    struct raft_event event = {.type = RAFT_SUBMIT, .submit = {.entries = &entry, .n = 1}};
    CHECK(raft_state(&d->raft) == RAFT_LEADER && raft_transferee(&d->raft) == 0);
    d->submitted = data;
    step(e, &event);
    d->submitted = NULL;
}

void driver_submit(struct engine *e, void *data, size_t len)
{
    submit(e, RAFT_COMMAND, data, len);
}

bool driver_may_change(const struct engine *e)
{
    const struct raft *raft = &e->driver.raft;
    return e->is_leader && e->proposer.noop_committed &&
           raft_transferee((struct raft *)raft) == 0 && raft->configuration_uncommitted_index == 0;
}

void driver_change(struct engine *e, const struct raft_configuration *conf)
{
    struct buffer bytes;
    CHECK(e->driver.raft.configuration_uncommitted_index == 0);
    buffer_init(&bytes, SNAPSHOT_CONFIGURATION_MAX);
    configuration_encode(conf, &bytes);
    CHECK(!bytes.overflowed);
    submit(e, RAFT_CHANGE, bytes.data, bytes.len);
    buffer_done(&bytes);
}

bool driver_transfer(struct engine *e, uint64_t life)
{
    struct driver *d = &e->driver;
    struct raft_event event = {.type = RAFT_TRANSFER, .transfer.server_id = life};
    const struct member *to = member_info_of_life(e, life);
    if (raft_state(&d->raft) != RAFT_LEADER || raft_transferee(&d->raft) != 0 || to == NULL ||
        !member_info_is_voter(to)) {
        return false; /* libraft would return an error */
    }
    step(e, &event);
    return true;
}

void driver_durable(struct engine *e)
{
    struct driver *d = &e->driver;
    uint64_t index = e->persist.durable_index;
    release_held(e);
    if (d->open && !d->installing && index > d->raft.last_stored &&
        index <= log_last_index(&d->log)) {
        struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES,
                                   .persisted_entries.index = index};
        step(e, &event);
    }
}

void driver_configured(struct engine *e, uint64_t index, const uint8_t *data, size_t len)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION, .configuration.index = index};
    if (!configuration_decode(data, len, &event.configuration.conf)) {
        engine_fatal(e, "the configuration in entry %" PRIu64 " is malformed", index);
        return;
    }
    struct raft_configuration before;
    configuration_copy(&e->driver.raft.configuration_committed, 0, &before);
    step(e, &event);
    note_configuration(e);
    links_changed(e);
    cluster_events_note(e, index, &before, &e->driver.raft.configuration_committed);
    raft_configuration_close(&before);
}

/* --- snapshots --- */

void driver_snapshot_taken(struct engine *e, const struct snapshot_meta *meta, unsigned trailing)
{
    struct driver *d = &e->driver;
    uint64_t term;
    uint32_t checksum;
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    if (d->installing || !log_position(&d->log, meta->index, &term, &checksum) ||
        d->raft.trail.snapshot.index >= meta->index) {
        return; /* replaced by one from the leader */
    }
    CHECK(term == meta->term && checksum == meta->checksum);
    CHECK(metadata_of(meta, &event.snapshot.metadata));
    event.snapshot.trailing = trailing;
    step(e, &event);
    /* Only as far as libraft's own view of the log goes. */
    log_compact(&d->log, d->raft.trail.offset);
}

bool driver_install(struct engine *e, uint64_t from_life, uint64_t term,
                    const struct snapshot_meta *meta)
{
    struct driver *d = &e->driver;
    const struct member *from = member_info_of_life(e, from_life);
    if (from == NULL || d->installing || term < raft_current_term(&d->raft) ||
        meta->index <= d->last_commit) {
        return false;
    }
    struct raft_message message = {
        .type = RAFT_INSTALL_SNAPSHOT,
        .install_snapshot = {.version = 0,
                             .term = term,
                             .last_index = meta->index,
                             .last_term = meta->term,
                             .conf_index = meta->configuration_index},
    };
    if (!configuration_decode(meta->configuration, meta->configuration_len,
                              &message.install_snapshot.conf)) {
        return false;
    }
    driver_note_leader(e, term, from_life);
    d->installing = true; /* for handle() */
    driver_deliver(e, from, &message);
    d->installing = d->raft.snapshot.installing;
    if (!d->installing) {
        return false; /* our log already has all of it; libraft has freed the configuration */
    }
    /* libraft hands the configuration back; the encoded one in `meta` is kept instead. */
    raft_configuration_close(&message.install_snapshot.conf);
    log_reset(&d->log, meta->index, meta->term, meta->checksum);
    persist_forget_entries(&e->persist);
    return true;
}

void driver_installed(struct engine *e, const struct snapshot_meta *meta)
{
    struct driver *d = &e->driver;
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    CHECK(d->installing);
    CHECK(metadata_of(meta, &event.persisted_snapshot.metadata));
    event.persisted_snapshot.last = true;
    d->installing = false;
    step(e, &event);
}

/* --- independent of steps --- */

void driver_notify_commit(struct engine *e, struct member *to, uint64_t index, uint64_t term)
{
    struct driver *d = &e->driver;
    struct buffer bytes;
    const struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES,
        .append_entries = {.version = 0,
                           .term = raft_current_term(&d->raft),
                           .prev_log_index = index,
                           .prev_log_term = term,
                           .leader_commit = index},
    };
    uint64_t known_term;
    uint32_t checksum;
    if (!log_position(&d->log, index, &known_term, &checksum)) {
        return; /* compacted; the next heartbeat carries it */
    }
    buffer_init(&bytes, MESSAGE_BYTES_MAX);
    message_encode(&message, &d->log, &bytes);
    size_t len;
    uint8_t *data = buffer_take(&bytes, &len);
    send_now(e, to->info.id, data, len);
}

void driver_watch(struct engine *e)
{
    struct driver *d = &e->driver;
    uint64_t commit = raft_commit_index(&d->raft);
    if (raft_state(&d->raft) == RAFT_UNAVAILABLE) {
        engine_fatal(e, "libraft became unavailable");
    }
    if (commit < d->last_commit) {
        engine_fatal(e, "the commit index went back from %" PRIu64 " to %" PRIu64, d->last_commit,
                     commit);
    }
    d->last_commit = commit;
    if (raft_state(&d->raft) == RAFT_LEADER) {
        driver_note_leader(e, raft_current_term(&d->raft), e->identity.life);
    }
}
