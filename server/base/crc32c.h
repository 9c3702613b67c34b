/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), with the CPU's instruction where there is one.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_CRC32C_H
#define MUSTER_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from `crc` (0 to begin with). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
