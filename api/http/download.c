#include "api/http/download.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/snapshot_block.h"

static void stepped(struct node_backup *backup, enum status status)
{
    struct download *d = backup->data;
    d->status = status;
    d->stepped(d);
}

struct download *download_open(struct node *node, void (*when_stepped)(struct download *d),
                               void *owner)
{
    struct download *d = mem_zalloc(1, sizeof *d);
    d->node = node;
    d->stepped = when_stepped;
    d->owner = owner;
    d->backup.data = d;
    d->backup.done = stepped;
    CDS_INIT_LIST_HEAD(&d->place);
    return d;
}

void download_free(struct download *d)
{
    free(d->backup.backup.piece);
    free(d);
}

static enum status begin(struct download *d, enum consensus_backup_step step)
{
    CHECK(!d->waiting);
    d->waiting = true; /* `stepped` may come before this returns */
    enum status status = node_backup(d->node, &d->backup, step);
    if (status != ST_OK) {
        d->waiting = false;
        d->status = status;
    }
    return status;
}

enum status download_take(struct download *d)
{
    return begin(d, CONSENSUS_BACKUP_TAKE);
}

void download_stepped(struct download *d)
{
    d->waiting = false;
    d->at = 0;
    if (d->status != ST_OK) {
        d->backup.backup.len = 0;
    }
    if (d->backup.backup.step == CONSENSUS_BACKUP_TAKE) {
        d->held = d->status == ST_OK;
    } else if (d->backup.backup.step == CONSENSUS_BACKUP_END) {
        d->held = false;
    }
}

bool download_is_written(struct download *d)
{
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t written = atomic_load_explicit(&d->backup.backup.written, memory_order_relaxed);
    if (written != d->written) {
        d->written = written;
        d->moved_ms = now_ms;
    }
    return written > 0 && clock_elapsed(d->moved_ms, now_ms) < DOWNLOAD_STUCK_MS;
}

size_t download_read(struct download *d, char *out, size_t max)
{
    const struct consensus_backup *piece = &d->backup.backup;
    d->moved_ms = clock_monotonic_ms();
    if (d->at == piece->len) {
        bool fine = d->status == ST_OK && begin(d, CONSENSUS_BACKUP_READ) == ST_OK;
        return fine ? 0 : SIZE_MAX;
    }
    size_t len = piece->len - d->at < max ? piece->len - d->at : max;
    memcpy(out, piece->piece + d->at, len);
    d->at += len;
    return len;
}

enum status download_end(struct download *d)
{
    cds_list_del_init(&d->place);
    return begin(d, CONSENSUS_BACKUP_END);
}

void download_list(struct download *d, struct cds_list_head *list)
{
    d->begun_ms = d->moved_ms = clock_monotonic_ms();
    d->backup.backup.piece = mem_alloc(SNAPSHOT_BLOCK_MAX);
    cds_list_add_tail(&d->place, list);
}

void download_check(struct cds_list_head *list, void (*cut)(struct download *d))
{
    struct download *d;
    uint64_t now_ms = clock_monotonic_ms();
    cds_list_for_each_entry(d, list, place)
    {
        if (!d->waiting && !d->is_cut &&
            (clock_elapsed(d->moved_ms, now_ms) >= DOWNLOAD_STUCK_MS ||
             clock_elapsed(d->begun_ms, now_ms) >= DOWNLOAD_MS_MAX)) {
            d->is_cut = true;
            cut(d);
        }
    }
}
