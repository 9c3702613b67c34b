/* What the runs of a check make of its status: a status counts once it was found often enough in a
 * row.
 *
 * Thread: values; any. */
#ifndef MUSTER_API_PROBER_JUDGE_H
#define MUSTER_API_PROBER_JUDGE_H

#include <stdint.h>

#include "server/base/health.h"

/* How many results in a row; at least 1 each. */
struct judge_limits {
    uint32_t rise; /* passing or warning, before it is that */
    uint32_t warn; /* critical, before one that was passing is warning */
    uint32_t fall; /* critical, before it is critical; not below `warn` */
};

/* All zeros: no run yet. */
struct judge {
    uint32_t good, bad; /* in a row; one of them is 0 */
};

/* Takes a result, passing, warning or critical. Returns the status of the check, which was `shown`
 * until now. */
enum health judge_take(struct judge *judge, const struct judge_limits *limits, enum health shown,
                       enum health found);

#endif
