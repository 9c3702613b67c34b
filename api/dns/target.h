/* What a name in a question stands for, by its labels alone: nothing is looked up.
 *
 * Thread: any. Owns: nothing. */
#ifndef MUSTER_API_DNS_TARGET_H
#define MUSTER_API_DNS_TARGET_H

#include "api/core/near.h"
#include "api/dns/wire.h"
#include "server/registry/namespace.h"

enum dns_kind {
    DNS_FOREIGN, /* not ours */
    DNS_NOTHING, /* below the domain, and nothing has such a name */
    DNS_BETWEEN, /* nothing itself, but names below it are: "service.consul" */
    DNS_APEX,    /* the domain itself */
    DNS_SERVICE, /* [tag.]name.service, _name._tag.service */
    DNS_NODE,    /* name.node */
    DNS_ADDRESS, /* <hex>.addr; has_address is false if it is no address */
    DNS_REVERSE, /* below in-addr.arpa or ip6.arpa */
};

struct dns_target {
    enum dns_kind kind;
    size_t above;               /* bytes of the question's name before the domain */
    char space[NAMESPACE_SIZE]; /* "": `default` */
    /* Of a service or node: its labels with dots between them, as asked and in lower case. A label
     * that could be no client's text makes it DNS_NOTHING. */
    char text[DNS_NAME_BYTES + 1], lower[DNS_NAME_BYTES + 1];
    /* Of a service: where its own name begins in both; the tag is before that, without the dot. */
    size_t name_at;
    bool is_rfc2782; /* name and tag are then below, and `text` is not used */
    char name[DNS_LABEL_BYTES + 1], lower_name[DNS_LABEL_BYTES + 1];
    char tag[DNS_NAME_BYTES + 1]; /* in lower case; "": none is asked for */
    bool has_address;
    struct ip_address address;
};

/* `datacenter`: in lower case. */
void dns_target_find(const struct dns_question *question, const struct dns_name *domain,
                     const char *datacenter, struct dns_target *ret_target);

#endif
