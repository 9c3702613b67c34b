/* What a member accepts from a leader: entries that continue its log, or replace uncommitted ones.
 * A conflict with the committed log, or another history, ends the process before anything is
 * touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_fixture.h"

/* A follower of three, isolated except for messages that the test sends in a leader's name. */
struct fixture {
    struct world world;
    struct host *host;
    uint64_t leader; /* the sender */
    uint64_t term;   /* higher than all before */
    uint64_t commit; /* also the last index */
    struct forger forger;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct world *w = &f->world;
    world_init(w, 3);
    world_form(w);
    CHECK(host_write(world_host(w, 1), "1first") == ST_OK);
    CHECK(host_write(world_host(w, 2), "1second") == ST_OK);
    world_run(w, 1000);
    f->leader = world_leader(w)->id;
    f->host = world_follower(w);
    f->commit = raft_commit_index(&f->host->engine->driver.raft);
    f->term = raft_current_term(&f->host->engine->driver.raft) + 1;
    CHECK(f->commit == log_last_index(&f->host->engine->driver.log));
    for (uint64_t id = 1; id <= 3; id++) {
        world_isolate(w, id, true);
    }
    world_run(w, ENGINE_TICK_MS);
    forger_init(&f->forger, f->host, f->commit);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    forger_done(&f->forger);
    world_done(&f->world);
    free(f);
    return 0;
}

/* Sends the entries after `prev`, and lets the disk work follow. False: the process ended. */
static bool say(struct fixture *f, uint64_t prev, unsigned n, uint64_t commit)
{
    bool alive = forger_send(&f->forger, f->host, f->leader, f->term, prev, n, commit);
    world_settle(&f->world);
    return alive && host_is_alive(f->host);
}

static uint64_t last_index(const struct fixture *f)
{
    return log_last_index(&f->host->engine->driver.log);
}

/* Of all files, in any order. */
static uint64_t sum_of(const struct files_disk *disk)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < files_name_count(disk); i++) {
        const char *name = files_name(disk, i);
        sum += crc32c(crc32c(0, name, strlen(name)), files_content(disk, name),
                      files_size(disk, name));
    }
    return sum;
}

/* The process ends with this message, the disk is unchanged, and it starts with all it had. */
static void assert_ends_itself(struct fixture *f, bool alive, const char *because, uint64_t before)
{
    assert_false(alive);
    if (strstr(f->host->last_words, because) == NULL) {
        print_error("\"%s\" is not in \"%s\"\n", because, f->host->last_words);
    }
    assert_non_null(strstr(f->host->last_words, because));
    assert_true(sum_of(f->host->disk) == before);
    assert_true(host_start(f->host));
    assert_int_equal(host_has(f->host, "1first"), 1);
    assert_int_equal(host_has(f->host, "1second"), 1);
}

/* In the member's present term, so that accepting it changes nothing on disk. */
static uint64_t begin_quiet(struct fixture *f)
{
    assert_true(say(f, f->commit, 0, f->commit));
    world_run(&f->world, 300); /* the commit index is written */
    return sum_of(f->host->disk);
}

/* --- accepted --- */

static void entries_that_follow_are_taken_and_applied_when_committed(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1new");
    forger_command(&f->forger, f->term, 1, "1newer");
    assert_true(say(f, f->commit, 2, f->commit));
    assert_int_equal(last_index(f), f->commit + 2);
    assert_int_equal(host_has(f->host, "1new"), 0);
    assert_true(say(f, f->commit + 2, 0, f->commit + 1));
    assert_int_equal(host_has(f->host, "1new"), 1);
    assert_int_equal(host_has(f->host, "1newer"), 0);
}

static void entries_behind_a_gap_are_not_taken(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1new");
    forger_command(&f->forger, f->term, 1, "1newer");
    assert_true(say(f, f->commit + 1, 1, f->commit));
    assert_int_equal(last_index(f), f->commit);
}

static void entries_that_are_there_already_change_nothing(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1new");
    assert_true(say(f, f->commit, 1, f->commit));
    for (uint64_t prev = log_first_index(&f->forger.log) - 1; prev <= f->commit; prev++) {
        assert_true(say(f, prev, (unsigned)(f->commit + 1 - prev), f->commit));
    }
    assert_int_equal(last_index(f), f->commit + 1);
    assert_int_equal(raft_commit_index(&f->host->engine->driver.raft), f->commit);
}

/* libraft would lower its own commit index to the end of such a message. */
static void an_old_message_takes_the_commit_index_nowhere(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1new");
    assert_true(say(f, f->commit, 1, f->commit + 1));
    assert_true(say(f, f->commit - 1, 1, f->commit + 2)); /* resent, with a new entry */
    assert_int_equal(raft_commit_index(&f->host->engine->driver.raft), f->commit + 1);
}

static void uncommitted_entries_of_an_older_term_are_replaced(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1lost");
    forger_command(&f->forger, f->term, 1, "1lost too");
    assert_true(say(f, f->commit, 2, f->commit));
    log_truncate(&f->forger.log, f->commit + 1);
    f->term++;
    f->leader = 6 - f->leader - f->host->id;
    forger_command(&f->forger, f->term, 1, "1kept");
    assert_true(say(f, f->commit, 1, f->commit + 1));
    assert_int_equal(last_index(f), f->commit + 1);
    assert_int_equal(host_has(f->host, "1kept"), 1);
    /* Also on disk, at the next start. */
    host_lose_power(f->host);
    assert_true(host_start(f->host));
    assert_int_equal(last_index(f), f->commit + 1);
    assert_int_equal(log_last_checksum(&f->host->engine->driver.log),
                     log_last_checksum(&f->forger.log));
}

/* libraft records a change under the index of the first entry in its message. */
static void a_change_of_the_configuration_is_noted_under_its_own_index(void **state)
{
    struct fixture *f = *state;
    struct raft_configuration conf;
    struct raft *raft = &f->host->engine->driver.raft;
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        assert_int_equal(raft_configuration_add(&conf, raft->configuration.servers[i].id,
                                                raft->configuration.servers[i].address,
                                                raft->configuration.servers[i].role),
                         0);
    }
    assert_int_equal(raft_configuration_add(&conf, 4444, "4@host-4:9100", RAFT_STANDBY), 0);
    forger_command(&f->forger, f->term, 1, "1before");
    forger_command(&f->forger, f->term, 1, "1before too");
    forger_configuration(&f->forger, f->term, &conf);
    forger_command(&f->forger, f->term, 1, "1behind");
    raft_configuration_close(&conf);
    assert_true(say(f, f->commit, 4, f->commit));
    assert_int_equal(last_index(f), f->commit + 4);
    assert_int_equal(raft->configuration_uncommitted_index, f->commit + 3);
    assert_int_equal(f->host->engine->members.count, 4);
    assert_true(say(f, f->commit + 4, 0, f->commit + 4));
    assert_int_equal(raft->configuration_committed_index, f->commit + 3);
    assert_int_equal(raft->configuration_uncommitted_index, 0);
    assert_int_equal(raft->configuration_committed.n, 4);
    assert_int_equal(host_has(f->host, "1behind"), 1);
}

static void a_change_that_is_taken_back_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    assert_int_equal(
        raft_configuration_add(&conf, f->host->engine->identity.life, "1@host-1:9100", RAFT_VOTER),
        0);
    forger_command(&f->forger, f->term, 1, "1lost");
    forger_configuration(&f->forger, f->term, &conf);
    raft_configuration_close(&conf);
    assert_true(say(f, f->commit, 2, f->commit));
    assert_int_equal(f->host->engine->members.count, 1);
    log_truncate(&f->forger.log, f->commit + 1);
    f->term++;
    forger_command(&f->forger, f->term, 1, "1kept");
    /* The leader is none of the known members: it is heard as a guest. */
    struct buffer b;
    buffer_init(&b, 1024 * 1024);
    forger_encode(&f->forger, f->term, f->commit, 1, f->commit + 1, &b);
    assert_true(host_receive(f->host, f->leader, FRAME_RAFT, b.data, b.len));
    buffer_done(&b);
    assert_int_equal(last_index(f), f->commit + 1);
    assert_int_equal(f->host->engine->members.count, 3);
    assert_int_equal(host_has(f->host, "1kept"), 1);
}

/* --- from a deposed leader --- */

static void a_deposed_leader_is_not_believed_whatever_it_says(void **state)
{
    struct fixture *f = *state;
    assert_true(say(f, f->commit, 0, f->commit));
    log_truncate(&f->forger.log, f->commit);
    forger_command(&f->forger, f->term - 1, 1, "1other");
    forger_command(&f->forger, f->term - 1, 1, "1other");
    f->term--;
    assert_true(say(f, f->commit - 1, 2, f->commit + 1));
    assert_int_equal(last_index(f), f->commit);
}

/* --- fatal --- */

static void a_conflict_at_the_commit_index_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit);
    forger_command(&f->forger, f->term, 1, "1other");
    assert_ends_itself(f, say(f, f->commit - 1, 1, f->commit - 1), "is committed here in term",
                       before);
}

static void a_conflict_below_the_commit_index_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit - 1);
    forger_command(&f->forger, f->term, 1, "1other");
    forger_command(&f->forger, f->term, 1, "1other");
    forger_command(&f->forger, f->term, 1, "1other");
    assert_ends_itself(f, say(f, f->commit - 2, 3, f->commit - 2), "is committed here in term",
                       before);
}

/* Even if nothing follows it, and libraft would only reject it. */
static void another_entry_in_front_of_a_message_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit);
    forger_command(&f->forger, f->term, 1, "1other");
    assert_ends_itself(f, say(f, f->commit, 0, 0), "is committed here in term", before);
}

/* Same index, same term, other content: Raft alone cannot tell. */
static void a_fork_that_is_not_committed_ends_the_process(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1one");
    assert_true(say(f, f->commit, 1, f->commit));
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit + 1);
    forger_command(&f->forger, f->term, 1, "1two");
    assert_ends_itself(f, say(f, f->commit, 1, f->commit), "different histories", before);
}

static void a_fork_shows_at_the_next_heartbeat(void **state)
{
    struct fixture *f = *state;
    forger_command(&f->forger, f->term, 1, "1one");
    assert_true(say(f, f->commit, 1, f->commit));
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit + 1);
    forger_command(&f->forger, f->term, 1, "1two");
    assert_ends_itself(f, say(f, f->commit + 1, 0, f->commit), "different histories", before);
}

static void a_fork_shows_at_the_next_entry(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    log_truncate(&f->forger.log, f->commit);
    const struct log_entry *last = log_get(&f->host->engine->driver.log, f->commit);
    forger_command(&f->forger, last->term, 1, "1other");
    forger_command(&f->forger, f->term, 1, "1new");
    assert_ends_itself(f, say(f, f->commit, 1, f->commit), "different histories", before);
}

static void a_wrong_checksum_ends_the_process(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    uint64_t before = begin_quiet(f);
    forger_command(&f->forger, f->term, 1, "1new");
    buffer_init(&b, 1024 * 1024);
    forger_encode(&f->forger, f->term, f->commit, 1, f->commit, &b);
    b.data[b.len - 20] ^= 4; /* in the content */
    bool alive = host_receive(f->host, f->leader, FRAME_RAFT, b.data, b.len);
    buffer_done(&b);
    assert_ends_itself(f, alive, "the checksum of entry", before);
}

static void append_damaged(struct fixture *f, size_t at)
{
    forger_command(&f->forger, f->term, 1, "1new");
    const struct log_entry *good = log_get(&f->forger.log, f->commit + 1);
    uint8_t *bytes = malloc(good->len);
    size_t len = good->len;
    memcpy(bytes, good->data, len);
    log_truncate(&f->forger.log, f->commit + 1);
    bytes[at] ^= 1;
    (void)log_append(&f->forger.log, f->term, RAFT_COMMAND, bytes, len);
    free(bytes);
}

static void an_entry_that_was_damaged_before_its_checksum_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    append_damaged(f, 70);
    assert_ends_itself(f, say(f, f->commit, 1, f->commit), "is damaged", before);
}

static void an_entry_of_another_cluster_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    f->forger.cluster.bytes[0] ^= 1;
    forger_command(&f->forger, f->term, 1, "1new");
    assert_ends_itself(f, say(f, f->commit, 1, f->commit), "not of this cluster", before);
}

static void a_second_leader_in_a_term_ends_the_process(void **state)
{
    struct fixture *f = *state;
    uint64_t before = begin_quiet(f);
    f->leader = 6 - f->leader - f->host->id;
    assert_ends_itself(f, say(f, f->commit, 0, f->commit), "two leaders in term", before);
}

/* --- invalid, and harmless --- */

static void terms_that_fall_within_a_message_are_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer b;
    forger_command(&f->forger, f->term, 1, "1new");
    forger_command(&f->forger, f->term, 1, "1newer");
    buffer_init(&b, 1024 * 1024);
    forger_encode(&f->forger, f->term, f->commit, 2, f->commit, &b);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *term = b.data + 42 + 17 * i;
        assert_true(load_u64(term) == f->term);
        store_u64(term, 1); /* lower than that of the entry before */
        assert_true(host_receive(f->host, f->leader, FRAME_RAFT, b.data, b.len));
        store_u64(term, f->term + 1); /* of a term later than the leader's */
        assert_true(host_receive(f->host, f->leader, FRAME_RAFT, b.data, b.len));
        store_u64(term, f->term);
    }
    assert_int_equal(last_index(f), f->commit);
    buffer_done(&b);
}

/* The next term would be zero. */
static void a_term_without_a_next_one_is_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t term = raft_current_term(&f->host->engine->driver.raft);
    f->term = UINT64_MAX;
    assert_true(say(f, f->commit, 0, f->commit));
    assert_int_equal(raft_current_term(&f->host->engine->driver.raft), term);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(entries_that_follow_are_taken_and_applied_when_committed),
        CASE(entries_behind_a_gap_are_not_taken),
        CASE(entries_that_are_there_already_change_nothing),
        CASE(an_old_message_takes_the_commit_index_nowhere),
        CASE(uncommitted_entries_of_an_older_term_are_replaced),
        CASE(a_change_of_the_configuration_is_noted_under_its_own_index),
        CASE(a_change_that_is_taken_back_is_forgotten),
        CASE(a_deposed_leader_is_not_believed_whatever_it_says),
        CASE(a_conflict_at_the_commit_index_ends_the_process),
        CASE(a_conflict_below_the_commit_index_ends_the_process),
        CASE(another_entry_in_front_of_a_message_ends_the_process),
        CASE(a_fork_that_is_not_committed_ends_the_process),
        CASE(a_fork_shows_at_the_next_heartbeat),
        CASE(a_fork_shows_at_the_next_entry),
        CASE(a_wrong_checksum_ends_the_process),
        CASE(an_entry_that_was_damaged_before_its_checksum_ends_the_process),
        CASE(an_entry_of_another_cluster_ends_the_process),
        CASE(a_second_leader_in_a_term_ends_the_process),
        CASE(terms_that_fall_within_a_message_are_refused),
        CASE(a_term_without_a_next_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
