/* What the parts of an answer share.
 *
 * Thread: the answerer's. */
#ifndef MUSTER_API_DNS_INTERNAL_H
#define MUSTER_API_DNS_INTERNAL_H

#include "api/dns/answer.h"
#include "api/dns/target.h"

/* The question's name stands behind the header: nearly all records are its. */
#define OWNER DNS_HEADER_BYTES

/* An answer on its way. */
struct answering {
    struct dns_answerer *answerer;
    const struct dns_settings *settings;
    const struct view *view;
    const struct dns_asker *asker;
    uint64_t now_ns;
    struct dns_question question;
    struct dns_target target;
    struct dns_message message;
    enum dns_code code;
    bool is_authoritative, is_truncated;
};

/* Records of addresses that follow those of SRV, and which addresses an answer has already. */
#define ADDITIONAL_MAX 2048 /* 65,535 bytes have room for no more SRV records */
#define SEEN_SLOTS     8192 /* a power of two; likewise of 4,096 addresses */
struct dns_scratch {
    size_t count;
    struct {
        size_t name_at; /* where its name stands in the message */
        struct ip_address address;
    } additional[ADDITIONAL_MAX];
    uint32_t turn;
    unsigned seen_count;
    struct {
        uint32_t turn; /* another one's: it is empty */
        struct ip_address address;
    } seen[SEEN_SLOTS];
};

/* Whether its name is wanted by a question of that type. */
bool answering_wants_address(const struct answering *a, bool is_ipv4);
/* A or AAAA. The owner has been put since dns_record_mark(). False: there is no room. */
bool answering_put_address(struct answering *a, const struct ip_address *address,
                           enum dns_section section);
/* `.<keyword>.<datacenter>.<domain>` behind a label. */
void answering_put_below(struct answering *a, const char *keyword);
/* The name of an address below our domain. */
void answering_put_address_name(struct answering *a, const struct ip_address *address);
/* A record of the question's name that says what another is called. False: it cannot be. */
bool answering_put_cname(struct answering *a, const char *host);
/* There is no such record; or, with DNS_NXDOMAIN, name. */
void answering_put_nothing(struct answering *a, enum dns_code code);

/* answer_service.c: the instances of a service. */
void answering_service(struct answering *a);

#endif
