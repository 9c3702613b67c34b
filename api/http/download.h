/* An answer that the node reads from a file of its own, a piece at a time and as the client takes
 * it: a backup. A client that is slow holds that file and one piece; one that takes nothing for a
 * while, or all too long for the whole, is cut off.
 *
 * Thread: the worker that owns the connection, but for what the node calls.
 * Owns: the backup, until download_end; the piece. */
#ifndef MUSTER_API_HTTP_DOWNLOAD_H
#define MUSTER_API_HTTP_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <urcu/list.h>

#include "server/node/node.h"

struct download {
    struct node *node;
    struct node_backup backup;
    /* Called when a step is over; `status` says how it went. */
    void (*stepped)(struct download *d);
    void *owner;
    enum status status;
    bool held;    /* the node has a file for us */
    bool waiting; /* with the node */
    bool is_cut;
    uint64_t written;            /* when it was last looked at how far the TAKE is */
    size_t at;                   /* in the piece that is there */
    uint64_t begun_ms, moved_ms; /* monotonic */
    struct cds_list_head place;  /* among the worker's that are being sent */
};

/* `stepped` is called on the loop thread. */
struct download *download_open(struct node *node, void (*stepped)(struct download *d), void *owner);
void download_free(struct download *d);

/* Each begins a step: ST_OK: `stepped` will be called; else it will not. */
MUST_USE enum status download_take(struct download *d);
/* Whether the node has written something of it lately. */
bool download_is_written(struct download *d);
/* Copies what is there: `max` bytes at most. 0: a step was begun; SIZE_MAX: there is no more to be
 * had, and the answer is to be cut off. */
MUST_USE size_t download_read(struct download *d, char *out, size_t max);
/* Gives the file back. */
MUST_USE enum status download_end(struct download *d);
/* After `stepped`, on the worker. */
void download_stepped(struct download *d);

/* It was taken, and is being sent from now on, until download_end. */
void download_list(struct download *d, struct cds_list_head *list);
/* Calls `cut` for those whose clients have been too slow. */
void download_check(struct cds_list_head *list, void (*cut)(struct download *d));

#endif
