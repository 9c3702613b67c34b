/* What the operating system says of this process.
 *
 * Thread: any. */
#ifndef MUSTER_API_MACHINE_H
#define MUSTER_API_MACHINE_H

#include <stdint.h>

/* Bytes of memory in use by this process; 0 when it cannot be told. */
uint64_t machine_resident_bytes(void);

#endif
