/* What a token or policy is, as bytes: in the command that makes it, and in snapshots.
 *
 * Thread: any. */
#ifndef MUSTER_WIRE_TOKEN_H
#define MUSTER_WIRE_TOKEN_H

#include "server/base/buffer.h"
#include "server/registry/level.h"
#include "server/registry/token.h"
#include "server/wire/pack.h"

void wire_token_encode(const struct token_spec *spec, struct buffer *out);
/* Borrows from the input. It is good if `in` is, when all was read. */
void wire_token_decode(struct unpack *in, const struct registry_limits *limits,
                       struct token_spec *ret_spec);

#endif
