#include "consensus/snapshot_send.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/snapshot_file.h"
#include "consensus/engine.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define HEAD_BYTES 32
/* Limit on bytes sent and not confirmed: a few pieces. */
#define WINDOW_BYTES (4ull * SNAPSHOT_CHUNK_BYTES)
/* Attempts to open the newest snapshot; see open_reader(). */
#define OPEN_TRIES 10
/* A transfer without progress for this long is abandoned; libraft asks for another. */
#define STALL_MS 10000

/* One transfer. */
struct sending {
    struct engine *engine;
    uint64_t to, life;
    uint64_t transfer;
    uint64_t index;      /* of the snapshot; 0: not opened yet */
    uint64_t raft_index; /* of the snapshot that libraft asked for */
    bool reading, ended, at_end;
    uint64_t total, offset, confirmed;
    uint64_t moved_ms; /* when it last made progress */
    uint64_t asked_ms; /* when the member was last asked for its offset */
    struct engine_work work;
    const uint8_t *piece; /* read, and not sent yet */
    size_t piece_len;
    /* The pool thread's while `reading`. */
    struct {
        struct snapshot_reader *reader;
        uint64_t index, total;
        const uint8_t *piece;
        size_t piece_len;
        bool failed;
        char error[256];
    } read;
};

static struct sending **find(struct engine *e, uint64_t life)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct sending *s = e->snapshot_send.list[i];
        if (s != NULL && !s->ended && s->life == life) {
            return &e->snapshot_send.list[i];
        }
    }
    return NULL;
}

/* Frees it, or leaves that to the return of the pool thread. */
static void end(struct sending *s)
{
    struct engine *e = s->engine;
    s->ended = true;
    if (s->reading) {
        return;
    }
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (e->snapshot_send.list[i] == s) {
            e->snapshot_send.list[i] = NULL;
        }
    }
    snapshot_reader_close(s->read.reader);
    free(s);
}

/* --- pool thread --- */

/* Meanwhile another snapshot may replace the newest: a listing can miss both, and a listed file can
 * be gone. A snapshot that fails twice is really broken. */
static bool open_reader(struct sending *s)
{
    struct engine *e = s->engine;
    char before[SNAPSHOT_NAME_SIZE] = "", name[SNAPSHOT_NAME_SIZE];
    struct snapshot_meta meta;
    for (unsigned i = 0; i < OPEN_TRIES; i++) {
        bool found = false;
        int rc = snapshot_find(e->env.files, &found, name);
        if (rc != 0 || !found) {
            (void)snprintf(s->read.error, sizeof s->read.error,
                           "the snapshot to send is not there%s%s", rc != 0 ? ": " : "",
                           rc != 0 ? strerror(-rc) : "");
            continue;
        }
        s->read.reader = snapshot_reader_open(e->env.files, name, &e->identity.cluster, &meta,
                                              s->read.error, sizeof s->read.error);
        if (s->read.reader != NULL) {
            s->read.index = meta.index;
            s->read.total = snapshot_reader_file_bytes(s->read.reader);
            return true;
        }
        if (strcmp(name, before) == 0) {
            return false;
        }
        memcpy(before, name, sizeof before);
    }
    return false;
}

static void read_piece(struct engine_work *work)
{
    struct sending *s = CONTAINER_OF(work, struct sending, work);
    s->read.failed = (s->read.reader == NULL && !open_reader(s)) ||
                     !snapshot_reader_raw(s->read.reader, &s->read.piece, &s->read.piece_len,
                                          s->read.error, sizeof s->read.error);
}

/* --- loop --- */

static void pump(struct sending *s);

/* Sends the piece that was read after its head; or the head alone, to query the member's offset. */
static enum status send_frame(const struct sending *s)
{
    struct engine *e = s->engine;
    uint8_t *bytes = mem_alloc(HEAD_BYTES + s->piece_len);
    store_u64(bytes, s->transfer);
    store_u64(bytes + 8, raft_current_term(&e->driver.raft));
    store_u64(bytes + 16, s->offset);
    store_u64(bytes + 24, s->total);
    if (s->piece_len > 0) {
        memcpy(bytes + HEAD_BYTES, s->piece, s->piece_len);
    }
    const struct peer_message message = {
        .type = FRAME_SNAPSHOT, .bulk = true, .head = bytes, .head_len = HEAD_BYTES + s->piece_len};
    enum status status = e->env.send(e->env.ctx, s->to, &message);
    free(bytes);
    return status;
}

static void send_piece(struct sending *s)
{
    enum status status = send_frame(s);
    if (status == ST_BUSY) {
        return; /* keep the piece; pump() sends it with a later tick */
    }
    if (status != ST_OK) {
        end(s);
        return;
    }
    s->offset += s->piece_len;
    s->piece_len = 0;
    s->moved_ms = engine_now_ms(s->engine);
}

/* The member's last reply may be lost. */
static void ask(struct sending *s)
{
    uint64_t now_ms = engine_now_ms(s->engine);
    uint64_t last_ms = s->asked_ms > s->moved_ms ? s->asked_ms : s->moved_ms;
    if (s->offset > 0 && s->piece_len == 0 && !s->reading &&
        now_ms - last_ms >= s->engine->options.election_timeout_ms) {
        s->asked_ms = now_ms;
        (void)send_frame(s); /* if it fails, the next query will do */
    }
}

static void piece_read(struct engine_work *work)
{
    struct sending *s = CONTAINER_OF(work, struct sending, work);
    struct engine *e = s->engine;
    s->reading = false;
    if (s->ended) {
        end(s);
        return;
    }
    if (s->read.failed) {
        /* The disk did not return what was written: send it to nobody. */
        engine_fatal(e, "the newest snapshot cannot be sent: %s", s->read.error);
        return;
    }
    s->index = s->read.index;
    s->total = s->read.total;
    s->piece = s->read.piece;
    s->piece_len = s->read.piece_len;
    s->at_end = s->piece_len == 0;
    pump(s);
}

static void pump(struct sending *s)
{
    if (s->ended || s->reading) {
        return;
    }
    if (s->piece_len > 0) {
        send_piece(s); /* may free the transfer */
        return;
    }
    if (!s->at_end && s->offset < s->confirmed + WINDOW_BYTES) {
        s->reading = true;
        s->work = (struct engine_work){.run = read_piece, .done = piece_read};
        s->engine->env.work(s->engine->env.ctx, &s->work);
    }
}

void snapshot_send_begin(struct engine *e, struct member *to)
{
    struct snapshot_send *all = &e->snapshot_send;
    size_t place = 0;
    to->snapshot_index = e->driver.raft.trail.snapshot.index;
    to->snapshot_term = raft_current_term(&e->driver.raft);
    if (find(e, to->info.life) != NULL) {
        return;
    }
    while (place < MEMBERS_MAX && all->list[place] != NULL) {
        place++;
    }
    if (place == MEMBERS_MAX) {
        return; /* others are still in use; libraft will ask again */
    }
    struct sending *s = mem_zalloc(1, sizeof *s);
    *s = (struct sending){
        .engine = e,
        .to = to->info.id,
        .life = to->info.life,
        .transfer = ++all->transfers,
        .raft_index = e->driver.raft.trail.snapshot.index,
        .moved_ms = engine_now_ms(e),
    };
    all->list[place] = s;
    log_write(LOG_INFO, "snapshot", "sending", "to=%" PRIu64, s->to);
    pump(s);
}

/* libraft still waits for the member to install the snapshot that it asked for. */
static void give_up_waiting(struct engine *e, struct member *m,
                            struct raft_append_entries_result *result)
{
    raft_index match;
    bool waits = m->snapshot_index != 0 && m->snapshot_term == raft_current_term(&e->driver.raft) &&
                 raft_match_index(&e->driver.raft, m->info.life, &match) == 0 &&
                 match < m->snapshot_index;
    if (waits && result->rejected < m->snapshot_index) {
        return; /* a stale reply */
    }
    if (waits) {
        result->rejected = m->snapshot_index;
        if (result->last_log_index >= result->rejected) {
            result->last_log_index = result->rejected - 1;
        }
    }
    m->snapshot_index = 0;
}

void snapshot_send_amend(struct engine *e, struct member *from,
                         struct raft_append_entries_result *result)
{
    struct sending **s = find(e, from->info.life);
    if (result->rejected == 0 || result->term != raft_current_term(&e->driver.raft)) {
        return; /* irrelevant to libraft */
    }
    if (s == NULL) {
        give_up_waiting(e, from, result);
    } else if (result->rejected >= (*s)->raft_index) {
        /* The member is alive, but this reply says nothing new: libraft ignores a rejection of an
         * index that it did not send. */
        result->rejected = 1;
        result->last_log_index = 0;
    }
}

/* libraft would learn it from a reply to entries; but its heartbeats start from the newest
 * snapshot, and if one was taken since, the member rejects all of them. */
static void in_place(struct engine *e, const struct member *from, uint64_t index)
{
    struct raft_message message = {
        .type = RAFT_APPEND_ENTRIES_RESULT,
        .append_entries_result = {.version = 0,
                                  .term = raft_current_term(&e->driver.raft),
                                  .last_log_index = index,
                                  .capacity = UINT16_MAX},
    };
    driver_deliver(e, from, &message);
}

void snapshot_send_receive(struct engine *e, const struct member *from, const uint8_t *data,
                           size_t len)
{
    struct sending **s = find(e, from->info.life);
    if (s == NULL || len != 16 || load_u64(data) != (*s)->transfer) {
        return;
    }
    uint64_t offset = load_u64(data + 8);
    if (offset == SNAPSHOT_IN_PLACE && (*s)->index != 0 && (*s)->offset == (*s)->total) {
        uint64_t index = (*s)->index;
        end(*s);
        if (e->is_leader) {
            in_place(e, from, index);
        }
        return;
    }
    if (offset > (*s)->offset) {
        end(*s); /* SNAPSHOT_STOP */
        return;
    }
    (*s)->confirmed = offset > (*s)->confirmed ? offset : (*s)->confirmed;
    (*s)->moved_ms = engine_now_ms(e); /* also while the member verifies it */
    pump(*s);
}

/* Whether the member has confirmed entries up to the snapshot. */
static bool has_it(const struct sending *s)
{
    raft_index match;
    return s->index != 0 && raft_match_index(&s->engine->driver.raft, s->life, &match) == 0 &&
           match >= s->index;
}

void snapshot_send_tick(struct engine *e)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct sending *s = e->snapshot_send.list[i];
        if (s == NULL || s->ended) {
            continue;
        }
        const struct member *to = member_info_of_life(e, s->life);
        bool stalled = engine_now_ms(e) - s->moved_ms > STALL_MS;
        if (!e->is_leader || stalled || to == NULL || !engine_is_up(e, to) || has_it(s)) {
            end(s);
        } else {
            ask(s);
            pump(s);
        }
    }
}

uint64_t snapshot_send_oldest(const struct engine *e)
{
    uint64_t oldest = 0;
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        const struct sending *s = e->snapshot_send.list[i];
        if (s != NULL && !s->ended && (oldest == 0 || s->raft_index < oldest)) {
            oldest = s->raft_index;
        }
    }
    return oldest;
}

void snapshot_send_end_to(struct engine *e, uint64_t id)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct sending *s = e->snapshot_send.list[i];
        if (s != NULL && !s->ended && s->to == id) {
            end(s);
        }
    }
}

void snapshot_send_end(struct engine *e)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (e->snapshot_send.list[i] != NULL) {
            end(e->snapshot_send.list[i]);
        }
    }
}

bool snapshot_send_is_idle(const struct engine *e)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        if (e->snapshot_send.list[i] != NULL) {
            return false;
        }
    }
    return true;
}
