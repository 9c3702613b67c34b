/* GET /backup: the whole state at an index, as server/base/snapshot_block.h has it. */
#include "api/native/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/http/download.h"

static void add_headers(struct response *response, const struct consensus_backup *backup)
{
    char text[64];
    (void)snprintf(text, sizeof text, "attachment; filename=\"muster-%" PRIu64 ".backup\"",
                   backup->index);
    response_header(response, "Content-Disposition", text);
    response_header(response, "X-Muster-Cluster", backup->cluster);
    response_header_u64(response, "X-Muster-Level", backup->level);
    (void)snprintf(text, sizeof text, "%016" PRIx64, backup->hash);
    response_header(response, "X-Muster-State-Hash", text);
}

static enum next finish(struct exchange *x, enum status status)
{
    struct download *d = x->download;
    if (status == ST_OK) {
        x->response.status = 200;
        x->response.content_type = "application/vnd.muster.backup";
        x->response.index = d->backup.backup.index;
        add_headers(&x->response, &d->backup.backup);
        return NEXT_RESPOND;
    }
    x->download = NULL;
    download_free(d);
    if (status == ST_BUSY) {
        response_error(
            &x->response, 503, "overloaded", "",
            "this replica can take no backup now: as many as it may are on their way, or "
            "it is being sent the state itself; try again, or ask another replica");
    } else if (status == ST_NO_SPACE) {
        response_error(
            &x->response, 503, "no_space", "",
            "the disk of this replica has no room for a backup beside the log; ask another "
            "replica");
    } else if (status == ST_IO) {
        response_error(
            &x->response, 503, "io", "",
            "the backup could not be written to the disk of this replica, whose log says "
            "why; ask another replica");
    } else {
        response_status(&x->response, status);
    }
    return NEXT_RESPOND;
}

enum next handle_backup(struct exchange *x)
{
    const char *consistency = request_query(&x->request, "consistency");
    bool is_stale = consistency != NULL && strcmp(consistency, "stale") == 0;
    struct problem problem;
    if (consistency != NULL && !is_stale && strcmp(consistency, "linearizable") != 0) {
        problem_set(&problem, "consistency", "must be stale or linearizable");
        response_problem(&x->response, &problem);
        return NEXT_RESPOND;
    }
    if (!is_stale && !x->proven) {
        return NEXT_PROOF;
    }
    x->finish = finish;
    return NEXT_BACKUP;
}
