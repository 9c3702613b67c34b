/* The JSON bodies of the older registry's servers. Fields that it does not know are ignored, as
 * there.
 *
 * Thread: any.
 * Owns: the JSON value that what is parsed borrows from; tbfs_*_done frees it. */
#ifndef MUSTER_API_TBFS_BODY_H
#define MUSTER_API_TBFS_BODY_H

#include <jansson.h>

#include "api/tbfs/server_url.h"
#include "server/base/buffer.h"
#include "server/registry/command.h"

enum tbfs_body {
    TBFS_BODY_GOOD,
    TBFS_BODY_BAD,   /* see the problem */
    TBFS_BODY_OTHER, /* an object without a server_id: of another API */
};

/* Whether the body might have a server_id. Cheap: bodies of other APIs are not parsed twice. */
bool tbfs_body_may_be(const struct buffer *text);

struct tbfs_registration {
    json_t *root;
    struct slice server_id;
    struct server_address address;
    char url[SERVER_URL_SIZE]; /* joined */
    struct slice ip;           /* data NULL: none */
};
enum tbfs_body tbfs_registration_parse(struct tbfs_registration *body, const struct buffer *text,
                                       struct problem *problem);
/* What registers it: an instance of `service`. The command borrows from the arguments. */
void tbfs_registration_command(const struct tbfs_registration *body, const char *service,
                               uint32_t ttl_ms, uint32_t reap_after_ms,
                               struct command *ret_command);
void tbfs_registration_done(struct tbfs_registration *body);

struct tbfs_heartbeat {
    json_t *root;
    struct slice server_id;
};
enum tbfs_body tbfs_heartbeat_parse(struct tbfs_heartbeat *body, const struct buffer *text,
                                    struct problem *problem);
void tbfs_heartbeat_done(struct tbfs_heartbeat *body);

/* Keys of the metadata, in their order. */
#define TBFS_META_IP  "ip"
#define TBFS_META_URL "url"

#endif
