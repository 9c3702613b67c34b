/* Links between members: one directed connection for each pair, like TCP: in order, and when it
 * breaks, frames in flight arrive up to some point and not beyond. A run may also lose, repeat and
 * reorder frames, which TCP does not do within a connection, but libraft must tolerate. On
 * connecting, each side judges the other's facts, as in the product.
 *
 * Thread: the only one. Owns: the frames in flight. */
#ifndef MUSTER_SIM_NET_H
#define MUSTER_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/status.h"

struct sim_member;

enum cut {
    CUT_NONE,
    CUT_HOLE,  /* nothing arrives; the connection stays until it times out */
    CUT_RESET, /* the connection breaks and cannot be re-established */
};

/* Network conditions; the same for all pairs. */
struct net_weather {
    uint64_t delay_ns; /* upper bound, most of the time */
    uint32_t loss_millionths;
    uint32_t repeat_millionths;
    bool reorders;
    uint32_t busy_millionths;          /* sends refused because a queue is full */
    uint32_t wrong_refusal_millionths; /* on reconnecting */
};
extern struct net_weather net_weather;

void net_init(void);
struct peer_message;
enum status net_send(struct sim_member *from, uint64_t to, const struct peer_message *message);
bool net_is_up(uint64_t from, uint64_t to);
/* Whether it keeps a link to that member, up or not. */
bool net_is_dialled(uint64_t from, uint64_t to);
/* Its facts have changed: re-establishes all its links. */
void net_introduce(struct sim_member *m);
/* Closes its links to those it would not admit any more. */
void net_review(struct sim_member *m);
/* Keeps, or drops, a process's link to a member. */
void net_dial(uint64_t from, uint64_t to);
void net_hang_up(uint64_t from, uint64_t to);
/* `refuses`: its kernel is running and refuses connections. */
void net_member_down(struct sim_member *m, bool refuses);

void net_cut(uint64_t from, uint64_t to, enum cut cut);
void net_break(uint64_t from, uint64_t to);
void net_heal(void);
/* Wrongly reports that nobody listens at `to` any more. */
void net_tell_refused(uint64_t from, uint64_t to);

#endif
