/* The handler of each route in routes.def.
 *
 * Thread: an HTTP worker. */
#ifndef MUSTER_API_UI_HANDLERS_H
#define MUSTER_API_UI_HANDLERS_H

#include "api/http/exchange.h"

#define ROUTE(method, pattern, handler) enum next ui_##handler(struct exchange *x);
#include "api/ui/routes.def"
#undef ROUTE

#endif
