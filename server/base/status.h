/* The one vocabulary of outcomes inside Muster, with the HTTP face of each.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_BASE_STATUS_H
#define MUSTER_BASE_STATUS_H

/* X(name, HTTP status, code in an error body, sentence for people).
 *
 * EFFECT: of all of these only ST_UNKNOWN may have happened; every other failure surely did not. */
#define STATUS_MAP(X)                                                                              \
    X(ST_OK, 200, "ok", "done")                                                                    \
    X(ST_INVALID, 400, "invalid", "the request is not valid")                                      \
    X(ST_NOT_FOUND, 404, "not_found", "there is no such instance")                                 \
    X(ST_CONFLICT, 409, "conflict", "a newer incarnation holds this id")                           \
    X(ST_TOO_LARGE, 413, "too_large", "over a limit")                                              \
    X(ST_BUSY, 503, "overloaded", "too much is waiting here; try again or try another replica")    \
    X(ST_NO_LEADER, 503, "no_leader", "there was no leader in time; nothing was done")             \
    X(ST_NO_SPACE, 503, "no_space", "the disk of too many replicas is full; nothing was done")     \
    X(ST_STOPPING, 503, "stopping", "this replica is shutting down; nothing was done")             \
    X(ST_UNKNOWN, 504, "outcome_unknown", "the write may or may not have happened")                \
    X(ST_TIMEOUT, 504, "timeout", "not reached in time")                                           \
    X(ST_STALLED, 503, "stalled", "this replica stands still; nothing was done; try another one")  \
    X(ST_FULL, 507, "full",                                                                        \
      "the registry is full; nothing was done; raise its bound or remove some")                    \
    X(ST_CORRUPT, 500, "corrupt", "data is damaged")                                               \
    X(ST_LEVEL, 503, "level_too_low",                                                              \
      "older members do not know this; upgrade them; nothing was done")                            \
    X(ST_IO, 500, "io", "an input/output error")

enum status {
#define X(name, http, code, text) name,
    STATUS_MAP(X)
#undef X
};

/* The HTTP status code for an outcome. */
int status_http(enum status status);
/* The machine-readable code for an error body, such as "no_leader". Static. */
const char *status_code(enum status status);
/* One sentence for people. Static. */
const char *status_text(enum status status);

#endif
