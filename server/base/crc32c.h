/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), with the CPU's instruction if it has one.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_CRC32C_H
#define MUSTER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from `crc` (0 at the start). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
