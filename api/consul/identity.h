/* Who is who: an instance is the one of (node, service id). In the registry its id is "id@node", so
 * that two machines that say the same id are two instances.
 *
 * The node of a registration is what its caller says that it is (X-Registry-Node), else the address
 * of the service, else the address of the caller: a name that can be dialled. What is registered by
 * other doors is of the node of its host.
 *
 * The *agent* of an instance is who registered it: X-Registry-Node, else the caller's address.
 * Calls below /v1/agent are about what the caller's agent has registered.
 *
 * Thread: any; where a view is given, within its critical section. */
#ifndef MUSTER_API_CONSUL_IDENTITY_H
#define MUSTER_API_CONSUL_IDENTITY_H

#include "api/http/exchange.h"

#define NODE_SIZE (HOST_BYTES_MAX + 1)
#define UUID_SIZE 37

/* The node and the service id of a record, both of its own text. */
struct identity {
    struct slice node;
    struct slice service;
};
struct identity identity_of(const struct record *record);
/* Whether the API of Consul has registered it. */
bool identity_is_ours(const struct record *record);
bool identity_is_node(const struct record *record, const char *node);

/* Who calls. False: X-Registry-Node is no name of a host. */
MUST_USE bool identity_caller(const struct exchange *x, char out[NODE_SIZE],
                              struct problem *problem);
/* Whether the caller's agent has registered it. */
bool identity_is_of(const struct record *record, const char *caller);

/* A UUID that a node always has. */
void identity_uuid(const char *node, char out[UUID_SIZE]);

/* Service names are the same in any case: into x->permit.key, the name that is registered. */
void identity_resolve_name(struct exchange *x);

enum found { FOUND_NONE, FOUND_ONE, FOUND_MANY };
/* The instance that a caller means by a service id: what his agent registered on his own node, else
 * the one that it registered, else the only one that there is. *ret_count: how many there are. */
enum found identity_find(const struct exchange *x, const struct view *view, const char *service_id,
                         const struct record **ret_record, unsigned *ret_count);

/* The key of a check in the registry: ':' and what follows the "service:ID" that is the default, or
 * '=' and its id. */
void identity_check_key(const char *check_id, struct slice service_id, struct buffer *out);
/* The id of a check that is kept under a key. */
void identity_check_id(const char *key, struct slice service_id, struct buffer *out);

/* The check that a caller means, as a record of the view, and its instance (NULL: it is of a node,
 * or is the lease of an instance of another door, in place of a check). */
struct meant {
    const struct record *check;
    const struct record *instance;
};
enum found identity_find_check(const struct exchange *x, const struct view *view,
                               const char *check_id, struct meant *ret_meant, unsigned *ret_count);

#endif
