/* Load on ZooKeeper through its own client library, for comparison: closed loop, figures as one
 * line of JSON with the names of `muster bench`.
 *
 *     zkload HOST:PORT[,HOST:PORT...] register|heartbeat|list CLIENTS SECONDS
 *
 * register creates ephemeral nodes of 200 bytes; heartbeat sets the data of a node; list gets the
 * ten children of a node and then their data, all ten at once. CLIENTS requests are kept under way,
 * over up to 32 sessions that are spread over the members.
 *
 * Thread: each session has the library's own two; a session's slots belong to its completions. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <zookeeper/zookeeper.h>

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/text.h"
#include "tests/bench/figures.h"
#include "tests/bench/zk.h"

#define SESSIONS_MAX   32
#define CLIENTS_MAX    4096
#define CHILDREN       10
#define VALUE_BYTES    200
#define TIMEOUT_MS     30000
#define CONNECT_MS     20000
#define DRAIN_MS       20000
#define PATH_BYTES_MAX 128

enum operation { REGISTER, HEARTBEAT, LIST };

struct session {
    zhandle_t *zk;
    struct latency latency;
    uint64_t requests, failed;
};

struct slot {
    struct session *session;
    uint32_t number;
    uint32_t pending;
    bool wrong;
    uint64_t begin_ns;
};

static enum operation operation;
static char root[PATH_BYTES_MAX / 2];
static char value[VALUE_BYTES];
static uint64_t end_ns;
static atomic_uint_fast64_t created;
static atomic_uint busy;

static void begin(struct slot *slot);

static void finish(struct slot *slot)
{
    uint64_t now_ns = clock_monotonic_ns();
    struct session *session = slot->session;
    session->requests++;
    if (slot->wrong) {
        session->failed++;
    } else {
        latency_add(&session->latency, now_ns - slot->begin_ns);
    }
    if (now_ns < end_ns) {
        begin(slot);
    } else {
        atomic_fetch_sub(&busy, 1);
    }
}

static void on_created(int code, const char *path, const void *data)
{
    struct slot *slot = (struct slot *)(uintptr_t)data;
    (void)path;
    slot->wrong = code != ZOK;
    finish(slot);
}

static void on_set(int code, const struct Stat *stat, const void *data)
{
    (void)stat;
    on_created(code, NULL, data);
}

static void on_data(int code, const char *bytes, int len, const struct Stat *stat, const void *data)
{
    struct slot *slot = (struct slot *)(uintptr_t)data;
    (void)bytes, (void)len, (void)stat;
    slot->wrong = slot->wrong || code != ZOK;
    if (--slot->pending == 0) {
        finish(slot);
    }
}

static void on_children(int code, const struct String_vector *names, const void *data)
{
    struct slot *slot = (struct slot *)(uintptr_t)data;
    slot->wrong = code != ZOK || names->count != CHILDREN;
    if (slot->wrong) {
        finish(slot);
        return;
    }
    slot->pending = CHILDREN;
    for (int i = 0; i < CHILDREN; i++) {
        char path[PATH_BYTES_MAX];
        (void)snprintf(path, sizeof path, "%s/list/%s", root, names->data[i]);
        CHECK(zoo_aget(slot->session->zk, path, 0, on_data, slot) == ZOK);
    }
}

static void begin(struct slot *slot)
{
    char path[PATH_BYTES_MAX];
    zhandle_t *zk = slot->session->zk;
    int code = ZOK;
    slot->begin_ns = clock_monotonic_ns();
    slot->wrong = false;
    switch (operation) {
    case REGISTER:
        (void)snprintf(path, sizeof path, "%s/%" PRIuFAST64, root, atomic_fetch_add(&created, 1));
        code = zoo_acreate(zk, path, value, VALUE_BYTES, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL,
                           on_created, slot);
        break;
    case HEARTBEAT:
        (void)snprintf(path, sizeof path, "%s/beat-%u", root, slot->number);
        code = zoo_aset(zk, path, "alive", 5, -1, on_set, slot);
        break;
    case LIST:
        (void)snprintf(path, sizeof path, "%s/list", root);
        code = zoo_aget_children(zk, path, 0, on_children, slot);
        break;
    }
    CHECK(code == ZOK);
}

static void make_node(zhandle_t *zk, const char *path)
{
    CHECK(zoo_create(zk, path, value, VALUE_BYTES, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0) == ZOK);
}

static void prepare(zhandle_t *zk, uint32_t clients)
{
    char path[PATH_BYTES_MAX];
    (void)snprintf(root, sizeof root, "/bench-%" PRIx64, clock_monotonic_ns());
    make_node(zk, root);
    for (uint32_t i = 0; operation == HEARTBEAT && i < clients; i++) {
        (void)snprintf(path, sizeof path, "%s/beat-%u", root, i);
        make_node(zk, path);
    }
    for (uint32_t i = 0; operation == LIST && i <= CHILDREN; i++) {
        (void)snprintf(path, sizeof path, i == 0 ? "%s/list" : "%s/list/%u", root, i);
        make_node(zk, path);
    }
}

static void on_session(zhandle_t *zk, int type, int state, const char *path, void *context)
{
    (void)zk, (void)type, (void)state, (void)path, (void)context;
}

static void wait_ms(uint64_t wait_ms)
{
    const struct timespec time = {.tv_sec = (time_t)(wait_ms / 1000),
                                  .tv_nsec = (long)(wait_ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

/* Each session at one member, so that the load is spread evenly. */
static void connect_all(struct session *sessions, uint32_t count, const char *hosts)
{
    const char *at = hosts;
    for (uint32_t i = 0; i < count; i++) {
        char host[ZK_HOST_BYTES_MAX];
        zk_next_member(hosts, &at, host);
        sessions[i].zk = zookeeper_init(host, on_session, TIMEOUT_MS, NULL, NULL, 0);
        CHECK(sessions[i].zk != NULL);
    }
    uint64_t until_ms = clock_monotonic_ms() + CONNECT_MS;
    for (uint32_t i = 0; i < count; i++) {
        while (zoo_state(sessions[i].zk) != ZOO_CONNECTED_STATE) {
            CHECK(clock_monotonic_ms() < until_ms);
            wait_ms(1);
        }
    }
}

static bool run(struct session *sessions, uint32_t sessions_count, uint32_t clients,
                uint64_t seconds)
{
    struct slot *slots = mem_zalloc(clients, sizeof *slots);
    end_ns = clock_monotonic_ns() + seconds * 1000000000u;
    atomic_store(&busy, clients);
    for (uint32_t i = 0; i < clients; i++) {
        slots[i] = (struct slot){.session = &sessions[i % sessions_count], .number = i};
    }
    for (uint32_t i = 0; i < clients; i++) {
        begin(&slots[i]);
    }
    uint64_t until_ms = clock_monotonic_ms() + seconds * 1000 + DRAIN_MS;
    while (atomic_load(&busy) > 0 && clock_monotonic_ms() < until_ms) {
        wait_ms(5);
    }
    /* The slots stay: a request that is still under way would come back to one. */
    return atomic_load(&busy) == 0;
}

static void print_figures(const struct session *sessions, uint32_t count, uint64_t seconds)
{
    static struct latency all;
    uint64_t requests = 0, failed = 0;
    for (uint32_t i = 0; i < count; i++) {
        latency_merge(&all, &sessions[i].latency);
        requests += sessions[i].requests;
        failed += sessions[i].failed;
    }
    figures_print(&all, requests, failed, (double)seconds);
}

static bool take_operation(const char *name)
{
    static const char *const names[] = {"register", "heartbeat", "list"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            operation = (enum operation)i;
            return true;
        }
    }
    return false;
}

int main(int argc, char *argv[])
{
    static struct session sessions[SESSIONS_MAX];
    uint64_t clients, seconds;
    if (argc != 5 || !take_operation(argv[2]) || !text_parse_u64(argv[3], CLIENTS_MAX, &clients) ||
        !text_parse_u64(argv[4], 3600, &seconds) || clients == 0 || seconds == 0) {
        fputs("usage: zkload HOST:PORT[,...] register|heartbeat|list CLIENTS SECONDS\n", stderr);
        return 2;
    }
    memset(value, 'v', sizeof value);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    uint32_t count = clients < SESSIONS_MAX ? (uint32_t)clients : SESSIONS_MAX;
    connect_all(sessions, count, argv[1]);
    prepare(sessions[0].zk, (uint32_t)clients);
    if (!run(sessions, count, (uint32_t)clients, seconds)) {
        fputs("zkload: some requests were never answered\n", stderr);
        return 1;
    }
    /* What the sessions made goes with them. */
    for (uint32_t i = 0; i < count; i++) {
        (void)zookeeper_close(sessions[i].zk);
    }
    print_figures(sessions, count, seconds);
    return 0;
}
