/* The health protocol of gRPC (grpc.health.v1.Health/Check) for a client, over HTTP/2, without
 * sockets: bytes of the network are put in, and bytes for it are taken out. One call at a time.
 *
 * Thread: one at a time. */
#ifndef MUSTER_API_PROBER_HEALTH_CALL_H
#define MUSTER_API_PROBER_HEALTH_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/prober/output.h"
#include "server/base/compiler.h"
#include "server/base/health.h"

#define HEALTH_MESSAGE_BYTES_MAX 256
#define HEALTH_ANSWER_BYTES_MAX  256

/* What has been answered. */
struct health_answer {
    int http_status; /* 0: nothing yet */
    int grpc_status; /* -1: none */
    char message[HEALTH_MESSAGE_BYTES_MAX + 1];
    size_t len;
    uint8_t frame[HEALTH_ANSWER_BYTES_MAX]; /* the message with its prefix */
    bool is_over;
    bool is_reset; /* the target took the call back */
};

struct health_session;

/* NULL: this build has no HTTP/2. */
struct health_session *health_session_new(void);
/* NULL is allowed. */
void health_session_free(struct health_session *s);
/* Starts a call. `service` has at most as many bytes as a check's target. False: the session is of
 * no use any more. */
MUST_USE bool health_session_ask(struct health_session *s, const char *authority, bool tls,
                                 const char *service, const char *agent);
/* False: this is no HTTP/2, or the other side goes. */
MUST_USE bool health_session_put(struct health_session *s, const void *bytes, size_t len);
/* Bytes that are to be sent, valid until the next call of this session; 0: none. */
size_t health_session_take(struct health_session *s, const uint8_t **ret_bytes);
/* Of the last call. */
const struct health_answer *health_session_answer(const struct health_session *s);
/* Whether another call may be started. */
bool health_session_is_good(struct health_session *s);

/* What an answer says of the target's health. */
enum health health_judge(const struct health_answer *answer, struct output *output);

#endif
