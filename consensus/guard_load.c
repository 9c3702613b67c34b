#include "consensus/guard_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/engine.h"
#include "consensus/entry.h"
#include "server/base/check.h"
#include "server/base/mem.h"

static void free_loaded(struct raft_snapshot *snapshot, struct raft_entry *entries, size_t n)
{
    const void *freed = NULL;
    for (size_t i = 0; i < n; i++) {
        if (entries[i].batch != freed) {
            freed = entries[i].batch; /* entries of one batch are neighbours */
            raft_free(entries[i].batch);
        }
    }
    raft_free(entries);
    if (snapshot != NULL) {
        for (unsigned i = 0; i < snapshot->n_bufs; i++) {
            raft_free(snapshot->bufs[i].base);
        }
        raft_free(snapshot->bufs);
        raft_configuration_close(&snapshot->configuration);
        raft_free(snapshot);
    }
}

/* What a snapshot stands for must not be there in another version: libraft would end up with a
 * conflict below its commit index, and free the message that shows it twice. */
static bool agrees(struct guard *g, const struct raft_snapshot *snapshot, raft_index start,
                   const struct raft_entry *entries, size_t n)
{
    if (snapshot == NULL || snapshot->index < start || snapshot->index >= start + n ||
        entries[snapshot->index - start].term == snapshot->term) {
        return true;
    }
    (void)snprintf(g->load_error, sizeof g->load_error,
                   "the log and the snapshot disagree about entry %" PRIu64,
                   (uint64_t)snapshot->index);
    return false;
}

static bool entries_are_whole(struct guard *g, raft_index start, const struct raft_entry *entries,
                              size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct entry_header header;
        if (entries[i].type != RAFT_COMMAND) {
            continue;
        }
        if (entry_check(entries[i].buf.base, entries[i].buf.len, &header) != ST_OK ||
            header.index != start + i || header.cluster_id != g->engine->options.cluster_id) {
            (void)snprintf(g->load_error, sizeof g->load_error,
                           "log entry %" PRIu64 " is damaged or not this cluster's",
                           (uint64_t)(start + i));
            return false;
        }
    }
    return true;
}

/* Entries that are loaded together share one piece of memory. libraft frees it when the last of
 * them leaves the log, though a message with some of them may still be on its way, and then again:
 * each gets its own. libraft does not free those when it then refuses to start: we do. */
static void part(struct guard *g, struct raft_entry *entries, size_t count)
{
    void *shared = NULL;
    g->loaded = mem_zalloc(count, sizeof *g->loaded);
    for (size_t i = 0; i < count; i++) {
        struct raft_entry *entry = &entries[i];
        if (entry->batch == NULL) {
            continue;
        }
        void *own = raft_malloc(entry->buf.len);
        CHECK(own != NULL);
        memcpy(own, entry->buf.base, entry->buf.len);
        if (entry->batch != shared) {
            raft_free(shared); /* its entries stand one after the other */
            shared = entry->batch;
        }
        entry->buf.base = own;
        entry->batch = NULL;
        g->loaded[g->loaded_count++] = own;
    }
    raft_free(shared);
}

void guard_load_done(struct guard *g, bool started)
{
    for (size_t i = 0; i < g->loaded_count && !started; i++) {
        raft_free(g->loaded[i]);
    }
    free(g->loaded);
    g->loaded = NULL;
    g->loaded_count = 0;
}

int guard_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
               struct raft_snapshot **snapshot, raft_index *start_index,
               struct raft_entry *entries[], size_t *n_entries)
{
    struct guard *g = guard_of(io);
    const struct engine_options *known = &g->engine->options;
    int rv = g->inner.load(io, term, voted_for, snapshot, start_index, entries, n_entries);
    if (rv != 0) {
        (void)snprintf(g->load_error, sizeof g->load_error, "the log cannot be read: %s",
                       io->errmsg);
        return rv;
    }
    raft_index last = *start_index + *n_entries - 1;
    if (last < known->watermark_index) {
        (void)snprintf(g->load_error, sizeof g->load_error,
                       "the log ends at entry %" PRIu64 ", but %" PRIu64 " were safely on disk",
                       (uint64_t)last, known->watermark_index);
        rv = RAFT_CORRUPT;
    } else if (*term < known->watermark_term) {
        (void)snprintf(g->load_error, sizeof g->load_error,
                       "the files metadata1 and metadata2 say term %" PRIu64 ", but %" PRIu64
                       " was reached",
                       (uint64_t)*term, known->watermark_term);
        rv = RAFT_CORRUPT;
    } else if (!agrees(g, *snapshot, *start_index, *entries, *n_entries) ||
               !entries_are_whole(g, *start_index, *entries, *n_entries)) {
        rv = RAFT_CORRUPT;
    }
    if (rv != 0) {
        free_loaded(*snapshot, *entries, *n_entries);
        return rv;
    }
    part(g, *entries, *n_entries);
    g->next_index = last + 1;
    g->durable_index = last;
    g->last_term = *n_entries > 0      ? (*entries)[*n_entries - 1].term
                   : *snapshot != NULL ? (*snapshot)->term
                                       : 0;
    g->term = *term;
    /* The file with the vote has no checksum. Having voted for oneself is what keeps from voting
     * for anybody else in this term, and is always safe. */
    *voted_for = known->id;
    guard_mark(g);
    return 0;
}
