/* Pieces of a snapshot sent to a lagging member, and replies to a leader that sends one: whatever
 * arrives, states at the same index are equal, and a member ends itself only if a term has two
 * leaders.
 *
 * Input: steps. A byte selects the next piece of the real file, of the length in the next byte,
 * possibly with a flipped bit; a piece with a head from the input; a reply; or time. */
#include "server/base/log.h"
#include "server/base/snapshot_block.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine_fixture.h"

#define STEPS_MAX 32
#define HEAD      32

static struct world base;
static uint64_t leader_id, behind_id;
static uint8_t *file;
static size_t file_len;

static void keep_file(const struct files_disk *disk)
{
    for (size_t i = 0; i < files_name_count(disk); i++) {
        uint64_t index;
        uint64_t term;
        const char *name = files_name(disk, i);
        if (snapshot_name_parse(name, &index, &term)) {
            file_len = files_size(disk, name);
            file = fuzz_copy(files_content(disk, name), file_len);
        }
    }
    CHECK(file != NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    world_init(&base, 3);
    world_found(&base, 3);
    world_form(&base);
    leader_id = world_leader(&base)->id;
    behind_id = world_follower(&base)->id;
    host_close(world_host(&base, behind_id));
    host_fill(world_host(&base, leader_id), "1op", 8, 9000);
    world_run(&base, 1000);
    keep_file(world_host(&base, leader_id)->disk);
    for (uint64_t id = 1; id <= 3; id++) {
        host_close(world_host(&base, id));
    }
    return 0;
}

/* The real leader has a transfer in progress, none of which arrives. */
static bool no_piece_passes(struct world *w UNUSED, const struct flying *frame)
{
    return frame->type != FRAME_SNAPSHOT;
}

static void say_piece(struct input *in, struct host *to, uint64_t from, uint64_t *offset)
{
    uint8_t how = input_u8(in);
    uint64_t transfer = 9;
    uint64_t total = file_len;
    size_t len = (size_t)input_u8(in) * 512;
    uint64_t term = raft_current_term(&to->engine->driver.raft);
    if (how % 4 == 3) { /* a head of its own */
        transfer = input_u8(in) % 2 == 0 ? 9 : 10;
        *offset = input_u8(in) % 3 == 0 ? 0 : *offset;
        total = input_u8(in) % 3 == 0 ? input_u64(in) : file_len;
        term = input_u8(in) % 3 == 0 ? input_u64(in) : term;
    }
    len = len < file_len - *offset ? len : file_len - *offset;
    uint8_t *bytes = mem_alloc(HEAD + len);
    store_u64(bytes, transfer);
    store_u64(bytes + 8, term);
    store_u64(bytes + 16, *offset);
    store_u64(bytes + 24, total);
    memcpy(bytes + HEAD, file + *offset, len);
    if (how % 4 == 2 && len > 0) {
        size_t at = (size_t)(input_u32(in) % len);
        bytes[HEAD + at] ^= (uint8_t)(1 + how / 4);
    }
    *offset += len;
    *offset = *offset == file_len ? 0 : *offset;
    (void)host_receive(to, from, FRAME_SNAPSHOT, bytes, HEAD + len);
    free(bytes);
}

static void say_answer(struct input *in, struct host *to, uint64_t from)
{
    uint8_t bytes[16];
    store_u64(bytes, input_u8(in) % 4);
    store_u64(bytes + 8, input_u8(in) % 2 == 0 ? input_u64(in) : (uint64_t)input_u8(in) * 512);
    (void)host_receive(to, from, FRAME_SNAPSHOT_RESULT, bytes, sizeof bytes);
}

static void check(struct world *w)
{
    for (uint64_t a = 1; a <= 3; a++) {
        struct host *h = world_host(w, a);
        CHECK(!host_is_alive(h) ||
              h->engine->snapshot_receive.offset <= h->engine->snapshot_receive.total);
        CHECK(host_is_alive(h) || strstr(h->last_words, "two leaders in term") != NULL);
        for (uint64_t b = 1; b < a; b++) {
            struct host *other = world_host(w, b);
            CHECK(!host_is_alive(h) || !host_is_alive(other) ||
                  h->engine->fsm.applied_index != other->engine->fsm.applied_index ||
                  host_equals(h, other));
        }
    }
}

static void step(struct world *w, struct input *in, uint64_t *offset)
{
    uint8_t what = input_u8(in);
    struct host *behind = world_host(w, behind_id);
    uint64_t from = what % 8 == 7 ? 6 - leader_id - behind_id : leader_id;
    struct host *sender = world_leader(w);
    if (what % 4 == 3) {
        world_run(w, ENGINE_TICK_MS * (1 + (uint64_t)input_u8(in) % 128));
    } else if (what % 4 == 2 && sender != NULL && sender != behind) {
        say_answer(in, sender, behind_id);
    } else if (host_is_alive(behind)) {
        say_piece(in, behind, from, offset);
    }
    if (what % 16 < 12) {
        world_settle(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct world w;
    struct input in = {.at = data, .left = len};
    uint64_t offset = 0;
    world_init_from(&w, &base);
    w.passes = no_piece_passes;
    for (uint64_t id = 1; id <= 3; id++) {
        CHECK(host_start(world_host(&w, id)));
    }
    world_run(&w, 600);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++) {
        step(&w, &in, &offset);
        check(&w);
    }
    w.passes = NULL;
    world_run(&w, 1500);
    check(&w);
    world_done(&w);
    return 0;
}
