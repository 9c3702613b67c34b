/* What the operating system says of this process and its disk.
 *
 * Thread: any. */
#ifndef MUSTER_API_MACHINE_H
#define MUSTER_API_MACHINE_H

#include <stdint.h>

/* Bytes free for us on the file system of that directory; 0 when it cannot be told. */
uint64_t machine_disk_free(const char *directory);
/* Bytes of memory in use by this process; 0 when it cannot be told. */
uint64_t machine_resident_bytes(void);

#endif
