/* An answer without its wire: what every protocol of HTTP says alike. */
#include <stdio.h>
#include <time.h>

#include "api/http/audited_line.h"
#include "api/http/download.h"
#include "api/http/internal.h"
#include "api/http/representation.h"
#include "server/base/clock.h"
#include "server/base/metric.h"
#include "server/base/text.h"

/* "Sun, 29 Nov 2026 11:22:46 GMT", made once a second. */
static const char *date(struct worker *worker)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(clock_wall_ms() / 1000);
    if (now != worker->date_s) {
        struct tm tm;
        worker->date_s = now;
        (void)gmtime_r(&now, &tm);
        (void)snprintf(worker->date, sizeof worker->date, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                       days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
    }
    return worker->date;
}

enum body_kind reply_body_kind(const struct call *call)
{
    const struct exchange *x = &call->exchange;
    if (x->stream != NULL) {
        return BODY_STREAM;
    }
    return x->download != NULL && x->download->held && !call->late ? BODY_DOWNLOAD : BODY_PLAIN;
}

const char *reply_body(const struct response *response, size_t *ret_len)
{
    const struct rendered *shared = response->shared;
    *ret_len = shared != NULL ? shared->len : response->body.len;
    return shared != NULL ? shared->data : (const char *)response->body.data;
}

bool reply_has_trailers(const struct call *call)
{
    return call->exchange.request.can_trail && call->exchange.site->trailers != NULL;
}

bool reply_has_body(int status)
{
    return status != 204 && status != 304;
}

void reply_settle(struct call *call)
{
    struct exchange *x = &call->exchange;
    struct response *response = &x->response;
    representation_settle(x);
    audited_end(x);
    if (x->site->headers != NULL && !x->permit.is_closed) {
        x->site->headers(x, response);
    }
    origin_headers(&x->context->origins, &x->request, response);
    metric_add(METRIC_http_requests_total, 1);
    if (response->status >= 400) {
        metric_add(METRIC_http_errors_total, 1);
    }
}

static bool find_length(const struct call *call, uint64_t *ret_length)
{
    const struct exchange *x = &call->exchange;
    size_t len = 0;
    if (reply_has_trailers(call)) {
        return false;
    }
    switch (reply_body_kind(call)) {
    case BODY_STREAM:
        return false;
    case BODY_DOWNLOAD:
        *ret_length = x->download->backup.backup.bytes;
        return true;
    case BODY_PLAIN:
        (void)reply_body(&x->response, &len);
        *ret_length = len;
        return reply_has_body(x->response.status);
    }
    return false;
}

void reply_fields(struct call *call, field_add_fn *add, void *ctx)
{
    const struct response *response = &call->exchange.response;
    char digits[TEXT_U64_SIZE];
    uint64_t length;
    add(ctx, "Date", date(call->worker));
    if (reply_has_trailers(call)) {
        add(ctx, "Content-Type", call->exchange.site->content_type);
    } else if (response->content_type != NULL && reply_has_body(response->status)) {
        add(ctx, "Content-Type", response->content_type);
    }
    if (response->status == 401) {
        add(ctx, "WWW-Authenticate", "Bearer realm=\"muster\"");
    }
    for (size_t i = 0; i < response->headers_count; i++) {
        add(ctx, response->headers[i].name, response->headers[i].value);
    }
    if (find_length(call, &length)) {
        add(ctx, "Content-Length", text_format_u64(length, digits));
    }
}
