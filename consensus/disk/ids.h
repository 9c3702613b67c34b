/* Cluster ids and life ids.
 *
 * A life is one data directory of a member: 63 random bits, chosen when the directory is made.
 * Raft's server ids are lives: a member that comes back empty is a new server, and is not held to
 * what its earlier life promised. Operators see member ids.
 *
 * Thread: any. */
#ifndef MUSTER_CONSENSUS_DISK_IDS_H
#define MUSTER_CONSENSUS_DISK_IDS_H

#include <stdint.h>

#include "server/base/cluster_id.h"

/* Random, from the kernel; never zero. */
struct cluster_id cluster_id_make(void);

/* Random, from the kernel; in 1 .. INT64_MAX. */
uint64_t life_make(void);

#endif
