/* This process: its descriptors, which are seen to before it opens anything, and its memory.
 *
 * Thread: main, before there are others, unless said otherwise. */
#ifndef MUSTER_BASE_PROCESS_H
#define MUSTER_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/base/compiler.h"

/* Puts /dev/null where a standard descriptor is closed: the next file or socket would else get its
 * number, and what is written to stderr. False when that cannot be had. */
MUST_USE bool process_fill_standard(void);

/* How the descriptors of a server are shared out. */
struct descriptor_shares {
    unsigned http_threads;
    unsigned http_connections; /* of clients */
    unsigned http_spare;       /* more of each thread, for one answer */
    unsigned peer_connections; /* from members and others who connect to the peer port */
};
/* Of `limit` descriptors, `inherited` of which are open for others' reasons. Fewer threads than
 * asked for where not all of them fit. False: too few, and *ret_needed says how many would do. */
MUST_USE bool process_share(uint64_t limit, uint64_t inherited, unsigned http_threads,
                            struct descriptor_shares *ret_shares, uint64_t *ret_needed);
/* The limit, raised as far as it goes. */
uint64_t process_raise_descriptors(void);
/* Open ones but for the standard ones: before anything is opened, what the parent left to us. */
uint64_t process_inherited(void);
/* Bytes of memory in use; 0 when unknown. Thread: any. */
uint64_t process_resident_bytes(void);

#endif
