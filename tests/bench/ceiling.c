/* What libmicrohttpd can do at most: a server that answers everything with the same bytes, set up
 * as api/worker.c sets its daemons up, without a registry behind it. Prints its port when it is
 * ready.
 *
 *     ceiling THREADS BYTES */
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/text.h"

#define BODY_BYTES_MAX (1024 * 1024)

static struct MHD_Response *response;

/* A response that is queued on the first call closes the connection. */
static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static int seen;
    (void)cls, (void)url, (void)method, (void)version, (void)upload;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    *upload_size = 0;
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static void *run(void *arg)
{
    struct MHD_Daemon *daemon = arg;
    struct pollfd ready = {.fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                           .events = POLLIN};
    for (;;) {
        MHD_UNSIGNED_LONG_LONG timeout_ms;
        if (MHD_get_timeout(daemon, &timeout_ms) != MHD_YES || timeout_ms > 1000) {
            timeout_ms = 1000;
        }
        (void)poll(&ready, 1, (int)timeout_ms);
        (void)MHD_run(daemon);
    }
    return NULL;
}

/* All threads share the port: the kernel spreads connections over their sockets. */
static struct MHD_Daemon *start(uint16_t port)
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL, port, NULL, NULL, handle, NULL, /* */
                         MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,        /* */
                         MHD_OPTION_CONNECTION_LIMIT, 4096u,            /* */
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
    CHECK(daemon != NULL);
    return daemon;
}

int main(int argc, char *argv[])
{
    static char body[BODY_BYTES_MAX];
    uint64_t threads, bytes;
    if (argc != 3 || !text_parse_u64(argv[2], sizeof body, &bytes) ||
        !text_parse_u64(argv[1], HTTP_THREADS_MAX, &threads) || threads == 0) {
        fputs("usage: ceiling THREADS BYTES\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    memset(body, 'x', sizeof body);
    response = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_PERSISTENT);
    CHECK(response != NULL);
    struct MHD_Daemon *first = start(0);
    uint16_t port = MHD_get_daemon_info(first, MHD_DAEMON_INFO_BIND_PORT)->port;
    for (uint64_t i = 1; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, run, start(port)) == 0);
    }
    printf("%u\n", (unsigned)port);
    (void)fflush(stdout);
    (void)run(first);
    return 0;
}
