#include "api/prober/health_call.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define PREFIX_BYTES 5

/* --- what an answer says --- */

static bool read_varint(const uint8_t *bytes, size_t len, size_t *at, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && *at < len; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

/* HealthCheckResponse: its status is field 1; a newer field after it does not matter. False if
 * malformed. */
static bool read_status(const struct health_answer *answer, uint64_t *ret_status)
{
    size_t at = PREFIX_BYTES;
    *ret_status = 0;
    if (answer->len < PREFIX_BYTES || answer->frame[0] != 0) {
        return false;
    }
    uint64_t len = (uint64_t)answer->frame[1] << 24 | (uint64_t)answer->frame[2] << 16 |
                   (uint64_t)answer->frame[3] << 8 | answer->frame[4];
    if (len != answer->len - PREFIX_BYTES) {
        return false;
    }
    uint64_t tag;
    return len == 0 || (read_varint(answer->frame, answer->len, &at, &tag) && tag == 0x08 &&
                        read_varint(answer->frame, answer->len, &at, ret_status));
}

enum health health_judge(const struct health_answer *answer, struct output *output)
{
    static const char *const names[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    uint64_t status;
    if (answer->is_reset) {
        output_say(output, "gRPC: the target refused the call");
    } else if (answer->grpc_status < 0) {
        output_say(output, "gRPC: HTTP status %d without a status of gRPC", answer->http_status);
    } else if (answer->grpc_status == 12) {
        output_say(output, "gRPC: UNIMPLEMENTED: the target has no grpc.health.v1.Health");
    } else if (answer->grpc_status == 5) {
        output_say(output, "gRPC: NOT_FOUND: the target does not know the service");
    } else if (answer->grpc_status != 0) {
        output_say(output, "gRPC: status %d %s", answer->grpc_status, answer->message);
    } else if (!read_status(answer, &status)) {
        output_say(output, "gRPC: the answer is malformed");
    } else {
        output_say(output, "gRPC: %s", status < ARRAY_LENGTH(names) ? names[status] : "UNKNOWN");
        return status == 1 ? HEALTH_PASSING : HEALTH_CRITICAL;
    }
    return HEALTH_CRITICAL;
}

#ifdef MUSTER_H2

#include <nghttp2/nghttp2.h>

struct health_session {
    nghttp2_session *nghttp2;
    int32_t stream;
    uint8_t request[PREFIX_BYTES + 3 + CHECK_TARGET_BYTES_MAX];
    size_t request_len, request_at;
    struct health_answer answer;
};

/* --- callbacks --- */

static bool is(const uint8_t *text, size_t len, const char *name)
{
    return len == strlen(name) && memcmp(text, name, len) == 0;
}

static int number(const uint8_t *value, size_t len)
{
    char text[8] = "";
    uint64_t number = 0;
    if (len >= sizeof text) {
        return -1;
    }
    memcpy(text, value, len);
    return text_parse_u64(text, 9999, &number) ? (int)number : -1;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)nghttp2, (void)flags;
    struct health_session *s = ctx;
    struct health_answer *a = &s->answer;
    if (frame->hd.stream_id != s->stream) {
        return 0;
    }
    if (is(name, name_len, ":status")) {
        a->http_status = number(value, value_len);
    } else if (is(name, name_len, "grpc-status")) {
        a->grpc_status = number(value, value_len);
    } else if (is(name, name_len, "grpc-message")) {
        size_t len = value_len < HEALTH_MESSAGE_BYTES_MAX ? value_len : HEALTH_MESSAGE_BYTES_MAX;
        memcpy(a->message, value, len);
        a->message[len] = '\0';
    }
    return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t stream, const uint8_t *data,
                   size_t len, void *ctx)
{
    (void)nghttp2, (void)flags;
    struct health_session *s = ctx;
    struct health_answer *a = &s->answer;
    if (stream != s->stream) {
        return 0;
    }
    if (len > sizeof a->frame - a->len) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    memcpy(a->frame + a->len, data, len);
    a->len += len;
    return 0;
}

static int on_close(nghttp2_session *nghttp2, int32_t stream, uint32_t error, void *ctx)
{
    (void)nghttp2;
    struct health_session *s = ctx;
    if (stream == s->stream) {
        s->answer.is_over = true;
        s->answer.is_reset = error != NGHTTP2_NO_ERROR && s->answer.grpc_status < 0;
    }
    return 0;
}

static ssize_t give_request(nghttp2_session *nghttp2, int32_t stream, uint8_t *to, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)nghttp2, (void)stream, (void)source;
    struct health_session *s = ctx;
    size_t left = s->request_len - s->request_at;
    size_t len = left < size ? left : size;
    memcpy(to, s->request + s->request_at, len);
    s->request_at += len;
    if (len == left) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

/* --- sessions --- */

struct health_session *health_session_new(void)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16 * 1024},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    struct health_session *s = mem_zalloc(1, sizeof *s);
    s->stream = -1;
    if (nghttp2_session_callbacks_new(&callbacks) == 0) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        if (nghttp2_session_client_new(&s->nghttp2, callbacks, s) != 0) {
            s->nghttp2 = NULL;
        }
        nghttp2_session_callbacks_del(callbacks);
    }
    if (s->nghttp2 == NULL || nghttp2_submit_settings(s->nghttp2, NGHTTP2_FLAG_NONE, settings,
                                                      ARRAY_LENGTH(settings)) != 0) {
        health_session_free(s);
        return NULL;
    }
    return s;
}

void health_session_free(struct health_session *s)
{
    if (s != NULL) {
        nghttp2_session_del(s->nghttp2);
        free(s);
    }
}

/* HealthCheckRequest, with its prefix: the service is field 1. */
static void write_request(struct health_session *s, const char *service)
{
    size_t len = strlen(service);
    uint8_t *at = s->request + PREFIX_BYTES;
    len = len < CHECK_TARGET_BYTES_MAX ? len : CHECK_TARGET_BYTES_MAX;
    if (len > 0) {
        *at++ = 0x0a;
        if (len > 0x7f) {
            *at++ = (uint8_t)(len & 0x7f) | 0x80;
        }
        *at++ = (uint8_t)(len > 0x7f ? len >> 7 : len);
        memcpy(at, service, len);
        at += len;
    }
    s->request_len = (size_t)(at - s->request);
    s->request_at = 0;
    size_t message = s->request_len - PREFIX_BYTES;
    memset(s->request, 0, PREFIX_BYTES);
    s->request[3] = (uint8_t)(message >> 8);
    s->request[4] = (uint8_t)message;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

bool health_session_ask(struct health_session *s, const char *authority, bool tls,
                        const char *service, const char *agent)
{
    const nghttp2_nv fields[] = {
        field(":method", "POST"),
        field(":scheme", tls ? "https" : "http"),
        field(":path", "/grpc.health.v1.Health/Check"),
        field(":authority", authority),
        field("content-type", "application/grpc"),
        field("te", "trailers"),
        field("user-agent", agent),
    };
    const nghttp2_data_provider body = {.read_callback = give_request};
    write_request(s, service);
    s->answer = (struct health_answer){.grpc_status = -1};
    s->stream = nghttp2_submit_request(s->nghttp2, NULL, fields, ARRAY_LENGTH(fields), &body, NULL);
    return s->stream >= 0;
}

bool health_session_put(struct health_session *s, const void *bytes, size_t len)
{
    return nghttp2_session_mem_recv(s->nghttp2, bytes, len) == (ssize_t)len &&
           (s->answer.is_over || nghttp2_session_want_read(s->nghttp2) != 0);
}

size_t health_session_take(struct health_session *s, const uint8_t **ret_bytes)
{
    ssize_t len = nghttp2_session_mem_send(s->nghttp2, ret_bytes);
    return len > 0 ? (size_t)len : 0;
}

const struct health_answer *health_session_answer(const struct health_session *s)
{
    return &s->answer;
}

bool health_session_is_good(struct health_session *s)
{
    return nghttp2_session_check_request_allowed(s->nghttp2) != 0 &&
           nghttp2_session_want_read(s->nghttp2) != 0;
}

#else

struct health_session *health_session_new(void)
{
    return NULL;
}

void health_session_free(struct health_session *s)
{
    (void)s;
}

bool health_session_ask(struct health_session *s, const char *authority, bool tls,
                        const char *service, const char *agent)
{
    (void)s, (void)authority, (void)tls, (void)service, (void)agent;
    return false;
}

bool health_session_put(struct health_session *s, const void *bytes, size_t len)
{
    (void)s, (void)bytes, (void)len;
    return false;
}

size_t health_session_take(struct health_session *s, const uint8_t **ret_bytes)
{
    (void)s, (void)ret_bytes;
    return 0;
}

const struct health_answer *health_session_answer(const struct health_session *s)
{
    (void)s;
    static const struct health_answer none = {.grpc_status = -1};
    return &none;
}

bool health_session_is_good(struct health_session *s)
{
    (void)s;
    return false;
}

#endif
