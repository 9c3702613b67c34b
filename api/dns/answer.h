/* Answers a question from a view.
 *
 * Thread: one owner of a struct dns_answerer. The view: within its critical section. */
#ifndef MUSTER_API_DNS_ANSWER_H
#define MUSTER_API_DNS_ANSWER_H

#include "api/core/access.h"
#include "api/core/near.h"
#include "api/dns/names.h"
#include "api/dns/wire.h"
#include "server/base/limits.h"
#include "server/registry/view.h"

#define DNS_ANSWER_BYTES_MAX 65535

/* Immutable. */
struct dns_settings {
    struct dns_name domain;
    char datacenter[DNS_LABEL_BYTES + 1];
    uint32_t ttl_s, negative_ttl_s;
    bool has_warning;  /* instances that are `warning` are as good as those that are `passing` */
    uint16_t udp_size; /* the most that is sent over UDP, if the asker takes it */
    enum anonymous anonymous;
    struct near near;
};

/* A member of the cluster, which is a node: its name in lower case, and its host. */
struct dns_member {
    char name[NAME_BYTES_MAX + 1];
    char host[HOST_BYTES_MAX + 1];
};

struct dns_asker {
    struct ip_address address;
    bool is_tcp;
};

struct dns_answerer {
    struct dns_settings settings;
    struct dns_names *names; /* borrowed */
    uint64_t random;         /* state of random_next */
    size_t members_count;
    struct dns_member members[CLUSTER_MEMBERS_MAX];
    struct dns_scratch *scratch; /* private */
};

void dns_answerer_init(struct dns_answerer *a, const struct dns_settings *settings,
                       struct dns_names *names);
void dns_answerer_done(struct dns_answerer *a);

/* Writes the answer to a message and returns its length; 0: there is none. `out` has room for
 * DNS_ANSWER_BYTES_MAX. `view` NULL: this replica has not caught up (SERVFAIL). */
size_t dns_answer(struct dns_answerer *a, const struct view *view, const struct dns_asker *asker,
                  const uint8_t *message, size_t len, uint64_t now_ns, uint8_t *out);
/* The same, but only that the asker should come over TCP: an answer without records, of the size of
 * the question. 0: there is none. */
size_t dns_answer_slip(const uint8_t *message, size_t len, uint8_t *out);

#endif
