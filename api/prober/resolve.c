#include "api/prober/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "server/base/check.h"
#include "server/base/limits.h"
#include "server/base/mem.h"
#include "server/base/ptree.h"
#include "server/base/thread.h"

/* Names that are known, and those that wait to be looked up. */
#define NAMES_MAX   4096
#define WAITING_MAX 256
/* Looked up again after this time; and what the name server does not answer again counts so long.
 */
#define FRESH_MS      30000u
#define OLD_MS        300000u
#define FAILURE_MS    5000u
#define UNUSED_MS     300000u
#define END_WITHIN_MS 500

struct name {
    /* the owner's */
    struct resolve_addresses found;
    const char *failure; /* static; NULL: found */
    uint64_t looked_ms;  /* 0: never yet */
    uint64_t used_ms;
    bool is_asked;
    /* a thread's while it is asked */
    struct resolve_addresses answer;
    const char *answer_failure;
    bool is_gone; /* the name server says that there is none */
    struct name *next;
    char host[];
};

struct resolver {
    void (*wake)(void *ctx);
    void *ctx;
    struct ptree names;
    size_t waiting;
    unsigned threads_count;
    struct thread threads[RESOLVE_THREADS];
    pthread_mutex_t mutex;
    pthread_cond_t more;
    /* under the mutex */
    struct name *queue, **queue_end;
    struct name *answered;
    bool ends;
};

static const char *key_of(const void *value)
{
    return ((const struct name *)value)->host;
}

static void retire(void *ctx, void *memory, uint64_t epoch)
{
    (void)ctx, (void)epoch;
    free(memory);
}

static const struct ptree_kind kind = {.key = key_of, .retire = retire};

/* --- addresses --- */

static void add(struct resolve_addresses *addresses, const struct addrinfo *info)
{
    if (addresses->count < RESOLVE_ADDRESSES_MAX && info->ai_addrlen <= sizeof addresses->list[0]) {
        struct sockaddr_storage *to = &addresses->list[addresses->count++];
        memset(to, 0, sizeof *to);
        memcpy(to, info->ai_addr, info->ai_addrlen);
    }
}

static bool parse(const char *host, struct resolve_addresses *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, host, &in.sin_addr) == 1) {
        memcpy(&ret->list[0], &in, sizeof in);
    } else if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
        memcpy(&ret->list[0], &in6, sizeof in6);
    } else {
        return false;
    }
    ret->count = 1;
    return true;
}

void resolve_set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    }
}

socklen_t resolve_length(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

void resolve_format(const struct sockaddr *address, char out[RESOLVE_TEXT_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "?";
    bool is_ipv4 = address->sa_family == AF_INET;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (is_ipv4) {
        memcpy(&in, address, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
    } else {
        memcpy(&in6, address, sizeof in6);
        (void)inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
    }
    (void)snprintf(out, RESOLVE_TEXT_SIZE, is_ipv4 ? "%s:%u" : "[%s]:%u", host,
                   (unsigned)ntohs(is_ipv4 ? in.sin_port : in6.sin6_port));
}

/* --- the threads --- */

static void look_up(struct name *name)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    name->answer.count = 0;
    name->answer_failure = NULL;
    int rv = getaddrinfo(name->host, NULL, &hints, &list);
    name->is_gone = rv == EAI_NONAME;
    if (rv != 0) {
        name->answer_failure = rv == EAI_SYSTEM ? "the system refused" : gai_strerror(rv);
        return;
    }
    for (const struct addrinfo *info = list; info != NULL; info = info->ai_next) {
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6) {
            add(&name->answer, info);
        }
    }
    freeaddrinfo(list);
    if (name->answer.count == 0) {
        name->answer_failure = "it has no address of the internet";
    }
}

static void *run(void *arg)
{
    struct resolver *r = arg;
    pthread_mutex_lock(&r->mutex);
    for (;;) {
        while (r->queue == NULL && !r->ends) {
            pthread_cond_wait(&r->more, &r->mutex);
        }
        if (r->ends) {
            break;
        }
        struct name *name = r->queue;
        r->queue = name->next;
        if (r->queue == NULL) {
            r->queue_end = &r->queue;
        }
        pthread_mutex_unlock(&r->mutex);
        look_up(name);
        pthread_mutex_lock(&r->mutex);
        name->next = r->answered;
        r->answered = name;
        if (!r->ends) {
            r->wake(r->ctx);
        }
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

/* --- the owner --- */

struct resolver *resolver_new(void (*wake)(void *ctx), void *ctx)
{
    struct resolver *r = mem_zalloc(1, sizeof *r);
    r->wake = wake;
    r->ctx = ctx;
    r->queue_end = &r->queue;
    CHECK(pthread_mutex_init(&r->mutex, NULL) == 0 && pthread_cond_init(&r->more, NULL) == 0);
    return r;
}

void resolver_free(struct resolver *r)
{
    pthread_mutex_lock(&r->mutex);
    r->ends = true;
    pthread_cond_broadcast(&r->more);
    pthread_mutex_unlock(&r->mutex);
    bool all = true;
    for (unsigned i = 0; i < r->threads_count; i++) {
        if (!thread_join_within(&r->threads[i], END_WITHIN_MS)) {
            thread_leave(&r->threads[i]);
            all = false;
        }
    }
    if (!all) {
        return; /* a thread still uses it, and the process ends soon */
    }
    for (size_t i = 0; i < ptree_count(&r->names); i++) {
        free(ptree_at(&r->names, i));
    }
    ptree_clear(&r->names, &kind);
    pthread_cond_destroy(&r->more);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* False: too many wait, or there is no thread. */
static bool ask(struct resolver *r, struct name *name)
{
    if (r->waiting >= WAITING_MAX) {
        return false;
    }
    if (r->threads_count < RESOLVE_THREADS && r->waiting >= r->threads_count) {
        if (thread_start(&r->threads[r->threads_count], "check-names", run, r)) {
            r->threads_count++;
        } else if (r->threads_count == 0) {
            return false;
        }
    }
    name->is_asked = true;
    name->next = NULL;
    r->waiting++;
    pthread_mutex_lock(&r->mutex);
    *r->queue_end = name;
    r->queue_end = &name->next;
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->mutex);
    return true;
}

void resolver_take(struct resolver *r, uint64_t now_ms)
{
    pthread_mutex_lock(&r->mutex);
    struct name *list = r->answered;
    r->answered = NULL;
    pthread_mutex_unlock(&r->mutex);
    for (struct name *name = list; name != NULL; name = name->next) {
        bool good = name->answer_failure == NULL;
        bool old_counts = name->looked_ms > 0 && name->failure == NULL && !name->is_gone &&
                          now_ms - name->looked_ms < OLD_MS;
        name->is_asked = false;
        r->waiting--;
        if (good || !old_counts) {
            name->found = name->answer;
            name->failure = name->answer_failure;
            name->looked_ms = now_ms;
        }
    }
}

static struct name *find_or_add(struct resolver *r, const char *host, uint64_t now_ms)
{
    struct name *name = ptree_find(&r->names, &kind, host);
    size_t size = strlen(host) + 1;
    if (name == NULL && ptree_count(&r->names) >= NAMES_MAX) {
        resolver_sweep(r, now_ms);
    }
    if (name == NULL && ptree_count(&r->names) < NAMES_MAX) {
        name = mem_zalloc(1, sizeof *name + size);
        memcpy(name->host, host, size);
        CHECK(ptree_put(&r->names, &kind, name) == NULL);
    }
    return name;
}

enum resolve_state resolver_find(struct resolver *r, const char *host, uint64_t now_ms,
                                 struct resolve_addresses *ret_addresses, const char **ret_failure)
{
    if (parse(host, ret_addresses)) {
        return RESOLVE_FOUND;
    }
    struct name *name = find_or_add(r, host, now_ms);
    *ret_failure = "too many names are to be looked up";
    if (name == NULL) {
        return RESOLVE_FAILED;
    }
    name->used_ms = now_ms;
    uint64_t age_ms = now_ms - name->looked_ms;
    uint32_t fresh_ms = name->failure != NULL ? FAILURE_MS : FRESH_MS;
    bool is_known = name->looked_ms > 0 && age_ms < (name->failure != NULL ? FAILURE_MS : OLD_MS);
    if ((!is_known || age_ms >= fresh_ms) && !name->is_asked && !ask(r, name) && !is_known) {
        return RESOLVE_FAILED;
    }
    if (!is_known) {
        return RESOLVE_WAIT;
    }
    *ret_failure = name->failure;
    *ret_addresses = name->found;
    return name->failure != NULL ? RESOLVE_FAILED : RESOLVE_FOUND;
}

void resolver_sweep(struct resolver *r, uint64_t now_ms)
{
    for (size_t i = ptree_count(&r->names); i > 0; i--) {
        struct name *name = ptree_at(&r->names, i - 1);
        if (!name->is_asked && now_ms - name->used_ms >= UNUSED_MS) {
            CHECK(ptree_remove(&r->names, &kind, name->host) == name);
            free(name);
        }
    }
}
