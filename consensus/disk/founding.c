#include "consensus/disk/founding.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "consensus/disk/complaint.h"
#include "consensus/disk/snapshot_file.h"
#include "consensus/disk/wal.h"
#include "server/base/log.h"
#include "server/base/mem.h"

#define DECIDED           "founding"
#define DECIDED_TEMPORARY "founding.new"
#define NAME_SIZE         128

/* Always returns false, so that callers can return it. */
static bool refuse(const struct complaint *c, const char *what, int error)
{
    return complain(
        c, "the new cluster cannot be completed here: %s: %s; correct that, and start again", what,
        strerror(-error));
}

/* --- the contents of the directory --- */

struct listed {
    char (*names)[NAME_SIZE];
    size_t count;
    bool has_state; /* not published yet */
};

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

static void note(void *data, const char *name, uint64_t bytes UNUSED)
{
    struct listed *l = data;
    bool is_ours = begins(name, "log-") || strcmp(name, "log.new") == 0 ||
                   begins(name, "snapshot") || strcmp(name, "identity") == 0 ||
                   strcmp(name, "identity.new") == 0;
    l->has_state |= strcmp(name, SNAPSHOT_FOUNDING_TEMPORARY) == 0;
    if (is_ours && strlen(name) < NAME_SIZE) {
        l->names = mem_realloc(l->names, (l->count + 1) * sizeof *l->names);
        memcpy(l->names[l->count++], name, strlen(name) + 1);
    }
}

/* --- steps --- */

/* Must be durable before anything takes the old names. */
static int put_aside(const struct files *files, const struct identity *identity,
                     const struct listed *l)
{
    char cluster[CLUSTER_ID_TEXT_SIZE];
    int rc = 0;
    cluster_id_text(&identity->cluster, cluster);
    for (size_t i = 0; i < l->count && rc == 0; i++) {
        char name[2 * NAME_SIZE];
        (void)snprintf(name, sizeof name, FOUNDING_ASIDE "%.*s-%s", FOUNDING_ASIDE_DIGITS, cluster,
                       l->names[i]);
        rc = files->rename(files->ctx, l->names[i], name);
    }
    return rc == 0 && l->count > 0 ? files->sync_dir(files->ctx) : rc;
}

static bool read_meta(const struct files *files, const char *name, const struct identity *identity,
                      struct snapshot_meta *ret_meta, const struct complaint *c)
{
    struct snapshot_reader *reader =
        snapshot_reader_open(files, name, &identity->cluster, ret_meta, c->text, c->size);
    snapshot_reader_close(reader);
    return reader != NULL;
}

static bool place_state(const struct files *files, const struct identity *identity,
                        const struct listed *l, const struct complaint *c)
{
    struct snapshot_meta meta;
    if (!read_meta(files, SNAPSHOT_FOUNDING_TEMPORARY, identity, &meta, c)) {
        return false;
    }
    int rc = put_aside(files, identity, l);
    if (rc == 0) {
        rc = snapshot_publish(files, SNAPSHOT_FOUNDING_TEMPORARY, meta.index, meta.term);
    }
    return rc == 0 || refuse(c, "its snapshot", rc);
}

/* An empty log that continues after the snapshot, in a later term. */
static bool make_log(const struct files *files, const struct identity *identity,
                     const struct complaint *c)
{
    char name[SNAPSHOT_NAME_SIZE];
    struct snapshot_meta meta;
    struct wal_loaded loaded;
    struct wal_frame frame;
    bool found = false;
    int rc = snapshot_find(files, &found, name);
    if (rc != 0 || !found) {
        return refuse(c, "its snapshot", rc != 0 ? rc : -ENOENT);
    }
    if (!read_meta(files, name, identity, &meta, c)) {
        return false;
    }
    struct wal_state state = {.term = meta.term + 1};
    rc = wal_create(files, &identity->cluster, &state);
    if (rc != 0) {
        return refuse(c, "its log", rc);
    }
    struct wal *wal = wal_open(files, &identity->cluster, meta.index, &loaded, c->text, c->size);
    if (wal == NULL) {
        return false;
    }
    state.commit = meta.index;
    wal_frame_init(&frame);
    wal_frame_reset(&frame, meta.index, meta.term, meta.checksum);
    wal_frame_state(&frame, &state);
    rc = wal_write(wal, &frame);
    wal_frame_done(&frame);
    log_done(&loaded.log);
    wal_close(wal);
    return rc == 0 || refuse(c, "its log", rc);
}

/* If only the last step is missing, the identity is the new one already. */
static bool look_at_identity(const struct files *files, const struct identity *identity,
                             bool *ret_is_done, const struct complaint *c)
{
    struct identity there;
    enum identity_state state = identity_read_named(files, "identity", &there, c->text, c->size);
    *ret_is_done = state == IDENTITY_FINE && there.life == identity->life;
    return state != IDENTITY_REFUSED;
}

static bool finish(const struct files *files, const struct identity *identity,
                   const struct complaint *c)
{
    struct listed l = {0};
    int rc = files->list(files->ctx, note, &l);
    bool is_done = false;
    bool fine =
        rc == 0 ? look_at_identity(files, identity, &is_done, c) : refuse(c, "the directory", rc);
    if (fine && !is_done) {
        fine =
            (!l.has_state || place_state(files, identity, &l, c)) && make_log(files, identity, c);
        if (fine) {
            rc = identity_write(files, identity);
            fine = rc == 0 || refuse(c, "its identity", rc);
        }
    }
    free(l.names);
    if (!fine) {
        return false;
    }
    rc = files->unlink(files->ctx, DECIDED);
    if (rc == 0) {
        rc = files->sync_dir(files->ctx);
    }
    return rc == 0 || refuse(c, "the file founding", rc);
}

/* --- interface --- */

int founding_decide(const struct files *files, const struct identity *identity)
{
    return identity_write_named(files, DECIDED_TEMPORARY, DECIDED, identity);
}

bool founding_is_decided(const struct files *files, bool *ret_decided, char *error,
                         size_t error_size)
{
    struct identity identity;
    enum identity_state state = identity_read_named(files, DECIDED, &identity, error, error_size);
    *ret_decided = state == IDENTITY_FINE;
    return state != IDENTITY_REFUSED;
}

bool founding_finish(const struct files *files, char *error, size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    struct identity identity;
    char cluster[CLUSTER_ID_TEXT_SIZE];
    switch (identity_read_named(files, DECIDED, &identity, error, error_size)) {
    case IDENTITY_MISSING:
        return true;
    case IDENTITY_REFUSED:
        return false;
    case IDENTITY_FINE:
        break;
    }
    if (!finish(files, &identity, &c)) {
        return false;
    }
    cluster_id_text(&identity.cluster, cluster);
    log_write(LOG_INFO, "disk", "a new cluster of this member alone is in place",
              "cluster=%s life=%016" PRIx64, cluster, identity.life);
    return true;
}
