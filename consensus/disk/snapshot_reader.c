#include "consensus/disk/snapshot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/complaint.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"

/* --- reading --- */

struct snapshot_reader {
    const struct files *files;
    int file;
    uint64_t size, at;
    struct snapshot_chain chain;
    uint64_t chunks, state_bytes;
    bool ended;
    bool head_given; /* returned by snapshot_reader_raw */
    char name[SNAPSHOT_NAME_SIZE];
    size_t block_len; /* length of `block`, including its header */
    uint8_t block[SNAPSHOT_BLOCK_MAX];
};

static bool refuse_at(const struct snapshot_reader *r, const struct complaint *c, const char *what)
{
    return complain(c, "cannot use %s: %s, at byte %" PRIu64, r->name, what, r->at);
}

static bool read_part(struct snapshot_reader *r, uint64_t at, uint8_t *data, size_t len,
                      const struct complaint *c)
{
    size_t got;
    int rc = r->files->read(r->files->ctx, r->file, at, data, len, &got);
    if (rc != 0) {
        return complain(c, "cannot read %s: %s", r->name, strerror(-rc));
    }
    return got == len || refuse_at(r, c, "it is cut short");
}

static bool check_footer(struct snapshot_reader *r, const uint8_t *body, const struct complaint *c)
{
    if (load_u64(body) != r->chunks || load_u64(body + 8) != r->state_bytes) {
        return refuse_at(r, c, "the totals in its last block are wrong");
    }
    if (r->at + r->block_len != r->size) {
        return refuse_at(r, c, "there is data after its last block");
    }
    return true;
}

/* Reads and verifies the next block. */
static bool next_block(struct snapshot_reader *r, enum snapshot_block *ret_kind,
                       const struct complaint *c)
{
    size_t len;
    if (!read_part(r, r->at, r->block, SNAPSHOT_BLOCK_HEADER, c)) {
        return false;
    }
    const char *wrong = snapshot_block_check(&r->chain, r->block, ret_kind, &len);
    if (wrong != NULL) {
        return refuse_at(r, c, wrong);
    }
    uint8_t *body = r->block + SNAPSHOT_BLOCK_HEADER;
    if (!read_part(r, r->at + SNAPSHOT_BLOCK_HEADER, body, len, c)) {
        return false;
    }
    if (!snapshot_block_accept(&r->chain, r->block, len)) {
        return refuse_at(r, c, "wrong checksum of a block");
    }
    r->block_len = SNAPSHOT_BLOCK_HEADER + len;
    if (*ret_kind == SNAPSHOT_CHUNK) {
        r->chunks++;
        r->state_bytes += len;
    }
    if (*ret_kind == SNAPSHOT_FOOT) {
        if (!check_footer(r, body, c)) {
            return false;
        }
        r->ended = true;
    }
    r->at += r->block_len;
    return true;
}

struct size_of {
    const char *name;
    uint64_t bytes;
};

static void note_size(void *data, const char *name, uint64_t bytes)
{
    struct size_of *s = data;
    if (strcmp(name, s->name) == 0) {
        s->bytes = bytes;
    }
}

static bool open_reader(struct snapshot_reader *r, struct snapshot_meta *ret_meta,
                        const struct complaint *c)
{
    struct size_of size = {.name = r->name};
    int rc = r->files->open(r->files->ctx, r->name, FILE_READ, &r->file);
    if (rc == 0) {
        rc = r->files->list(r->files->ctx, note_size, &size);
        if (rc != 0) {
            r->files->close(r->files->ctx, r->file);
        }
    }
    if (rc != 0) {
        r->file = -1;
        return complain(c, "cannot open %s: %s", r->name, strerror(-rc));
    }
    r->size = size.bytes;
    enum snapshot_block kind;
    if (!next_block(r, &kind, c)) {
        return false;
    }
    if (!snapshot_meta_decode(r->block + SNAPSHOT_BLOCK_HEADER,
                              r->block_len - SNAPSHOT_BLOCK_HEADER, ret_meta)) {
        return complain(c, "cannot use %s: its first block is wrong, at byte 0", r->name);
    }
    uint64_t index;
    uint64_t term;
    if (snapshot_name_parse(r->name, &index, &term) &&
        (index != ret_meta->index || term != ret_meta->term)) {
        return complain(c, "cannot use %s: it contains another snapshot", r->name);
    }
    return true;
}

struct snapshot_reader *snapshot_reader_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             struct snapshot_meta *ret_meta, char *error,
                                             size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    CHECK(strlen(name) < SNAPSHOT_NAME_SIZE);
    struct snapshot_reader *r = mem_alloc(sizeof *r);
    memset(r, 0, offsetof(struct snapshot_reader, block));
    r->files = files;
    r->file = -1;
    r->chain.cluster = *cluster;
    memcpy(r->name, name, strlen(name) + 1);
    if (!open_reader(r, ret_meta, &c)) {
        snapshot_reader_close(r);
        return NULL;
    }
    return r;
}

bool snapshot_reader_next(struct snapshot_reader *r, const uint8_t **ret_data, size_t *ret_len,
                          char *error, size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    enum snapshot_block kind = SNAPSHOT_FOOT;
    CHECK(!r->head_given);
    if (!r->ended && !next_block(r, &kind, &c)) {
        return false;
    }
    if (kind == SNAPSHOT_INFO) {
        return complain(&c, "cannot use %s: it is a backup", r->name);
    }
    *ret_data = r->block + SNAPSHOT_BLOCK_HEADER;
    *ret_len = kind == SNAPSHOT_CHUNK ? r->block_len - SNAPSHOT_BLOCK_HEADER : 0;
    return true;
}

bool snapshot_reader_raw(struct snapshot_reader *r, const uint8_t **ret_data, size_t *ret_len,
                         char *error, size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    enum snapshot_block kind;
    *ret_data = r->block;
    if (!r->head_given) {
        CHECK(r->chain.number == 1);
        r->head_given = true;
        *ret_len = r->block_len;
        return true;
    }
    if (r->ended) {
        *ret_len = 0;
        return true;
    }
    if (!next_block(r, &kind, &c)) {
        return false;
    }
    *ret_len = r->block_len;
    return true;
}

uint64_t snapshot_reader_file_bytes(const struct snapshot_reader *r)
{
    return r->size;
}

void snapshot_reader_close(struct snapshot_reader *r)
{
    if (r != NULL && r->file >= 0) {
        r->files->close(r->files->ctx, r->file);
    }
    free(r);
}
