#include "consensus/bootstrap.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/text.h"

/* --- the list --- */

void bootstrap_members_text(const struct consensus_member *members, size_t count, char *out,
                            size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && n < size; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%" PRIu64 "=%s", i > 0 ? "," : "",
                              members[i].id, members[i].address);
    }
}

static bool parse_member(const char *text, size_t len, struct consensus_member *ret_member)
{
    char id[24];
    const char *equals = memchr(text, '=', len);
    if (equals == NULL || (size_t)(equals - text) >= sizeof id) {
        return false;
    }
    size_t id_len = (size_t)(equals - text);
    size_t address_len = len - id_len - 1;
    memcpy(id, text, id_len);
    id[id_len] = '\0';
    if (address_len == 0 || address_len >= sizeof ret_member->address ||
        !text_parse_u64(id, INT64_MAX, &ret_member->id)) {
        return false;
    }
    memcpy(ret_member->address, equals + 1, address_len);
    ret_member->address[address_len] = '\0';
    return true;
}

bool bootstrap_parse_members(const char *text, struct consensus_member *ret_members,
                             size_t *ret_count)
{
    size_t count = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (count == MEMBERS_MAX || !parse_member(text, len, &ret_members[count])) {
            return false;
        }
        count++;
        if (text[len] == '\0') {
            *ret_count = count;
            return true;
        }
        text += len + 1;
    }
}

uint64_t bootstrap_cluster_id(const char *members_text)
{
    /* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *p = members_text; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    }
    return hash;
}

/* --- a transport that does nothing --- */

static int no_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static int no_listen(struct raft_uv_transport *t, raft_uv_accept_cb cb)
{
    (void)t;
    (void)cb;
    return 0;
}

static int no_connect(struct raft_uv_transport *t, struct raft_uv_connect *req, raft_id id,
                      const char *address, raft_uv_connect_cb cb)
{
    (void)t;
    (void)req;
    (void)id;
    (void)address;
    (void)cb;
    return RAFT_NOCONNECTION;
}

static void no_close(struct raft_uv_transport *t, raft_uv_transport_close_cb cb)
{
    cb(t);
}

void bootstrap_transport(struct raft_uv_transport *transport)
{
    *transport = (struct raft_uv_transport){
        .version = 1,
        .init = no_init,
        .listen = no_listen,
        .connect = no_connect,
        .close = no_close,
    };
}

/* --- the first entry --- */

static int nothing_to_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    (void)fsm;
    (void)buf;
    *result = NULL;
    return 0;
}

static void ignore_closed(struct raft *raft)
{
    (void)raft;
}

/* Writes the configuration below `dir` with a libraft of its own. */
static int write_first_entry(const char *dir, uint64_t id, const struct raft_configuration *conf,
                             char *error, size_t error_size)
{
    uv_loop_t loop;
    struct raft_uv_transport transport;
    struct raft raft = {0};
    struct raft_io io = {0};
    struct raft_fsm fsm = {.version = 1, .apply = nothing_to_apply};
    CHECK(uv_loop_init(&loop) == 0);
    bootstrap_transport(&transport);
    int rv = raft_uv_init(&io, &loop, dir, &transport);
    if (rv != 0) {
        (void)snprintf(error, error_size, "%s: %s", dir, io.errmsg);
        goto close_loop;
    }
    rv = raft_init(&raft, &io, &fsm, id, "bootstrap");
    if (rv != 0) {
        (void)snprintf(error, error_size, "%s: %s", dir, raft_errmsg(&raft));
        goto close_io;
    }
    raft.tracer = NULL;
    rv = raft_bootstrap(&raft, conf);
    if (rv != 0) {
        (void)snprintf(error, error_size, "%s: %s", dir, io.errmsg);
    }
    raft_close(&raft, ignore_closed);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
close_io:
    raft_uv_close(&io);
close_loop:
    (void)uv_loop_close(&loop);
    return rv;
}

bool bootstrap_log(struct storage *storage, uint64_t id, const struct consensus_member *members,
                   size_t count, char *error, size_t error_size)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (size_t i = 0; i < count; i++) {
        CHECK(raft_configuration_add(&conf, members[i].id, members[i].address, RAFT_VOTER) == 0);
    }
    int rv = write_first_entry(storage_staging_dir(storage), id, &conf, error, error_size);
    raft_configuration_close(&conf);
    if (rv != 0) {
        return false;
    }
    if (storage_publish(storage) != ST_OK) {
        (void)snprintf(error, error_size, "%s cannot be renamed to %s",
                       storage_staging_dir(storage), storage_raft_dir(storage));
        return false;
    }
    return true;
}
