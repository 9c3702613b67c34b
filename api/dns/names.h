/* What the view has no order for: instances by their address and by their node, and services whose
 * names have capital letters, by their name in lower case, as DNS takes no notice of case.
 *
 * An index of a view, made when it is first asked for, in slices between questions, and made anew
 * when the registry has changed; but not more often than costs a tenth of the time. What is found
 * in it is looked up in the present view, so a wrong answer is never given: what has just come may
 * be missing for a moment. It is forgotten after a minute without a question.
 *
 * Thread: one owner. Owns: the index. The views are borrowed for each call. */
#ifndef MUSTER_API_DNS_NAMES_H
#define MUSTER_API_DNS_NAMES_H

#include "api/core/near.h"
#include "server/registry/view.h"

/* Instances beyond these are not found by address or node. */
#define NAMES_INSTANCES_MAX (1u << 20)

struct dns_names;

struct dns_names *dns_names_new(void);
void dns_names_free(struct dns_names *names);
/* Goes on with an index that is being made. True: there is more to do. */
bool dns_names_step(struct dns_names *names, const struct view *view, uint64_t now_ns);

/* NULL: there is none. `lower` is a name in `space`, in lower case. */
const struct service_view *dns_names_service(struct dns_names *names, const struct view *view,
                                             const char *space, const char *lower, uint64_t now_ns);
/* An instance whose node has that name, in lower case: the metadata `node`, or else the host. */
const struct record *dns_names_node(struct dns_names *names, const struct view *view,
                                    const char *space, const char *lower, uint64_t now_ns);
/* Calls `visit` for each instance with that address, until it returns false. */
void dns_names_address(struct dns_names *names, const struct view *view,
                       const struct ip_address *address, uint64_t now_ns,
                       bool (*visit)(void *arg, const struct record *record), void *arg);
/* What an instance's node is called. */
const char *dns_names_node_of(const struct record *record);

#endif
