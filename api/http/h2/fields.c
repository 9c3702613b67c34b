#include <stdio.h>
#include <string.h>

#include "api/http/h2/internal.h"
#include "server/base/check.h"

static void add_field(void *ctx, const char *name, const char *value)
{
    struct h2_fields *fields = ctx;
    size_t len = strlen(value);
    CHECK(fields->count < H2_FIELDS_MAX);
    fields->values[fields->count] = fields->text->len;
    buffer_append(fields->text, value, len + 1);
    fields->nv[fields->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name, NULL, strlen(name), len, NGHTTP2_NV_FLAG_NONE};
}

static void begin(struct call *call, struct h2_fields *fields)
{
    fields->count = 0;
    fields->text = &call->worker->head;
    buffer_clear(fields->text);
}

/* The text does not move any more. */
static void end(struct h2_fields *fields)
{
    CHECK(!fields->text->overflowed);
    for (size_t i = 0; i < fields->count; i++) {
        fields->nv[i].value = fields->text->data + fields->values[i];
    }
}

bool h2_fields_are_all(const struct call *call)
{
    return reply_has_trailers(call) && call->exchange.response.status >= 400;
}

void h2_fields_of_head(struct call *call, struct h2_fields *fields)
{
    const struct exchange *x = &call->exchange;
    char status[16];
    (void)snprintf(status, sizeof status, "%d",
                   reply_has_trailers(call) ? 200 : x->response.status);
    begin(call, fields);
    add_field(fields, ":status", status);
    reply_fields(call, add_field, fields);
    if (h2_fields_are_all(call)) {
        x->site->trailers(x, add_field, fields);
    }
    end(fields);
}

void h2_fields_of_trailers(struct call *call, struct h2_fields *fields)
{
    const struct exchange *x = &call->exchange;
    begin(call, fields);
    x->site->trailers(x, add_field, fields);
    end(fields);
}
