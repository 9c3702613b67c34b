/* An in-memory directory for targets whose input is a disk's content.
 *
 * Thread: the only one. */
#ifndef MUSTER_TESTS_FUZZ_DISK_H
#define MUSTER_TESTS_FUZZ_DISK_H

#include "tests/fuzz/fuzz.h"
#include "tests/sim/files.h"

static const struct cluster_id fuzz_cluster = {.bytes = {0xc1, 2, 3}};

/* Without planned faults, the values do not matter. */
static inline uint64_t fuzz_random(void *data)
{
    (void)data;
    return 0;
}

static inline struct files_disk *fuzz_disk(void)
{
    return files_create(&(struct files_options){.random = fuzz_random});
}

static inline uint64_t fuzz_changes(const struct files_disk *disk)
{
    return files_count(disk, FILES_WRITE) + files_count(disk, FILES_PREALLOCATE) +
           files_count(disk, FILES_RENAME) + files_count(disk, FILES_UNLINK);
}

#endif
