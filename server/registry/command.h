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

/* X(kind, number in the log, level from which it may be used, what it is). Numbers and levels never
 * change once they were released. */
#define COMMAND_MAP(X)                                                                             \
    X(COMMAND_REGISTER, 1, 1, "a registration, its update or its repetition")                      \
    X(COMMAND_RENEW, 2, 1, "heartbeats by lease: the fast form, resolved by the replica")          \
    X(COMMAND_HEARTBEAT, 3, 1, "heartbeats by id: one with details, or ids not known there")       \
    X(COMMAND_DEREGISTER, 4, 1, "an instance goes")                                                \
    X(COMMAND_MAINTENANCE, 5, 1, "maintenance on or off")                                          \
    X(COMMAND_EXPIRE, 6, 1, "the leader's: leases due until a moment lapse or are reaped")         \
    X(COMMAND_KEEP_EVENTS, 7, 1, "the leader's: how many events are kept")                         \
    X(COMMAND_STATE_BYTES, 8, 2, "the size of the state is bounded, or the bound raised")

enum command_kind {
#define X(kind, number, level, what) kind = (number),
    COMMAND_MAP(X)
#undef X
};
/* The level from which a kind may be used; 0: this build knows no such kind. */
uint16_t command_level(uint64_t kind);

/* Names a lease for as long as its id is in the registry: the stamp changes when the slot is given
 * to another id. */
struct lease_ref {
    uint32_t slot;
    uint32_t stamp;
};

/* As it stands in a command: both numbers little endian. */
#define LEASE_REF_BYTES 8
static inline void lease_ref_store(uint8_t out[LEASE_REF_BYTES], const struct lease_ref *ref)
{
    store_u32(out, ref->slot);
    store_u32(out + 4, ref->stamp);
}
static inline struct lease_ref lease_ref_load(const uint8_t bytes[LEASE_REF_BYTES])
{
    return (struct lease_ref){.slot = load_u32(bytes), .stamp = load_u32(bytes + 4)};
}

struct command {
    enum command_kind kind;
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
            struct slice id;
            uint64_t incarnation; /* 0: whichever is there */
        } deregister;
        struct {
            struct slice id;
            bool enabled;
            struct slice reason;
        } maintenance;
        struct {
            uint64_t until_ms; /* cluster time */
            uint32_t limit;    /* of leases, the earliest due first */
        } expire;
        struct {
            uint32_t count; /* within the limits of the level */
        } keep_events;
        struct {
            uint64_t most; /* above the bound so far */
        } state_bytes;
    };
};

struct result {
    /* ST_OK, ST_NOT_FOUND, ST_CONFLICT; ST_FULL: no room in the table, or in the state;
     * ST_TOO_LARGE: above a limit of the level (from the decoder). */
    enum status status;
    uint64_t index; /* of the entry that it was applied in */
    uint64_t incarnation;
    uint32_t ttl_ms;
    bool created;     /* register: the id was not there before */
    uint32_t renewed; /* heartbeats */
    uint32_t expired; /* expire: leases that lapsed and instances that were reaped */
    uint32_t lapsed;  /* of those, the former */
    /* Positions in the command whose lease or id was not there. Caller frees with free(). */
    uint32_t *missed;
    uint32_t missed_count;
};

enum event_type {
    EVENT_REGISTERED,
    EVENT_UPDATED,
    EVENT_DEREGISTERED,
    EVENT_EXPIRED,
    EVENT_RECOVERED,
    EVENT_REAPED,
    EVENT_HEALTH,
    EVENT_MAINTENANCE,
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
