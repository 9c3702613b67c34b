/* libmuster: be found, and find others, through a Muster service registry.
 *
 *     struct muster *muster;
 *     struct muster_registration *self;
 *     const struct muster_spec web = {.size = sizeof web, .name = "web", .port = 8080};
 *     if (muster_open(NULL, &muster, NULL, 0) != MUSTER_OK ||
 *         muster_register(muster, &web, &self) != MUSTER_OK) { ... }
 *     ...
 *     struct muster_query query = {.size = sizeof query, .service = "db"};
 *     struct muster_found found;
 *     if (muster_discover(muster, &query, 2000, &found) == MUSTER_OK) {
 *         connect_to(found.instance->host, found.instance->port);
 *         muster_instance_unref(found.instance);
 *     }
 *     ...
 *     muster_close(muster, 5000);
 *
 * Threads. A client (`struct muster`) has one background thread, which does all that goes over the
 * network: requests, heartbeats and event streams. Every function here may be called from any
 * number of threads at once, but for muster_close(): no other may be under way or follow. Callbacks
 * come on the background thread, one at a time and with no lock held; they must return soon, and
 * whatever would block (each function with a timeout_ms that is not 0, muster_deregister() and
 * muster_unfollow()) answers MUSTER_INVALID there.
 *
 * Time. Each timeout_ms is in milliseconds, counted on a clock that nobody sets; 0 does not wait.
 *
 * Memory. Texts that are given are copied; texts that are returned belong to what they came with.
 * No function ends the process, prints, or installs a signal handler; without memory they answer
 * MUSTER_NO_MEMORY. There is no global state but libcurl's own: a client calls curl_global_init().
 *
 * Signals. The background thread blocks all of them. Connections raise no SIGPIPE.
 *
 * Fork. A client belongs to the process that opened it. In the child of a fork every function
 * answers MUSTER_FORKED, sends nothing and touches no connection of the parent; muster_close()
 * there closes the child's copies of the connections and leaves the rest of the memory alone, since
 * another thread may have been at work on it. A child that wants the registry opens a client of its
 * own. Programs that are executed inherit no connection.
 *
 * Structs that are given begin with their `size`, so that later versions can add members: set it
 * with sizeof, and leave to zero what you do not need. */
#ifndef MUSTER_H
#define MUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MUSTER_API      __attribute__((visibility("default")))
#define MUSTER_MUST_USE __attribute__((warn_unused_result))
#else
#define MUSTER_API
#define MUSTER_MUST_USE
#endif

/* ------------------------------------------------------------------------------------------------
 * Errors */

enum muster_error {
    MUSTER_OK = 0,
    MUSTER_INVALID = 1,   /* an argument is wrong, or it may not be called here. Nothing was sent */
    MUSTER_NO_MEMORY = 2, /* nothing was done */
    MUSTER_SYSTEM = 3,    /* no thread or no descriptor was to be had. Nothing was done */
    MUSTER_TOO_MANY = 4,  /* over a limit of this library, named at the function */
    MUSTER_FORKED = 5,    /* the client belongs to the process that forked this one */
    MUSTER_NOT_FOUND = 6, /* the registry answered: there is no such instance */
    MUSTER_REFUSED = 7,   /* the registry answered: no; surely not done */
    MUSTER_UNREACHABLE = 8, /* no replica took it in time; surely not done */
    MUSTER_UNKNOWN = 9,     /* outcome unknown: it may or may not have been done */
    MUSTER_TIMED_OUT = 10,  /* not done yet; the background thread goes on with it */
};

/* One sentence for people. Static; for any value. */
MUSTER_API const char *muster_error_text(enum muster_error error);
/* "0.1.0": of the library that runs, which may be newer than this header. Static. */
MUSTER_API const char *muster_version(void);

/* ------------------------------------------------------------------------------------------------
 * A client */

struct muster;

struct muster_options {
    size_t size;
    /* URLs of the replicas with commas between, at most 32: "http://a:9000,http://b:9000". NULL:
     * what the environment says in MUSTER_SERVER, else in REGISTRY_URL, else http://127.0.0.1:9000.
     */
    const char *servers;
    /* An http URL whose host and port muster_discover() gives when nothing is cached and no replica
     * can be reached. NULL: what the environment says in API_URL; "": none. */
    const char *fallback;
    /* For one request with all its attempts, 100 to 600,000; 0: 10,000. Heartbeats of short leases
     * take less. It bounds the background thread, not the functions that wait. */
    uint32_t request_timeout_ms;
};

/* Starts a client and its thread; talks to nobody yet. `options` NULL: all from the environment.
 * Gives *ret_muster, for muster_close(). `why`, when not NULL, gets a sentence of at most why_size
 * - 1 bytes when it fails. MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_SYSTEM. */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_open(const struct muster_options *options,
                                                         struct muster **ret_muster, char *why,
                                                         size_t why_size);
/* Deregisters what is registered, waiting at most timeout_ms for all of it (0: deregisters nothing;
 * the leases lapse), ends the thread and frees the client with its registrations and follows.
 * Records that were given out stay valid. NULL is allowed. Not from a callback. */
MUSTER_API void muster_close(struct muster *muster, uint32_t timeout_ms);

/* ------------------------------------------------------------------------------------------------
 * Records */

enum muster_health {
    MUSTER_PASSING = 0,
    MUSTER_WARNING = 1,
    MUSTER_CRITICAL = 2,
    MUSTER_MAINTENANCE = 3,
};

struct muster_pair {
    const char *key;
    const char *value;
};

/* An instance as the registry knows it. It never changes and is shared: keep it as long as you
 * like, and give it back with muster_instance_unref(). Texts are never NULL. */
struct muster_instance {
    const char *id;
    const char *name; /* of its service */
    const char *type;
    const char *host; /* a name or an address, IPv6 without brackets */
    const char *zone;
    const char *note; /* what it last said of its health; in maintenance the reason of that */
    const char *const *tags;
    size_t tags_count;
    const struct muster_pair *metadata;
    size_t metadata_count;
    uint64_t incarnation;
    uint64_t index; /* of its last change */
    uint32_t ttl_ms;
    uint16_t port;
    uint16_t weight;
    enum muster_health health;
};

MUSTER_API const struct muster_instance *
muster_instance_ref(const struct muster_instance *instance);
/* NULL is allowed. */
MUSTER_API void muster_instance_unref(const struct muster_instance *instance);

/* ------------------------------------------------------------------------------------------------
 * To be found */

struct muster_registration;

/* What the registry last did with a registration. */
enum muster_state {
    MUSTER_PENDING = 0,    /* not registered yet, or again not: its lease was lost */
    MUSTER_REGISTERED = 1, /* and renewed in time */
    MUSTER_DOUBTFUL = 2,   /* registered, but the last heartbeat did not get through */
    MUSTER_DENIED = 3,     /* the registry refused it for what it is; it is not tried again */
};

/* `why` is a sentence, "" when all is well; valid for the call. */
typedef void (*muster_state_cb)(void *ctx, struct muster_registration *registration,
                                enum muster_state state, const char *why);

/* A weight of 0: chosen by MUSTER_WEIGHTED only when there is no other. */
#define MUSTER_WEIGHT_NONE (-1)

struct muster_spec {
    size_t size;
    const char *name; /* of the service; required, 1 to 255 bytes */
    /* 1 to 255 bytes, unique in the registry. NULL: SERVER_ID of the environment, else the name
     * with a random part. Whoever registers an id takes it over from its former holder. */
    const char *id;
    const char *type; /* at most 255 bytes, as the next two; NULL: "" */
    const char *zone;
    const char *host;        /* NULL: the address that this machine calls the registry from */
    uint16_t port;           /* 0: SERVER_PORT of the environment, which must be one then */
    int32_t weight;          /* for MUSTER_WEIGHTED, 1 to 65,535; 0: 1 */
    const char *const *tags; /* at most 64 of at most 255 bytes */
    size_t tags_count;
    const struct muster_pair *metadata; /* at most 64; keys at most 128, values at most 512 bytes */
    size_t metadata_count;
    uint32_t ttl_ms;        /* 1,000 to 86,400,000; 0: what the registry says (30 s) */
    uint32_t reap_after_ms; /* at most 604,800,000; 0: what the registry says (60 s) */
    /* Between two heartbeats, less up to a quarter by chance. 0: HEARTBEAT_INTERVAL of the
     * environment (in seconds), else a third of the ttl. Never more than half of the ttl. */
    uint32_t interval_ms;
    enum muster_health health; /* to begin with; not MUSTER_MAINTENANCE */
    const char *note;          /* why, at most 512 bytes; NULL: "" */
    muster_state_cb on_state;  /* NULL: none */
    void *ctx;
};

/* Keeps an instance registered from now on, and returns without waiting: the background thread
 * registers it as soon as a replica can be reached, renews its lease, and registers it again when
 * the registry does not know it. All instances of one client share its connection, and one
 * heartbeat where they fall due about the same time. Gives *ret_registration, which is valid until
 * muster_deregister() or muster_close().
 * MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_TOO_MANY (100,000 in one client), MUSTER_FORKED. Bounds
 * that are the registry's are found by it: muster_wait() says MUSTER_REFUSED then. */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_register(struct muster *muster, const struct muster_spec *spec,
                struct muster_registration **ret_registration);
/* Waits until it is registered and all that was set for it is known to the registry.
 * MUSTER_REFUSED, MUSTER_UNREACHABLE, MUSTER_UNKNOWN, MUSTER_TIMED_OUT: so far; it is tried on but
 * for the first. MUSTER_INVALID (in a callback), MUSTER_FORKED. */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_wait(struct muster_registration *registration,
                                                         uint32_t timeout_ms);
/* The id it is registered under. Valid as long as the registration. */
MUSTER_API const char *muster_registration_id(const struct muster_registration *registration);
/* What on_state was last told, or would have been. */
MUSTER_API enum muster_state
muster_registration_state(const struct muster_registration *registration);
/* Sets its health, with a note of at most 512 bytes (NULL: ""), and keeps it so, also when it has
 * to be registered again. Waits for it like muster_wait(); with a timeout_ms of 0 it answers
 * MUSTER_OK at once. The last one wins; one that has not been sent yet is replaced. As
 * muster_wait(); MUSTER_INVALID also for MUSTER_MAINTENANCE. */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_set_health(struct muster_registration *registration, enum muster_health health,
                  const char *note, uint32_t timeout_ms);
/* Hides it from discovery, or shows it again; otherwise as muster_set_health(). */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_set_maintenance(struct muster_registration *registration, bool on, const char *reason,
                       uint32_t timeout_ms);
/* Takes it out of the registry, and frees it whatever the outcome: with MUSTER_TIMED_OUT the
 * background thread goes on, as long as the client is open. A successor that has taken the id over
 * is left alone. MUSTER_UNREACHABLE and MUSTER_UNKNOWN: the lease will lapse by itself.
 * MUSTER_INVALID: from a callback; it is not freed then. */
MUSTER_API enum muster_error muster_deregister(struct muster_registration *registration,
                                               uint32_t timeout_ms);

/* ------------------------------------------------------------------------------------------------
 * To find others */

enum muster_strategy {
    MUSTER_RANDOM = 0,
    MUSTER_FIRST = 1, /* always the first by id */
    /* One after the other, by id; the turn is the service's in this client. Of more than 64, those
     * behind others that do not fit have theirs more often. */
    MUSTER_ROUND_ROBIN = 2,
    MUSTER_WEIGHTED = 3, /* at random by weight; those of weight 0 only when there is no other */
};

struct muster_query {
    size_t size;
    const char *service; /* required */
    enum muster_strategy strategy;
    const char *const *tags; /* all must be there */
    size_t tags_count;
    const char *zone; /* preferred where one is there; NULL: none is */
};

enum muster_source {
    MUSTER_FROM_REGISTRY = 0, /* from the copy that the event stream keeps */
    MUSTER_FROM_FALLBACK = 1, /* the configured address; nothing is known of it */
};

struct muster_found {
    const struct muster_instance *instance; /* yours: muster_instance_unref() */
    /* How long ago the copy was last known to be current: 0 while the stream stands, else the time
     * since it last said something (which it does every 15 s at least). */
    uint64_t age_ms;
    enum muster_source source;
};

/* One instance that is passing or warning. The first question about a service starts a copy of it,
 * which an event stream keeps current from then on, and waits for it at most timeout_ms; later ones
 * are answered at once, from memory, also when no replica can be reached.
 * MUSTER_NOT_FOUND: there is none. MUSTER_UNREACHABLE: no copy, no replica, no fallback.
 * MUSTER_TIMED_OUT: no copy yet. MUSTER_REFUSED: the registry does not take the service's name.
 * MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_FORKED, MUSTER_TOO_MANY (256 services in one client).
 * *ret_found is written with MUSTER_OK only. */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_discover(struct muster *muster,
                                                             const struct muster_query *query,
                                                             uint32_t timeout_ms,
                                                             struct muster_found *ret_found);

struct muster_list {
    const struct muster_instance *const *instances; /* by id; whatever their health */
    size_t count;
    uint64_t age_ms;
};

/* All instances of a service, whatever their health; an empty list where there are none. Gives
 * *ret_list, for muster_list_free(). Waits and fails like muster_discover(). */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_list(struct muster *muster, const char *service,
                                                         uint32_t timeout_ms,
                                                         struct muster_list *ret_list);
MUSTER_API void muster_list_free(struct muster_list *list);

/* ------------------------------------------------------------------------------------------------
 * To follow others */

enum muster_change {
    MUSTER_PRESENT = 0, /* it is there, as this: at the start, and where events were missed */
    MUSTER_SYNCED = 1,  /* all that is there has been told; the instance is NULL */
    MUSTER_ADDED = 2,   /* the events of the registry, with the record after it */
    MUSTER_UPDATED = 3,
    MUSTER_HEALTH_CHANGED = 4, /* by itself, by its lease, or maintenance */
    MUSTER_REMOVED = 5,        /* it is gone; the record as it last stood */
};

/* The instance is the library's; muster_instance_ref() keeps it. */
typedef void (*muster_follow_cb)(void *ctx, enum muster_change change,
                                 const struct muster_instance *instance);

struct muster_follow;

/* Calls back for every instance that is there, then MUSTER_SYNCED, then for each change in its
 * order, until muster_unfollow() or muster_close(). What was missed while no replica could be
 * reached comes as differences, and another MUSTER_SYNCED. Gives *ret_follow. MUSTER_INVALID,
 * MUSTER_NO_MEMORY, MUSTER_FORKED, MUSTER_TOO_MANY (256 services, 1,024 follows). */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_follow(struct muster *muster,
                                                           const char *service,
                                                           muster_follow_cb on_change, void *ctx,
                                                           struct muster_follow **ret_follow);
/* Frees it. When this returns the callback is not running and will not be called again. NULL is
 * allowed. MUSTER_INVALID: from a callback; MUSTER_FORKED. It is not freed then. */
MUSTER_API enum muster_error muster_unfollow(struct muster_follow *follow);

#ifdef __cplusplus
}
#endif

#endif
