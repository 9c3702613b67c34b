/* Heartbeats, of Heartbeat and of KeepAlive alike.
 *
 * Thread: any. */
#ifndef MUSTER_API_GRPC_BEAT_H
#define MUSTER_API_GRPC_BEAT_H

#include <registry.pb-c.h>

#include "server/base/problem.h"
#include "server/node/renew.h"

/* Whether a heartbeat says more than which ids are alive. */
bool beat_has_details(const Muster__V1__HeartbeatRequest *beat);
MUST_USE bool beat_check(const Muster__V1__HeartbeatRequest *beat, struct problem *problem);
/* All of a renewal but its ids; it borrows from the beat. */
void beat_renewal(const Muster__V1__HeartbeatRequest *beat, struct node_renewal *ret_renewal);

#endif
