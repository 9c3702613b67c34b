/* One instance of a service: the strategies of server/base/choose.h over records.
 *
 * Thread: any, within a read-side critical section. */
#ifndef MUSTER_REGISTRY_CHOOSE_H
#define MUSTER_REGISTRY_CHOOSE_H

#include <stdint.h>

#include "server/base/choose.h"
#include "server/base/ptree.h"
#include "server/registry/filter.h"
#include "server/registry/record.h"

struct view;

struct choice {
    enum strategy strategy;
    const char *near; /* the preferred zone; NULL: none */
    uint32_t turn;    /* round_robin: the number of this call */
    uint64_t *random; /* state of random_next */
    struct filter filter;
    size_t first, count; /* among so many from that rank on; 0: among all */
};

/* Among the instances of a namespace ("": `default`), in `view->instances`. False: it is empty. */
bool choice_among_namespace(struct choice *choice, const struct view *view, const char *space);

/* NULL if none matches. O(log n) for random and round_robin if most match; otherwise O(n). */
const struct record *choose_instance(const struct choice *choice, const struct ptree *instances);

#endif
