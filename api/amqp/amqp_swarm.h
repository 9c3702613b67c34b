/* What listeners of the older registry of Docker Swarm wait for, made of the events of what
 * api/swarm keeps: service.added, service.updated, service.removed, services.updated, metrics.NAME,
 * health.check. At least once and in order, as all events; the older registry sent the half of
 * them, and none while the broker was away.
 *
 * Thread: any, within a critical section. */
#ifndef MUSTER_API_AMQP_AMQP_SWARM_H
#define MUSTER_API_AMQP_AMQP_SWARM_H

#include "api/sink/sink_feed.h"

sink_translate_fn amqp_swarm_translate;

#endif
