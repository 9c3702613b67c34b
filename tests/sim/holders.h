/* Holders of tokens and of certificates: made, revoked, and used to write, while everything fails.
 * Only in some runs.
 *
 * Thread: one. Owns: its calls. */
#ifndef MUSTER_SIM_HOLDERS_H
#define MUSTER_SIM_HOLDERS_H

struct sim_member;

void holders_start(void);
/* Its calls will not be answered. */
void holders_member_died(const struct sim_member *m);

#endif
