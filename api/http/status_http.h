/* Which HTTP status says an outcome.
 *
 * Thread: any. */
#ifndef MUSTER_API_HTTP_STATUS_HTTP_H
#define MUSTER_API_HTTP_STATUS_HTTP_H

#include "server/base/status.h"

int status_http(enum status status);

#endif
