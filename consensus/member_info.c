#include "consensus/member_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "consensus/configuration.h"
#include "consensus/engine.h"
#include "server/base/buffer.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/text.h"

#define INTERVAL_MS     300
#define INFO_BYTES_MAX  2048
#define GUEST_SILENT_MS 5000
#define FIXED_BYTES     29 /* applied u64, hash index u64, hash u64, levels u16 u16, space u8 */
/* A byte of flags after the texts; earlier versions neither send nor read it. */
#define FLAG_REFUSES   1u
#define FLAG_AVAILABLE 2u
#define FLAG_LEAVES    4u

/* --- the table --- */

static const char *role_name(int role)
{
    return role == RAFT_VOTER ? "voter" : role == RAFT_STANDBY ? "standby" : "spare";
}

static void fill(struct engine *e, struct member *m, const struct raft_server *server)
{
    struct consensus_member parsed = {0};
    struct consensus_member_info *info = &m->info;
    bool sound = configuration_parse_server(server->address, &parsed);
    CHECK(sound); /* configuration_decode() has checked it */
    info->id = parsed.id;
    info->life = server->id;
    info->is_self = info->life == e->identity.life;
    (void)snprintf(info->peer_address, sizeof info->peer_address, "%s", parsed.address);
    (void)snprintf(info->role, sizeof info->role, "%s", role_name(server->role));
    m->mark = configuration_mark_of(server->address);
    info->is_held = m->mark == MARK_HELD;
    if (info->is_self) {
        (void)snprintf(info->name, sizeof info->name, "%s", e->options.name);
        (void)snprintf(info->http_address, sizeof info->http_address, "%s",
                       e->options.http_address);
        (void)snprintf(info->version, sizeof info->version, "%s", e->options.version);
        info->level_min = e->app.level_min;
        info->level_max = e->app.level_max;
    }
}

static bool is_configured(const struct engine *e, const struct raft_configuration *conf)
{
    bool same = conf->n == e->members.count;
    for (unsigned i = 0; i < conf->n && same; i++) {
        const struct member *m = &e->members.list[i];
        struct consensus_member parsed;
        same = configuration_parse_server(conf->servers[i].address, &parsed) &&
               m->info.life == conf->servers[i].id &&
               strcmp(m->info.role, role_name(conf->servers[i].role)) == 0 &&
               strcmp(m->info.peer_address, parsed.address) == 0 &&
               m->mark == configuration_mark_of(conf->servers[i].address);
    }
    return same;
}

static struct member *of_life(struct member_table *t, uint64_t life)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->list[i].info.life == life) {
            return &t->list[i];
        }
    }
    for (size_t i = 0; i < t->guests_count; i++) {
        if (t->guests[i].info.life == life) {
            return &t->guests[i];
        }
    }
    return NULL;
}

/* Drops guests that are members now. */
static void forget_guests(struct engine *e)
{
    struct member_table *t = &e->members;
    size_t kept = 0;
    for (size_t i = 0; i < t->guests_count; i++) {
        if (member_info_is_configured(e, of_life(t, t->guests[i].info.life))) {
            continue;
        }
        t->guests[kept++] = t->guests[i];
    }
    t->guests_count = kept;
}

void member_info_configure(struct engine *e, const struct raft_configuration *conf)
{
    CHECK(conf->n <= MEMBERS_MAX);
    if (is_configured(e, conf)) {
        return;
    }
    struct member_table before = e->members;
    memset(e->members.list, 0, sizeof e->members.list);
    e->members.count = conf->n;
    e->members.configured++;
    for (unsigned i = 0; i < conf->n; i++) {
        struct member *m = &e->members.list[i];
        *m = (struct member){.info = {.has_space = true}};
        const struct member *known = of_life(&before, conf->servers[i].id);
        if (known != NULL) {
            *m = *known;
        }
        fill(e, m, &conf->servers[i]);
        if (known != NULL && strcmp(known->info.peer_address, m->info.peer_address) != 0) {
            m->advertised_address[0] = '\0'; /* or its last announcement would move it back */
            links_readdressed(e, m->info.id, known->info.peer_address);
        }
    }
    forget_guests(e);
    links_changed(e);
    read_index_reset(e); /* its acks are indexed by member */
}

struct member *member_info_find(struct engine *e, uint64_t id)
{
    for (size_t i = e->members.count; i > 0; i--) {
        if (e->members.list[i - 1].info.id == id) {
            return &e->members.list[i - 1];
        }
    }
    return NULL;
}

struct member *member_info_of_life(struct engine *e, uint64_t life)
{
    return of_life(&e->members, life);
}

bool member_info_is_configured(const struct engine *e, const struct member *m)
{
    return m >= e->members.list && m < e->members.list + e->members.count;
}

/* --- guests --- */

/* A guest that leads, or wants to, sends all the time. One that was removed has exited; nobody may
 * keep dialling it. */
static void drop_silent_guests(struct engine *e)
{
    struct member_table *t = &e->members;
    size_t kept = 0;
    for (size_t i = 0; i < t->guests_count; i++) {
        if (engine_now_ms(e) - t->guests[i].heard_ms < GUEST_SILENT_MS) {
            t->guests[kept++] = t->guests[i];
        }
    }
    if (kept < t->guests_count) {
        t->guests_count = kept;
        links_changed(e);
    }
}

/* Adds a guest, in place of any other with that id. NULL: too many. */
static struct member *take_in(struct engine *e, uint64_t id, uint64_t life)
{
    struct member_table *t = &e->members;
    size_t place = 0;
    while (place < t->guests_count && t->guests[place].info.id != id) {
        place++;
    }
    if (place == MEMBERS_MAX) {
        return NULL;
    }
    if (place == t->guests_count) {
        t->guests_count++;
    }
    struct member *m = &t->guests[place];
    *m = (struct member){.info = {.id = id, .life = life, .has_space = true}};
    (void)snprintf(m->info.role, sizeof m->info.role, "none");
    return m;
}

struct member *member_info_sender(struct engine *e, uint64_t id, uint64_t life)
{
    struct member *m = member_info_of_life(e, life);
    if (m == NULL && life != e->identity.life) {
        m = take_in(e, id, life);
    }
    if (m != NULL && !member_info_is_configured(e, m)) {
        m->heard_ms = engine_now_ms(e);
    }
    return m != NULL && m->info.id == id && !m->info.is_self ? m : NULL;
}

const char *member_info_advertised_address(struct engine *e, uint64_t id)
{
    const struct member *m = member_info_find(e, id);
    /* A member that knows all lives treats guests as earlier lives: the member may be elsewhere by
     * now. */
    size_t guests = engine_knows_all(e) ? 0 : e->members.guests_count;
    for (size_t i = 0; i < guests && (m == NULL || m->advertised_address[0] == '\0'); i++) {
        if (e->members.guests[i].info.id == id) {
            m = &e->members.guests[i];
        }
    }
    return m != NULL && m->advertised_address[0] != '\0' ? m->advertised_address : NULL;
}

size_t member_info_index(const struct engine *e, const struct member *m)
{
    size_t place = (size_t)(m - e->members.list);
    CHECK(place < e->members.count);
    return place;
}

bool member_info_is_voter(const struct member *m)
{
    return strcmp(m->info.role, "voter") == 0;
}

const char *member_info_committed_role(const struct engine *e, uint64_t life)
{
    const struct raft_server *server =
        configuration_find(&e->driver.raft.configuration_committed, life);
    return server != NULL ? role_name(server->role) : "";
}

size_t member_info_voters(const struct engine *e)
{
    size_t voters = 0;
    for (size_t i = 0; i < e->members.count; i++) {
        voters += member_info_is_voter(&e->members.list[i]);
    }
    return voters;
}

bool member_info_is_majority(const struct engine *e, size_t voters)
{
    return voters > member_info_voters(e) / 2;
}

/* --- FRAME_INFO --- */

static void append_text(struct buffer *out, const char *text)
{
    size_t len = strlen(text);
    buffer_append_u16(out, (uint16_t)len);
    buffer_append(out, text, len);
}

/* Members that do not know our life yet can learn it only from us. */
static const char *own_address(const struct engine *e)
{
    const struct member *self = NULL;
    for (size_t i = 0; i < e->members.count; i++) {
        self = e->members.list[i].info.is_self ? &e->members.list[i] : self;
    }
    return e->options.advertised_address[0] == '\0' && self != NULL ? self->info.peer_address
                                                                    : e->options.advertised_address;
}

static void encode(struct engine *e, struct buffer *out)
{
    struct state_hash hash = fsm_newest_hash(e);
    buffer_append_u64(out, e->fsm.applied_index);
    buffer_append_u64(out, hash.index);
    buffer_append_u64(out, hash.hash);
    buffer_append_u16(out, e->app.level_min);
    buffer_append_u16(out, e->app.level_max);
    buffer_append_byte(out, e->disk_full ? 0 : 1);
    append_text(out, e->options.name);
    append_text(out, e->options.http_address);
    append_text(out, e->options.version);
    append_text(out, own_address(e));
    buffer_append_byte(out, (e->refusals.here ? FLAG_REFUSES : 0) |
                                (e->available ? FLAG_AVAILABLE : 0) |
                                (e->leaves ? FLAG_LEAVES : 0));
}

/* Reads a text into `field`; false if it is missing, too long or not printable. */
static bool take_text(const uint8_t **at, const uint8_t *end, char *field, size_t size)
{
    if (end - *at < 2) {
        return false;
    }
    size_t len = load_u16(*at);
    if (len >= size || len > (size_t)(end - *at - 2) ||
        !text_is_printable((const char *)*at + 2, len)) {
        return false;
    }
    memcpy(field, *at + 2, len);
    field[len] = '\0';
    *at += 2 + len;
    return true;
}

/* Reads its announced address. */
static void take_address(struct engine *e, struct member *m, const char *address)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    if (strcmp(address, m->advertised_address) == 0 ||
        !text_parse_address(address, host, sizeof host, &port) || text_is_any_host(host)) {
        return;
    }
    (void)snprintf(m->advertised_address, sizeof m->advertised_address, "%s", address);
    links_changed(e);
}

void member_info_receive(struct engine *e, struct member *m, const uint8_t *data, size_t len)
{
    if (len < FIXED_BYTES) {
        return;
    }
    struct consensus_member_info info = m->info;
    const uint8_t *at = data + FIXED_BYTES;
    const uint8_t *end = data + len;
    info.applied_index = load_u64(data);
    info.level_min = load_u16(data + 24);
    info.level_max = load_u16(data + 26);
    info.has_space = data[28] != 0;
    if (take_text(&at, end, info.name, sizeof info.name) &&
        take_text(&at, end, info.http_address, sizeof info.http_address) &&
        take_text(&at, end, info.version, sizeof info.version)) {
        char address[sizeof m->advertised_address] = "";
        bool told = take_text(&at, end, address, sizeof address);
        uint8_t flags = told && at < end ? *at : 0;
        info.refuses_heartbeats = (flags & FLAG_REFUSES) != 0;
        m->available = (flags & FLAG_AVAILABLE) != 0;
        m->leaves = (flags & FLAG_LEAVES) != 0;
        m->info = info;
        m->heard_ms = engine_now_ms(e);
        if (told) {
            take_address(e, m, address);
        }
        fsm_compare(e, m, load_u64(data + 8), load_u64(data + 16));
    }
}

void member_info_hurry(struct engine *e)
{
    e->members.sent_ms = 0;
}

static void send_ours(struct engine *e)
{
    struct buffer out;
    e->members.sent_ms = engine_now_ms(e);
    buffer_init(&out, INFO_BYTES_MAX);
    encode(e, &out);
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (!m->info.is_self && engine_is_up(e, m)) {
            engine_send(e, m->info.id, FRAME_INFO, out.data, out.len);
        }
    }
    buffer_done(&out);
}

void member_info_tick(struct engine *e)
{
    if (e->members.sent_ms == 0 || engine_now_ms(e) - e->members.sent_ms >= INTERVAL_MS) {
        drop_silent_guests(e);
        send_ours(e);
    }
}

void member_info_say_leaving(struct engine *e)
{
    e->leaves = true;
    if (e->running && !e->closing) {
        send_ours(e);
    }
}

size_t member_info_presence(const struct engine *e, struct consensus_presence *ret_members)
{
    uint64_t now_ms = engine_now_ms(e);
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        bool is_self = m->info.is_self;
        ret_members[i] = (struct consensus_presence){
            .id = m->info.id,
            .silent_ms = is_self            ? 0
                         : m->frame_ms == 0 ? UINT64_MAX
                                            : clock_elapsed(m->frame_ms, now_ms),
            .available = is_self ? e->available : m->available,
            .leaves = is_self ? e->leaves : m->leaves,
        };
    }
    return e->members.count;
}

bool member_info_majority_has_space(const struct engine *e)
{
    size_t with_space = 0;
    if (member_info_voters(e) == 0) {
        return true; /* it was admitted a moment ago, and knows nobody */
    }
    for (size_t i = 0; i < e->members.count; i++) {
        const struct member *m = &e->members.list[i];
        if (member_info_is_voter(m)) {
            with_space += m->info.is_self ? !e->disk_full : m->info.has_space;
        }
    }
    return member_info_is_majority(e, with_space);
}
