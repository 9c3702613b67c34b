/* Namespaces: ids and names of services are unique within one. Here: how they are stored, and what
 * the registry knows of a namespace.
 *
 * In `default` ids and names are stored as clients say them. In any other namespace they stand
 * behind it: MARK namespace MARK name. No client's text has that byte (naming_is_name), so the two
 * never meet, and what is of one namespace stands side by side in every order by bytes: all of
 * `default` last.
 *
 * Thread: any, for texts; a struct namespace_use is made and retired on the loop, read anywhere
 * while reachable from a view, and immutable once that is published. */
#ifndef MUSTER_REGISTRY_NAMESPACE_H
#define MUSTER_REGISTRY_NAMESPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/registry/record.h"

#define NAMESPACE_MARK    '\x1f'
#define NAMESPACE_DEFAULT "default"
#define NAMESPACE_SIZE    (NAMESPACE_BYTES_MAX + 1)
/* A stored id or name, with its NUL. */
#define STORED_NAME_SIZE (NAME_BYTES_MAX + 1)

/* Any namespace but `default`. */
MUST_USE bool namespace_is_other(struct slice space);

/* Below `space` is a namespace, "" for `default`, and `stored` an id or a service's name as the
 * registry has it. */

/* How `name` is stored in `space`: itself, or made in `room`. False if there can be none: it is
 * longer than `most` bytes, or no client's text. */
MUST_USE bool namespace_join(struct slice space, struct slice name, size_t most,
                             char room[STORED_NAME_SIZE], struct slice *ret_stored);
/* The same of texts, into `out`; "", which nothing is stored as, if there can be none. */
void namespace_store(const char *space, const char *name, char out[STORED_NAME_SIZE]);
/* As clients know it. */
const char *namespace_bare(const char *stored);
/* Its namespace; empty: `default`. */
struct slice namespace_of(const char *stored);
bool namespace_has(const char *space, const char *stored);
/* Whether a snapshot may say so: with a mark, it has a namespace. */
MUST_USE bool namespace_is_stored(const char *stored);

/* The most that a namespace may take; 0: no bound. */
struct namespace_quota {
    uint64_t bytes; /* of its instances, as a snapshot has them, without times */
    uint32_t instances;
    uint32_t writes; /* a second at each replica: for the doors, not for commands */
};

/* A namespace that has instances or a quota. */
struct namespace_use {
    uint64_t epoch; /* private */
    uint64_t instances;
    uint64_t checks; /* and nodes: a quota counts them as instances */
    uint64_t services;
    uint64_t bytes;
    bool has_quota;
    struct namespace_quota quota;
    char name[]; /* "default", too */
};

#endif
