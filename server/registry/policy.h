/* A policy says what the holders of certificates may do: those whose name is its subject, or begins
 * as it says. It is kept as a token that has no secret, among the tokens, and its id is the key of
 * its subject: "=web" for the name "web", "*web-" for all that begin with "web-".
 *
 * No id of a token begins so, and no name of a certificate contains a '*' (naming.h). Of several
 * policies that fit a name the most specific one counts, alone: that of exactly this name, else the
 * one with the longest beginning.
 *
 * Thread: any. */
#ifndef MUSTER_REGISTRY_POLICY_H
#define MUSTER_REGISTRY_POLICY_H

#include "server/base/ptree.h"
#include "server/registry/token.h"

/* Of a subject; its key is one byte longer if it is exact. */
#define POLICY_SUBJECT_BYTES_MAX CERTIFICATE_NAME_BYTES_MAX
#define POLICY_KEY_SIZE          (POLICY_SUBJECT_BYTES_MAX + 2)

/* The key of a subject; false if it is none: a name, or how names begin and a '*'. */
MUST_USE bool policy_key(struct slice subject, char ret_key[POLICY_KEY_SIZE]);
/* The subject of a key. */
void policy_subject(struct slice key, char ret_subject[POLICY_KEY_SIZE]);
/* Whether it is the key of a subject. */
MUST_USE bool policy_key_is_valid(struct slice key);

/* The policy that counts for a name, in a tree of tokens; NULL: there is none. O(log n) for each
 * prefix on the way to it, of which few differ. */
const struct token *policy_match(const struct ptree *tokens, const struct ptree_kind *kind,
                                 const char *name);

#endif
