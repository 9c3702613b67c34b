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
#include "server/registry/namespace.h"
#include "server/registry/prober.h"
#include "server/registry/record.h"
#include "server/registry/token.h"

enum command_kind {
#define COMMAND(KIND, member, number, level, what, fields) COMMAND_##KIND = (number),
#include "server/registry/commands.def"
};
/* The lowest level that has this kind of command; 0: unknown to this build. */
uint16_t command_level(uint64_t kind);

/* Identifies a lease while its instance is in the registry. The generation changes when another
 * instance gets the slot. */
struct lease_ref {
    uint32_t slot;
    uint32_t generation;
};

/* The encoding in a command: both numbers little endian. */
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

/* On whose behalf a command is applied. The check is part of applying it, so a token that is
 * revoked while the command is in flight no longer counts. */
enum guard_kind {
    GUARD_NONE,        /* no check: the door has already decided */
    GUARD_UNTIL_FIRST, /* anonymous: refused once the first token was created */
    GUARD_TOKEN,       /* a token: refused if the token is gone or does not allow the command */
    /* The holder of a certificate: once the first token was created, refused unless the policy for
     * its name allows the command. */
    GUARD_CERTIFICATE,
};
struct guard {
    enum guard_kind kind;
    struct slice who; /* id of the token, or name of the certificate; else empty */
};

/* The condition under which a token may be created. */
enum token_turn {
    TOKEN_TURN_LATER, /* a token was created before */
    TOKEN_TURN_FIRST, /* no token was ever created */
    TOKEN_TURN_ONLY,  /* no token exists now */
};
#define TOKEN_TURN_MAX TOKEN_TURN_ONLY

/* A check, as a command says it. All borrowed. */
struct check_spec {
    struct slice key;       /* among those of its owner */
    struct slice extra;     /* what a door keeps with it */
    struct slice note;      /* why it has its status */
    uint32_t ttl_ms;        /* 0: it is not expected to be heard from */
    bool active;            /* the replicas run it (prober.h): its ttl is 0 */
    uint32_t reap_after_ms; /* its owner goes when it was critical for so long; 0: never */
    enum health status;     /* passing, warning or critical, when it is new */
};

struct command {
    enum command_kind kind;
    struct guard guard;
    struct slice space; /* the namespace of its ids and names, which stand here without it; empty:
                           `default`. Of those that name instances, and of TOKEN_CREATE and
                           POLICY_CREATE */
    union {
        struct {
            struct registration registration;
            uint64_t incarnation; /* 0: not given */
            bool health_given;
            enum health health; /* passing, warning or critical; passing when not given */
            /* Only if no other instance of its type is alive in the namespace: none that has not
             * expired. From LEVEL_UNIQUE_TYPES on, and with a type. */
            bool unique_type;
        } register_;
        struct {
            const uint8_t *refs; /* `count` lease references; borrowed */
            uint32_t count;
        } renew;
        struct {
            const struct slice *ids; /* borrowed */
            uint32_t count;
            /* The rest is allowed with a single id only. */
            uint64_t incarnation; /* 0: any */
            bool status_given;
            enum health status; /* passing, warning or critical */
            bool note_given;
            struct slice note;
        } heartbeat;
        struct {
            struct token_spec spec;
            uint32_t ttl_s; /* 0: never expires */
            uint32_t turn;  /* enum token_turn */
        } token_create;
        struct {
            struct token_spec spec; /* its id is the key of a subject (policy.h) */
            uint32_t ttl_s;
        } policy_create;
        struct {
            struct registration registration; /* its extra too; a ttl of 0: no lease */
            uint64_t incarnation;             /* as of a registration; 0: not given */
            /* Without one, other content makes it a new incarnation, as of a registration. Else it
             * stays the one that it is. */
            bool takes_over;
            bool only_these; /* other checks of it go */
            /* Instances of the same service and "SERVICE@" that are on other nodes go (place.h). */
            bool only_here;
            uint32_t checks_count;
            struct check_spec checks[CHECKS_MAX];
        } enrol;
        struct {
            struct slice id; /* the owner's */
            struct check_spec check;
        } check_put;
        struct {
            uint32_t count;
            uint64_t members[PROBERS_MAX]; /* ascending ids */
        } probers;
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
    /* ST_OK, ST_NOT_FOUND, ST_CONFLICT: it has another incarnation, or a result came too late;
     * ST_FULL: no room in the table or in the state;
     * ST_DUPLICATE_TYPE: another instance of the type is alive; ST_QUOTA: the namespace's quota is
     * used up; ST_TOO_LARGE: over a limit of the level (from the decoder, and of an id or name with
     * its namespace); ST_UNAUTHENTICATED, ST_FORBIDDEN: refused by the guard. */
    enum status status;
    uint64_t index; /* of the log entry */
    uint64_t incarnation;
    uint32_t ttl_ms;
    bool created;     /* register: the id is new */
    uint32_t renewed; /* heartbeats */
    uint32_t expired; /* expire: leases that ended */
    uint32_t reaped;  /* expire: expired instances that were removed */
    /* Positions in the command of the leases or ids not found. The caller frees it with free(). */
    uint32_t *missed;
    uint32_t missed_count;
};

enum event_type {
#define EVENT(KIND, name, what) EVENT_##KIND,
#include "server/registry/events.def"
    EVENT_TYPES,
};
/* "registered", ..., as in the API. */
const char *event_type_name(enum event_type type);
/* Returns false for an unknown name. */
bool event_type_parse(const char *text, enum event_type *ret_type);

struct rendered;

struct event {
    uint64_t sequence; /* counts all events, from 1 */
    uint64_t index;    /* log index of the entry */
    uint32_t position; /* among the events of that entry, from 0 */
    enum event_type type;
    int64_t wall_ms;       /* the leader's wall clock, for people */
    struct record *record; /* after the change; of a removed instance, the last one */
    /* Cached by the first reader that renders it (view_keep_event). */
    _Atomic(struct rendered *) rendered;
};

#endif
