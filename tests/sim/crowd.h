/* Full doors: in one run of three, and not drawn, so that what seeds draw stays. Now and then all
 * members refuse heartbeats, or the leader alone, or all others; then clients reach nobody who
 * would take them.
 *
 * Thread: the only one. */
#ifndef MUSTER_SIM_CROWD_H
#define MUSTER_SIM_CROWD_H

#include <stdbool.h>

struct sim_member;

/* What is full at the door of a member now; bits. */
enum crowd { CROWD_OTHERS = 1, CROWD_HEARTBEATS = 2 };
unsigned crowd_at(const struct sim_member *m);
bool crowd_keeps_clients_from(const struct sim_member *m);

#endif
