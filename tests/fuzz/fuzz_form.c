/* The first configuration, sent to a new member: it runs if and only if the configuration is
 * well-formed and has its life under its id, among as many members as it was given; and the next
 * start can read what it wrote. The member's id is 2, its life 1002, of three.
 *
 * Input: the content of the frame. */
#include "server/base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine_fixture.h"

#define MEMBER 2
#define LIFE   1002

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    return 0;
}

static void make_new(struct host *h)
{
    struct identity identity = {.member = MEMBER, .life = LIFE};
    configuration_members_text(h->world->list, h->world->count, identity.members,
                               sizeof identity.members);
    CHECK(identity_write(files_boot(h->disk), &identity) == 0);
}

/* Decides without the code under test. */
static bool should_run(const uint8_t *data, size_t len)
{
    static const struct cluster_id none;
    struct raft_configuration conf;
    bool ours = false;
    if (len <= CLUSTER_ID_BYTES || memcmp(data, none.bytes, sizeof none.bytes) == 0) {
        return false;
    }
    if (configuration_decode(data + CLUSTER_ID_BYTES, len - CLUSTER_ID_BYTES, &conf)) {
        for (unsigned i = 0; i < conf.n; i++) {
            ours = ours ||
                   (conf.servers[i].id == LIFE && strncmp(conf.servers[i].address, "2@", 2) == 0);
        }
        ours = ours && conf.n == 3;
    }
    raft_configuration_close(&conf);
    return ours;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct world w;
    world_init(&w, 3);
    struct host *h = world_host(&w, MEMBER);
    make_new(h);
    CHECK(host_start(h));
    CHECK(host_receive(h, 1, FRAME_FORM, data, len));
    world_run(&w, 50);
    CHECK(host_is_alive(h) && h->engine->running == should_run(data, len));
    if (h->engine->running) {
        host_lose_power(h);
        CHECK(host_start(h) && h->engine->running);
        CHECK(memcmp(h->engine->identity.cluster.bytes, data, CLUSTER_ID_BYTES) == 0);
        world_run(&w, 1000);
        CHECK(host_is_alive(h));
    }
    world_done(&w);
    return 0;
}
