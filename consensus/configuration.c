#include "consensus/configuration.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/compiler.h"
#include "server/base/text.h"

/* --- the list --- */

void configuration_members_text(const struct consensus_member *members, size_t count, char *out,
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

bool configuration_parse_members(const char *text, struct consensus_member *ret_members,
                                 size_t *ret_count)
{
    size_t count = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        if (count == CLUSTER_MEMBERS_MAX || !parse_member(text, len, &ret_members[count])) {
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

const struct consensus_member *configuration_find_member(const struct consensus_member *members,
                                                         size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].id == id) {
            return &members[i];
        }
    }
    return NULL;
}

uint64_t configuration_members_hash(const char *members_text)
{
    /* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *p = members_text; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    }
    return hash;
}

/* --- Raft's --- */

#define FORMAT 1 /* as raft_configuration_encode() writes it */

void configuration_server_address(const struct consensus_member *member,
                                  char out[CONFIGURATION_ADDRESS_SIZE])
{
    (void)snprintf(out, CONFIGURATION_ADDRESS_SIZE, "%" PRIu64 "@%s", member->id, member->address);
}

static const char *const marks[] = {
    [MARK_NONE] = "",
    [MARK_HELD] = "-held",
    [MARK_DUE] = "-due",
    [MARK_REPLACED] = "-replaced",
};

void configuration_mark_address(const char *address, uint64_t life, enum configuration_mark mark,
                                char out[CONFIGURATION_ADDRESS_SIZE])
{
    (void)snprintf(out, CONFIGURATION_ADDRESS_SIZE, "%.*s#%" PRIx64 "%s",
                   (int)strcspn(address, "#"), address, life, marks[mark]);
}

enum configuration_mark configuration_mark_of(const char *address)
{
    const char *life = strchr(address, '#');
    const char *text = life != NULL ? strchr(life, '-') : NULL;
    for (unsigned i = MARK_HELD; text != NULL && i < ARRAY_LENGTH(marks); i++) {
        if (strcmp(text, marks[i]) == 0) {
            return (enum configuration_mark)i;
        }
    }
    return MARK_NONE;
}

bool configuration_parse_server(const char *address, struct consensus_member *ret_member)
{
    char id[24];
    const char *at = strchr(address, '@');
    if (at == NULL || (size_t)(at - address) >= sizeof id) {
        return false;
    }
    size_t len = strcspn(at + 1, "#");
    if (len == 0 || len >= sizeof ret_member->address) {
        return false;
    }
    memcpy(id, address, (size_t)(at - address));
    id[at - address] = '\0';
    memcpy(ret_member->address, at + 1, len);
    ret_member->address[len] = '\0';
    return text_is_printable(at + 1, strlen(at + 1)) &&
           text_parse_u64(id, INT64_MAX, &ret_member->id) && ret_member->id > 0;
}

void configuration_encode(const struct raft_configuration *conf, struct buffer *out)
{
    static const uint8_t zeros[8];
    size_t begin = out->len;
    buffer_append_byte(out, FORMAT);
    buffer_append_u64(out, conf->n);
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        buffer_append_u64(out, server->id);
        buffer_append(out, server->address, strlen(server->address) + 1);
        buffer_append_byte(out, (uint8_t)server->role);
    }
    buffer_append(out, zeros, (8 - (out->len - begin) % 8) % 8);
}

uint64_t configuration_member_of(const struct raft_server *server)
{
    struct consensus_member member;
    bool sound = configuration_parse_server(server->address, &member);
    CHECK(sound); /* configuration_decode() has checked it */
    return member.id;
}

unsigned configuration_lives(const struct raft_configuration *conf, uint64_t id)
{
    unsigned lives = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        lives += configuration_member_of(&conf->servers[i]) == id;
    }
    return lives;
}

/* A member appears once, or twice while its later life replaces the earlier one. */
static bool has_room_for(const struct raft_configuration *conf, uint64_t id, uint64_t life)
{
    return configuration_find(conf, life) == NULL && configuration_lives(conf, id) < 2;
}

/* Decodes the next server; false if malformed. */
static bool decode_server(const uint8_t **at, const uint8_t *end, struct raft_configuration *conf)
{
    struct consensus_member member;
    if (end - *at < 8) {
        return false;
    }
    uint64_t life = load_u64(*at);
    const char *address = (const char *)*at + 8;
    size_t room = (size_t)(end - *at) - 8;
    size_t len = strnlen(address, room);
    if (life == 0 || life > INT64_MAX || len == room || len >= CONFIGURATION_ADDRESS_SIZE ||
        len + 1 == room || !configuration_parse_server(address, &member) ||
        !has_room_for(conf, member.id, life)) {
        return false;
    }
    int role = (uint8_t)address[len + 1];
    *at += 8 + len + 2;
    return role <= RAFT_SPARE && raft_configuration_add(conf, life, address, role) == 0;
}

bool configuration_decode(const uint8_t *data, size_t len, struct raft_configuration *ret_conf)
{
    raft_configuration_init(ret_conf);
    if (len < 9 || len % 8 != 0 || data[0] != FORMAT) {
        return false;
    }
    uint64_t count = load_u64(data + 1);
    const uint8_t *at = data + 9;
    const uint8_t *end = data + len;
    bool sound = count >= 1 && count <= MEMBERS_MAX;
    for (uint64_t i = 0; i < count && sound; i++) {
        sound = decode_server(&at, end, ret_conf);
    }
    if (sound && end - at < 8) {
        return true;
    }
    raft_configuration_close(ret_conf);
    raft_configuration_init(ret_conf);
    return false;
}

/* --- changes --- */

const struct raft_server *configuration_find(const struct raft_configuration *conf, uint64_t life)
{
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].id == life) {
            return &conf->servers[i];
        }
    }
    return NULL;
}

unsigned configuration_voters(const struct raft_configuration *conf)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        voters += conf->servers[i].role == RAFT_VOTER;
    }
    return voters;
}

void configuration_copy(const struct raft_configuration *conf, uint64_t without,
                        struct raft_configuration *ret_conf)
{
    raft_configuration_init(ret_conf);
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        if (server->id != without) {
            configuration_add(ret_conf, server->id, server->address, server->role);
        }
    }
}

static void set_address(struct raft_server *server, const char *address)
{
    char *copy = raft_malloc(strlen(address) + 1);
    CHECK(copy != NULL);
    memcpy(copy, address, strlen(address) + 1);
    raft_free(server->address);
    server->address = copy;
}

void configuration_set(struct raft_configuration *conf, unsigned server_index, int role,
                       enum configuration_mark mark)
{
    struct raft_server *server = &conf->servers[server_index];
    char address[CONFIGURATION_ADDRESS_SIZE];
    configuration_mark_address(server->address, server->id, mark, address);
    set_address(server, address);
    server->role = role;
}

void configuration_move(struct raft_configuration *conf, unsigned server_index, const char *address)
{
    struct raft_server *server = &conf->servers[server_index];
    struct consensus_member member = {.id = configuration_member_of(server)};
    char moved[CONFIGURATION_ADDRESS_SIZE], marked[CONFIGURATION_ADDRESS_SIZE];
    (void)snprintf(member.address, sizeof member.address, "%s", address);
    configuration_server_address(&member, moved);
    configuration_mark_address(moved, server->id, configuration_mark_of(server->address), marked);
    set_address(server, marked);
}

void configuration_add(struct raft_configuration *conf, uint64_t life, const char *address,
                       int role)
{
    CHECK(conf->n < MEMBERS_MAX);
    CHECK(raft_configuration_add(conf, life, address, role) == 0);
}
