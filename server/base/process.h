/* This process: its descriptors, set up before it opens anything, and its memory.
 *
 * Thread: main, before there are others, unless stated otherwise. */
#ifndef MUSTER_BASE_PROCESS_H
#define MUSTER_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"

/* Opens /dev/null for closed standard descriptors: otherwise the next file or socket would get
 * their numbers, and what is written to stderr. False if that fails. */
MUST_USE bool process_fill_standard(void);

/* The division of a server's descriptors. */
struct descriptor_shares {
    unsigned http_threads;
    unsigned http_connections;  /* for clients */
    unsigned http_spare;        /* additional ones per thread, for one response each */
    unsigned peer_connections;  /* for members and others on the peer port */
    unsigned zmq_connections;   /* 0: its ports are closed. Not set by process_share() */
    unsigned check_connections; /* likewise, to targets of active checks */
    unsigned dns_connections;   /* 0: there is no DNS. Not set by process_share() */
    unsigned grpc_connections;  /* of its own port; likewise */
};
/* Divides `limit` descriptors, of which `inherited` are already open. Fewer threads than requested
 * if not all of them fit. False: too few; *ret_needed is a sufficient number. */
MUST_USE bool process_share(uint64_t limit, uint64_t inherited, unsigned http_threads,
                            struct descriptor_shares *ret_shares, uint64_t *ret_needed);
/* Raises the limit as far as possible, and returns it. */
uint64_t process_raise_descriptors(void);
/* Open descriptors except the standard ones: before any is opened, those left by the parent. */
uint64_t process_inherited(void);
/* From now on there are no core dumps, and other processes of the same user cannot read our memory:
 * it has secrets. */
void process_close_memory(void);
/* Bytes of memory in use; 0: unknown. Thread: any. */
uint64_t process_resident_bytes(void);

#endif
