#include "consensus/peer/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/base/check.h"
#include "server/base/mem.h"

struct lookups {
    uv_async_t wake;
    void (*closed)(void *ctx);
    void *ctx;
    pthread_mutex_t mutex;
    /* under mutex */
    struct lookup *finished;
    unsigned running; /* threads; they hold this, too */
    bool open;        /* the loop holds it */
};

struct lookup {
    struct lookups *all;
    struct lookup *next; /* of those finished */
    char host[HOST_BYTES_MAX + 1];
    char service[8];
    /* the thread's until it has finished */
    const char *failure;
    struct addrinfo *found;
    /* the loop's */
    void (*done)(void *owner, const char *failure, struct addrinfo *found); /* NULL: abandoned */
    void *owner;
};

static void discard(struct lookup *one)
{
    if (one->found != NULL) {
        freeaddrinfo(one->found);
    }
    free(one);
}

static void look_up(struct lookup *one)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rv = getaddrinfo(one->host, one->service, &hints, &one->found);
    if (rv != 0) {
        one->found = NULL;
        one->failure = rv == EAI_SYSTEM ? "the system refused" : gai_strerror(rv);
    }
}

struct addrinfo *lookup_numeric(const char *host, uint16_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    char service[8];
    struct addrinfo *found = NULL;
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    return getaddrinfo(host, service, &hints, &found) == 0 ? found : NULL;
}

static void destroy(struct lookups *all)
{
    pthread_mutex_destroy(&all->mutex);
    free(all);
}

static void *run(void *arg)
{
    struct lookup *one = arg;
    struct lookups *all = one->all;
    (void)pthread_setname_np(pthread_self(), "lookup");
    look_up(one);
    pthread_mutex_lock(&all->mutex);
    bool open = all->open;
    bool last = --all->running == 0 && !open;
    if (open) {
        one->next = all->finished;
        all->finished = one;
        CHECK(uv_async_send(&all->wake) == 0); /* not closed before we release the mutex */
    }
    pthread_mutex_unlock(&all->mutex);
    if (!open) {
        discard(one);
    }
    if (last) {
        destroy(all);
    }
    return NULL;
}

static struct lookup *take_finished(struct lookups *all)
{
    pthread_mutex_lock(&all->mutex);
    struct lookup *list = all->finished;
    all->finished = NULL;
    pthread_mutex_unlock(&all->mutex);
    return list;
}

static void on_wake(uv_async_t *wake)
{
    struct lookup *list = take_finished(CONTAINER_OF(wake, struct lookups, wake));
    while (list != NULL) {
        struct lookup *one = list;
        list = one->next;
        if (one->done != NULL) {
            struct addrinfo *found = one->found;
            one->found = NULL;
            one->done(one->owner, one->failure, found);
        }
        discard(one);
    }
}

struct lookups *lookups_open(uv_loop_t *loop)
{
    struct lookups *all = mem_zalloc(1, sizeof *all);
    CHECK(pthread_mutex_init(&all->mutex, NULL) == 0);
    CHECK(uv_async_init(loop, &all->wake, on_wake) == 0);
    all->open = true;
    return all;
}

static void on_closed(uv_handle_t *handle)
{
    struct lookups *all = CONTAINER_OF(handle, struct lookups, wake);
    void (*closed)(void *ctx) = all->closed;
    void *ctx = all->ctx;
    for (struct lookup *one = take_finished(all), *next; one != NULL; one = next) {
        next = one->next;
        discard(one);
    }
    pthread_mutex_lock(&all->mutex);
    all->open = false;
    bool last = all->running == 0;
    pthread_mutex_unlock(&all->mutex);
    if (last) {
        destroy(all);
    }
    closed(ctx);
}

void lookups_close(struct lookups *all, void (*closed)(void *ctx), void *ctx)
{
    all->closed = closed;
    all->ctx = ctx;
    uv_close((uv_handle_t *)&all->wake, on_closed);
}

static bool start_thread(struct lookup *one)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, one) != 0) {
        return false;
    }
    (void)pthread_detach(thread);
    return true;
}

struct lookup *lookup_begin(struct lookups *all, const char *host, uint16_t port,
                            void (*done)(void *owner, const char *failure, struct addrinfo *found),
                            void *owner)
{
    pthread_mutex_lock(&all->mutex);
    bool may = all->running < LOOKUPS_MAX;
    all->running += may ? 1 : 0;
    pthread_mutex_unlock(&all->mutex);
    if (!may) {
        return NULL;
    }
    struct lookup *one = mem_zalloc(1, sizeof *one);
    *one = (struct lookup){.all = all, .done = done, .owner = owner};
    (void)snprintf(one->host, sizeof one->host, "%s", host);
    (void)snprintf(one->service, sizeof one->service, "%u", (unsigned)port);
    if (!start_thread(one)) {
        pthread_mutex_lock(&all->mutex);
        all->running--;
        pthread_mutex_unlock(&all->mutex);
        free(one);
        return NULL;
    }
    return one;
}

void lookup_abandon(struct lookup *one)
{
    one->done = NULL;
}
