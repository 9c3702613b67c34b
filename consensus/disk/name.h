/* Names of files, and the numbers in them: sixteen hexadecimal digits, so that names sort like
 * numbers.
 *
 * Thread: any. Pure. */
#ifndef MUSTER_CONSENSUS_DISK_NAME_H
#define MUSTER_CONSENSUS_DISK_NAME_H

#include <stdbool.h>
#include <stdint.h>

#define NAME_DIGITS        16
#define SNAPSHOT_NAME_SIZE 48

/* Parses the first NAME_DIGITS bytes of `text`. Returns false unless all are digits (lower case).
 */
bool name_parse_digits(const char *text, uint64_t *ret_number);

/* snapshot-<index>-<term>, and back. */
void snapshot_name(uint64_t index, uint64_t term, char out[SNAPSHOT_NAME_SIZE]);
bool snapshot_name_parse(const char *name, uint64_t *ret_index, uint64_t *ret_term);

#endif
