#include "consensus/disk/snapshot_file.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/mem.h"

/* Unsynced data is bounded, so that a sync does not stall the log's writes for long. */
#define SYNC_EVERY_BYTES (1u * 1024 * 1024)

/* --- sequential output --- */

struct output {
    const struct files *files;
    const char *name;
    int file;
    uint64_t at, synced;
    int error; /* the first error; later writes are skipped */
};

static int output_open(struct output *o, const struct files *files, const char *name)
{
    *o = (struct output){.files = files, .name = name};
    return files->open(files->ctx, name, FILE_CREATE, &o->file);
}

static void output_write(struct output *o, const void *data, size_t len)
{
    const struct files *files = o->files;
    if (o->error != 0) {
        return;
    }
    o->error = files->write(files->ctx, o->file, o->at, data, len, false);
    o->at += len;
    if (o->error == 0 && o->at - o->synced >= SYNC_EVERY_BYTES) {
        o->error = files->sync(files->ctx, o->file);
        o->synced = o->at;
    }
}

/* Removes the file unless it is complete, because it may have filled the disk. */
static int output_close(struct output *o, bool keep)
{
    const struct files *files = o->files;
    if (o->error == 0 && keep) {
        o->error = files->sync(files->ctx, o->file);
    }
    files->close(files->ctx, o->file);
    if (o->error != 0 || !keep) {
        int ignored UNUSED = files->unlink(files->ctx, o->name);
    }
    return o->error;
}

/* --- writing --- */

struct snapshot_writer {
    struct output output;
    struct snapshot_chain chain;
    uint64_t chunks, state_bytes;
    size_t len; /* bytes of state in `block` */
    uint8_t block[SNAPSHOT_BLOCK_MAX];
};

static void write_block(struct snapshot_writer *w, enum snapshot_block kind, size_t len)
{
    snapshot_block_seal(&w->chain, w->block, kind, len);
    output_write(&w->output, w->block, SNAPSHOT_BLOCK_HEADER + len);
}

struct snapshot_writer *snapshot_writer_open(const struct files *files, const char *name,
                                             const struct cluster_id *cluster,
                                             const struct snapshot_meta *meta,
                                             const struct snapshot_info *info, int *ret_error)
{
    CHECK(meta->index > 0 && meta->configuration_index <= meta->index);
    struct snapshot_writer *w = mem_alloc(sizeof *w);
    w->chain = (struct snapshot_chain){.cluster = *cluster};
    w->chunks = w->state_bytes = 0;
    w->len = 0;
    int rc = output_open(&w->output, files, name);
    if (rc != 0) {
        free(w);
        *ret_error = rc;
        return NULL;
    }
    write_block(w, SNAPSHOT_HEAD, snapshot_meta_encode(meta, w->block + SNAPSHOT_BLOCK_HEADER));
    if (info != NULL) {
        write_block(w, SNAPSHOT_INFO, snapshot_info_encode(info, w->block + SNAPSHOT_BLOCK_HEADER));
    }
    return w;
}

static void flush_chunk(struct snapshot_writer *w)
{
    if (w->len > 0) {
        w->chunks++;
        w->state_bytes += w->len;
        write_block(w, SNAPSHOT_CHUNK, w->len);
        w->len = 0;
    }
}

void snapshot_writer_add(struct snapshot_writer *w, const void *data, size_t len)
{
    const uint8_t *from = data;
    while (len > 0) {
        size_t room = SNAPSHOT_CHUNK_BYTES - w->len;
        size_t part = len < room ? len : room;
        memcpy(w->block + SNAPSHOT_BLOCK_HEADER + w->len, from, part);
        w->len += part;
        from += part;
        len -= part;
        if (w->len == SNAPSHOT_CHUNK_BYTES) {
            flush_chunk(w);
        }
    }
}

void snapshot_writer_fail(struct snapshot_writer *w, int error)
{
    if (w->output.error == 0) {
        w->output.error = error;
    }
}

int snapshot_writer_finish(struct snapshot_writer *w, uint64_t *ret_bytes)
{
    flush_chunk(w);
    store_u64(w->block + SNAPSHOT_BLOCK_HEADER, w->chunks);
    store_u64(w->block + SNAPSHOT_BLOCK_HEADER + 8, w->state_bytes);
    write_block(w, SNAPSHOT_FOOT, SNAPSHOT_FOOTER_BYTES);
    int rc = output_close(&w->output, true);
    if (rc == 0) {
        *ret_bytes = w->output.at;
    }
    free(w);
    return rc;
}

/* --- publishing --- */

struct names {
    char (*names)[SNAPSHOT_NAME_SIZE];
    size_t count;
};

static void note_name(void *data, const char *name, uint64_t bytes UNUSED)
{
    struct names *n = data;
    uint64_t index;
    uint64_t term;
    if (snapshot_name_parse(name, &index, &term)) {
        n->names = mem_realloc(n->names, (n->count + 1) * sizeof *n->names);
        memcpy(n->names[n->count++], name, strlen(name) + 1);
    }
}

int snapshot_publish(const struct files *files, const char *temporary, uint64_t index,
                     uint64_t term)
{
    char name[SNAPSHOT_NAME_SIZE];
    snapshot_name(index, term, name);
    int rc = files->rename(files->ctx, temporary, name);
    if (rc == 0) {
        rc = files->sync_dir(files->ctx);
    }
    struct names n = {0};
    if (rc == 0) {
        rc = files->list(files->ctx, note_name, &n);
    }
    /* No sync_dir: an older snapshot that reappears after a power loss is harmless. */
    for (size_t i = 0; i < n.count && rc == 0; i++) {
        uint64_t other = 0;
        uint64_t other_term = 0;
        bool parsed = snapshot_name_parse(n.names[i], &other, &other_term);
        CHECK(parsed);
        if (other < index || (other == index && other_term < term)) {
            rc = files->unlink(files->ctx, n.names[i]);
        }
    }
    free(n.names);
    return rc;
}

int snapshot_find(const struct files *files, bool *ret_found, char ret_name[SNAPSHOT_NAME_SIZE])
{
    struct names n = {0};
    int rc = files->list(files->ctx, note_name, &n);
    /* Numbers in names have a fixed width, so the newest name sorts last. */
    const char *newest = NULL;
    for (size_t i = 0; i < n.count; i++) {
        if (newest == NULL || strcmp(n.names[i], newest) > 0) {
            newest = n.names[i];
        }
    }
    if (rc == 0) {
        *ret_found = newest != NULL;
        if (newest != NULL) {
            memcpy(ret_name, newest, SNAPSHOT_NAME_SIZE);
        }
    }
    free(n.names);
    return rc;
}

int snapshot_sweep(const struct files *files)
{
    static const char *const names[] = {SNAPSHOT_TAKEN_TEMPORARY, SNAPSHOT_RECEIVED_TEMPORARY,
                                        SNAPSHOT_FOUNDING_TEMPORARY, SNAPSHOT_BACKUP_TEMPORARY "0",
                                        SNAPSHOT_BACKUP_TEMPORARY "1"};
    static_assert(ARRAY_LENGTH(names) == 3 + BACKUPS_MAX, "all that there may be");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        int rc = files->unlink(files->ctx, names[i]);
        if (rc != 0 && rc != -ENOENT) {
            return rc;
        }
    }
    return 0;
}

/* --- receiving --- */

struct snapshot_receiver {
    struct output output;
};

struct snapshot_receiver *snapshot_receiver_open(const struct files *files, int *ret_error)
{
    struct snapshot_receiver *r = mem_alloc(sizeof *r);
    int rc = output_open(&r->output, files, SNAPSHOT_RECEIVED_TEMPORARY);
    if (rc != 0) {
        free(r);
        *ret_error = rc;
        return NULL;
    }
    return r;
}

int snapshot_receiver_add(struct snapshot_receiver *r, const void *data, size_t len)
{
    output_write(&r->output, data, len);
    return r->output.error;
}

int snapshot_receiver_finish(struct snapshot_receiver *r)
{
    int rc = output_close(&r->output, true);
    free(r);
    return rc;
}

void snapshot_receiver_abandon(struct snapshot_receiver *r)
{
    int ignored UNUSED = output_close(&r->output, false);
    free(r);
}
