/* The one vocabulary of outcomes inside Muster.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_BASE_STATUS_H
#define MUSTER_BASE_STATUS_H

/* X(name, code for programs, text for people).
 *
 * EFFECT: of all of these only ST_UNKNOWN may have happened; every other failure surely did not. */
#define STATUS_MAP(X)                                                                              \
    X(ST_OK, "ok", "done")                                                                         \
    X(ST_INVALID, "invalid", "the request is not valid")                                           \
    X(ST_NOT_FOUND, "not_found", "there is no such instance")                                      \
    X(ST_CONFLICT, "conflict", "another incarnation holds this id")                                \
    X(ST_TOO_LARGE, "too_large", "over a limit")                                                   \
    X(ST_BUSY, "overloaded", "too much is waiting here; try again or try another replica")         \
    X(ST_NO_LEADER, "no_leader", "there was no leader in time; nothing was done")                  \
    X(ST_NO_SPACE, "no_space", "the disk of too many replicas is full; nothing was done")          \
    X(ST_STOPPING, "stopping", "this replica is shutting down; nothing was done")                  \
    X(ST_UNKNOWN, "outcome_unknown", "the write may or may not have happened")                     \
    X(ST_TIMEOUT, "timeout", "not reached in time")                                                \
    X(ST_STALLED, "stalled", "this replica stands still; nothing was done; try another one")       \
    X(ST_FULL, "full", "the registry is full; nothing was done; raise its bound or remove some")   \
    X(ST_DUPLICATE_TYPE, "duplicate_type", "another instance of this type is alive")               \
    X(ST_QUOTA, "quota", "the namespace's quota is used up; nothing was done")                     \
    X(ST_UNAUTHENTICATED, "unauthenticated", "a valid token is needed (Authorization: Bearer)")    \
    X(ST_FORBIDDEN, "forbidden", "the token or certificate given does not allow this")             \
    X(ST_RATE_LIMITED, "rate_limited", "more than is allowed in a second; nothing was done")       \
    X(ST_CORRUPT, "corrupt", "data is damaged")                                                    \
    X(ST_LEVEL, "level_too_low", "older members do not know this; upgrade them; nothing was done") \
    X(ST_UNAUDITED, "audit_unavailable", "the audit log here cannot be written; nothing was done") \
    X(ST_IO, "io", "an input/output error")

enum status {
#define X(name, code, text) name,
    STATUS_MAP(X)
#undef X
};

/* The code for programs, such as "no_leader". Static. */
const char *status_code(enum status status);
/* A text for people. Static. */
const char *status_text(enum status status);

#endif
