/* TLS towards targets, on sockets that do not block: 1.2 and 1.3, the system's CAs or those of a
 * file, which are read once.
 *
 * Thread: one at a time. */
#ifndef MUSTER_API_PROBER_TARGET_TLS_H
#define MUSTER_API_PROBER_TARGET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "server/base/compiler.h"
#include "server/net/tls_peer.h"

struct target_tls;
struct target_session;

/* `ca`: a file; NULL or "": the system's. Borrowed. They are read when they are needed first. */
struct target_tls *target_tls_new(const char *ca);
void target_tls_free(struct target_tls *tls);

/* `name`: of the target, for its certificate; `verifies`: it must have a good one. `protocol`: of
 * ALPN. NULL with a sentence. */
struct target_session *target_tls_begin(struct target_tls *tls, int fd, const char *name,
                                        bool verifies, const char *protocol,
                                        char reason[TLS_REASON_SIZE]);
/* NULL is allowed. Says goodbye, if the kernel takes it; closes nothing. */
void target_tls_end(struct target_session *s);

/* 0: done. -1 with EAGAIN: more has to come. -1 with another errno: failed, with a sentence. */
int target_tls_handshake(struct target_session *s, char reason[TLS_REASON_SIZE]);
/* Whether the target has agreed to that protocol. */
bool target_tls_speaks(const struct target_session *s, const char *protocol);
/* As recv() and send(). */
ssize_t target_tls_recv(struct target_session *s, void *to, size_t size);
ssize_t target_tls_send(struct target_session *s, const void *data, size_t len);

#endif
