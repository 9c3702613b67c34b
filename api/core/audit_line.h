/* One line of the audit log: a JSON object that says who asked for what, from where, and with which
 * outcome. README.md of the project lists its members.
 *
 * A line never holds a secret: credentials are not part of it, and of a text from a client that
 * contains a token only the token's id is kept.
 *
 * Thread: any. */
#ifndef MUSTER_API_CORE_AUDIT_LINE_H
#define MUSTER_API_CORE_AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/access.h"
#include "server/base/buffer.h"

/* A longer text is cut, and ends in "...": nothing valid is longer. */
#define AUDIT_TEXT_BYTES_MAX 512
#define AUDIT_PARAMETERS_MAX 8
#define AUDIT_LINE_BYTES_MAX ((size_t)16 * 1024)

struct audit_parameter {
    const char *name; /* needs no escaping */
    const char *value;
};

/* All texts are borrowed and valid UTF-8. "" leaves a member out. */
struct audit_line {
    int64_t wall_ms;
    uint64_t replica;   /* member id of the replica that was asked */
    const char *door;   /* "http" or "zmq" */
    const char *action; /* "register", "token_create", ... */
    const char *address;
    const struct principal *principal; /* NULL: refused before he was known */
    const char *space;                 /* the namespace */
    const char *service;
    const char *id; /* of the instance, token or member */
    struct audit_parameter parameters[AUDIT_PARAMETERS_MAX];
    size_t parameters_count;
    int status;          /* of the door's protocol; 0: it has none */
    const char *outcome; /* "ok", or the code of the problem */
    uint64_t index;      /* of the log entry; 0: none, or not known */
    uint64_t held_back;  /* how many like it have no line */
    bool client_gone;    /* nobody was there to take the response */
    bool is_refusal;     /* of who asked, not of what: such lines leave room for others (audit.h) */
};

/* Appends the line with its line break. `out` has a limit of at least AUDIT_LINE_BYTES_MAX. */
void audit_line_render(const struct audit_line *line, struct buffer *out);

#endif
