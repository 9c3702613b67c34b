/* What this door keeps with an instance, a node or a check in the registry: what its clients say
 * that is no field of an instance. It is JSON: {"o":"10.0.0.5","a":"",...}, with the agent first.
 *
 * Thread: any. */
#ifndef MUSTER_API_CONSUL_KEEP_H
#define MUSTER_API_CONSUL_KEEP_H

#include <stdbool.h>

#include <jansson.h>

/* Of an instance */
#define KEEP_AGENT        "o" /* who registered it: always there, and first */
#define KEEP_ADDRESS      "a" /* the address as it was said; absent: the host of the instance */
#define KEEP_NODE_ADDRESS "n" /* of its node; absent: the node's name */
#define KEEP_OVERRIDE     "e" /* EnableTagOverride; absent: false */
#define KEEP_WARNING      "w" /* the weight when it is warning; absent: 1 */
#define KEEP_KIND         "k"
#define KEEP_SOCKET       "s"
#define KEEP_TAGGED       "t" /* TaggedAddresses */
/* Of a node; its metadata are the record's */
#define KEEP_UUID "u"
/* Of a check: api/core/check_kept.h */

/* Whether it begins with that agent. Without parsing it. */
bool keep_is_of(const char *extra, const char *agent);
/* The caller's, for json_decref; NULL where nothing is kept. */
json_t *keep_parse(const char *extra);
/* "" when it is not there. Borrows. */
const char *keep_text(const json_t *keep, const char *key);
/* The caller's text; NULL: longer than what may be kept. Takes the reference. */
char *keep_dump(json_t *keep);

#endif
