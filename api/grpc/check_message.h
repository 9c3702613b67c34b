/* Checks as messages of muster.v1.
 *
 * Thread: any. */
#ifndef MUSTER_API_GRPC_CHECK_MESSAGE_H
#define MUSTER_API_GRPC_CHECK_MESSAGE_H

#include <registry.pb-c.h>

#include "api/core/check_list.h"
#include "api/grpc/frame.h"
#include "server/registry/view.h"

/* `message` NULL: none were said. Texts are borrowed from the arena for the call alone. Fields of
 * problems are such as "checks[0].interval_ms". */
MUST_USE bool check_message_parse(const Muster__V1__Checks *message, struct arena *arena,
                                  struct check_list *list, struct problem *problem);

/* The checks of an instance, which it borrows from, within the critical section of the view. */
void checks_make(Muster__V1__Checks *message, const struct view *view,
                 const struct record *instance);
void checks_done(Muster__V1__Checks *message);

#endif
