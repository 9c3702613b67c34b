/* Encoding of a client's registration: part of register commands and of snapshots.
 *
 * Thread: any. */
#ifndef MUSTER_WIRE_REGISTRATION_H
#define MUSTER_WIRE_REGISTRATION_H

#include "server/registry/level.h"
#include "server/registry/record.h"
#include "server/wire/pack.h"

void wire_registration_encode(const struct registration *registration, struct buffer *out);
/* Borrows from the input; a value above a limit makes it bad, and over. */
void wire_registration_decode(struct unpack *in, const struct registry_limits *limits,
                              struct registration *ret_registration);

#endif
