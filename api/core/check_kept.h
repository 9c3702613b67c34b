/* What is kept with the record of a check (`record_extra`), as JSON: {"n": name, "t": type, "d":
 * definition, ...}. All doors keep this, so that each shows what another has defined.
 *
 * Thread: any. */
#ifndef MUSTER_API_CORE_CHECK_KEPT_H
#define MUSTER_API_CORE_CHECK_KEPT_H

#include "api/core/check_definition.h"
#include "server/registry/record.h"

struct check_kept {
    const char *name, *notes; /* "": none */
    const char *type;         /* "http", "tcp", "grpc", "ttl", "maintenance"; "": nobody says */
    bool is_active;           /* it has a definition */
    struct check_definition definition;
    json_t *json; /* what has been read */
};

/* The text to be kept; the caller's, for free(). NULL: longer than EXTRA_BYTES_MAX. */
char *check_kept_make(const struct check_kept *kept);
/* Fills it in, in any case; check_kept_done() frees what it borrows from. */
void check_kept_read(const char *extra, struct check_kept *ret_kept);
void check_kept_done(struct check_kept *kept);
/* The texts of it as JSON, with quotes, without reading the rest: for lists. */
struct check_kept_texts {
    struct slice name, notes, type;
};
void check_kept_scan(const char *extra, struct check_kept_texts *ret_texts);
/* The definition alone; the caller's, for free(). NULL: there is none, or none that this build can
 * run. */
struct check_definition *check_kept_load(const char *extra);

#endif
