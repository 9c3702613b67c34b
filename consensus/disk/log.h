/* The part of the Raft log that is in memory: what followers may still need, from behind the last
 * snapshot or somewhat before it up to the last entry.
 *
 * Every entry carries a checksum over its own content and the checksum of the entry before it. So
 * two logs that agree on one entry's checksum agree on all before it, and a fork (two histories
 * under one index and term, which Raft cannot tell apart) shows at the next entry.
 *
 * Thread: loop. Owns: the entries' bytes. */
#ifndef MUSTER_CONSENSUS_DISK_LOG_H
#define MUSTER_CONSENSUS_DISK_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More than any log gets to: an index above it, from outside, is refused. */
#define LOG_INDEX_MAX ((uint64_t)INT64_MAX)

struct log_entry {
    uint64_t term;
    uint8_t type;      /* enum raft_entry_type */
    uint32_t checksum; /* log_checksum() of it */
    size_t len;
    uint8_t *data; /* from malloc */
};

struct log {
    struct log_entry *ring;
    size_t capacity, first, count;
    uint64_t first_index; /* of the oldest entry held, or of the next when there is none */
    /* The entry before the oldest: its position is known, its content is not. Index 0: the log
     * begins there. */
    uint64_t base_term;
    uint32_t base_checksum;
    uint64_t bytes; /* of all entries held */
};

void log_init(struct log *log);
void log_done(struct log *log);

/* CRC-32C of term, type, length and content, continued from the entry before. */
uint32_t log_checksum(uint32_t parent, uint64_t term, uint8_t type, const void *data, size_t len);

uint64_t log_first_index(const struct log *log);
/* 0 when there is none and the log begins at its beginning. */
uint64_t log_last_index(const struct log *log);
uint64_t log_last_term(const struct log *log);
uint32_t log_last_checksum(const struct log *log);
/* NULL when it is not held. Valid until the log changes. */
const struct log_entry *log_get(const struct log *log, uint64_t index);
/* Of an entry held or the one before them. False when it is neither. */
bool log_position(const struct log *log, uint64_t index, uint64_t *ret_term,
                  uint32_t *ret_checksum);

/* Appends an entry (copied) and computes its checksum, which is returned. */
uint32_t log_append(struct log *log, uint64_t term, uint8_t type, const void *data, size_t len);
/* Drops this entry and all behind it. It is held, or the next. */
void log_truncate(struct log *log, uint64_t index);
/* Drops all entries up to this one, if it is held. */
void log_compact(struct log *log, uint64_t index);
/* Empty, behind an entry of which only this is known. */
void log_reset(struct log *log, uint64_t index, uint64_t term, uint32_t checksum);

#endif
