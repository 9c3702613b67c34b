/* The JSON body of a call that makes a token or a policy.
 *
 * Thread: any. Owns: the JSON value that what is parsed borrows from; body_token_done frees it. */
#ifndef MUSTER_API_NATIVE_BODY_TOKEN_H
#define MUSTER_API_NATIVE_BODY_TOKEN_H

#include <jansson.h>

#include "server/base/buffer.h"
#include "server/base/problem.h"
#include "server/registry/policy.h"

struct body_token {
    json_t *root;
    uint32_t ttl_s; /* 0: for good */
};
/* Fills in all of the spec but id and hash; it borrows from `body`. */
MUST_USE bool body_token_parse(struct body_token *body, struct token_spec *ret_spec,
                               const struct buffer *text, struct problem *problem);
/* Likewise, all of the spec; the key of its subject stands in `key`. */
MUST_USE bool body_policy_parse(struct body_token *body, char key[POLICY_KEY_SIZE],
                                struct token_spec *ret_spec, const struct buffer *text,
                                struct problem *problem);
void body_token_done(struct body_token *body);

#endif
