#include "api/http/status_http.h"

/* A client may send a write again after any failure but 504 without asking first. */
int status_http(enum status status)
{
    switch (status) {
    case ST_OK:
        return 200;
    case ST_INVALID:
        return 400;
    case ST_UNAUTHENTICATED:
        return 401;
    case ST_FORBIDDEN:
        return 403;
    case ST_NOT_FOUND:
        return 404;
    case ST_CONFLICT:
    case ST_DUPLICATE_TYPE:
        return 409;
    case ST_TOO_LARGE:
        return 413;
    case ST_RATE_LIMITED:
        return 429;
    case ST_BUSY:
    case ST_NO_LEADER:
    case ST_NO_SPACE:
    case ST_STOPPING:
    case ST_STALLED:
    case ST_LEVEL:
    case ST_UNAUDITED:
        return 503;
    case ST_UNKNOWN:
    case ST_TIMEOUT:
        return 504;
    case ST_FULL:
    case ST_QUOTA:
        return 507;
    case ST_CORRUPT:
    case ST_IO:
        return 500;
    }
    return 500;
}
