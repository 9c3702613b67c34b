/* The handler of each route in routes.def. Each looks at the request and the view, and fills in the
 * response or a command.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_NATIVE_HANDLERS_H
#define MUSTER_API_NATIVE_HANDLERS_H

#include "api/http/exchange.h"

/* handle_write.c, handle_heartbeat.c */
enum next handle_register(struct exchange *x);
enum next handle_heartbeat(struct exchange *x);
enum next handle_maintenance(struct exchange *x);
enum next handle_deregister(struct exchange *x);

/* handle_read.c */
enum next handle_services(struct exchange *x);
enum next handle_service(struct exchange *x);
enum next handle_instances(struct exchange *x);
enum next handle_instance(struct exchange *x);

/* handle_discover.c, handle_events.c */
enum next handle_discover(struct exchange *x);
enum next handle_discover_type(struct exchange *x);
enum next handle_events(struct exchange *x);

/* handle_member.c */
enum next handle_member_add(struct exchange *x);
enum next handle_member_remove(struct exchange *x);
enum next handle_member_promote(struct exchange *x);
enum next handle_member_demote(struct exchange *x);
enum next handle_transfer(struct exchange *x);

/* handle_backup.c */
enum next handle_backup(struct exchange *x);

/* handle_state.c */
enum next handle_state_bytes(struct exchange *x);

/* handle_operate.c, handle_root.c, handle_metrics.c */
enum next handle_health(struct exchange *x);
enum next handle_live(struct exchange *x);
enum next handle_ready(struct exchange *x);
enum next handle_cluster(struct exchange *x);
enum next handle_root(struct exchange *x);
enum next handle_metrics(struct exchange *x);

/* 409: `said` is not the incarnation that holds the id. Both count up, and never come again. */
void respond_conflict(struct exchange *x, uint64_t said, uint64_t present);

/* What must be right of a request before it waits; the handler reads the parameters again, so that
 * a waiting call holds none of them. */
bool check_page(struct exchange *x, struct problem *problem);
bool check_choice(struct exchange *x, struct problem *problem);
bool check_type(struct exchange *x, struct problem *problem);
bool check_events(struct exchange *x, struct problem *problem);

#endif
