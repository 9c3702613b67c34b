/* The calls of gRPC: handlers of api/http's exchanges, and what they share. */
#ifndef MUSTER_API_GRPC_HANDLERS_H
#define MUSTER_API_GRPC_HANDLERS_H

#include "api/grpc/frame.h"
#include "api/http/duplex.h"
#include "api/http/exchange.h"

/* --- request.c --- */

/* State of an exchange: the message, and what was made of it. The first member of each call's own.
 */
struct call_state {
    struct arena arena;
    ProtobufCMessage *message;
};

/* On the first turn of a handler: makes the state (of `size` bytes, zeros but for the above), with
 * the message of the body and the deadline of the client. NULL: the response says why not. */
void *call_begin(struct exchange *x, size_t size, const ProtobufCMessageDescriptor *type);
/* How fresh a read must be: by the message or by metadata. True: NEXT_READ is to be said first.
 * False with a status of 400 and above: refused. */
bool call_must_read(struct exchange *x, bool linearizable, uint64_t min_index);
/* The response is complete, and this message. */
enum next call_respond(struct exchange *x, const ProtobufCMessage *message);
enum next call_fail(struct exchange *x, enum status status);
enum next call_refuse(struct exchange *x, const struct problem *problem);
/* 409 for an older incarnation. */
enum next call_conflict(struct exchange *x, uint64_t said, uint64_t present);

/* Of struct site: index, leader and staleness, as the older names have them, and their own. */
void call_headers(const struct exchange *x, struct response *response);

#define HANDLER(name) enum next grpc_##name(struct exchange *x);
#include "api/grpc/handlers.def"

#define DUPLEX(name) extern const struct duplex_kind name##_duplex;
#include "api/grpc/handlers.def"

#endif
