#include "consensus/forming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/check.h"
#include "server/base/log.h"

/* Interval between messages to new members. */
#define TELL_MS 300
/* A member that hears of a cluster and is not sent it within this time is not one of its first. */
#define WAITS_MS 2000

/* A member's last hello; NULL: none yet. */
static const struct hello_facts *heard_of(const struct forming *f, uint64_t id)
{
    for (size_t i = 0; i < f->heard_count; i++) {
        if (f->heard[i].member == id) {
            return &f->heard[i];
        }
    }
    return NULL;
}

void forming_init(struct engine *e)
{
    struct forming *f = &e->forming;
    memset(f, 0, sizeof *f);
    f->list_hash = e->identity.joins ? 0 : configuration_members_hash(e->identity.members);
    CHECK(configuration_parse_members(e->identity.members, f->members, &f->count));
}

/* --- forming --- */

/* Writes the first configuration as the first entry. 0, or a negative errno. */
static int write_genesis(struct engine *e, const struct cluster_id *cluster, char *error,
                         size_t error_size)
{
    struct wal_state state = {.term = 1, .commit = 1}; /* everybody has it, or nothing at all */
    struct wal_loaded loaded;
    struct wal_frame frame;
    struct wal *wal = wal_open(e->env.files, cluster, 0, &loaded, error, error_size);
    if (wal == NULL) {
        return -EIO;
    }
    (void)log_append(&loaded.log, state.term, RAFT_CHANGE, e->forming.genesis,
                     e->forming.genesis_len);
    wal_frame_init(&frame);
    wal_frame_entry(&frame, 1, log_get(&loaded.log, 1));
    wal_frame_state(&frame, &state);
    int result = wal_write(wal, &frame);
    wal_frame_done(&frame);
    log_done(&loaded.log);
    wal_close(wal);
    return result;
}

/* Writes the first log and then the identity: an identity with a cluster always has a log. An
 * admitted life has an empty log. False: the process is ending. */
static bool persist(struct engine *e, const struct cluster_id *cluster, bool let_in)
{
    const struct wal_state state = {.term = 1};
    struct identity identity = e->identity;
    char error[512] = "";
    int result = wal_create(e->env.files, cluster, &state);
    if (result == 0 && !let_in) {
        result = write_genesis(e, cluster, error, sizeof error);
    }
    if (result == 0) {
        identity.cluster = *cluster;
        identity.joining = let_in;
        result = identity_write(e->env.files, &identity);
    }
    if (result != 0) {
        engine_fatal(e, "the first log could not be written: %s",
                     error[0] != '\0' ? error : strerror(-result));
        return false;
    }
    e->identity = identity;
    return true;
}

static void formed(struct engine *e, const struct cluster_id *cluster, bool let_in)
{
    char text[CLUSTER_ID_TEXT_SIZE];
    if (!persist(e, cluster, let_in)) {
        return;
    }
    cluster_id_text(cluster, text);
    if (let_in) {
        log_write(LOG_INFO, "raft", "admitted: the cluster has taken this new life of the member",
                  "cluster=%s life=%016" PRIx64, text, e->identity.life);
    } else {
        log_write(LOG_INFO, "raft", "the cluster is formed", "cluster=%s members=%zu", text,
                  e->forming.count);
    }
    engine_formed(e);
}

/* Whether all others are connected and new. */
static bool all_are_new(const struct engine *e)
{
    const struct forming *f = &e->forming;
    for (size_t i = 0; i < f->count; i++) {
        uint64_t id = f->members[i].id;
        if (id != e->options.id && forming_new_life(e, id) == NULL) {
            return false;
        }
    }
    return true;
}

static void note_genesis(struct forming *f, const struct raft_configuration *conf)
{
    struct buffer bytes;
    buffer_init(&bytes, sizeof f->genesis);
    configuration_encode(conf, &bytes);
    CHECK(!bytes.overflowed);
    memcpy(f->genesis, bytes.data, bytes.len);
    f->genesis_len = bytes.len;
    buffer_done(&bytes);
}

static void form(struct engine *e)
{
    struct forming *f = &e->forming;
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (size_t i = 0; i < f->count; i++) {
        char address[CONFIGURATION_ADDRESS_SIZE];
        bool self = f->members[i].id == e->options.id;
        configuration_server_address(&f->members[i], address);
        CHECK(raft_configuration_add(&conf,
                                     self ? e->identity.life : forming_life(e, f->members[i].id),
                                     address, RAFT_VOTER) == 0);
    }
    note_genesis(f, &conf);
    raft_configuration_close(&conf);
    struct cluster_id cluster = cluster_id_make();
    formed(e, &cluster, false);
}

/* --- learning of it --- */

/* Whether it is a first configuration that contains this life; keeps it if so. */
static bool take_genesis(struct engine *e, uint64_t from, const uint8_t *data, size_t len)
{
    struct forming *f = &e->forming;
    struct raft_configuration conf;
    if (len == 0 || len > sizeof f->genesis) {
        return false;
    }
    if (!configuration_decode(data, len, &conf)) {
        log_write(LOG_WARN, "peer", "malformed first configuration dropped", "from=%" PRIu64, from);
        return false;
    }
    const struct raft_server *self = configuration_find(&conf, e->identity.life);
    bool ours =
        self != NULL && configuration_member_of(self) == e->options.id && conf.n == f->count;
    raft_configuration_close(&conf);
    if (ours) {
        f->genesis_len = len;
        memcpy(f->genesis, data, len);
    }
    return ours;
}

void forming_receive(struct engine *e, uint64_t from, enum frame_type type, const uint8_t *data,
                     size_t len)
{
    struct cluster_id cluster;
    if (!cluster_id_is_none(&e->identity.cluster) || len < CLUSTER_ID_BYTES) {
        return;
    }
    memcpy(cluster.bytes, data, CLUSTER_ID_BYTES);
    data += CLUSTER_ID_BYTES;
    len -= CLUSTER_ID_BYTES;
    if (cluster_id_is_none(&cluster)) {
        return;
    }
    if (type == FRAME_FORM && take_genesis(e, from, data, len)) {
        formed(e, &cluster, false);
    } else if (type == FRAME_LET_IN && len == 8 && load_u64(data) == e->identity.life) {
        formed(e, &cluster, true);
    }
}

void forming_heard(struct engine *e, const struct hello_facts *facts)
{
    struct forming *f = &e->forming;
    size_t place = 0;
    while (place < f->heard_count && f->heard[place].member != facts->member) {
        place++;
    }
    if (place == LINKS_MAX) {
        /* LINKS_MAX members are linked at most, and this one is. */
        place = 0;
        while (e->env.is_up(e->env.ctx, f->heard[place].member)) {
            place++;
            CHECK(place < LINKS_MAX);
        }
    }
    f->heard_count = place < f->heard_count ? f->heard_count : place + 1;
    f->heard[place] = *facts;
    f->told_ms = 0; /* if it is new, inform it at once */
    if (cluster_id_is_none(&e->identity.cluster) && !cluster_id_is_none(&facts->cluster) &&
        f->waits_since_ms == 0) {
        f->waits_since_ms = engine_now_ms(e);
    }
}

const struct hello_facts *forming_new_life(const struct engine *e, uint64_t id)
{
    const struct hello_facts *facts = heard_of(&e->forming, id);
    bool is_new = facts != NULL && cluster_id_is_none(&facts->cluster);
    return is_new && e->env.is_up(e->env.ctx, id) ? facts : NULL;
}

bool forming_is_first(const struct engine *e, uint64_t id)
{
    return configuration_find_member(e->forming.members, e->forming.count, id) != NULL;
}

uint64_t forming_life(const struct engine *e, uint64_t id)
{
    const struct hello_facts *facts = heard_of(&e->forming, id);
    return facts != NULL ? facts->life : 0;
}

/* --- informing others --- */

/* Informs a new life that is in the committed configuration: while that is the first one, sends all
 * of it; otherwise, that it is admitted. It has confirmed nothing yet, so it may start with an
 * empty log. */
static void tell(struct engine *e, const struct hello_facts *facts)
{
    struct forming *f = &e->forming;
    const struct raft *raft = &e->driver.raft;
    uint8_t bytes[CLUSTER_ID_BYTES + sizeof f->genesis];
    memcpy(bytes, e->identity.cluster.bytes, CLUSTER_ID_BYTES);
    if (raft->configuration_committed_index == 1) {
        note_genesis(f, &raft->configuration_committed);
        memcpy(bytes + CLUSTER_ID_BYTES, f->genesis, f->genesis_len);
        engine_send(e, facts->member, FRAME_FORM, bytes, CLUSTER_ID_BYTES + f->genesis_len);
    } else {
        store_u64(bytes + CLUSTER_ID_BYTES, facts->life);
        engine_send(e, facts->member, FRAME_LET_IN, bytes, CLUSTER_ID_BYTES + 8);
    }
}

static void tell_new(struct engine *e)
{
    struct forming *f = &e->forming;
    uint64_t now_ms = engine_now_ms(e);
    if (f->told_ms != 0 && now_ms - f->told_ms < TELL_MS) {
        return;
    }
    f->told_ms = now_ms;
    for (size_t i = 0; i < f->heard_count; i++) {
        const struct hello_facts *facts = forming_new_life(e, f->heard[i].member);
        if (facts != NULL &&
            configuration_find(&e->driver.raft.configuration_committed, facts->life) != NULL) {
            tell(e, facts);
        }
    }
}

static void check_waits(struct engine *e)
{
    struct forming *f = &e->forming;
    if (!f->waits && f->waits_since_ms != 0 && engine_now_ms(e) - f->waits_since_ms >= WAITS_MS) {
        f->waits = true;
        log_write(LOG_WARN, "raft",
                  "this member has an empty directory, and its cluster exists already: it waits "
                  "without a vote until the cluster lets it in",
                  "life=%016" PRIx64, e->identity.life);
    }
}

void forming_tick(struct engine *e)
{
    struct forming *f = &e->forming;
    if (e->running) {
        tell_new(e);
        return;
    }
    check_waits(e);
    if (!e->identity.joins && f->members[0].id == e->options.id && all_are_new(e)) {
        form(e);
    }
}
