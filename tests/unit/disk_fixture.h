/* A member's directory on an in-memory disk, its log, and the expected content.
 *
 * Thread: one. */
#ifndef MUSTER_TESTS_DISK_FIXTURE_H
#define MUSTER_TESTS_DISK_FIXTURE_H

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "consensus/disk/wal.h"
#include "consensus/disk/wal_format.h"
#include "server/base/compiler.h"
#include "server/base/mem.h"
#include "tests/sim/files.h"

#define FIXTURE_SEGMENT WAL_SEGMENT_BYTES_MIN

struct fixture {
    uint64_t chance;
    struct files_disk *disk;
    const struct files *files;
    struct cluster_id cluster;
    struct wal *wal;
    struct wal_frame frame;
    /* expected */
    struct log log;
    struct wal_state state;
    uint64_t snapshot_index;
    char error[512];
};

static inline uint64_t fixture_random(void *data)
{
    uint64_t *x = data;
    *x += 0x9e3779b97f4a7c15u;
    uint64_t z = *x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A directory with a log of one empty segment, not opened. */
static inline void fixture_init(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){.chance = seed, .cluster = {.bytes = {1, 2, 3}}, .state = {.boot = 1}};
    f->disk = files_create(&(struct files_options){.random = fixture_random, .data = &f->chance});
    f->files = files_boot(f->disk);
    log_init(&f->log);
    wal_frame_init(&f->frame);
    assert_int_equal(wal_create_sized(f->files, &f->cluster, &f->state, FIXTURE_SEGMENT), 0);
}

static inline void fixture_done(struct fixture *f)
{
    wal_close(f->wal);
    wal_frame_done(&f->frame);
    log_done(&f->log);
    files_destroy(f->disk);
}

static inline int fixture_set_up(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof *f);
    fixture_init(f, 1);
    *state = f;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    fixture_done(*state);
    free(*state);
    return 0;
}

static inline void fixture_assert_same_log(const struct log *a, const struct log *b)
{
    uint64_t from =
        log_first_index(a) > log_first_index(b) ? log_first_index(a) : log_first_index(b);
    assert_int_equal(log_last_index(a), log_last_index(b));
    assert_int_equal(log_last_term(a), log_last_term(b));
    assert_int_equal(log_last_checksum(a), log_last_checksum(b));
    for (uint64_t i = from; i <= log_last_index(a); i++) {
        const struct log_entry *x = log_get(a, i);
        const struct log_entry *y = log_get(b, i);
        assert_int_equal(x->term, y->term);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->checksum, y->checksum);
        assert_int_equal(x->len, y->len);
        assert_memory_equal(x->data, y->data, x->len);
    }
}

static inline bool fixture_same_state(const struct wal_state *a, const struct wal_state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Opens it in a new process. False: refused, with f->error. */
static inline bool fixture_try_open(struct fixture *f, struct wal_loaded *ret_loaded)
{
    wal_close(f->wal);
    f->files = files_boot(f->disk);
    f->error[0] = '\0';
    f->wal =
        wal_open(f->files, &f->cluster, f->snapshot_index, ret_loaded, f->error, sizeof f->error);
    if (f->wal == NULL) {
        assert_string_not_equal(f->error, "");
        return false;
    }
    assert_string_equal(f->error, "");
    wal_set_segment_bytes(f->wal, FIXTURE_SEGMENT);
    return true;
}

/* Reopens it, and checks that the expected content is loaded. */
static inline void fixture_reopen(struct fixture *f)
{
    struct wal_loaded loaded;
    bool opened = fixture_try_open(f, &loaded);
    if (!opened) {
        print_error("refused: %s\n", f->error);
    }
    assert_true(opened);
    assert_true(fixture_same_state(&loaded.state, &f->state));
    fixture_assert_same_log(&loaded.log, &f->log);
    log_done(&loaded.log);
}

static inline void fixture_assert_refused(struct fixture *f, const char *word)
{
    struct wal_loaded loaded;
    bool opened = fixture_try_open(f, &loaded);
    assert_false(opened);
    if (strstr(f->error, word) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", word, f->error);
    }
    assert_non_null(strstr(f->error, word));
}

/* --- frames; these also change the expected content --- */

static inline void fixture_add_entry(struct fixture *f, uint64_t term, size_t len)
{
    uint8_t *data = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)(log_last_index(&f->log) + i / 16);
    }
    (void)log_append(&f->log, term, 1, data, len);
    free(data);
    uint64_t index = log_last_index(&f->log);
    wal_frame_entry(&f->frame, index, log_get(&f->log, index));
}

static inline void fixture_add_state(struct fixture *f)
{
    wal_frame_state(&f->frame, &f->state);
}

static inline void fixture_add_truncate(struct fixture *f, uint64_t index)
{
    log_truncate(&f->log, index);
    wal_frame_truncate(&f->frame, index, log_last_term(&f->log), log_last_checksum(&f->log));
}

static inline void fixture_add_reset(struct fixture *f, uint64_t index, uint64_t term,
                                     uint32_t checksum)
{
    log_reset(&f->log, index, term, checksum);
    wal_frame_reset(&f->frame, index, term, checksum);
}

/* Returns the result of wal_write; the frame is kept if there was no room. */
static inline int fixture_try_write(struct fixture *f)
{
    int rc = wal_write(f->wal, &f->frame);
    if (rc != -ENOSPC) {
        wal_frame_clear(&f->frame);
    }
    return rc;
}

static inline void fixture_write(struct fixture *f)
{
    assert_int_equal(fixture_try_write(f), 0);
}

/* Each in its own frame. */
static inline void fixture_write_entries(struct fixture *f, size_t count, uint64_t term, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        fixture_add_entry(f, term, len);
        fixture_write(f);
    }
}

static inline void fixture_commit(struct fixture *f, uint64_t index)
{
    f->state.commit = index;
    fixture_add_state(f);
    fixture_write(f);
}

/* The offset of the last frame of the first segment, and its length in sectors. */
static inline uint64_t fixture_last_frame(struct fixture *f, size_t *ret_sectors)
{
    const uint8_t *content = files_content(f->disk, "log-0000000000000001");
    uint64_t at = 0;
    for (;;) {
        struct wal_header h;
        assert_int_equal(wal_header_decode(content + at, &h), WAL_LOOK_FINE);
        uint64_t next = at + wal_extent(h.len);
        if (wal_is_zero(content + next, FILE_SECTOR_BYTES)) {
            *ret_sectors = (size_t)(next - at) / FILE_SECTOR_BYTES;
            return at;
        }
        at = next;
    }
}

#endif
