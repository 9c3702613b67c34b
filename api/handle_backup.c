/* GET /backup: the whole state at an index, as server/base/snapshot_block.h has it. */
#include "api/handlers.h"

#include <string.h>

#include "api/download.h"

static enum next finish(struct exchange *x, enum status status)
{
    struct download *d = x->download;
    if (status == ST_OK) {
        x->reply.status = 200;
        x->reply.content_type = "application/vnd.muster.backup";
        x->reply.index = d->backup.backup.index;
        return NEXT_REPLY;
    }
    x->download = NULL;
    download_free(d);
    if (status == ST_BUSY) {
        reply_error(&x->reply, 503, "overloaded", "",
                    "this replica can take no backup now: as many as it may are on their way, or "
                    "it is being sent the state itself; try again, or ask another replica");
    } else if (status == ST_NO_SPACE) {
        reply_error(&x->reply, 503, "no_space", "",
                    "the disk of this replica has no room for a backup beside the log; ask another "
                    "replica");
    } else if (status == ST_IO) {
        reply_error(&x->reply, 503, "io", "",
                    "the backup could not be written to the disk of this replica, whose log says "
                    "why; ask another replica");
    } else {
        reply_status(&x->reply, status);
    }
    return NEXT_REPLY;
}

/* A page can have a GET sent without Origin; it could not read the answer, but make us write it. */
static bool is_of_web_page(const struct request *request)
{
    const char *site = request->fetch_site;
    return request->origin != NULL ||
           (site != NULL && strcmp(site, "none") != 0 && strcmp(site, "same-origin") != 0);
}

enum next handle_backup(struct exchange *x)
{
    const char *consistency = request_query(&x->request, "consistency");
    bool is_stale = consistency != NULL && strcmp(consistency, "stale") == 0;
    struct fault fault;
    if (is_of_web_page(&x->request)) {
        reply_error(&x->reply, 403, "forbidden", "Origin",
                    "a backup has everything in it, and is not given to web pages");
        return NEXT_REPLY;
    }
    if (consistency != NULL && !is_stale && strcmp(consistency, "linearizable") != 0) {
        fault_set(&fault, "consistency", "must be stale or linearizable");
        reply_fault(&x->reply, &fault);
        return NEXT_REPLY;
    }
    if (!is_stale && !x->proven) {
        return NEXT_PROOF;
    }
    x->finish = finish;
    return NEXT_BACKUP;
}
