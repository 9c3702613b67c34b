/* Raft's configuration in an entry, a snapshot or a first message: what can be decoded is within
 * all limits, has no life twice and no member more than twice, and encodes to the same bytes except
 * padding; libraft decodes it to the same. */
#include "consensus/configuration.h"
#include "tests/fuzz/fuzz.h"

#define BYTES_MAX (MEMBERS_MAX * (HOST_BYTES_MAX + 64))

static void check_servers(const struct raft_configuration *conf)
{
    CHECK(conf->n >= 1 && conf->n <= MEMBERS_MAX);
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        struct consensus_member member;
        CHECK(configuration_parse_server(server->address, &member));
        CHECK(server->id >= 1 && server->id <= INT64_MAX);
        CHECK(server->role == RAFT_VOTER || server->role == RAFT_STANDBY ||
              server->role == RAFT_SPARE);
        unsigned lives = 1;
        for (unsigned k = 0; k < i; k++) {
            struct consensus_member other;
            CHECK(configuration_parse_server(conf->servers[k].address, &other));
            CHECK(conf->servers[k].id != server->id);
            lives += other.id == member.id;
        }
        CHECK(lives <= 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct raft_configuration conf;
    struct raft_buffer theirs;
    struct buffer ours;
    uint8_t *exact = fuzz_copy(data, len);
    if (configuration_decode(exact, len, &conf)) {
        check_servers(&conf);
        buffer_init(&ours, BYTES_MAX);
        configuration_encode(&conf, &ours);
        CHECK(!ours.overflowed && ours.len == len);
        CHECK(memcmp(ours.data, data, len - 7) == 0);
        CHECK(raft_configuration_encode(&conf, &theirs) == 0);
        CHECK(theirs.len == ours.len && memcmp(theirs.base, ours.data, ours.len) == 0);
        raft_free(theirs.base);
        buffer_done(&ours);
    } else {
        CHECK(conf.n == 0 && conf.servers == NULL);
    }
    raft_configuration_close(&conf);
    free(exact);
    return 0;
}
