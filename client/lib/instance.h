/* A record of the public header, made of what a replica sent: one block of memory, shared by count,
 * never changed.
 *
 * Thread: any. Owns: the block. */
#ifndef MUSTER_LIB_INSTANCE_H
#define MUSTER_LIB_INSTANCE_H

#include <stdbool.h>

#include <jansson.h>

#include "client/include/muster.h"
#include "server/base/compiler.h"

/* The record of an instance's JSON, with one reference. NULL when it is not of that form or over a
 * limit, or without memory. */
const struct muster_instance *instance_make(const json_t *json);

#endif
