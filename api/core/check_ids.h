/* Ids of checks, as the native API has them, and their keys in the registry, which are ":ID": in
 * the words of Consul such a check is `service:INSTANCE:ID`. Its clients make other keys: "=ID" for
 * one that they name, and ":" for one that they do not.
 *
 * Thread: any. */
#ifndef MUSTER_API_CORE_CHECK_IDS_H
#define MUSTER_API_CORE_CHECK_IDS_H

#include "server/registry/record.h"

/* The id of a check with that key. Borrows. */
const char *check_ids_of_key(const char *key);
/* The key of a check of the native API; the caller's, for free(). */
char *check_ids_make_key(const char *id);
/* INSTANCE MARK KEY, by which a check is heard from; the caller's, for free(). */
char *check_ids_join(struct slice instance_id, const char *id);

#endif
