/* The commands of the registry, their results, and the events they make.
 *
 * Thread: values; any. */
#ifndef MUSTER_REGISTRY_COMMAND_H
#define MUSTER_REGISTRY_COMMAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/buffer.h"
#include "server/base/status.h"
#include "server/registry/record.h"
#include "server/registry/token.h"

enum command_kind {
#define COMMAND(KIND, member, number, level, what, fields) COMMAND_##KIND = (number),
#include "server/registry/commands.def"
};
/* The level from which a kind may be used; 0: this build knows no such kind. */
uint16_t command_level(uint64_t kind);

/* Names a lease for as long as its id is in the registry: the generation changes when the slot is
 * given to another id. */
struct lease_ref {
    uint32_t slot;
    uint32_t generation;
};

/* As it stands in a command: both numbers little endian. */
#define LEASE_REF_BYTES 8
static inline void lease_ref_store(uint8_t out[LEASE_REF_BYTES], const struct lease_ref *ref)
{
    store_u32(out, ref->slot);
    store_u32(out + 4, ref->generation);
}
static inline struct lease_ref lease_ref_load(const uint8_t bytes[LEASE_REF_BYTES])
{
    return (struct lease_ref){.slot = load_u32(bytes), .generation = load_u32(bytes + 4)};
}

/* On whose behalf: decided where the command is applied, so that nothing that happens on the way
 * can let it through. */
enum guard_kind {
    GUARD_NONE,        /* its door has decided all that there is to decide */
    GUARD_UNTIL_FIRST, /* nobody's: refused from the first token ever on */
    GUARD_TOKEN,       /* the holder of a token: refused when that is gone, or does not allow it */
};
struct guard {
    enum guard_kind kind;
    struct slice token; /* its id */
};

/* When a token may be made. */
enum token_turn {
    TOKEN_TURN_LATER, /* there was one before */
    TOKEN_TURN_FIRST, /* it is the first one ever */
    TOKEN_TURN_ONLY,  /* there is none now */
};
#define TOKEN_TURN_MAX TOKEN_TURN_ONLY

struct command {
    enum command_kind kind;
    struct guard guard;
    union {
        struct {
            struct registration registration;
            uint64_t incarnation; /* 0: none said */
            bool health_given;
            enum health health; /* passing, warning or critical; passing when not given */
        } register_;
        struct {
            const uint8_t *refs; /* `count` lease references; borrowed */
            uint32_t count;
        } renew;
        struct {
            const struct slice *ids; /* borrowed */
            uint32_t count;
            /* Below only with one id. */
            uint64_t incarnation; /* 0: whichever is there */
            bool status_given;
            enum health status; /* passing, warning or critical */
            bool note_given;
            struct slice note;
        } heartbeat;
        struct {
            struct token_spec spec;
            uint32_t ttl_s; /* 0: for good */
            uint32_t turn;  /* enum token_turn */
        } token_create;
#define OWN_COMMAND(KIND, member, number, level, what)
#define COMMAND(KIND, member, number, level, what, fields)                                         \
    struct {                                                                                       \
        fields                                                                                     \
    } member;
#define TEXT(name, limit)             struct slice name;
#define FLAG(name)                    bool name;
#define UINT(name, type, least, most) type name;
#include "server/registry/commands.def"
    };
};

struct result {
    /* ST_OK, ST_NOT_FOUND, ST_CONFLICT; ST_FULL: no room in the table, or in the state;
     * ST_TOO_LARGE: above a limit of the level (from the decoder). ST_UNAUTHENTICATED,
     * ST_FORBIDDEN: what its guard says. */
    enum status status;
    uint64_t index; /* of the entry that it was applied in */
    uint64_t incarnation;
    uint32_t ttl_ms;
    bool created;     /* register: the id was not there before */
    uint32_t renewed; /* heartbeats */
    uint32_t expired; /* expire: leases */
    uint32_t reaped;  /* expire: instances that had expired before */
    /* Positions in the command whose lease or id was not there. Caller frees with free(). */
    uint32_t *missed;
    uint32_t missed_count;
};

enum event_type {
#define EVENT(KIND, name, what) EVENT_##KIND,
#include "server/registry/events.def"
    EVENT_TYPES,
};
/* "registered", ... as in the API. */
const char *event_type_name(enum event_type type);
/* False for any other text. */
bool event_type_parse(const char *text, enum event_type *ret_type);

struct rendered;

struct event {
    uint64_t sequence; /* 1 for the first ever */
    uint64_t index;    /* log index of the entry */
    uint32_t position; /* among the events of that entry, from 0 */
    enum event_type type;
    int64_t wall_ms;       /* of the leader, for people */
    struct record *record; /* as it stood after the change, or last stood */
    /* Made by the first reader that wants it (view_keep_event). */
    _Atomic(struct rendered *) rendered;
};

#endif
