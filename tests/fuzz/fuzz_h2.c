/* What a client of HTTP/2 sends, above nghttp2: heads, bodies, resets, floods. Every stream is
 * closed when its connection is, and none is left.
 *
 * The exchanges are not under test: each request is answered with 404 as soon as it is whole, in
 * place of the node's (exchange_route, replica_headers).
 *
 * Input: a byte for the length of the pieces, then the bytes behind the preface. */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/core/door.h"
#include "api/core/rate_limit.h"
#include "api/http/internal.h"
#include "server/base/clock.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

void __wrap_exchange_route(struct exchange *x, const char *target);
void __wrap_exchange_route(struct exchange *x, const char *target)
{
    CHECK(target[0] == '/' || strcmp(target, "*") == 0);
    x->target = target;
    buffer_init(&x->request.body, EMPTY_BODY_BYTES_MAX);
    response_error(&x->response, 404, "not_found", "",
                   request_header(&x->request, "a") != NULL ? "a" : "b");
}

void __wrap_replica_headers(const struct exchange *x, struct response *response);
void __wrap_replica_headers(const struct exchange *x, struct response *response)
{
    (void)x;
    response_header_static(response, "Cache-Control", "no-store");
}

static struct worker *make_worker(struct api_context *context)
{
    struct worker *worker = mem_zalloc(1, sizeof *worker);
    struct cds_list_head *const lists[] = {&worker->connections, &worker->crowded,
                                           &worker->ready,       &worker->closed,
                                           &worker->held,        &worker->downloads};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        CDS_INIT_LIST_HEAD(lists[i]);
    }
    worker->context = context;
    worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    buffer_init(&worker->head, 4096);
    return worker;
}

static void read_all(int fd)
{
    char bytes[65536];
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
    }
}

static void send_piece(struct connection *c, int fd, const void *data, size_t len)
{
    (void)!send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    connection_event(c, EPOLLIN | EPOLLOUT);
    read_all(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct api_context context;
    static struct worker *worker;
    if (worker == NULL) {
        crowd_init(&context.crowd, 8, 8);
        origins_init(&context.origins, &(const struct door_options){.http = ":1"});
        context.limits = rate_limits_new(&(const struct rate_limit_options){.local = false});
        worker = make_worker(&context);
    }
    int fds[2];
    const struct sockaddr_storage peer = {.ss_family = AF_INET};
    if (len < 1 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) {
        return 0;
    }
    worker->now_ms = clock_monotonic_ms();
    CHECK(crowd_enter(&context.crowd, (const struct sockaddr *)&peer, true) == CROWD_FINE);
    connection_open(worker, fds[0], &peer, CROWD_FINE);
    struct connection *c = cds_list_first_entry(&worker->connections, struct connection, place);
    send_piece(c, fds[1], http_protocol->preface, http_protocol->preface_len);
    CHECK(c->state == CONNECTION_PROTOCOL);
    size_t piece = data[0] == 0 ? len : data[0];
    for (size_t at = 1; at < len && c->state != CONNECTION_CLOSED; at += piece) {
        send_piece(c, fds[1], data + at, len - at < piece ? len - at : piece);
        worker->now_ms += 300; /* so that times are over, too */
        if (c->due_ms != 0 && c->state != CONNECTION_CLOSED && worker->now_ms >= c->due_ms) {
            connection_due(c);
        }
    }
    connection_close(c);
    CHECK(worker->streams == 0 && worker->count == 0 && cds_list_empty(&worker->held));
    free(c);
    CDS_INIT_LIST_HEAD(&worker->closed);
    CDS_INIT_LIST_HEAD(&worker->ready);
    (void)close(fds[1]);
    return 0;
}
