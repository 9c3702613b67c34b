#include "client/bench/work.h"

#include <string.h>

#include "server/base/check.h"

/* By hand: printf would cost more than the rest of a request. */
static void append_number(struct buffer *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buffer_append(out, digits + at, sizeof digits - at);
}

static void append_id(const struct work *work, uint64_t instance, struct buffer *out)
{
    buffer_append_text(out, work->prefix);
    buffer_append_byte(out, '-');
    append_number(out, instance);
}

static void append_service(const struct work *work, uint64_t number, struct buffer *out)
{
    buffer_append_text(out, work->prefix);
    buffer_append_text(out, "-s");
    append_number(out, number % work->services);
}

static void append_head(const struct work *work, const char *host, struct buffer *out)
{
    buffer_append_text(out, " HTTP/1.1\r\nHost: ");
    buffer_append_text(out, host);
    buffer_append_text(out, "\r\n");
    buffer_append_text(out, work->headers);
}

/* About 200 bytes, as a server that describes itself a little would send. */
static void write_register(const struct work *work, uint64_t number, struct buffer *body)
{
    uint64_t instance = work->instances > 0 ? number % work->instances : number;
    uint64_t round = work->revision + (work->instances > 0 ? number / work->instances : 0);
    buffer_append_text(body, "{\"name\":\"");
    append_service(work, instance, body);
    buffer_append_text(body, "\",\"id\":\"");
    append_id(work, instance, body);
    buffer_append_text(body, "\",\"host\":\"10.");
    append_number(body, instance >> 16 & 255);
    buffer_append_byte(body, '.');
    append_number(body, instance >> 8 & 255);
    buffer_append_byte(body, '.');
    append_number(body, instance & 255);
    buffer_append_text(body, "\",\"port\":8080,\"ttl\":");
    append_number(body, work->ttl_ms / 1000);
    buffer_append_text(body, ",\"tags\":[\"bench\",\"http\"],\"metadata\":{\"version\":\"1.4.2\","
                             "\"rack\":\"r17\",\"revision\":\"");
    append_number(body, round);
    buffer_append_text(body, "\"}}");
}

static void write_heartbeat(const struct work *work, uint64_t number, struct buffer *body)
{
    uint64_t first = number % work_round(work) * work->batch;
    if (work->batch == 1) {
        buffer_append_text(body, "{\"id\":\"");
        append_id(work, first, body);
        buffer_append_text(body, "\"}");
        return;
    }
    uint64_t end = first + work->batch < work->instances ? first + work->batch : work->instances;
    for (uint64_t i = first; i < end; i++) {
        buffer_append_text(body, i == first ? "{\"ids\":[\"" : "\",\"");
        append_id(work, i, body);
    }
    buffer_append_text(body, "\"]}");
}

static void write_post(const struct work *work, const char *path, const char *host,
                       const struct buffer *body, struct buffer *out)
{
    buffer_append_text(out, "POST ");
    buffer_append_text(out, path);
    append_head(work, host, out);
    buffer_append_text(out, "Content-Type: application/json\r\nContent-Length: ");
    append_number(out, body->len);
    buffer_append_text(out, "\r\n\r\n");
    buffer_append(out, body->data, body->len);
}

static void write_discover(const struct work *work, uint64_t number, const char *host,
                           struct buffer *out)
{
    buffer_append_text(out, "GET /services/");
    append_service(work, number, out);
    if (work->linearizable) {
        buffer_append_text(out, "?consistency=linearizable");
    }
    if (work->limit > 0) {
        buffer_append_text(out, work->linearizable ? "&limit=" : "?limit=");
        append_number(out, work->limit);
    }
    append_head(work, host, out);
    buffer_append_text(out, "\r\n");
}

void work_write(const struct work *work, uint64_t number, const char *host, struct buffer *body,
                struct buffer *out)
{
    buffer_clear(body);
    switch (work->kind) {
    case WORK_REGISTER:
        write_register(work, number, body);
        write_post(work, "/register", host, body, out);
        break;
    case WORK_HEARTBEAT:
        write_heartbeat(work, number, body);
        write_post(work, "/heartbeat", host, body, out);
        break;
    case WORK_DISCOVER:
        write_discover(work, number, host, out);
        break;
    case WORK_DEREGISTER:
        buffer_append_text(out, "DELETE /instances/");
        append_id(work, number, out);
        append_head(work, host, out);
        buffer_append_text(out, "\r\n");
        break;
    }
    CHECK(!body->overflowed && !out->overflowed);
}

uint64_t work_round(const struct work *work)
{
    switch (work->kind) {
    case WORK_HEARTBEAT:
        return (work->instances + work->batch - 1) / work->batch;
    case WORK_DISCOVER:
        return work->services;
    case WORK_REGISTER:
    case WORK_DEREGISTER:
        break;
    }
    return work->instances;
}
