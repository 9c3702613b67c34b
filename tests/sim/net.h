/* The links between members: one directed connection for each pair, as TCP gives it: in order, and
 * when it breaks, what is on its way arrives up to some point and not beyond. A run may also lose,
 * repeat and reorder frames, which TCP does not do within a connection but which libraft must bear.
 * When a connection is made, each side judges what the other says of itself, as in the product.
 *
 * Thread: the only one. Owns: the frames on their way. */
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
    CUT_RESET, /* the connection breaks and cannot be made again */
};

/* How the network fares; all pairs alike. */
struct net_weather {
    uint64_t delay_ns; /* at most, most of the time */
    uint32_t loss_millionths;
    uint32_t repeat_millionths;
    bool reorders;
    uint32_t busy_millionths;          /* sends refused because a queue is full */
    uint32_t wrong_refusal_millionths; /* of a reconnect */
};
extern struct net_weather net_weather;

void net_init(void);
struct peer_message;
enum status net_send(struct sim_member *from, uint64_t to, const struct peer_message *message);
bool net_is_up(uint64_t from, uint64_t to);
/* Whether it keeps a link to that one, up or not. */
bool net_is_dialled(uint64_t from, uint64_t to);
/* It says something else about itself from now on: all its links are made again. */
void net_introduce(struct sim_member *m);
/* Its links to those that it would not let in any more end. */
void net_review(struct sim_member *m);
/* A process keeps a link to a member from now on; or not any more. */
void net_dial(uint64_t from, uint64_t to);
void net_hang_up(uint64_t from, uint64_t to);
/* `refuses`: its kernel is there and tells. */
void net_member_down(struct sim_member *m, bool refuses);

void net_cut(uint64_t from, uint64_t to, enum cut cut);
void net_break(uint64_t from, uint64_t to);
void net_heal(void);
/* Wrongly: that nobody listens at `to` any more. */
void net_tell_refused(uint64_t from, uint64_t to);

#endif
