#include "server/wire/wire_command.h"

#include <stdlib.h>

#include "server/base/mem.h"
#include "server/registry/check_id.h"
#include "server/wire/pack.h"
#include "server/wire/wire_registration.h"
#include "server/wire/wire_token.h"

/* An optional health: 0, or 1 + health. Never maintenance. */
#define HEALTH_CODE_MAX (HEALTH_CRITICAL + 1)

static void encode_health(struct buffer *out, bool given, enum health health)
{
    pack_uint(out, given ? (uint64_t)health + 1 : 0);
}

static void encode_heartbeat(const struct command *c, struct buffer *out)
{
    pack_uint(out, c->heartbeat.count);
    for (uint32_t i = 0; i < c->heartbeat.count; i++) {
        pack_text(out, c->heartbeat.ids[i].data, c->heartbeat.ids[i].len);
    }
    pack_uint(out, c->heartbeat.incarnation);
    encode_health(out, c->heartbeat.status_given, c->heartbeat.status);
    pack_bool(out, c->heartbeat.note_given);
    if (c->heartbeat.note_given) {
        pack_text(out, c->heartbeat.note.data, c->heartbeat.note.len);
    }
}

static void encode_check(const struct check_spec *c, struct buffer *out)
{
    pack_text(out, c->key.data, c->key.len);
    pack_text(out, c->extra.data, c->extra.len);
    pack_text(out, c->note.data, c->note.len);
    pack_uint(out, c->ttl_ms);
    pack_uint(out, c->reap_after_ms);
    pack_uint(out, c->status);
    pack_bool(out, c->active);
}

static void encode_enrol(const struct command *c, struct buffer *out)
{
    const struct registration *g = &c->enrol.registration;
    wire_registration_encode(g, out);
    pack_text(out, g->extra.data, g->extra.len);
    pack_uint(out, c->enrol.incarnation);
    pack_bool(out, c->enrol.takes_over);
    pack_bool(out, c->enrol.only_these);
    pack_bool(out, c->enrol.only_here);
    pack_uint(out, c->enrol.checks_count);
    for (uint32_t i = 0; i < c->enrol.checks_count; i++) {
        encode_check(&c->enrol.checks[i], out);
    }
}

static void encode_probers(const struct command *c, struct buffer *out)
{
    pack_uint(out, c->probers.count);
    for (uint32_t i = 0; i < c->probers.count; i++) {
        pack_uint(out, c->probers.members[i]);
    }
}

/* Precedes the kind of a command with a guard. */
#define GUARDED 11
/* Precedes the kind of a command in a namespace, behind the guard. */
#define IN_NAMESPACE 12
/* Precedes a registration whose type is to be unique, behind both. */
#define UNIQUE_TYPE 20
/* Of the id in a guard: fixed by the format, at every level. */
#define GUARD_BYTES_MAX 255

void wire_command_encode(const struct command *c, struct buffer *out)
{
    if (c->guard.kind != GUARD_NONE) {
        pack_uint(out, GUARDED);
        pack_uint(out, c->guard.kind);
        pack_text(out, c->guard.who.data, c->guard.who.len);
    }
    if (c->space.len > 0) {
        pack_uint(out, IN_NAMESPACE);
        pack_text(out, c->space.data, c->space.len);
    }
    if (c->kind == COMMAND_REGISTER && c->register_.unique_type) {
        pack_uint(out, UNIQUE_TYPE);
    }
    pack_uint(out, c->kind);
    switch (c->kind) {
    case COMMAND_REGISTER:
        wire_registration_encode(&c->register_.registration, out);
        pack_uint(out, c->register_.incarnation);
        encode_health(out, c->register_.health_given, c->register_.health);
        return;
    case COMMAND_RENEW:
        pack_bytes(out, c->renew.refs, (size_t)c->renew.count * LEASE_REF_BYTES);
        return;
    case COMMAND_HEARTBEAT:
        encode_heartbeat(c, out);
        return;
    case COMMAND_TOKEN_CREATE:
        wire_token_encode(&c->token_create.spec, out);
        pack_uint(out, c->token_create.ttl_s);
        pack_uint(out, c->token_create.turn);
        return;
    case COMMAND_POLICY_CREATE:
        wire_token_encode(&c->policy_create.spec, out);
        pack_uint(out, c->policy_create.ttl_s);
        return;
    case COMMAND_ENROL:
        encode_enrol(c, out);
        return;
    case COMMAND_CHECK_PUT:
        pack_text(out, c->check_put.id.data, c->check_put.id.len);
        encode_check(&c->check_put.check, out);
        return;
    case COMMAND_PROBERS:
        encode_probers(c, out);
        return;
#define OWN_COMMAND(KIND, member, number, level, what)
#define COMMAND(KIND, member, number, level, what, fields)                                         \
    case COMMAND_##KIND: {                                                                         \
        const __typeof__(c->member) *f = &c->member;                                               \
        fields; /* NOLINT(bugprone-macro-parentheses): statements */                               \
        return;                                                                                    \
    }
#define TEXT(name, limit)             pack_text(out, f->name.data, f->name.len);
#define FLAG(name)                    pack_bool(out, f->name);
#define UINT(name, type, least, most) pack_uint(out, f->name);
#include "server/registry/commands.def"
    }
}

static bool decode_health(struct unpack *in, enum health *ret_health)
{
    uint64_t code = unpack_uint(in, UINT64_MAX);
    if (code > HEALTH_CODE_MAX) {
        in->bad = true;
        code = 0;
    }
    *ret_health = code > 0 ? (enum health)(code - 1) : HEALTH_PASSING;
    return code > 0;
}

static void decode_heartbeat(struct unpack *in, const struct registry_limits *limits,
                             struct wire_command *w)
{
    struct command *c = &w->command;
    uint32_t count = (uint32_t)unpack_uint(in, limits->heartbeat_ids);
    if (count == 0 || count > (size_t)(in->end - in->at)) {
        in->bad = true;
        return;
    }
    struct slice *ids = &w->one;
    if (count > 1) {
        ids = w->ids = mem_alloc(count * sizeof *ids);
    }
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = unpack_text(in, limits->name_bytes);
    }
    c->heartbeat.ids = ids;
    c->heartbeat.count = count;
    c->heartbeat.incarnation = unpack_uint(in, UINT64_MAX);
    c->heartbeat.status_given = decode_health(in, &c->heartbeat.status);
    c->heartbeat.note_given = unpack_bool(in);
    if (c->heartbeat.note_given) {
        /* Which of both it is shows where it is applied. */
        c->heartbeat.note =
            unpack_text(in, limits->output_bytes > limits->note_bytes ? limits->output_bytes
                                                                      : limits->note_bytes);
    }
}

static void decode_renew(struct unpack *in, const struct registry_limits *limits, struct command *c)
{
    struct slice refs = unpack_bytes(in, (size_t)limits->heartbeat_ids * LEASE_REF_BYTES);
    if (refs.len == 0 || refs.len % LEASE_REF_BYTES != 0) {
        in->bad = true;
    }
    c->renew.refs = (const uint8_t *)refs.data;
    c->renew.count = (uint32_t)(refs.len / LEASE_REF_BYTES);
}

static uint64_t unpack_range(struct unpack *in, uint64_t least, uint64_t most)
{
    uint64_t value = unpack_uint(in, most);
    if (!in->bad && value < least) {
        unpack_refuse(in);
    }
    return value;
}

static void decode_check(struct unpack *in, const struct registry_limits *limits,
                         struct check_spec *c)
{
    c->key = unpack_text(in, limits->name_bytes);
    c->extra = unpack_text(in, limits->extra_bytes);
    c->note = unpack_text(in, limits->output_bytes);
    c->ttl_ms = (uint32_t)unpack_uint(in, limits->ttl_ms);
    c->reap_after_ms = (uint32_t)unpack_uint(in, limits->reap_after_ms);
    c->status = (enum health)unpack_uint(in, HEALTH_CRITICAL);
    c->active = unpack_bool(in);
    in->bad = in->bad || !check_key_is_valid(c->key) || c->status == HEALTH_MAINTENANCE ||
              (c->active && c->ttl_ms > 0);
}

static void decode_enrol(struct unpack *in, const struct registry_limits *limits, struct command *c)
{
    wire_registration_decode(in, limits, &c->enrol.registration);
    c->enrol.registration.extra = unpack_text(in, limits->extra_bytes);
    c->enrol.incarnation = unpack_uint(in, UINT64_MAX);
    c->enrol.takes_over = unpack_bool(in);
    c->enrol.only_these = unpack_bool(in);
    c->enrol.only_here = unpack_bool(in);
    c->enrol.checks_count = (uint32_t)unpack_uint(in, limits->checks);
    for (uint32_t i = 0; i < c->enrol.checks_count && !in->bad; i++) {
        decode_check(in, limits, &c->enrol.checks[i]);
    }
    in->bad = in->bad || !check_owner_is_valid(c->enrol.registration.id);
}

/* In ascending order: each set has one encoding. */
static void decode_probers(struct unpack *in, struct command *c)
{
    uint64_t last = 0;
    c->probers.count = (uint32_t)unpack_uint(in, PROBERS_MAX);
    for (uint32_t i = 0; i < c->probers.count; i++) {
        uint64_t member = unpack_uint(in, UINT64_MAX);
        in->bad = in->bad || member <= last;
        last = c->probers.members[i] = member;
    }
}

static void decode_fields(struct unpack *in, const struct registry_limits *limits,
                          struct wire_command *w)
{
    struct command *c = &w->command;
    switch (c->kind) {
    case COMMAND_REGISTER:
        wire_registration_decode(in, limits, &c->register_.registration);
        c->register_.incarnation = unpack_uint(in, UINT64_MAX);
        c->register_.health_given = decode_health(in, &c->register_.health);
        return;
    case COMMAND_RENEW:
        decode_renew(in, limits, c);
        return;
    case COMMAND_HEARTBEAT:
        decode_heartbeat(in, limits, w);
        return;
    case COMMAND_TOKEN_CREATE:
        wire_token_decode(in, limits, &c->token_create.spec);
        c->token_create.ttl_s = (uint32_t)unpack_uint(in, limits->token_ttl_s);
        c->token_create.turn = (uint32_t)unpack_uint(in, TOKEN_TURN_MAX);
        in->bad = in->bad || c->token_create.spec.hash.len == 0;
        return;
    case COMMAND_POLICY_CREATE:
        wire_token_decode(in, limits, &c->policy_create.spec);
        c->policy_create.ttl_s = (uint32_t)unpack_uint(in, limits->token_ttl_s);
        in->bad = in->bad || c->policy_create.spec.hash.len > 0;
        return;
    case COMMAND_ENROL:
        decode_enrol(in, limits, c);
        return;
    case COMMAND_CHECK_PUT:
        c->check_put.id = unpack_text(in, limits->name_bytes);
        decode_check(in, limits, &c->check_put.check);
        return;
    case COMMAND_PROBERS:
        decode_probers(in, c);
        return;
#define OWN_COMMAND(KIND, member, number, level, what)
#define COMMAND(KIND, member, number, level, what, fields)                                         \
    case COMMAND_##KIND: {                                                                         \
        __typeof__(c->member) *f = &c->member;                                                     \
        fields; /* NOLINT(bugprone-macro-parentheses): statements */                               \
        return;                                                                                    \
    }
#define TEXT(name, limit)             f->name = unpack_text(in, limits->limit);
#define FLAG(name)                    f->name = unpack_bool(in);
#define UINT(name, type, least, most) f->name = (type)unpack_range(in, least, most);
#include "server/registry/commands.def"
    }
    in->bad = true;
}

static void decode_guard(struct unpack *in, struct guard *ret_guard)
{
    ret_guard->kind = (enum guard_kind)unpack_uint(in, GUARD_CERTIFICATE);
    ret_guard->who = unpack_text(in, GUARD_BYTES_MAX);
    bool names = ret_guard->kind == GUARD_TOKEN || ret_guard->kind == GUARD_CERTIFICATE;
    if (ret_guard->kind == GUARD_NONE || names != (ret_guard->who.len > 0)) {
        in->bad = true;
    }
}

/* Whether commands of a kind may be in a namespace. */
static bool has_namespace(uint64_t kind)
{
    return kind == COMMAND_REGISTER || kind == COMMAND_HEARTBEAT || kind == COMMAND_DEREGISTER ||
           kind == COMMAND_MAINTENANCE || kind == COMMAND_TOKEN_CREATE ||
           kind == COMMAND_POLICY_CREATE || kind == COMMAND_ENROL || kind == COMMAND_CHECK_PUT ||
           kind == COMMAND_CHECK_RESULT;
}

/* What stands before the kind of a command. */
struct prefix {
    struct guard guard;
    struct slice space;
    bool unique_type;
};

/* The kind, and what stands before it. */
static uint64_t decode_kind(struct unpack *in, struct prefix *ret)
{
    uint64_t kind = unpack_uint(in, UINT64_MAX);
    *ret = (struct prefix){.guard = {.kind = GUARD_NONE}, .space = {"", 0}};
    if (kind == GUARDED) {
        decode_guard(in, &ret->guard);
        kind = unpack_uint(in, UINT64_MAX);
    }
    bool in_namespace = kind == IN_NAMESPACE;
    if (in_namespace) {
        ret->space = unpack_text(in, NAMESPACE_BYTES_MAX);
        kind = unpack_uint(in, UINT64_MAX);
    }
    ret->unique_type = kind == UNIQUE_TYPE;
    if (ret->unique_type) {
        kind = unpack_uint(in, UINT64_MAX);
    }
    if ((in_namespace && (!namespace_is_other(ret->space) || !has_namespace(kind))) ||
        (ret->unique_type && kind != COMMAND_REGISTER)) {
        in->bad = true;
    }
    return kind;
}

enum status wire_command_decode(const uint8_t *data, size_t len,
                                const struct registry_limits *limits,
                                struct wire_command *ret_command)
{
    struct unpack in = unpack_begin(data, len);
    struct prefix prefix;
    uint64_t kind = decode_kind(&in, &prefix);
    ret_command->command.guard = prefix.guard;
    ret_command->command.space = prefix.space;
    ret_command->ids = NULL;
    if (in.bad || command_level(kind) == 0) {
        return ST_CORRUPT;
    }
    ret_command->command.kind = (enum command_kind)kind;
    decode_fields(&in, limits, ret_command);
    if (kind == COMMAND_REGISTER) {
        ret_command->command.register_.unique_type = prefix.unique_type;
        in.bad = in.bad ||
                 (prefix.unique_type && ret_command->command.register_.registration.type.len == 0);
    }
    if (!unpack_finished(&in)) {
        wire_command_done(ret_command);
        return in.over ? ST_TOO_LARGE : ST_CORRUPT;
    }
    return ST_OK;
}

bool wire_command_understands(const uint8_t *data, size_t len, uint16_t level)
{
    struct unpack in = unpack_begin(data, len);
    struct prefix prefix;
    uint64_t kind = decode_kind(&in, &prefix);
    uint16_t from = command_level(kind);
    uint16_t least = prefix.guard.kind == GUARD_NONE          ? 0
                     : prefix.guard.kind == GUARD_CERTIFICATE ? LEVEL_POLICIES
                                                              : LEVEL_TOKENS;
    least = prefix.unique_type ? LEVEL_UNIQUE_TYPES : least;
    if (from > 0 && from < least) {
        from = least;
    }
    if (prefix.space.len > 0 && from > 0 && from < LEVEL_NAMESPACES) {
        from = LEVEL_NAMESPACES;
    }
    return !in.bad && from > 0 && from <= level;
}

void wire_command_done(struct wire_command *w)
{
    free(w->ids);
    w->ids = NULL;
}

void wire_stamp_encode(const struct stamp *stamp, uint8_t out[WIRE_STAMP_BYTES])
{
    store_u64(out, stamp->now_ms);
    store_u64(out + 8, (uint64_t)stamp->wall_ms);
}

enum status wire_stamp_decode(const uint8_t *data, size_t len, struct stamp *ret_stamp)
{
    if (len != WIRE_STAMP_BYTES) {
        return ST_CORRUPT;
    }
    ret_stamp->now_ms = load_u64(data);
    ret_stamp->wall_ms = (int64_t)load_u64(data + 8);
    return ST_OK;
}
