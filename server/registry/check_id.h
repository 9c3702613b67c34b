/* Checks: what is known of an instance's health, each piece by itself. An instance with checks is
 * as healthy as the worst of them: its declared health follows them, whatever else says of it.
 *
 * A check is kept as a record beside the instances, with a lease of its own when it is to be heard
 * from, under the id of its owner and a key: OWNER MARK KEY. No client's text has that byte. A
 * *node* is kept likewise, without an owner: MARK NAME; it may have checks, too. So heartbeats by
 * id or lease, expiry, snapshots and the hash are those of instances, and no listing of instances
 * has them.
 *
 * A check that is critical has a clock: when it was critical for its `reap_after_ms`, its owner
 * goes. Until then it is `expired`, whether it was silent or said so. A note that comes with the
 * same status moves no index.
 *
 * Thread: any, for texts. */
#ifndef MUSTER_REGISTRY_CHECK_ID_H
#define MUSTER_REGISTRY_CHECK_ID_H

#include <stdbool.h>
#include <string.h>

#include "server/registry/namespace.h"
#include "server/registry/record.h"

#define CHECK_MARK '\x1e'
/* The note of a check that was not heard from. */
#define CHECK_NOTE_EXPIRED "TTL expired"

/* Whether a stored id is that of a check or a node. */
static inline bool checks_is_check(const char *id)
{
    return strchr(id, CHECK_MARK) != NULL;
}
/* Whether a check, NULL at the end of an iteration, is one of the owner. */
static inline bool check_is_of(const struct record *check, const char *owner_id)
{
    size_t len = strlen(owner_id);
    return check != NULL && strncmp(record_id(check), owner_id, len) == 0 &&
           record_id(check)[len] == CHECK_MARK &&
           strchr(record_id(check) + len + 1, CHECK_MARK) == NULL;
}
/* The length of the owner's id in that of a check. */
static inline size_t check_owner_len(const char *check_id)
{
    return (size_t)(strrchr(check_id, CHECK_MARK) - check_id);
}
/* Among those of its owner; borrows. */
static inline const char *check_key(const struct record *check)
{
    return strrchr(record_id(check), CHECK_MARK) + 1;
}
static inline bool check_key_is_valid(struct slice key)
{
    return key.len > 0 && memchr(key.data, CHECK_MARK, key.len) == NULL &&
           memchr(key.data, NAMESPACE_MARK, key.len) == NULL;
}
/* Whether an id may have checks: that of an instance or of a node. */
static inline bool check_owner_is_valid(struct slice id)
{
    size_t mark = id.len > 0 && id.data[0] == CHECK_MARK;
    return id.len > mark && memchr(id.data + mark, CHECK_MARK, id.len - mark) == NULL;
}

#endif
