/* A client as a whole: its options, its thread, its end. */
#include "client/lib/client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/random.h"
#include "client/lib/registration.h"
#include "server/base/clock.h"
#include "server/base/text.h"

#define SERVERS_DEFAULT        "http://127.0.0.1:9000"
#define REQUEST_TIMEOUT_MS     10000
#define REQUEST_TIMEOUT_MS_MIN 100

const char *muster_error_text(enum muster_error error)
{
    static const char *const texts[] = {
        [MUSTER_OK] = "done",
        [MUSTER_INVALID] = "an argument is wrong, or it may not be called here",
        [MUSTER_NO_MEMORY] = "there is no memory",
        [MUSTER_SYSTEM] = "the system has no thread or no descriptor to give",
        [MUSTER_TOO_MANY] = "over a limit of the library",
        [MUSTER_FORKED] = "the client belongs to the process that forked this one",
        [MUSTER_NOT_FOUND] = "there is no such instance",
        [MUSTER_REFUSED] = "the registry refused it",
        [MUSTER_UNREACHABLE] = "no replica could be reached; surely not done",
        [MUSTER_UNKNOWN] = "the outcome is unknown: it may or may not have been done",
        [MUSTER_TIMED_OUT] = "not done in time; it is tried on",
    };
    size_t which = (size_t)error;
    return which < ARRAY_LENGTH(texts) ? texts[which] : "an error that this version does not know";
}

const char *muster_version(void)
{
    return MUSTER_VERSION;
}

enum muster_error client_check(const struct muster *muster, uint32_t timeout_ms)
{
    if (muster->pid != getpid()) {
        return MUSTER_FORKED;
    }
    return timeout_ms > 0 && client_is_own_thread(muster) ? MUSTER_INVALID : MUSTER_OK;
}

bool client_is_own_thread(const struct muster *muster)
{
    return pthread_equal(muster->thread, pthread_self()) != 0;
}

bool client_await(struct muster *muster, uint64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                             .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
    return pthread_cond_timedwait(&muster->changed, &muster->mutex, &until) == 0;
}

static void *run(void *arg)
{
    struct muster *muster = arg;
    pthread_mutex_lock(&muster->mutex);
    while (!muster->stopping) {
        renewer_work(muster);
        discovery_work(muster);
        pthread_mutex_unlock(&muster->mutex);
        loop_turn(&muster->loop, LOOP_NEVER, NULL, 0);
        pthread_mutex_lock(&muster->mutex);
    }
    renewer_stop(muster);
    discovery_stop(muster);
    pthread_mutex_unlock(&muster->mutex);
    return NULL;
}

/* --- options --- */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static bool take_servers(struct muster *muster, const char *list, char *why, size_t why_size)
{
    list = list != NULL ? list : environment("MUSTER_SERVER");
    list = list != NULL ? list : environment("REGISTRY_URL");
    return servers_parse(list != NULL ? list : SERVERS_DEFAULT, &muster->servers, why, why_size);
}

static bool take_fallback(struct muster *muster, const char *url, char *why, size_t why_size)
{
    url = url != NULL ? url : environment("API_URL");
    if (url == NULL || *url == '\0') {
        return true;
    }
    if (!servers_parse_host(url, muster->fallback_host, sizeof muster->fallback_host,
                            &muster->fallback_port)) {
        (void)snprintf(why, why_size, "the fallback is not a URL such as http://10.0.0.5:8000");
        return false;
    }
    return true;
}

/* What the environment says of instances. These names are not ours alone (Kubernetes sets
 * SERVER_PORT to a URL where there is a service `server`): what cannot be used only counts for an
 * instance that needs it. */
static void take_environment(struct muster *muster)
{
    const char *port = environment("SERVER_PORT");
    const char *interval = environment("HEARTBEAT_INTERVAL");
    const char *id = environment("SERVER_ID");
    uint64_t value = 0;
    muster->port = port != NULL && text_parse_u64(port, UINT16_MAX, &value) ? (uint16_t)value : 0;
    muster->interval_unusable =
        interval != NULL &&
        (!text_parse_duration_ms(interval, &muster->interval_ms) || muster->interval_ms == 0);
    muster->id_unusable = id != NULL && strlen(id) > NAME_BYTES_MAX;
    muster->id = id != NULL && !muster->id_unusable ? strdup(id) : NULL;
}

static bool take_options(struct muster *muster, const struct muster_options *options, char *why,
                         size_t why_size)
{
    static const struct muster_options defaults = {.size = sizeof defaults};
    options = options != NULL ? options : &defaults;
    uint32_t timeout_ms = options->request_timeout_ms;
    muster->request_timeout_ms = timeout_ms > 0 ? timeout_ms : REQUEST_TIMEOUT_MS;
    if (options->size < sizeof *options) {
        (void)snprintf(why, why_size, "the size of the options is not set");
        return false;
    }
    if (muster->request_timeout_ms < REQUEST_TIMEOUT_MS_MIN ||
        muster->request_timeout_ms > WAIT_MS_MAX) {
        (void)snprintf(why, why_size, "request_timeout_ms is not between %d and %d",
                       REQUEST_TIMEOUT_MS_MIN, WAIT_MS_MAX);
        return false;
    }
    take_environment(muster);
    return take_servers(muster, options->servers, why, why_size) &&
           take_fallback(muster, options->fallback, why, why_size);
}

/* --- start and end --- */

static bool init_locks(struct muster *muster)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool made = pthread_cond_init(&muster->changed, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made && pthread_mutex_init(&muster->mutex, NULL) == 0;
}

/* A thread that takes no signal: handlers are the program's and run on its own threads. */
static bool start_thread(struct muster *muster)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return false;
    }
    bool started = pthread_create(&muster->thread, NULL, run, muster) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) {
        (void)pthread_setname_np(muster->thread, "muster");
    }
    return started;
}

enum muster_error muster_open(const struct muster_options *options, struct muster **ret_muster,
                              char *why, size_t why_size)
{
    char unseen[1];
    if (why == NULL || why_size == 0) {
        why = unseen;
        why_size = sizeof unseen;
    }
    if (ret_muster == NULL) {
        return MUSTER_INVALID;
    }
    struct muster *muster = calloc(1, sizeof *muster);
    if (muster == NULL) {
        (void)snprintf(why, why_size, "%s", muster_error_text(MUSTER_NO_MEMORY));
        return MUSTER_NO_MEMORY;
    }
    if (!take_options(muster, options, why, why_size)) {
        free(muster->id);
        free(muster);
        return MUSTER_INVALID;
    }
    muster->pid = getpid();
    /* Many clients that start together do not all come to the same replica. */
    muster->failover = (struct failover){.servers = &muster->servers,
                                         .preferred = random_below(muster->servers.count)};
    renewer_init(muster);
    bool has_curl = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    bool has_loop = has_curl && loop_init(&muster->loop);
    if (has_loop && init_locks(muster) && start_thread(muster)) {
        *ret_muster = muster;
        return MUSTER_OK;
    }
    if (has_loop) {
        loop_done(&muster->loop);
    }
    if (has_curl) {
        curl_global_cleanup();
    }
    free(muster->id);
    free(muster);
    (void)snprintf(why, why_size, "%s", muster_error_text(MUSTER_SYSTEM));
    return MUSTER_SYSTEM;
}

/* With the mutex. */
static void deregister_all(struct muster *muster, uint32_t timeout_ms)
{
    struct renewer *renewer = &muster->renewer;
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (struct muster_registration *one = renewer->first; one != NULL; one = one->next) {
        one->removing = one->abandoned = true;
        renewer_queue(renewer, one);
    }
    loop_wake(&muster->loop);
    while (renewer->count > 0 && client_await(muster, deadline_ms)) {
    }
}

void muster_close(struct muster *muster, uint32_t timeout_ms)
{
    if (muster == NULL) {
        return;
    }
    if (muster->pid != getpid()) {
        /* The thread is not in this process, and may have held any lock: nothing else is touched.
         */
        http_close_sockets(muster->loop.sockets);
        return;
    }
    if (client_is_own_thread(muster)) {
        return;
    }
    pthread_mutex_lock(&muster->mutex);
    if (timeout_ms > 0) {
        deregister_all(muster, timeout_ms);
    }
    muster->stopping = true;
    pthread_mutex_unlock(&muster->mutex);
    loop_wake(&muster->loop);
    (void)pthread_join(muster->thread, NULL);
    loop_done(&muster->loop);
    (void)pthread_cond_destroy(&muster->changed);
    (void)pthread_mutex_destroy(&muster->mutex);
    curl_global_cleanup();
    free(muster->id);
    free(muster);
}
