/* Finds out who asks, as principal_find() does, and slows down credentials that are not good.
 *
 * A token cannot be guessed (160 bits); what is kept off are the load and the noise of those who
 * try, and of programs whose token was revoked. Who has presented ten wrong secrets for one token
 * is not even compared for a while, from his address, with this token. All other wrong credentials
 * of an address are refused with another error when there were too many. Good tokens of the same
 * address are not affected: it may be that of a whole network. Neither answer depends on whether
 * there is such a token.
 *
 * Thread: any. Where a view is given: within its critical section. */
#ifndef MUSTER_CORE_LOGIN_H
#define MUSTER_CORE_LOGIN_H

#include "api/core/access.h"
#include "api/core/rate_limit.h"

struct login {
    enum anonymous anonymous;
    struct rate_limits *limits;
    uint64_t client;         /* rate_limits_client() */
    const char *certificate; /* as in principal_find() */
    const char *space;       /* likewise */
};

/* As principal_find(); ST_RATE_LIMITED: there were too many wrong ones, *ret_wait_s as in
 * rate_limits_take(). After a refusal the principal is nobody. */
MUST_USE enum status login_find(struct principal *ret_principal, const struct login *login,
                                const char *authorization, const struct view *view,
                                unsigned *ret_wait_s);

#endif
