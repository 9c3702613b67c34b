/* Overload: in one run of three, derived rather than drawn, so that seeds keep their meaning. At
 * times all members refuse heartbeats, or only the leader, or all others; then clients reach nobody
 * that would take them.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CROWD_H
#define MUSTER_SIM_CROWD_H

#include <stdbool.h>

struct sim_member;

/* What a member refuses for lack of room; bits. */
enum crowd { CROWD_OTHERS = 1, CROWD_HEARTBEATS = 2 };
unsigned crowd_at(const struct sim_member *m);
bool crowd_keeps_clients_from(const struct sim_member *m);

#endif
