/* What a client says of an instance, as bytes: part of register commands and of snapshots.
 *
 * Thread: any. */
#ifndef MUSTER_WIRE_REGISTRATION_H
#define MUSTER_WIRE_REGISTRATION_H

#include "server/registry/record.h"
#include "server/wire/pack.h"

void wire_registration_encode(const struct registration *registration, struct buffer *out);
/* Borrows from the input; what breaks a limit makes it bad. */
void wire_registration_decode(struct unpack *in, struct registration *ret_registration);

#endif
