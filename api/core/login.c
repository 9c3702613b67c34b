#include "api/core/login.h"

#include <string.h>

#include "server/base/clock.h"
#include "server/base/metric.h"

/* Counts it, also in both buckets. */
static enum status refuse(const struct login *login, const char *id, uint64_t now_ns,
                          unsigned *ret_wait_s)
{
    struct rate_limits *limits = login->limits;
    bool few = id[0] == '\0' || rate_limits_take(limits, RATE_LOGINS_OF_TOKEN, login->client, id,
                                                 now_ns, ret_wait_s);
    few &=
        rate_limits_take(limits, RATE_LOGINS_OF_ADDRESS, login->client, NULL, now_ns, ret_wait_s);
    metric_add(METRIC_logins_failed_total, 1);
    return few ? ST_UNAUTHENTICATED : ST_RATE_LIMITED;
}

enum status login_find(struct principal *ret_principal, const struct login *login,
                       const char *authorization, const struct view *view, unsigned *ret_wait_s)
{
    char id[TOKEN_ID_SIZE] = "";
    const char *text = principal_credentials(authorization, view);
    uint64_t now_ns = text != NULL ? clock_monotonic_ns() : 0;
    *ret_principal = (struct principal){.anonymous = login->anonymous};
    if (text != NULL && token_text_parse(text, strlen(text), id) &&
        !rate_limits_has(login->limits, RATE_LOGINS_OF_TOKEN, login->client, id, now_ns,
                         ret_wait_s)) {
        metric_add(METRIC_logins_failed_total, 1);
        ret_principal->is_unknown = true;
        memcpy(ret_principal->claimed, id, sizeof id);
        return ST_RATE_LIMITED;
    }
    enum status status = principal_find(ret_principal, login->anonymous, authorization,
                                        login->certificate, login->space, view);
    return status == ST_UNAUTHENTICATED ? refuse(login, id, now_ns, ret_wait_s) : status;
}
