/* libmuster, driven line by line from a test: reads commands, answers each with one line.
 *
 *     open SERVERS FALLBACK|- [adopt] [dispatch]
 *     register NAME ID PORT TTL_MS COUNT
 *     wait TIMEOUT_MS                  health ID HEALTH NOTE|- TIMEOUT_MS
 *     maintenance ID 0|1 TIMEOUT_MS    deregister ID TIMEOUT_MS
 *     state ID                         discover SERVICE STRATEGY TIMEOUT_MS
 *     list SERVICE TIMEOUT_MS          follow SERVICE | unfollow
 *     fork | hammer SERVICE MS         close TIMEOUT_MS
 *     why ID | invalid                 dispatch TIMEOUT_MS
 *     query SERVICE TIMEOUT_MS [tag=T] [type=T] [meta=K:V] [health=BITS] [zone=Z] [linearizable=1]
 *
 * An answer is the error's number and what was asked for. What is followed, states, and the log
 * come as lines that begin with '+', '!' and '#'. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/include/muster.h"

#define REGISTRATIONS_MAX 20000
#define THREADS           4
#define WORDS             10

static struct muster *muster;
static struct muster_registration *registrations[REGISTRATIONS_MAX];
static size_t registrations_count;
static struct muster_follow *follow;
static _Atomic bool hammering;

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct muster_registration **find(const char *id)
{
    for (size_t i = 0; i < registrations_count; i++) {
        if (registrations[i] != NULL && strcmp(muster_registration_id(registrations[i]), id) == 0) {
            return &registrations[i];
        }
    }
    fprintf(stderr, "no registration %s\n", id);
    exit(1);
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_state state,
                     const char *why)
{
    (void)ctx;
    printf("!%s %d %s\n", muster_registration_id(registration), (int)state, why);
}

static void on_change(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    (void)ctx;
    printf("+%d %s %d\n", (int)change, instance != NULL ? instance->id : "-",
           instance != NULL ? (int)instance->health : -1);
}

static void on_log(void *ctx, enum muster_log_level level, const char *line)
{
    (void)ctx;
    printf("#%s %s\n", muster_log_level_name(level), line);
}

static bool has_word(char **words, const char *word)
{
    return strcmp(words[3], word) == 0 || strcmp(words[4], word) == 0;
}

static void run_open(char **words)
{
    char why[300] = "";
    struct muster_options options = MUSTER_OPTIONS_INIT;
    options.servers = words[1][0] != '-' ? words[1] : NULL;
    options.fallback = strcmp(words[2], "-") != 0 ? words[2] : "";
    options.adopt_environment = has_word(words, "adopt");
    options.use_dispatch = has_word(words, "dispatch");
    options.on_log = on_log;
    enum muster_error error = muster_open(&options, &muster, why, sizeof why);
    printf("%d %s\n", (int)error, why);
}

static void run_register(char **words)
{
    unsigned long count = strtoul(words[5], NULL, 10);
    enum muster_error error = MUSTER_OK;
    for (unsigned long i = 0; i < count && error == MUSTER_OK; i++) {
        char id[300];
        snprintf(id, sizeof id, count > 1 ? "%s-%lu" : "%s", words[2], i);
        const char *const tags[] = {"a", "b"};
        const struct muster_pair pairs[] = {{"rack", "7"}};
        const struct muster_spec spec = {
            .size = sizeof spec,
            .name = words[1],
            .id = strcmp(words[2], "-") != 0 ? id : NULL,
            .host = "10.0.0.1",
            .port = (uint16_t)strtoul(words[3], NULL, 10),
            .ttl_ms = (uint32_t)strtoul(words[4], NULL, 10),
            .tags = tags,
            .tags_count = 2,
            .metadata = pairs,
            .metadata_count = 1,
            .on_state = count == 1 ? on_state : NULL,
            .checks = words[6][0] != '\0' ? words[6] : NULL,
        };
        error = muster_register(muster, &spec, &registrations[registrations_count]);
        registrations_count += error == MUSTER_OK;
    }
    printf("%d %s\n", (int)error,
           error == MUSTER_OK ? muster_registration_id(registrations[registrations_count - 1])
                              : "");
}

static void run_wait(char **words)
{
    uint64_t deadline_ms = now_ms() + strtoul(words[1], NULL, 10);
    enum muster_error error = MUSTER_OK;
    for (size_t i = 0; i < registrations_count && error == MUSTER_OK; i++) {
        uint64_t now = now_ms();
        uint64_t left_ms = deadline_ms > now ? deadline_ms - now : 0;
        if (registrations[i] != NULL) {
            error = muster_wait(registrations[i], (uint32_t)left_ms);
        }
    }
    printf("%d\n", (int)error);
}

static void print_found(enum muster_error error, const struct muster_found *found)
{
    if (error != MUSTER_OK) {
        printf("%d\n", (int)error);
        return;
    }
    printf("%d %s %s %u %" PRIu64 " %d\n", (int)error, found->instance->id, found->instance->host,
           found->instance->port, found->age_ms, (int)found->source);
    muster_instance_unref(found->instance);
}

static void run_discover(char **words)
{
    struct muster_query query = {.size = sizeof query,
                                 .service = words[1],
                                 .strategy = (enum muster_strategy)strtoul(words[2], NULL, 10)};
    struct muster_found found;
    enum muster_error error =
        muster_discover(muster, &query, (uint32_t)strtoul(words[3], NULL, 10), &found);
    print_found(error, &found);
}

static bool take_value(const char *word, const char *name, const char **value)
{
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0 || word[len] != '=') {
        return false;
    }
    *value = word + len + 1;
    return true;
}

static void run_query(char **words)
{
    struct muster_query query = MUSTER_QUERY_INIT;
    struct muster_pair pair = {NULL, NULL};
    struct muster_found found;
    const char *tag = NULL, *value;
    query.service = words[1];
    query.strategy = MUSTER_FIRST;
    for (size_t i = 3; i < WORDS; i++) {
        char *colon = strchr(words[i], ':');
        if (take_value(words[i], "tag", &tag)) {
            query.tags = &tag;
            query.tags_count = 1;
        } else if (take_value(words[i], "meta", &pair.key) && colon != NULL) {
            *colon = '\0';
            pair.value = colon + 1;
            query.metadata = &pair;
            query.metadata_count = 1;
        } else if (take_value(words[i], "health", &value)) {
            query.health = (unsigned)strtoul(value, NULL, 10);
        } else if (take_value(words[i], "linearizable", &value)) {
            query.linearizable = true;
        } else if (!take_value(words[i], "type", &query.type)) {
            (void)take_value(words[i], "zone", &query.zone);
        }
    }
    enum muster_error error =
        muster_discover(muster, &query, (uint32_t)strtoul(words[2], NULL, 10), &found);
    print_found(error, &found);
}

/* Waits for the descriptor and dispatches once: callbacks print before the answer. */
static void run_dispatch(char **words)
{
    struct pollfd descriptor = {.fd = muster_descriptor(muster), .events = POLLIN};
    if (poll(&descriptor, 1, (int)strtoul(words[1], NULL, 10)) < 1) {
        printf("%d idle\n", MUSTER_OK);
        return;
    }
    printf("%d dispatched\n", (int)muster_dispatch(muster));
}

static void run_list(char **words)
{
    struct muster_list list;
    enum muster_error error =
        muster_list(muster, words[1], (uint32_t)strtoul(words[2], NULL, 10), &list);
    flockfile(stdout); /* one line at a time: callbacks print, too */
    printf("%d", (int)error);
    if (error == MUSTER_OK) {
        printf(" %" PRIu64, list.age_ms);
        for (size_t i = 0; i < list.count; i++) {
            printf(" %s=%d", list.instances[i]->id, (int)list.instances[i]->health);
        }
        muster_list_free(&list);
    }
    putchar('\n');
    funlockfile(stdout);
}

/* In the child of a fork the client must not be used, but a new one can be opened. */
static void run_fork(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        struct muster_found found;
        struct muster *own;
        const struct muster_query query = {.size = sizeof query, .service = "x"};
        const struct muster_options options = {.size = sizeof options, .fallback = ""};
        bool good =
            muster_discover(muster, &query, 100, &found) == MUSTER_FORKED &&
            muster_wait(registrations[0], 100) == MUSTER_FORKED &&
            muster_set_health(registrations[0], MUSTER_CRITICAL, NULL, 0) == MUSTER_FORKED &&
            muster_deregister(registrations[0], 100) == MUSTER_FORKED;
        muster_close(muster, 100);
#if !defined(__SANITIZE_THREAD__) /* it allows no threads in the child of a fork */
        good = good && muster_open(&options, &own, NULL, 0) == MUSTER_OK;
        if (good) {
            muster_close(own, 0);
        }
#else
        (void)own;
        (void)options;
#endif
        _exit(good ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("%d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 100);
}

static void *hammer(void *arg)
{
    uintptr_t failures = 0;
    for (unsigned i = 0; hammering; i++) {
        const struct muster_query query = {
            .size = sizeof query, .service = arg, .strategy = (enum muster_strategy)(i % 4)};
        struct muster_found found;
        if (muster_discover(muster, &query, 1000, &found) != MUSTER_OK) {
            failures++;
            continue;
        }
        muster_instance_unref(found.instance);
        if (i % 64 == 0) {
            struct muster_list list;
            failures += muster_list(muster, arg, 1000, &list) != MUSTER_OK;
            muster_list_free(&list);
            usleep(100);
        }
    }
    return (void *)failures;
}

/* Many threads query for this time; the answer is how often they got none. */
static void run_hammer(char **words)
{
    pthread_t threads[THREADS];
    uintptr_t failures = 0;
    hammering = true;
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, hammer, words[1]);
    }
    usleep((useconds_t)strtoul(words[2], NULL, 10) * 1000);
    hammering = false;
    for (size_t i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        failures += (uintptr_t)result;
    }
    printf("0 %" PRIuPTR "\n", failures);
}

static uint32_t number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void run_registration(char **words)
{
    struct muster_registration **one = find(words[1]);
    enum muster_error error;
    if (strcmp(words[0], "health") == 0) {
        error = muster_set_health(*one, (enum muster_health)number(words[2]),
                                  strcmp(words[3], "-") != 0 ? words[3] : NULL, number(words[4]));
    } else if (strcmp(words[0], "maintenance") == 0) {
        error = muster_set_maintenance(*one, number(words[2]) != 0, "test", number(words[3]));
    } else if (strcmp(words[0], "state") == 0) {
        printf("0 %d\n", (int)muster_registration_state(*one));
        return;
    } else if (strcmp(words[0], "why") == 0) {
        printf("0 %s\n", muster_registration_why(*one));
        return;
    } else {
        error = muster_deregister(*one, number(words[2]));
        *one = NULL;
    }
    printf("%d\n", (int)error);
}

static void run(char **words)
{
    if (strcmp(words[0], "open") == 0) {
        run_open(words);
    } else if (strcmp(words[0], "register") == 0) {
        run_register(words);
    } else if (strcmp(words[0], "wait") == 0) {
        run_wait(words);
    } else if (strcmp(words[0], "discover") == 0) {
        run_discover(words);
    } else if (strcmp(words[0], "list") == 0) {
        run_list(words);
    } else if (strcmp(words[0], "query") == 0) {
        run_query(words);
    } else if (strcmp(words[0], "dispatch") == 0) {
        run_dispatch(words);
    } else if (strcmp(words[0], "invalid") == 0) {
        printf("0 %s\n", muster_invalid_argument());
    } else if (strcmp(words[0], "follow") == 0) {
        printf("%d\n", (int)muster_follow(muster, words[1], on_change, NULL, &follow));
    } else if (strcmp(words[0], "unfollow") == 0) {
        printf("%d\n", (int)muster_unfollow(follow));
    } else if (strcmp(words[0], "fork") == 0) {
        run_fork();
    } else if (strcmp(words[0], "hammer") == 0) {
        run_hammer(words);
    } else if (strcmp(words[0], "close") == 0) {
        muster_close(muster, number(words[1]));
        printf("0\n");
    } else {
        run_registration(words);
    }
}

int main(void)
{
    char line[4096];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *words[WORDS], *rest = line;
        for (size_t i = 0; i < WORDS; i++) {
            char *word = rest != NULL ? strsep(&rest, " \n") : NULL;
            words[i] = word != NULL ? word : "";
        }
        run(words);
    }
    return 0;
}
