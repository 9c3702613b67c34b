/* libmuster: register with a Muster service registry, and discover others through it.
 *
 *     struct muster *muster;
 *     struct muster_registration *self;
 *     struct muster_spec web = MUSTER_SPEC_INIT;
 *     web.name = "web";
 *     web.port = 8080;
 *     if (muster_open(NULL, &muster, NULL, 0) != MUSTER_OK ||
 *         muster_register(muster, &web, &self) != MUSTER_OK) { ... }
 *     ...
 *     struct muster_query query = MUSTER_QUERY_INIT;
 *     struct muster_found found;
 *     query.service = "db";
 *     if (muster_discover(muster, &query, 2000, &found) == MUSTER_OK) {
 *         connect_to(found.instance->host, found.instance->port);
 *         muster_instance_unref(found.instance);
 *     }
 *     ...
 *     muster_close(muster, 5000);
 *
 * Threads. A client (`struct muster`) has one background thread, which does all network I/O:
 * requests, heartbeats and event streams. Every function here may be called from any number of
 * threads at once, except muster_close(): no other call may be in progress or follow. Callbacks run
 * on the background thread, or inside muster_dispatch() ("Event loops"), one at a time and with no
 * lock held. They must return soon. A function that would block (each function with a timeout_ms
 * that is not 0, muster_deregister() and muster_unfollow()) returns MUSTER_INVALID there.
 *
 * Time. Each timeout_ms is in milliseconds, on the monotonic clock; 0 does not wait.
 *
 * Memory. Strings that are passed in are copied; strings that are returned belong to what they came
 * with. No function ends the process, prints, or installs a signal handler; without memory they
 * return MUSTER_NO_MEMORY. There is no global state but libcurl's own: a client calls
 * curl_global_init().
 *
 * Signals. The background thread blocks all of them. Connections raise no SIGPIPE.
 *
 * Fork. A client belongs to the process that opened it. In the child of a fork every function
 * returns MUSTER_FORKED, sends nothing and touches no connection of the parent; muster_close()
 * there closes the child's copies of the connections and leaves the rest of the memory alone, since
 * another thread may have been using it. A child that wants the registry opens a client of its own.
 * Programs that are executed inherit no connection.
 *
 * Structs that are passed in begin with their `size`, so that later versions can add members:
 * initialise them with their MUSTER_..._INIT macro (or set `size` with sizeof), and leave at zero
 * what you do not need. */
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

/* A struct that is zero but for its size. */
#ifdef __cplusplus
#define MUSTER_INIT_(type)                                                                         \
    [] {                                                                                           \
        type made = type();                                                                        \
        made.size = sizeof made;                                                                   \
        return made;                                                                               \
    }()
#else
#define MUSTER_INIT_(type)                                                                         \
    {                                                                                              \
        .size = sizeof(struct type)                                                                \
    }
#endif
#define MUSTER_OPTIONS_INIT MUSTER_INIT_(muster_options)
#define MUSTER_SPEC_INIT    MUSTER_INIT_(muster_spec)
#define MUSTER_QUERY_INIT   MUSTER_INIT_(muster_query)

/* ------------------------------------------------------------------------------------------------
 * Errors */

enum muster_error {
    MUSTER_OK = 0,
    MUSTER_INVALID = 1,     /* see muster_invalid_argument(). Nothing was sent */
    MUSTER_NO_MEMORY = 2,   /* nothing was done */
    MUSTER_SYSTEM = 3,      /* no thread or no descriptor could be had. Nothing was done */
    MUSTER_TOO_MANY = 4,    /* over a limit of this library, named at the function */
    MUSTER_FORKED = 5,      /* the client belongs to the process that forked this one */
    MUSTER_NOT_FOUND = 6,   /* the registry answered: there is no such instance */
    MUSTER_REFUSED = 7,     /* the registry refused; surely not done */
    MUSTER_UNREACHABLE = 8, /* no replica took it in time; surely not done */
    MUSTER_UNKNOWN = 9,     /* outcome unknown: it may or may not have been done */
    MUSTER_TIMED_OUT = 10,  /* not done yet; the background thread keeps trying */
};

/* One sentence for people. Static; for any value. */
MUSTER_API const char *muster_error_text(enum muster_error error);
/* "ok", "refused" and so on, for logs; "unknown error" for any other value. Static. */
MUSTER_API const char *muster_error_name(enum muster_error error);
/* Which argument was wrong, and how, the last time that a function returned MUSTER_INVALID on this
 * thread: "spec->port is 0". "" if none did. Static. */
MUSTER_API const char *muster_invalid_argument(void);
/* "0.1.0": of the library that runs, which may be newer than this header. Static. */
MUSTER_API const char *muster_version(void);

/* ------------------------------------------------------------------------------------------------
 * A client */

struct muster;

enum muster_log_level {
    MUSTER_LOG_DEBUG = 0,
    MUSTER_LOG_INFO = 1,    /* an instance was registered; a replica is followed */
    MUSTER_LOG_WARNING = 2, /* a request failed; another attempt follows */
    MUSTER_LOG_ERROR = 3,   /* the registry refused; there is no other attempt */
};

/* "debug", "info", "warning", "error"; "unknown" for any other value. Static. */
MUSTER_API const char *muster_log_level_name(enum muster_log_level level);

/* One sentence without a line end, valid for the call. */
typedef void (*muster_log_cb)(void *ctx, enum muster_log_level level, const char *line);

struct muster_options {
    size_t size;
    /* URLs of the replicas, separated by commas, at most 32: "http://a:9000,http://b:9000". NULL:
     * MUSTER_SERVER of the environment, else http://127.0.0.1:9000. With https:// the variables
     * MUSTER_CACERT, MUSTER_CERT and MUSTER_KEY count, too: PEM files of the CAs to trust (else the
     * system's), and of a certificate to show with its key. */
    const char *servers;
    /* An http URL whose host and port muster_discover() returns if nothing is cached and no replica
     * can be reached. NULL or "": none. */
    const char *fallback;
    /* For one request with all its attempts, 100 to 600,000; 0: 10,000. Heartbeats of short leases
     * take less. It bounds the background thread, not the functions that wait. */
    uint32_t request_timeout_ms;
    /* Gets what happens to this client. Always called on the background thread, with no lock held.
     * NULL: none. */
    muster_log_cb on_log;
    void *log_ctx;
    /* Take defaults from variables that may belong to others, too: REGISTRY_URL (servers, after
     * MUSTER_SERVER), API_URL (fallback), and for registrations SERVER_ID, SERVER_PORT and
     * HEARTBEAT_INTERVAL. Without it they are not looked at. */
    bool adopt_environment;
    /* Callbacks run inside muster_dispatch() alone. See "Event loops". */
    bool use_dispatch;
    /* The namespace in which all of it is: lower-case letters, digits, '-', '_' and '.', at
     * most 63.
     * "": none is named, so it is the token's, else `default`. NULL: MUSTER_NAMESPACE of the
     * environment. */
    const char *namespace_name;
};

/* Starts a client and its thread; sends nothing yet. `options` NULL: all defaults. Gives
 * *ret_muster, for muster_close(). On failure `why`, if not NULL, gets a sentence of at most
 * why_size - 1 bytes. MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_SYSTEM. */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_open(const struct muster_options *options,
                                                         struct muster **ret_muster, char *why,
                                                         size_t why_size);
/* Deregisters what is registered, waiting at most timeout_ms for all of it (0: deregisters nothing;
 * the leases expire), ends the thread, and frees the client with its registrations and follows.
 * Records that were given out stay valid. NULL is allowed. Not from a callback. */
MUSTER_API void muster_close(struct muster *muster, uint32_t timeout_ms);

/* ------------------------------------------------------------------------------------------------
 * Event loops
 *
 * A client that was opened with use_dispatch calls nothing back by itself. Its descriptor becomes
 * readable when there is something to call back for; then call muster_dispatch(), from one thread
 * at a time. Changes are kept as differences, never as a queue: several changes of one instance
 * between two calls arrive as one, in the order of ids. */

/* For poll() and the like, with POLLIN; do not read it, do not close it. -1 if the client was
 * opened without use_dispatch. */
MUSTER_API int muster_descriptor(const struct muster *muster);
/* Runs the callbacks that are due and returns; waits for nothing. MUSTER_OK, also if another thread
 * is dispatching; MUSTER_NO_MEMORY: call it again later; MUSTER_INVALID without use_dispatch or
 * from a callback; MUSTER_FORKED. */
MUSTER_API enum muster_error muster_dispatch(struct muster *muster);

/* ------------------------------------------------------------------------------------------------
 * Records */

enum muster_health {
    MUSTER_PASSING = 0,
    MUSTER_WARNING = 1,
    MUSTER_CRITICAL = 2,
    MUSTER_MAINTENANCE = 3,
};

/* "passing" and so on, as the registry spells it; "unknown" for any other value. Static. */
MUSTER_API const char *muster_health_name(enum muster_health health);

struct muster_pair {
    const char *key;
    const char *value;
};

/* An instance as the registry knows it. It never changes and is reference-counted: keep it as long
 * as you like, and release it with muster_instance_unref(). Strings are never NULL. */
struct muster_instance {
    const char *id;
    const char *name; /* of its service */
    const char *type;
    const char *host; /* a name or an address, IPv6 without brackets */
    const char *zone;
    const char *note; /* the reason for its health, or for its maintenance */
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
 * Registrations */

struct muster_registration;

/* How far the registry knows a registration. */
enum muster_state {
    MUSTER_PENDING = 0,    /* not registered yet, or no longer: its lease was lost */
    MUSTER_REGISTERED = 1, /* and renewed in time */
    MUSTER_DOUBTFUL = 2,   /* registered, but the last heartbeat failed */
    MUSTER_DENIED = 3,     /* refused by the registry; there is no other attempt */
};

/* "pending", "registered", "doubtful", "denied"; "unknown" for any other value. Static. */
MUSTER_API const char *muster_state_name(enum muster_state state);

/* `why` is a sentence, "" if all is well; valid for the call. */
typedef void (*muster_state_cb)(void *ctx, struct muster_registration *registration,
                                enum muster_state state, const char *why);

/* A weight of 0: chosen by MUSTER_WEIGHTED only when there is no other. */
#define MUSTER_WEIGHT_NONE (-1)

struct muster_spec {
    size_t size;
    const char *name; /* of the service; required, 1 to 255 bytes */
    /* 1 to 255 bytes, unique in the registry. NULL: an adopted SERVER_ID, else the name with a
     * random part. Registering an id that is taken takes it over. */
    const char *id;
    const char *type; /* at most 255 bytes, as the next two; NULL: "" */
    const char *zone;
    const char *host;        /* NULL: the address that the registry sees this machine call from */
    uint16_t port;           /* 0: an adopted SERVER_PORT */
    int32_t weight;          /* for MUSTER_WEIGHTED, 1 to 65,535; 0: 1 */
    const char *const *tags; /* at most 64 of at most 255 bytes */
    size_t tags_count;
    const struct muster_pair *metadata; /* at most 64; keys at most 128, values at most 512 bytes */
    size_t metadata_count;
    uint32_t ttl_ms;        /* 1,000 to 86,400,000; 0: the registry's default (30 s) */
    uint32_t reap_after_ms; /* at most 604,800,000; 0: the registry's default (60 s) */
    /* Between two heartbeats, minus a random part of up to a quarter. 0: an adopted
     * HEARTBEAT_INTERVAL (in seconds), else a third of the ttl. Never more than half of the ttl. */
    uint32_t interval_ms;
    enum muster_health health; /* initially; not MUSTER_MAINTENANCE */
    const char *note;          /* the reason, at most 512 bytes; NULL: "" */
    muster_state_cb on_state;  /* NULL: none */
    void *ctx;
    /* How the registry's replicas find out its health: a JSON array as the `checks` of POST
     * /register, such as [{"http": "http://10.0.0.5:8080/health", "interval": "10s"}]. Its health
     * follows from them then, and it has a lease only if ttl_ms is given; heartbeats go on, so that
     * it is registered again if the registry does not know it. "[]": it has none. NULL: nothing is
     * said of them. */
    const char *checks;
};

/* Keeps an instance registered from now on, and returns without waiting: the background thread
 * registers it as soon as a replica can be reached, renews its lease, and registers it again if the
 * registry does not know it. All instances of one client share its connection, and one heartbeat
 * if they are due at about the same time. Gives *ret_registration, which is valid until
 * muster_deregister() or muster_close().
 * MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_TOO_MANY (100,000 in one client), MUSTER_FORKED. Limits
 * of the registry are checked by it: muster_wait() returns MUSTER_REFUSED then, and
 * muster_registration_why() has its sentence. */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_register(struct muster *muster, const struct muster_spec *spec,
                struct muster_registration **ret_registration);
/* Waits until it is registered and the registry has everything that was set for it.
 * MUSTER_REFUSED: see muster_registration_why(). MUSTER_UNREACHABLE, MUSTER_UNKNOWN,
 * MUSTER_TIMED_OUT: not yet; the background thread keeps trying. MUSTER_INVALID (in a callback),
 * MUSTER_FORKED. */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_wait(struct muster_registration *registration,
                                                         uint32_t timeout_ms);
/* The id it is registered under. Valid as long as the registration is. */
MUSTER_API const char *muster_registration_id(const struct muster_registration *registration);
/* Its state at this moment; MUSTER_PENDING in the child of a fork. */
MUSTER_API enum muster_state
muster_registration_state(const struct muster_registration *registration);
/* Why it is not as it should be: the registry's sentence if it refused the instance or what was set
 * for it, what went wrong with each replica if none could be reached, "" if all is well. Valid
 * until this thread calls it again. "" in the child of a fork. */
MUSTER_API const char *muster_registration_why(const struct muster_registration *registration);
/* Sets its health, with a note of at most 512 bytes (NULL: ""), and keeps it so, also if it has to
 * be registered again. Waits for it like muster_wait(); with a timeout_ms of 0 it returns MUSTER_OK
 * at once. The last call wins; a value that has not been sent yet is replaced. Errors of
 * muster_wait(); MUSTER_INVALID also for MUSTER_MAINTENANCE. */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_set_health(struct muster_registration *registration, enum muster_health health,
                  const char *note, uint32_t timeout_ms);
/* Hides it from discovery, or shows it again; otherwise as muster_set_health(). */
MUSTER_MUST_USE MUSTER_API enum muster_error
muster_set_maintenance(struct muster_registration *registration, bool on, const char *reason,
                       uint32_t timeout_ms);
/* Takes it out of the registry, and frees it whatever the outcome: after MUSTER_TIMED_OUT the
 * background thread keeps trying, as long as the client is open. A successor that has taken the id
 * over is left alone. MUSTER_UNREACHABLE and MUSTER_UNKNOWN: the lease will expire by itself.
 * MUSTER_INVALID: from a callback; it is not freed then. */
MUSTER_API enum muster_error muster_deregister(struct muster_registration *registration,
                                               uint32_t timeout_ms);

/* ------------------------------------------------------------------------------------------------
 * Discovery */

enum muster_strategy {
    MUSTER_RANDOM = 0,
    MUSTER_FIRST = 1, /* always the first by id */
    /* In turn, by id; each service of this client has one turn for all callers. Among more than 64,
     * an instance that follows some that do not match is chosen more often. */
    MUSTER_ROUND_ROBIN = 2,
    MUSTER_WEIGHTED = 3, /* at random by weight; weight 0 only if there is no other */
};

/* "random", "first", "round_robin", "weighted", as the registry spells them; "unknown" for any
 * other value. Static. */
MUSTER_API const char *muster_strategy_name(enum muster_strategy strategy);

/* For `health` of a query: one bit for each state, to be combined with |. */
#define MUSTER_HEALTH_BIT(health) (1u << (unsigned)(health))

struct muster_query {
    size_t size;
    const char *service; /* required */
    enum muster_strategy strategy;
    const char *const *tags; /* an instance must have all of them; at most 64 */
    size_t tags_count;
    const char *zone;                   /* instances there are preferred; NULL: none */
    const char *type;                   /* an instance must have this type; NULL: any */
    const struct muster_pair *metadata; /* an instance must have all of them; at most 64 */
    size_t metadata_count;
    unsigned health; /* MUSTER_HEALTH_BIT() of each that will do; 0: passing and warning */
    /* Ask the registry, and see every write that was acknowledged before the call. Costs a round
     * trip through the leader, needs a timeout_ms, and uses neither the copy nor the fallback. */
    bool linearizable;
};

enum muster_source {
    MUSTER_FROM_REGISTRY = 0, /* from the copy that the event stream keeps, or linearizable */
    MUSTER_FROM_FALLBACK = 1, /* the configured address; nothing is known about it */
};

/* "registry", "fallback"; "unknown" for any other value. Static. */
MUSTER_API const char *muster_source_name(enum muster_source source);

struct muster_found {
    const struct muster_instance *instance; /* yours: muster_instance_unref() */
    /* How long ago the copy was last known to be current: 0 while its stream is up, else the time
     * since that last sent something (which it does at least every 15 s). */
    uint64_t age_ms;
    enum muster_source source;
};

/* One instance that matches. The first query for a service starts a copy of it, which an event
 * stream keeps current from then on, and waits for it at most timeout_ms; later ones are answered
 * at once, from memory, also if no replica can be reached. MUSTER_NOT_FOUND: there is none.
 * MUSTER_UNREACHABLE: no copy, no replica, no fallback. MUSTER_TIMED_OUT: no copy yet.
 * MUSTER_REFUSED: the registry refuses the service's name. MUSTER_INVALID, MUSTER_NO_MEMORY,
 * MUSTER_FORKED, MUSTER_TOO_MANY (256 services in one client; 1,024 linearizable queries at a
 * time). *ret_found is written with MUSTER_OK only. */
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
 * Following changes */

enum muster_change {
    MUSTER_PRESENT = 0, /* it is there, like this: at the start, and after events were missed */
    MUSTER_SYNCED = 1,  /* everything that is there has been reported; the instance is NULL */
    MUSTER_ADDED = 2,   /* an event of the registry, as are the next three; the record after it */
    MUSTER_UPDATED = 3,
    MUSTER_HEALTH_CHANGED = 4, /* by its own report, by its lease, or by maintenance */
    MUSTER_REMOVED = 5,        /* it is gone; its last record */
};

/* "present", "synced", "added", "updated", "health", "removed"; "unknown" for any other value.
 * Static. */
MUSTER_API const char *muster_change_name(enum muster_change change);

/* The instance is the library's; muster_instance_ref() keeps it. */
typedef void (*muster_follow_cb)(void *ctx, enum muster_change change,
                                 const struct muster_instance *instance);

struct muster_follow;

/* Calls back for every instance that is there, then MUSTER_SYNCED, then for each change in order,
 * until muster_unfollow() or muster_close(). Changes that were missed while no replica could be
 * reached arrive as differences, followed by another MUSTER_SYNCED. Gives *ret_follow.
 * MUSTER_INVALID, MUSTER_NO_MEMORY, MUSTER_FORKED, MUSTER_TOO_MANY (256 services, 1,024 follows).
 */
MUSTER_MUST_USE MUSTER_API enum muster_error muster_follow(struct muster *muster,
                                                           const char *service,
                                                           muster_follow_cb on_change, void *ctx,
                                                           struct muster_follow **ret_follow);
/* Frees it. After it returns the callback is not running and will not be called again. NULL is
 * allowed. MUSTER_INVALID (from a callback) and MUSTER_FORKED: it is not freed. */
MUSTER_API enum muster_error muster_unfollow(struct muster_follow *follow);

#ifdef __cplusplus
}
#endif

#endif
