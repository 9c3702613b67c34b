/* The commands of the registry, their results, and the events they make.
 *
 * Thread: values; any. */
#ifndef MUSTER_REGISTRY_COMMAND_H
#define MUSTER_REGISTRY_COMMAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/base/status.h"
#include "server/registry/record.h"

enum command_kind {
    COMMAND_REGISTER = 1,
    COMMAND_RENEW,     /* heartbeats by lease: the fast form, resolved by the replica */
    COMMAND_HEARTBEAT, /* heartbeats by id: one with details, or ids the replica did not know */
    COMMAND_DEREGISTER,
    COMMAND_MAINTENANCE,
    COMMAND_EXPIRE,      /* the leader's own: leases due until a moment lapse or are reaped */
    COMMAND_KEEP_EVENTS, /* the leader's own: how many events are kept */
};

/* Names a lease for as long as its id is in the registry: the stamp changes when the slot is given
 * to another id. */
struct lease_ref {
    uint32_t slot;
    uint32_t stamp;
};

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
            const uint8_t *refs; /* count times: slot u32, stamp u32, little endian; borrowed */
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
            uint32_t limit;    /* at most so many leases, the earliest due first */
        } expire;
        struct {
            uint32_t count; /* EVENTS_KEPT_MIN..EVENTS_KEPT_MAX */
        } keep_events;
    };
};

struct result {
    enum status status; /* ST_OK, ST_NOT_FOUND, ST_CONFLICT, or ST_BUSY when the table is full */
    uint64_t index;     /* of the entry that it was applied in */
    uint64_t incarnation;
    uint32_t ttl_ms;
    bool created;     /* register: the id was not there before */
    uint32_t renewed; /* heartbeats */
    uint32_t expired; /* expire: leases that lapsed and instances that were reaped */
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
/* False when the text is none of them. */
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
