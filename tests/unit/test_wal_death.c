/* A crash at every call, and an error of every call: a directory's whole life is run again and
 * again, and ended at each disk call, before, during and after it, of the process or by power loss.
 * The next start must succeed, have everything acknowledged and nothing never submitted, and
 * continue; and it is itself crashed at its calls. */
#include <errno.h>
#include <inttypes.h>

#include "consensus/disk/identity.h"
#include "consensus/disk/snapshot_file.h"
#include "tests/unit/disk_fixture.h"

#define TEARS       3 /* power losses tried for each crash */
#define STATE_BYTES 3000

/* What a start may find. */
struct known {
    bool formed;
    uint64_t life;
    struct wal_state state;
    uint64_t last_index, last_term;
    uint32_t last_checksum;
    uint64_t snapshot_index;
};

struct run {
    uint64_t chance;
    struct files_disk *disk;
    const struct files *files;
    struct wal *wal;
    struct wal_frame frame;
    struct log log;
    struct known acked;     /* at least this must be there */
    struct known submitted; /* or this, one step further */
    char error[512];
};

static const struct cluster_id cluster = {.bytes = {7, 7, 7, 1}};

static void run_init(struct run *r)
{
    *r = (struct run){.chance = 11};
    r->disk = files_create(&(struct files_options){.random = fixture_random, .data = &r->chance});
    log_init(&r->log);
    wal_frame_init(&r->frame);
}

static void run_done(struct run *r)
{
    wal_close(r->wal);
    wal_frame_done(&r->frame);
    log_done(&r->log);
    files_destroy(r->disk);
}

/* Another run that continues from the same disk and expectations. */
static void run_fork(struct run *to, const struct run *from)
{
    *to = (struct run){.chance = from->chance, .acked = from->acked, .submitted = from->submitted};
    to->disk = files_clone(from->disk,
                           &(struct files_options){.random = fixture_random, .data = &to->chance});
    log_init(&to->log);
    wal_frame_init(&to->frame);
}

/* --- steps; false: it failed, or the process is dead --- */

static bool is_known(const struct known *k, const struct wal_loaded *loaded, uint64_t snapshot)
{
    return loaded->state.term == k->state.term && loaded->state.vote == k->state.vote &&
           loaded->state.commit == k->state.commit &&
           log_last_index(&loaded->log) == k->last_index &&
           log_last_term(&loaded->log) == k->last_term &&
           log_last_checksum(&loaded->log) == k->last_checksum && snapshot == k->snapshot_index;
}

static void check_loaded(struct run *r, const struct wal_loaded *loaded, uint64_t snapshot)
{
    if (!is_known(&r->acked, loaded, snapshot) && !is_known(&r->submitted, loaded, snapshot)) {
        fail_msg("loaded: last %" PRIu64 " commit %" PRIu64 " snapshot %" PRIu64
                 "; acknowledged: last %" PRIu64 " commit %" PRIu64 " snapshot %" PRIu64
                 "; submitted: last %" PRIu64 " commit %" PRIu64 " snapshot %" PRIu64,
                 log_last_index(&loaded->log), loaded->state.commit, snapshot, r->acked.last_index,
                 r->acked.state.commit, r->acked.snapshot_index, r->submitted.last_index,
                 r->submitted.state.commit, r->submitted.snapshot_index);
    }
    assert_true(loaded->state.boot >= r->acked.state.boot);
    assert_true(loaded->state.boot <= r->submitted.state.boot);
}

static void note_log(struct run *r)
{
    r->submitted.last_index = log_last_index(&r->log);
    r->submitted.last_term = log_last_term(&r->log);
    r->submitted.last_checksum = log_last_checksum(&r->log);
}

/* Writes the frame and what it causes. Retries once on a full disk. */
static bool write_frame(struct run *r)
{
    note_log(r);
    int rc = wal_write(r->wal, &r->frame);
    if (rc == -ENOSPC) {
        rc = wal_write(r->wal, &r->frame);
        assert_true(rc == 0 || !files_is_alive(r->disk));
    }
    wal_frame_clear(&r->frame);
    if (rc == 0) {
        r->acked = r->submitted;
    }
    return rc == 0;
}

static bool write_state(struct run *r)
{
    wal_frame_state(&r->frame, &r->submitted.state);
    return write_frame(r);
}

static void snapshot_content(uint64_t index, uint8_t out[STATE_BYTES])
{
    for (size_t i = 0; i < STATE_BYTES; i++) {
        out[i] = (uint8_t)(index * 31 + i * 7);
    }
}

static bool read_identity(struct run *r, struct identity *ret_identity)
{
    switch (identity_read(r->files, ret_identity, r->error, sizeof r->error)) {
    case IDENTITY_FINE:
        return true;
    case IDENTITY_MISSING:
        assert_int_equal(r->acked.life, 0);
        *ret_identity = (struct identity){.member = 1, .life = ++r->submitted.life};
        if (identity_write(r->files, ret_identity) != 0) {
            return false;
        }
        r->acked.life = r->submitted.life;
        return true;
    case IDENTITY_REFUSED:
        break;
    }
    return false;
}

static bool form(struct run *r, struct identity *identity)
{
    assert_false(r->acked.formed);
    r->submitted.formed = true;
    if (wal_create_sized(r->files, &cluster, &(struct wal_state){0}, FIXTURE_SEGMENT) != 0) {
        return false;
    }
    identity->cluster = cluster;
    if (identity_write(r->files, identity) != 0) {
        return false;
    }
    r->acked.formed = true;
    return true;
}

/* Reads all of it, and checks that it matches its index. */
static bool read_snapshot(struct run *r, const char *name, struct snapshot_meta *ret_meta)
{
    struct snapshot_reader *reader =
        snapshot_reader_open(r->files, name, &cluster, ret_meta, r->error, sizeof r->error);
    if (reader == NULL) {
        return false;
    }
    uint8_t content[STATE_BYTES];
    size_t at = 0;
    size_t len = 1;
    bool fine = true;
    snapshot_content(ret_meta->index, content);
    while (fine && len > 0) {
        const uint8_t *data;
        fine = snapshot_reader_next(reader, &data, &len, r->error, sizeof r->error);
        if (fine && len > 0) {
            assert_true(len <= STATE_BYTES - at);
            assert_memory_equal(data, content + at, len);
            at += len;
        }
    }
    assert_true(!fine || at == STATE_BYTES);
    snapshot_reader_close(reader);
    return fine;
}

/* The newest snapshot, if there is one. */
static bool find_snapshot(struct run *r, struct snapshot_meta *ret_meta)
{
    char name[SNAPSHOT_NAME_SIZE];
    bool found;
    ret_meta->index = 0;
    return snapshot_sweep(r->files) == 0 && snapshot_find(r->files, &found, name) == 0 &&
           (!found || read_snapshot(r, name, ret_meta));
}

static bool reset_log(struct run *r, const struct snapshot_meta *meta)
{
    log_reset(&r->log, meta->index, meta->term, meta->checksum);
    wal_frame_reset(&r->frame, meta->index, meta->term, meta->checksum);
    if (meta->index > r->submitted.state.commit) {
        r->submitted.state.commit = meta->index;
        wal_frame_state(&r->frame, &r->submitted.state);
    }
    return write_frame(r);
}

static bool step_start(struct run *r)
{
    struct identity identity;
    static struct snapshot_meta meta;
    struct wal_loaded loaded;
    wal_close(r->wal);
    r->wal = NULL;
    r->error[0] = '\0';
    wal_frame_clear(&r->frame);
    if (!read_identity(r, &identity) ||
        (cluster_id_is_none(&identity.cluster) && !form(r, &identity)) ||
        !find_snapshot(r, &meta)) {
        return false;
    }
    r->wal = wal_open(r->files, &cluster, meta.index, &loaded, r->error, sizeof r->error);
    if (r->wal == NULL) {
        return false;
    }
    wal_set_segment_bytes(r->wal, FIXTURE_SEGMENT);
    check_loaded(r, &loaded, meta.index);
    log_done(&r->log);
    r->log = loaded.log;
    r->acked.state = loaded.state;
    r->acked.snapshot_index = meta.index;
    r->submitted = r->acked;
    note_log(r);
    r->acked = r->submitted;
    if (log_last_index(&r->log) < meta.index && !reset_log(r, &meta)) {
        return false;
    }
    r->submitted.state.boot++;
    return write_state(r);
}

static bool step_restart(struct run *r)
{
    /* Like a kill: nothing is closed. */
    uint64_t calls = files_count(r->disk, FILES_CALLS);
    struct files_plan plan = {0};
    bool planned = files_take_plan(r->disk, &plan);
    r->files = files_boot(r->disk);
    if (planned) {
        files_plan(r->disk, &plan);
    }
    assert_int_equal(files_count(r->disk, FILES_CALLS), calls);
    return step_start(r);
}

static void add_entry(struct run *r, size_t len)
{
    uint8_t data[4096];
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(log_last_index(&r->log) * 13 + i);
    }
    /* A tenth of the entries has almost no set bits. */
    if (log_last_index(&r->log) % 10 == 0 && len > 0) {
        memset(data, 0, len);
        data[len - 1] = 1;
    }
    (void)log_append(&r->log, r->submitted.state.term, 1, data, len);
    uint64_t index = log_last_index(&r->log);
    wal_frame_entry(&r->frame, index, log_get(&r->log, index));
}

static bool append(struct run *r, size_t frames, size_t entries, size_t len)
{
    bool fine = true;
    for (size_t i = 0; i < frames && fine; i++) {
        for (size_t j = 0; j < entries; j++) {
            add_entry(r, len);
        }
        fine = write_frame(r);
    }
    return fine;
}

static bool step_append_small(struct run *r)
{
    return append(r, 3, 1, 20);
}

static bool step_append_many(struct run *r)
{
    return append(r, 2, 5, 100);
}

static bool step_append_large(struct run *r)
{
    return append(r, 7, 1, 2500);
}

static bool step_commit(struct run *r)
{
    r->submitted.state.commit = log_last_index(&r->log) - 2;
    return write_state(r);
}

static bool step_elect(struct run *r)
{
    r->submitted.state.term += 2;
    r->submitted.state.vote = 5;
    return write_state(r);
}

static bool step_truncate(struct run *r)
{
    uint64_t index = r->submitted.state.commit + 1;
    log_truncate(&r->log, index);
    wal_frame_truncate(&r->frame, index, log_last_term(&r->log), log_last_checksum(&r->log));
    return write_frame(r);
}

static bool step_truncate_and_append(struct run *r)
{
    uint64_t index = log_last_index(&r->log);
    log_truncate(&r->log, index);
    wal_frame_truncate(&r->frame, index, log_last_term(&r->log), log_last_checksum(&r->log));
    return append(r, 1, 2, 300);
}

static struct snapshot_writer *open_writer(const struct files *files, uint64_t index, uint64_t term,
                                           uint32_t checksum)
{
    static struct snapshot_meta meta;
    meta = (struct snapshot_meta){
        .index = index, .term = term, .checksum = checksum, .configuration_len = 40};
    int rc;
    return snapshot_writer_open(files, SNAPSHOT_TAKEN_TEMPORARY, &cluster, &meta, NULL, &rc);
}

static bool publish(struct run *r, const char *temporary, uint64_t index, uint64_t term)
{
    r->submitted.snapshot_index = index;
    int rc = snapshot_publish(r->files, temporary, index, term);
    if (rc == 0) {
        r->acked.snapshot_index = index;
    }
    return rc == 0;
}

static bool step_snapshot(struct run *r)
{
    uint64_t index = r->submitted.state.commit;
    uint64_t term = 0;
    uint32_t checksum = 0;
    uint64_t bytes;
    uint8_t content[STATE_BYTES];
    assert_true(log_position(&r->log, index, &term, &checksum));
    struct snapshot_writer *w = open_writer(r->files, index, term, checksum);
    if (w == NULL) {
        return false;
    }
    snapshot_content(index, content);
    snapshot_writer_add(w, content, 1000);
    snapshot_writer_add(w, content + 1000, STATE_BYTES - 1000);
    return snapshot_writer_finish(w, &bytes) == 0 &&
           publish(r, SNAPSHOT_TAKEN_TEMPORARY, index, term) && wal_compact(r->wal, index) == 0;
}

/* The leader's file, from a disk of its own. */
static void make_foreign(uint64_t index, uint64_t term, struct buffer *ret_file)
{
    uint64_t chance = 3;
    uint64_t bytes;
    uint8_t content[STATE_BYTES];
    struct files_disk *disk =
        files_create(&(struct files_options){.random = fixture_random, .data = &chance});
    struct snapshot_writer *w = open_writer(files_boot(disk), index, term, 0x5eed);
    snapshot_content(index, content);
    snapshot_writer_add(w, content, sizeof content);
    assert_int_equal(snapshot_writer_finish(w, &bytes), 0);
    buffer_append(ret_file, files_content(disk, SNAPSHOT_TAKEN_TEMPORARY), bytes);
    files_destroy(disk);
}

static bool receive(struct run *r, const struct buffer *file)
{
    int rc = 0;
    struct snapshot_receiver *receiver = snapshot_receiver_open(r->files, &rc);
    if (receiver == NULL) {
        return false;
    }
    for (size_t at = 0; at < file->len && rc == 0; at += 1500) {
        size_t len = file->len - at < 1500 ? file->len - at : 1500;
        rc = snapshot_receiver_add(receiver, file->data + at, len);
    }
    if (rc != 0) {
        snapshot_receiver_abandon(receiver);
        return false;
    }
    return snapshot_receiver_finish(receiver) == 0;
}

static bool step_install(struct run *r)
{
    uint64_t index = log_last_index(&r->log) + 50;
    uint64_t term = r->submitted.state.term;
    static struct snapshot_meta meta;
    struct buffer file;
    buffer_init(&file, 1 << 20);
    make_foreign(index, term, &file);
    bool fine = receive(r, &file) && read_snapshot(r, SNAPSHOT_RECEIVED_TEMPORARY, &meta) &&
                publish(r, SNAPSHOT_RECEIVED_TEMPORARY, index, term) && reset_log(r, &meta) &&
                wal_compact(r->wal, index) == 0;
    buffer_done(&file);
    return fine;
}

static bool (*const script[])(struct run *) = {
    step_restart,      step_elect,        step_append_small,
    step_append_many,  step_commit,       step_append_large,
    step_truncate,     step_append_large, step_commit,
    step_restart,      step_snapshot,     step_append_many,
    step_elect,        step_truncate,     step_restart,
    step_append_large, step_append_large, step_commit,
    step_snapshot,     step_append_small, step_truncate_and_append,
    step_install,      step_append_small, step_restart,
    step_append_large, step_commit,       step_append_large,
    step_snapshot,     step_restart,
};

/* Up to the end, an error or a crash. False unless it is the end. */
static bool live(struct run *r)
{
    for (size_t i = 0; i < ARRAY_LENGTH(script); i++) {
        if (!script[i](r)) {
            return false;
        }
    }
    return true;
}

/* Ends the process and restarts it, which must succeed and continue. `tear` 0: only the process
 * ends; otherwise power is lost, each value in another way. */
static void end_and_start(struct run *r, uint64_t tear)
{
    files_kill(r->disk);
    if (tear > 0) {
        r->chance += tear * 1000;
        files_lose_power(r->disk);
    }
    r->files = files_boot(r->disk);
    if (!step_start(r)) {
        fail_msg("refused: %s", r->error);
    }
}

static void go_on(struct run *r)
{
    assert_true(step_append_many(r) && step_commit(r) && step_restart(r));
    assert_true(step_append_large(r) && step_restart(r));
}

static uint64_t count_calls(void)
{
    struct run r;
    run_init(&r);
    r.files = files_boot(r.disk);
    assert_true(live(&r));
    uint64_t calls = files_count(r.disk, FILES_CALLS);
    run_done(&r);
    return calls;
}

static const enum files_fate deaths[] = {FILES_DIE_BEFORE, FILES_DIE_AMID, FILES_DIE_AFTER};

/* The start after this crash, itself crashed at every fourth of its calls, from `first` on:
 * together, successive crashes cover all of them. */
static uint64_t die_while_starting(const struct run *dead, uint64_t tear, uint64_t first)
{
    uint64_t points = 0;
    for (uint64_t n = first;; n += 4) {
        struct run r;
        run_fork(&r, dead);
        if (tear > 0) {
            r.chance += tear * 1000;
            files_lose_power(r.disk);
        }
        r.files = files_boot(r.disk);
        files_plan(r.disk, &(struct files_plan){.calls = n, .fate = deaths[(n + tear) % 3]});
        bool whole = step_start(&r);
        if (!whole) {
            assert_false(files_is_alive(r.disk));
            points++;
            end_and_start(&r, n % 2 * (n + 1));
            end_and_start(&r, n % 3);
        }
        run_done(&r);
        if (whole) {
            return points;
        }
    }
}

static void directory_survives_death_at_every_call(void **state)
{
    (void)state;
    uint64_t calls = count_calls();
    uint64_t points = 0;
    uint64_t nested = 0;
    for (uint64_t n = 0; n < calls; n++) {
        for (size_t d = 0; d < ARRAY_LENGTH(deaths); d++) {
            struct run dead;
            run_init(&dead);
            dead.files = files_boot(dead.disk);
            files_plan(dead.disk, &(struct files_plan){.calls = n, .fate = deaths[d]});
            assert_false(live(&dead));
            assert_false(files_is_alive(dead.disk));
            for (uint64_t tear = 0; tear <= TEARS; tear++) {
                struct run r;
                run_fork(&r, &dead);
                end_and_start(&r, tear);
                go_on(&r);
                run_done(&r);
                points++;
            }
            nested += die_while_starting(&dead, (n + d) % (TEARS + 1), (n / 4 + d) % 4);
            run_done(&dead);
        }
    }
    print_message("%" PRIu64 " calls, %" PRIu64 " deaths, %" PRIu64 " deaths in the start after\n",
                  calls, points, nested);
}

static void error_of_every_call_is_told(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC, EMFILE};
    uint64_t calls = count_calls();
    uint64_t ended = 0;
    for (uint64_t n = 0; n < calls; n++) {
        for (size_t e = 0; e < ARRAY_LENGTH(errors); e++) {
            struct run r;
            run_init(&r);
            r.files = files_boot(r.disk);
            files_plan(r.disk,
                       &(struct files_plan){.calls = n, .fate = FILES_ERROR, .error = errors[e]});
            bool whole = live(&r);
            assert_true(files_is_alive(r.disk));
            /* Only lack of space may go unnoticed, where it is harmless. */
            assert_true(!whole || errors[e] == ENOSPC);
            ended += whole ? 0 : 1;
            end_and_start(&r, n % (TEARS + 1));
            go_on(&r);
            run_done(&r);
        }
    }
    print_message("%" PRIu64 " calls, %" PRIu64 " errors that ended the process\n", calls, ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_survives_death_at_every_call),
        cmocka_unit_test(error_of_every_call_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
