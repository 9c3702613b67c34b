#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "tests/sim/member.h"

struct options options;
struct figures figures;
int figures_fd = -1;

static struct {
    uint64_t now_ns;
    uint64_t orders;
    uint64_t hash;
    struct sim_event **heap;
    size_t count, capacity;
} world = {.hash = 0xcbf29ce484222325u};

/* --- the heap --- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void push(struct sim_event *event)
{
    if (world.count == world.capacity) {
        world.capacity = world.capacity > 0 ? world.capacity * 2 : 1024;
        world.heap = mem_realloc(world.heap, world.capacity * sizeof *world.heap);
    }
    size_t at = world.count++;
    while (at > 0 && before(event, world.heap[(at - 1) / 2])) {
        world.heap[at] = world.heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world.heap[at] = event;
}

static struct sim_event *pop(void)
{
    struct sim_event *first = world.heap[0];
    struct sim_event *last = world.heap[--world.count];
    size_t at = 0;
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= world.count) {
            break;
        }
        if (child + 1 < world.count && before(world.heap[child + 1], world.heap[child])) {
            child++;
        }
        if (!before(world.heap[child], last)) {
            break;
        }
        world.heap[at] = world.heap[child];
        at = child;
    }
    world.heap[at] = last;
    return first;
}

/* --- time --- */

uint64_t world_now_ns(void)
{
    return world.now_ns;
}

void world_at(struct sim_event *event, uint64_t delay_ns, struct sim_member *member)
{
    event->at_ns = world.now_ns + delay_ns;
    event->order = world.orders++;
    event->member = member;
    event->process = member != NULL ? member->process : 0;
    push(event);
}

void world_call(void (*run)(struct sim_event *event), uint64_t delay_ns, struct sim_member *member)
{
    struct sim_event *event = mem_zalloc(1, sizeof *event);
    event->run = run;
    world_at(event, delay_ns, member);
}

static void dispatch(struct sim_event *event)
{
    struct sim_member *m = event->member;
    if (m == NULL) {
        event->run(event);
    } else if (event->process != m->process) {
        (event->drop != NULL ? event->drop : (void (*)(struct sim_event *))free)(event);
    } else if (m->paused_until_ns > world.now_ns) {
        event->at_ns = m->paused_until_ns;
        event->order = world.orders++;
        push(event);
    } else {
        member_dispatch(m, event);
    }
}

void world_run(uint64_t until_ns, uint64_t steps)
{
    uint64_t done = 0;
    while (world.count > 0 && world.heap[0]->at_ns <= until_ns && (steps == 0 || done < steps)) {
        struct sim_event *event = pop();
        if (event->at_ns > world.now_ns) {
            world.now_ns = event->at_ns;
        }
        done++;
        figures.steps++;
        dispatch(event);
    }
    if ((steps == 0 || done < steps) && until_ns > world.now_ns) {
        world.now_ns = until_ns;
    }
}

/* --- results --- */

void world_hash(uint64_t value)
{
    world.hash = (world.hash ^ value) * 0x100000001b3u;
    world.hash ^= world.hash >> 29;
}

uint64_t world_trace_hash(void)
{
    return world.hash;
}

uint64_t world_hash_bytes(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u ^ len;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash ^ hash >> 31;
}

void world_trace(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    len = len < (int)sizeof line ? len : (int)sizeof line - 1;
    world_hash(world.now_ns);
    world_hash(world_hash_bytes(line, (size_t)len));
    if (options.trace) {
        printf("%12.6f %s\n", (double)world.now_ns / 1e9, line);
    }
}

void world_verdict(const char *verdict)
{
    figures.simulated_ms = world.now_ns / MS;
    if (figures_fd >= 0) {
        ssize_t written UNUSED = write(figures_fd, &figures, sizeof figures);
    }
    if (options.name != NULL) {
        printf("a member that %s:\n", options.name);
    }
    printf("%s seed=%" PRIu64 " replicas=%u steps=%" PRIu64 " trace=%016" PRIx64 "\n", verdict,
           options.seed, options.replicas, figures.steps, world.hash);
    fflush(stdout);
}

void world_violation(const char *invariant, const char *format, ...)
{
    char text[1024];
    char verdict[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%12.6f VIOLATION %s: %s\n", (double)world.now_ns / 1e9, invariant, text);
    (void)snprintf(verdict, sizeof verdict, "VIOLATION %s", invariant);
    world_verdict(verdict);
    _exit(1);
}
