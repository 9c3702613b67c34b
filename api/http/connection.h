/* From libmicrohttpd's callbacks to exchanges and back.
 *
 *     target seen -> first call (headers: route found) -> body pieces -> last call (body complete)
 *       -> response, or suspended -> finished (by the node) -> resumed -> called again -> response
 *
 * The response is queued on a later call than the first, as libmicrohttpd closes the connection
 * when it comes with the first.
 *
 * Thread: the worker that owns the connection, but for the exchange's `wake`.
 * Owns: one struct call a request, until libmicrohttpd is done with it and the node is too. */
#ifndef MUSTER_API_HTTP_CONNECTION_H
#define MUSTER_API_HTTP_CONNECTION_H

#include <microhttpd.h>

#include "api/http/worker.h"

/* For MHD_start_daemon; `cls` is the worker. */
void *connection_target(void *cls, const char *target, struct MHD_Connection *connection);
enum MHD_Result connection_handle(void *cls, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request);
void connection_completed(void *cls, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode how);
void connection_counted(void *cls, struct MHD_Connection *connection, void **socket_context,
                        enum MHD_ConnectionNotificationCode code);

/* Sets up the worker's subscriptions. */
void connection_subscriptions_start(struct worker *worker);
/* Goes on with calls that the node is done with. True when there are more of them. */
bool connection_resume_finished(struct worker *worker);
/* Closes suspended connections whose clients have gone away. */
/* Answers those that the node should have answered by now. */
void connection_answer_late(struct worker *worker);
void connection_drop_gone(struct worker *worker);
/* Closes connections whose clients take too long for a download. */
void connection_cut_slow(struct worker *worker);

#endif
