/* The JSON bodies of the calls that write.
 *
 * Thread: any.
 * Owns: the JSON value that what is parsed borrows from; body_*_done frees it. */
#ifndef MUSTER_API_NATIVE_BODY_H
#define MUSTER_API_NATIVE_BODY_H

#include <stdbool.h>

#include <jansson.h>

#include "api/core/check_list.h"
#include "server/base/buffer.h"
#include "server/base/problem.h"
#include "server/registry/command.h"

/* "<name>-<uuid>" and its NUL. */
#define BODY_MADE_ID_SIZE (NAME_BYTES_MAX + 1)

struct body_register {
    json_t *root;
    bool has_id, has_host, has_ttl;
    struct check_list checks;
    char made_id[BODY_MADE_ID_SIZE];
};
/* Fills in a COMMAND_REGISTER, which borrows from `body`. Fields that are not given, or null, come
 * out with `ttl_ms`, `reap_after_ms`, weight 1, passing, empty. */
MUST_USE bool body_register_parse(struct body_register *body, struct command *ret_command,
                                  const struct buffer *text, uint32_t ttl_ms,
                                  uint32_t reap_after_ms, struct problem *problem);
/* What the body left out: without an id one is made of the name and 16 random bytes, without a host
 * it is `caller`, the address that the request came from ("" when it has none), which is borrowed.
 * Then the whole is checked (server/registry/check.h). */
MUST_USE bool body_register_complete(struct body_register *body, struct registration *r,
                                     const uint8_t random[16], const char *caller,
                                     struct problem *problem);
/* Once it is complete: a COMMAND_ENROL if it says anything of checks. */
void body_register_enrol(const struct body_register *body, struct command *c);
void body_register_done(struct body_register *body);

struct body_heartbeat {
    json_t *root;
    bool single;        /* came as "id" */
    bool details;       /* incarnation, status or note are given */
    struct slice check; /* of the single instance: that is what is heard from; empty: none */
    struct slice *ids;
    uint32_t count;
    uint64_t incarnation;
    bool status_given, note_given;
    enum health status;
    struct slice note;
};
MUST_USE bool body_heartbeat_parse(struct body_heartbeat *body, const struct buffer *text,
                                   struct problem *problem);
void body_heartbeat_done(struct body_heartbeat *body);

struct body_maintenance {
    json_t *root;
    bool enabled;
    struct slice reason;
};
MUST_USE bool body_maintenance_parse(struct body_maintenance *body, const struct buffer *text,
                                     struct problem *problem);
void body_maintenance_done(struct body_maintenance *body);

MUST_USE bool body_quota_parse(struct namespace_quota *ret_quota, const struct buffer *text,
                               struct problem *problem);

#endif
