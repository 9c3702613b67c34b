/* Frames of every type into the members of a running cluster, in each other's names: nothing
 * crashes a member, and it ends itself only if its log or state is contradicted.
 *
 * Input: steps. Each starts with a byte: receiver (3), sender (3), and action: a frame of the type
 * and bytes that follow, the same with entries that continue the log, passing time, or an
 * operation. */
#include "server/base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine_fixture.h"

#define STEPS_MAX 24
#define FRAME_MAX 2048

/* Reasons for which a member may end itself if others lie. */
static const char *const reasons[] = {
    "is committed here in term",          "differs from the leader's",  "the checksum of entry",
    "is damaged, or not of this cluster", "two leaders in term",        "differs from that of",
    "cannot read what this one wrote",    "the commit index went back",
};

static void check_ends(struct world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct host *h = world_host(w, id);
        bool known = host_is_alive(h);
        for (size_t i = 0; i < ARRAY_LENGTH(reasons) && !known; i++) {
            known = strstr(h->last_words, reasons[i]) != NULL;
        }
        if (!known) {
            check_failed(__FILE__, __LINE__, h->last_words);
        }
    }
}

/* An AppendEntries that is valid except for what the input sets: distance of the previous entry,
 * number of entries, terms, commit index. */
static void say_entries(struct world *w, struct input *in, struct host *to, uint64_t from)
{
    struct forger f;
    struct raft *raft = &to->engine->driver.raft;
    const struct log *log = &to->engine->driver.log;
    uint64_t first = log_first_index(log) - 1;
    uint64_t last = log_last_index(log);
    uint64_t back = input_u8(in) % 8;
    uint64_t prev = last - first > back ? last - back : first;
    unsigned n = input_u8(in) % 5;
    uint64_t term = raft_current_term(raft) + input_u8(in) % 3;
    uint64_t commit = prev + input_u8(in) % 8;
    forger_init(&f, to, prev);
    (void)w;
    for (unsigned i = 0; i < n; i++) {
        uint8_t kind = input_u8(in);
        uint64_t entry_term = term - kind % 2;
        entry_term = entry_term > log_last_term(&f.log) ? entry_term : log_last_term(&f.log);
        if (kind % 16 < 12) {
            forger_command(&f, entry_term, 1 + kind % 16 / 10, "1x");
        } else if (kind % 16 < 14) {
            forger_configuration(&f, entry_term, &raft->configuration);
        } else {
            uint8_t bytes[16];
            input_bytes(in, bytes, sizeof bytes);
            (void)log_append(&f.log, entry_term, (uint8_t)(1 + kind / 16 % 3), bytes, sizeof bytes);
        }
    }
    (void)forger_send(&f, to, from, term, prev, n, commit);
    forger_done(&f);
}

static void say_frame(struct input *in, struct host *to, uint64_t from)
{
    uint8_t frame[FRAME_MAX];
    uint8_t type = input_u8(in);
    size_t len = input_u8(in);
    len = len < 200 ? len : len * 8;
    len = len < in->left ? len : in->left;
    input_bytes(in, frame, len);
    (void)host_receive(to, from, type % 16, frame, len);
}

static void step(struct world *w, struct input *in)
{
    uint8_t what = input_u8(in);
    struct host *to = world_host(w, 1 + what % 3);
    uint64_t from = 1 + (what / 3 + what % 3) % 3;
    if (!host_is_alive(to)) {
        return;
    }
    switch (what / 9 % 7) {
    case 0:
        world_run(w, ENGINE_TICK_MS * (1 + (uint64_t)input_u8(in) % 64));
        break;
    case 1:
        (void)host_submit(to, CONSENSUS_NORMAL, what % 2 == 0 ? "1write" : "2new");
        break;
    case 2:
    case 3:
        say_entries(w, in, to, from);
        break;
    default:
        say_frame(in, to, from);
        break;
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
static struct world base;

/* A formed cluster with some writes, created once for all inputs. */
int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    world_init(&base, 3);
    world_found(&base, 3);
    world_form(&base);
    CHECK(host_write(world_host(&base, 1), "1first") == ST_OK);
    world_run(&base, 500);
    for (uint64_t id = 1; id <= 3; id++) {
        host_close(world_host(&base, id));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct world w;
    struct input in = {.at = data, .left = len};
    world_init_from(&w, &base);
    world_form(&w);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
        bool settles = *in.at < 192; /* otherwise the next step meets everything in flight */
        step(&w, &in);
        if (settles) {
            world_settle(&w);
        }
        check_ends(&w);
    }
    world_run(&w, 1000);
    check_ends(&w);
    world_done(&w);
    return 0;
}
