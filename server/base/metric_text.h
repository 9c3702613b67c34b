/* The metrics as text, for collectors.
 *
 * Thread: any. */
#ifndef MUSTER_BASE_METRIC_TEXT_H
#define MUSTER_BASE_METRIC_TEXT_H

#include "server/base/buffer.h"

/* All of them in Prometheus' text format, version 0.0.4. */
void metric_render(struct buffer *out);

#endif
