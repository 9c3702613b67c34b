/* The Raft log in memory: what followers may still need, from the last snapshot, or somewhat before
 * it, to the last entry.
 *
 * Every entry carries a checksum over its own content and the previous entry's checksum. So two
 * logs that agree on one checksum agree on everything before it, and a fork (two histories under
 * one index and term, which Raft cannot tell apart) is detected at the next entry.
 *
 * Thread: loop. Owns: the entries' bytes. */
#ifndef MUSTER_CONSENSUS_DISK_LOG_H
#define MUSTER_CONSENSUS_DISK_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No log gets this long: larger indexes from outside are refused. */
#define LOG_INDEX_MAX ((uint64_t)INT64_MAX)

struct log_entry {
    uint64_t term;
    uint8_t type;      /* enum raft_entry_type */
    uint32_t checksum; /* of log_checksum() */
    size_t len;
    uint8_t *data; /* from malloc */
};

struct log {
    struct log_entry *ring;
    size_t capacity, first, count;
    uint64_t first_index; /* of the oldest entry held; if there is none, of the next one */
    /* The entry before the oldest: known by position, not content. Index 0: the log starts here. */
    uint64_t base_term;
    uint32_t base_checksum;
    uint64_t bytes; /* of all entries held */
};

void log_init(struct log *log);
void log_done(struct log *log);

/* CRC-32C of term, type, length and content, continuing from the previous entry. */
uint32_t log_checksum(uint32_t parent, uint64_t term, uint8_t type, const void *data, size_t len);

uint64_t log_first_index(const struct log *log);
/* 0 if the log is empty and starts at index 1. */
uint64_t log_last_index(const struct log *log);
uint64_t log_last_term(const struct log *log);
uint32_t log_last_checksum(const struct log *log);
/* NULL if not held. Valid until the log changes. */
const struct log_entry *log_get(const struct log *log, uint64_t index);
/* Of an entry held, or the one before them. False if it is neither. */
bool log_position(const struct log *log, uint64_t index, uint64_t *ret_term,
                  uint32_t *ret_checksum);

/* Appends a copy of an entry and returns its checksum. */
uint32_t log_append(struct log *log, uint64_t term, uint8_t type, const void *data, size_t len);
/* Drops this entry and all later ones. It must be held, or be the next one. */
void log_truncate(struct log *log, uint64_t index);
/* Drops all entries up to this one, if it is held. */
void log_compact(struct log *log, uint64_t index);
/* Empties the log; it continues after this entry. */
void log_reset(struct log *log, uint64_t index, uint64_t term, uint32_t checksum);

#endif
