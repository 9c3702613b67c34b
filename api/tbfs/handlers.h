/* The handler of each route in routes.def.
 *
 * Thread: an HTTP worker, outside of a read-side critical section. */
#ifndef MUSTER_API_TBFS_HANDLERS_H
#define MUSTER_API_TBFS_HANDLERS_H

#include "api/http/exchange.h"

/* handle_write.c */
enum next tbfs_register(struct exchange *x);
enum next tbfs_heartbeat(struct exchange *x);
enum next tbfs_delete(struct exchange *x);

/* handle_read.c */
enum next tbfs_list(struct exchange *x);
enum next tbfs_list_active(struct exchange *x);
enum next tbfs_get(struct exchange *x);

#endif
