/* The id of a cluster: 128 random bits, chosen when the cluster is formed, restored or recovered;
 * nothing of another cluster is ever accepted.
 *
 * Thread: any. Pure. */
#ifndef MUSTER_BASE_CLUSTER_ID_H
#define MUSTER_BASE_CLUSTER_ID_H

#include <stdbool.h>
#include <stdint.h>

#define CLUSTER_ID_BYTES     16
#define CLUSTER_ID_TEXT_SIZE (2 * CLUSTER_ID_BYTES + 1)

struct cluster_id {
    uint8_t bytes[CLUSTER_ID_BYTES]; /* all zero: none yet */
};

bool cluster_id_is_none(const struct cluster_id *id);
bool cluster_id_equal(const struct cluster_id *a, const struct cluster_id *b);
/* 32 lower-case hexadecimal digits and a NUL. */
void cluster_id_text(const struct cluster_id *id, char out[CLUSTER_ID_TEXT_SIZE]);
/* The inverse. False if malformed. */
bool cluster_id_parse(const char *text, struct cluster_id *ret_id);

#endif
