/* A backup on its way into a file: written under another name, checked as it comes, and given its
 * name when it is whole and on the disk. What a replica sends is foreign, so nothing else ever gets
 * that name.
 *
 * Owns: the file under the other name, until backup_file_close. */
#ifndef MUSTER_CLI_BACKUP_FILE_H
#define MUSTER_CLI_BACKUP_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/base/compiler.h"
#include "server/base/snapshot_scan.h"

#define BACKUP_FILE_ERROR_SIZE 512

struct backup_file {
    const char *path; /* borrowed */
    char *part;       /* path.part */
    int fd;
    struct snapshot_scan *scan;
    char error[BACKUP_FILE_ERROR_SIZE]; /* "" while all is well */
    bool is_damaged;                    /* that was it: what came is no backup, or not all of it */
};

/* False: b->error says why. */
MUST_USE bool backup_file_open(struct backup_file *b, const char *path, bool replace);
/* Starts over, when another replica is asked. */
MUST_USE bool backup_file_restart(struct backup_file *b);
MUST_USE bool backup_file_add(struct backup_file *b, const void *data, size_t len);
/* No more comes: it is checked, durable, and has its name. Without `replace` one that is there by
 * now is kept. */
MUST_USE bool backup_file_finish(struct backup_file *b, bool replace);
/* Removes what has no name of its own. */
void backup_file_close(struct backup_file *b);

/* Reads a file and checks it. False with a sentence. */
MUST_USE bool backup_file_check(const char *path, struct snapshot_scan *scan, char *error,
                                size_t error_size);

#endif
