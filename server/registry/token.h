/* A token as the registry keeps it: who carries its secret may do what it says. Of the secret only
 * the SHA-256 is here, which is of no use to anybody who reads a log, a snapshot or a backup. A
 * policy is kept as one without a secret (policy.h).
 *
 * Thread: made and removed on the loop; read anywhere while reachable from a view. Immutable.
 * Owns: its text. */
#ifndef MUSTER_REGISTRY_TOKEN_H
#define MUSTER_REGISTRY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/limits.h"
#include "server/registry/namespace.h"
#include "server/registry/record.h"

#define TOKEN_HASH_BYTES 32

/* How the id of a policy begins. */
#define POLICY_EXACT  '='
#define POLICY_PREFIX '*'
static inline bool policy_is_id(const char *id)
{
    return id[0] == POLICY_EXACT || id[0] == POLICY_PREFIX;
}

/* What is not of a service: a bit for each. */
enum token_grant {
    TOKEN_OPERATOR_READ = 1,
    TOKEN_OPERATOR_WRITE = 2, /* and read */
    TOKEN_METRICS = 4,
    TOKEN_EVENTS = 8, /* of all services */
};
#define TOKEN_GRANTS_ALL 15u

/* Services by their exact name, or by how their names begin. */
struct token_scope {
    struct slice name;
    bool prefix;
    bool write; /* and read */
};

/* A token as a command or a snapshot says it. All borrowed. */
struct token_spec {
    struct slice id;
    struct slice hash; /* TOKEN_HASH_BYTES; of a policy empty */
    struct slice description;
    struct slice space; /* the namespace that it is bound to; empty: none */
    uint32_t grants;
    uint32_t scopes_count;
    struct token_scope scopes[TOKEN_SCOPES_MAX];
};

struct token {
    uint64_t index;                 /* of the entry that made it */
    int64_t created_ms;             /* wall clock of the leader then */
    uint64_t expires_ms;            /* cluster time; UINT64_MAX: never */
    uint8_t hash[TOKEN_HASH_BYTES]; /* of a policy zero, which no secret has */
    uint8_t grants;
    uint8_t scopes_count;
    uint16_t description; /* offsets into text, where the id is at 0 and each text ends with NUL */
    uint16_t scopes;
    uint16_t space;
    uint16_t text_len;
    char text[];
};

static inline const char *token_id(const struct token *t)
{
    return t->text;
}
static inline const char *token_description(const struct token *t)
{
    return t->text + t->description;
}

/* The namespace that it is bound to; "": none. */
static inline const char *token_space(const struct token *t)
{
    return t->text + t->space;
}

/* From malloc; index and times are zero. The spec obeys the limits. */
struct token *token_create(const struct token_spec *spec);
/* Fills a spec that borrows from the token. */
void token_spec_of(const struct token *t, struct token_spec *ret_spec);
/* Fills a spec, without id and hash, of what may do everything. The description is borrowed. */
void token_spec_everything(const char *description, struct token_spec *ret_spec);
/* A 64-bit hash of everything in it. */
uint64_t token_hash(const struct token *t);

/* Whether what it says of services is said of those in a namespace ("": `default`). Of a token that
 * is bound to one: of those in that; of any other: of those in `default`, and if it may read or
 * write what is the operator's, everywhere. */
bool token_reaches(const struct token *t, struct slice space, bool write);
/* `service` as it is stored. */
bool token_may(const struct token *t, const char *service, bool write);
/* The same for all services of a namespace that it reaches, those to come included. */
bool token_may_all(const struct token *t, bool write);
bool token_grants(const struct token *t, enum token_grant grant);
/* The same for any service at all. */
bool token_may_some(const struct token *t, bool write);

/* Who reads: of which services he may see what is there. */
struct viewer {
    bool all;
    const struct token *token; /* unless all; NULL: none */
};
static inline bool viewer_may(const struct viewer *viewer, const char *service)
{
    return viewer->all || (viewer->token != NULL && token_may(viewer->token, service, false));
}

#endif
