/* Holders of tokens and of certificates: made, revoked, and used to write, while everything fails.
 * Only in some runs.
 *
 * Thread: one. */
#ifndef MUSTER_SIM_HOLDERS_H
#define MUSTER_SIM_HOLDERS_H

void holders_start(void);

#endif
