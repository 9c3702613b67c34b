/* The names of a cluster and of a member's life.
 *
 * A life is one data directory under a member id: 63 random bits, made with the directory. Raft's
 * server ids are lives: a member that comes back empty is a new server, and what its old life
 * promised is never asked of it. Operators see member ids.
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_DISK_IDS_H
#define MUSTER_CONSENSUS_DISK_IDS_H

#include <stdint.h>

#include "server/base/cluster_id.h"

/* From the kernel's random bytes; never zero. */
struct cluster_id cluster_id_make(void);

/* From the kernel's random bytes, in 1 .. INT64_MAX. */
uint64_t life_make(void);

#endif
