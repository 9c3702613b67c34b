/* JSON bodies: keys in any case, with or without underscores; unknown ones are ignored. What is
 * wrong is said as clients know it.
 *
 * Thread: any. */
#ifndef MUSTER_API_CONSUL_BODY_H
#define MUSTER_API_CONSUL_BODY_H

#include <jansson.h>

#include "api/consul/identity.h"
#include "server/base/problem.h"
#include "server/registry/command.h"

/* The value of a key, in any spelling; NULL: it is not there, or null. */
json_t *body_get(const json_t *object, const char *key);
/* The body as an object; NULL with "Request decode failed: ...". The caller's. */
json_t *body_parse(const struct request *request, struct problem *problem);
/* Each: true with "" or 0 where the key is not there. */
MUST_USE bool body_text(const json_t *object, const char *key, const char **ret_text,
                        struct problem *problem);
MUST_USE bool body_integer(const json_t *object, const char *key, int64_t *ret_value,
                           struct problem *problem);
/* "30s", or nanoseconds. */
MUST_USE bool body_duration_ms(const json_t *object, const char *key, uint32_t max_ms,
                               uint32_t *ret_ms, struct problem *problem);
MUST_USE bool body_status(const char *text, enum health *ret_status);

/* A registration of a service and its checks, as they go into a command. Owns what that borrows. */
struct enrolment {
    json_t *json;
    struct registration registration;
    uint32_t checks_count;
    struct check_spec checks[CHECKS_MAX];
    size_t texts_count;
    char *texts[4 + 3 * CHECKS_MAX];
};
void enrolment_done(struct enrolment *e);
/* Keeps a text that is to be freed with it. Returns it. */
char *enrolment_own(struct enrolment *e, char *text);

/* Where a service is registered. */
struct place {
    const char *agent;        /* who registers it */
    const char *node;         /* NULL: its own address, or the agent */
    const char *node_address; /* NULL: the node */
};
/* Of /v1/agent/service/register, or the Service of /v1/catalog/register. Takes no reference. */
MUST_USE bool body_service(struct enrolment *e, const json_t *json, const struct place *place,
                           struct problem *problem);
/* Its Check and Checks. */
MUST_USE bool body_checks(struct enrolment *e, const json_t *json, struct problem *problem);
/* One check; `default_id` and `default_name` where it says none. False with an empty message: it is
 * no check. `is_agent`: it says how it is run. */
MUST_USE bool body_check(struct enrolment *e, const json_t *json, const char *default_id,
                         const char *default_name, struct slice service_id, bool is_agent,
                         struct problem *problem);
/* The metadata of an instance or node. */
MUST_USE bool body_meta(const json_t *meta, struct registration *g, struct problem *problem);

#endif
