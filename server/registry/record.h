/* One registration at one log position: immutable, with all of its text in one block. A change of
 * anything visible to users makes a new record.
 *
 * Thread: created and unreferenced on the loop; read anywhere while reachable from a view. Owns:
 * its text. */
#ifndef MUSTER_REGISTRY_RECORD_H
#define MUSTER_REGISTRY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/base/health.h"
#include "server/base/limits.h"

/* Borrowed text with its length; data need not end with NUL. */
struct slice {
    const char *data;
    size_t len;
};
/* Borrows it. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){.data = text, .len = strlen(text)};
}
struct pair {
    struct slice key;
    struct slice value;
};

/* A client's registration of an instance. All borrowed. */
struct registration {
#define TEXT(field, name, limit)        struct slice field;
#define NUMBER(field, name, type, most) type field;
#include "server/registry/fields.def"
    /* What a door keeps with it, for itself alone; empty: nothing, as below LEVEL_CHECKS. Not among
     * the fields, as it came later. */
    struct slice extra;
    bool active; /* of a check: the replicas run it (prober.h); false below LEVEL_CHECKS */
    uint32_t tags_count;
    uint32_t metadata_count;
    struct slice tags[TAGS_MAX];
    struct pair metadata[METADATA_MAX];
};

struct record {
    uint64_t incarnation;
    uint64_t index;        /* log index of the last change visible to users */
    int64_t registered_ms; /* wall clock of the leader at registration; of a check: when it got its
                              status */
    uint32_t slot;         /* of its lease */
    uint32_t generation;   /* of its lease */
    uint32_t references;   /* loop only */
    uint32_t ttl_ms;
    uint32_t reap_after_ms;
    uint16_t port;
    uint16_t weight;
    uint8_t declared; /* enum health last reported by the client: passing..critical */
    bool expired;     /* the lease has expired; critical until the next sign of life */
    bool maintenance;
    uint8_t node_health; /* enum health: the worst of the nodes that it is of (places.c) */
    bool active; /* a check that the replicas run themselves, as its `extra` says (prober.h) */
    uint8_t tags_count;
    uint8_t metadata_count;
    /* Offsets into text; the id is at 0, each text ends with NUL. */
#define TEXT(field, name, limit) uint16_t field;
#define FIRST_TEXT(field, name, limit)
#include "server/registry/fields.def"
    uint16_t note, reason, tags, metadata;
    uint16_t extra;
    uint16_t text_len;
    char text[];
};

static inline const char *record_id(const struct record *r)
{
    return r->text;
}
/* record_name, record_type, ... */
#define FIRST_TEXT(field, name, limit)
#define TEXT(field, name, limit)                                                                   \
    static inline const char *record_##field(const struct record *r)                               \
    {                                                                                              \
        return r->text + r->field;                                                                 \
    }
#include "server/registry/fields.def"
/* Last reported with a heartbeat; empty: none. */
static inline const char *record_note(const struct record *r)
{
    return r->text + r->note;
}
/* Why it is in maintenance; empty: not given. */
static inline const char *record_reason(const struct record *r)
{
    return r->text + r->reason;
}
/* What a door keeps with it; empty: nothing. */
static inline const char *record_extra(const struct record *r)
{
    return r->text + r->extra;
}
/* Tags in sequence: each starts after the NUL of the one before. */
static inline const char *record_tags(const struct record *r)
{
    return r->text + r->tags;
}
/* key NUL value NUL key NUL value NUL ..., metadata_count pairs. */
static inline const char *record_metadata(const struct record *r)
{
    return r->text + r->metadata;
}

/* As visible to users: critical if expired, else maintenance, else as declared by the client or the
 * worst of its nodes. */
enum health record_health(const struct record *r);
/* Passing or warning. */
bool record_discoverable(const struct record *r);
bool record_has_tag(const struct record *r, const char *tag);
/* NULL if it has no such key. */
const char *record_metadata_value(const struct record *r, const char *key);

/* A new record with one reference from a registration within the limits; the fields outside of it
 * (incarnation, index, times, states, note, reason) are zero or empty. */
struct record *record_create(const struct registration *registration);
/* The same with a note and a reason. */
struct record *record_build(const struct registration *registration, struct slice note,
                            struct slice reason);
/* A copy with one reference and another note and reason (NULL: unchanged). */
struct record *record_copy(const struct record *r, const struct slice *note,
                           const struct slice *reason);
/* Gives a record that was just built the states, times and place of another one. */
void record_take_state(struct record *r, const struct record *from);
/* Whether the record has exactly the content of the registration. */
bool record_same_content(const struct record *r, const struct registration *registration);
/* A 64-bit hash of everything except its slot and references. */
uint64_t record_hash(const struct record *r);
/* Bytes it takes in memory. */
size_t record_size(const struct record *r);
/* Bytes of all its texts, independent of the build: decides how many events are kept. */
size_t record_text_bytes(const struct record *r);
/* Fills a registration that borrows from the record. */
void record_registration(const struct record *r, struct registration *ret_registration);

#endif
