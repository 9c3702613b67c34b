/* What a stranger, or a faulty member, can do to us: nothing but get disconnected. */
#include "tests/handshake_keys.h"
#include "tests/unit/peer_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include "consensus/peer/handshake.h"
#include "server/base/buffer.h"

/* --- tests: a misbehaving client --- */

static int dial(const struct node *n)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(n->address, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

/* True once the other side has closed. */
static bool is_closed(int fd)
{
    uint8_t bytes[256];
    ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static void put(int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Sends a hello to `n` as member `from`. */
static void begin_handshake(int fd, const struct node *n, uint64_t from, struct handshake *h)
{
    struct handshake_reply hello;
    struct hello_facts facts = facts_of(from);
    handshake_connect(h, &facts, n->id, KEYS(SECRET), &hello);
    put(fd, hello.bytes, hello.len);
}

static void read_message(struct fixture *f, int fd, struct handshake *h,
                         struct handshake_reply *reply)
{
    uint8_t bytes[HELLO_BYTES_MAX];
    ssize_t len = (ssize_t)handshake_wants(h);
    assert_true(len > 0);
    RUN_UNTIL(f, recv(fd, bytes, (size_t)len, MSG_PEEK) == len);
    assert_int_equal(recv(fd, bytes, (size_t)len, 0), len);
    assert_true(handshake_take(h, bytes, (size_t)len, reply));
}

/* A connection to `n` as member 2, after its handshake. */
static int dial_as_member(struct fixture *f, const struct node *n)
{
    int fd = dial(n);
    struct handshake h;
    struct handshake_reply reply;
    begin_handshake(fd, n, 2, &h);
    read_message(f, fd, &h, &reply);
    put(fd, reply.bytes, reply.len);
    read_message(f, fd, &h, &reply);
    assert_int_equal(h.phase, HANDSHAKE_JUDGE);
    handshake_answer(&h, HELLO_ACCEPTED, &reply);
    put(fd, reply.bytes, reply.len);
    return fd;
}

static struct node *start_with_known_member(struct fixture *f)
{
    struct node *a = start(f, 1);
    know(a, 2, f->nodes[2].address);
    return a;
}

/* `zero` is put where the header must be zero. */
static void put_frame(int fd, uint32_t len, uint8_t type, uint8_t zero, const void *content,
                      size_t content_len, uint32_t crc_error)
{
    uint8_t header[12] = {0};
    store_u32(header, len);
    header[4] = type;
    header[5] = zero;
    store_u32(header + 8, crc32c(crc32c(0, header + 4, 4), content, content_len) ^ crc_error);
    put(fd, header, sizeof header);
    if (content_len > 0) {
        put(fd, content, content_len);
    }
}

static void expect_rejection(struct fixture *f, int fd, int64_t before)
{
    RUN_UNTIL(f, is_closed(fd));
    assert_int_equal(refused(f), before + 1);
    assert_int_equal(close(fd), 0);
}

static void garbage_instead_of_a_hello_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial(a);
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a web browser\r\n\r\n";
    put(fd, request, HELLO_PREFIX_BYTES); /* enough to tell */
    expect_rejection(f, fd, 0);
}

/* Receives no more than a challenge, and then the end. */
static void expect_challenge_only(struct fixture *f, int fd, int64_t before)
{
    uint8_t bytes[1024];
    size_t len = 0;
    ssize_t n = -1;
    RUN_UNTIL(f, (n = recv(fd, bytes + len, sizeof bytes - len, 0)) == 0 ||
                     (n < 0 && errno != EAGAIN) || (n > 0 && (len += (size_t)n) > 100));
    assert_true(n <= 0);
    assert_true(len == 0 || len == hello_bytes(HELLO_KIND_CHALLENGE));
    struct hello_message m;
    assert_true(len == 0 || hello_decode(HELLO_KIND_CHALLENGE, bytes, &m) == HELLO_ACCEPTED);
    assert_int_equal(refused(f), before + 1);
    assert_int_equal(close(fd), 0);
}

static void stranger_gets_nothing_but_a_challenge(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    uint8_t *noise = make_payload(300, 5);
    struct handshake h;
    struct handshake_reply reply;
    uint8_t proof[HELLO_BYTES_MAX];
    int64_t count = 0;
    for (int shape = 0; shape < 6; shape++) {
        int fd = dial(a);
        begin_handshake(fd, a, 2, &h);
        switch (shape) {
        case 0: /* noise instead of a proof */
            put(fd, noise, 44);
            break;
        case 1: /* a second hello */
            begin_handshake(fd, a, 2, &h);
            break;
        case 2: /* a verdict at once */
            (void)hello_encode(&(struct hello_message){.kind = HELLO_KIND_VERDICT}, proof);
            put(fd, proof, hello_bytes(HELLO_KIND_VERDICT));
            break;
        case 3: /* a proof of nothing */
            (void)hello_encode(&(struct hello_message){.kind = HELLO_KIND_PROOF}, proof);
            put(fd, proof, hello_bytes(HELLO_KIND_PROOF));
            break;
        case 4: /* another secret */
            h.secrets[0] = "a guess at that secret";
            read_message(f, fd, &h, &reply);
            put(fd, reply.bytes, reply.len);
            memcpy(proof, reply.bytes, reply.len);
            break;
        case 5: /* a proof of another exchange */
            h.secrets[0] = SECRET;
            put(fd, proof, hello_bytes(HELLO_KIND_PROOF));
            break;
        }
        expect_challenge_only(f, fd, count++);
    }
    assert_int_equal(a->joined_count[2], 0);
    free(noise);
}

/* Replays all messages of a real member. */
static void recorded_handshake_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    struct handshake h;
    struct handshake_reply hello, proof, verdict;
    struct hello_facts facts = facts_of(2);
    int fd = dial(a);
    handshake_connect(&h, &facts, 1, KEYS(SECRET), &hello);
    put(fd, hello.bytes, hello.len);
    read_message(f, fd, &h, &proof);
    put(fd, proof.bytes, proof.len);
    read_message(f, fd, &h, &verdict);
    handshake_answer(&h, HELLO_ACCEPTED, &verdict);
    put(fd, verdict.bytes, verdict.len);
    RUN_UNTIL(f, a->joined_count[2] == 1);
    assert_int_equal(close(fd), 0);
    fd = dial(a);
    put(fd, hello.bytes, hello.len);
    put(fd, proof.bytes, proof.len);
    put(fd, verdict.bytes, verdict.len);
    expect_challenge_only(f, fd, 0);
    assert_int_equal(a->joined_count[2], 1);
}

/* Its own hello, and the proof that it makes for others, replayed to it. */
static void own_voice_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    a->known[1] = true;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address.sin_port = htons((uint16_t)strtoul(strrchr(f->nodes[2].address, ':') + 1, NULL, 10));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 4), 0);
    know(a, 2, f->nodes[2].address);
    int caller = -1;
    RUN_UNTIL(f, (caller = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    uint8_t hello[HELLO_BYTES_MAX];
    ssize_t len = (ssize_t)hello_bytes(HELLO_KIND_HELLO);
    RUN_UNTIL(f, recv(caller, hello, (size_t)len, MSG_PEEK) == len);
    assert_int_equal(recv(caller, hello, (size_t)len, 0), len);
    int fd = dial(a);
    put(fd, hello, (size_t)len);
    uint8_t byte;
    RUN_UNTIL(f, is_closed(fd));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    assert_int_equal(refused(f), 1);
    assert_int_equal(a->joined_count[1], 0);
    assert_int_equal(close(fd) + close(caller) + close(listener), 0);
}

static void hello_with_our_own_id_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    struct node other = {.id = 3};
    struct handshake h;
    int fd = dial(a);
    begin_handshake(fd, &other, 1, &h);
    expect_rejection(f, fd, 0);
}

static void frames_in_small_parts_are_put_together(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial_as_member(f, a);
    uint8_t frame[12 + 5] = {5, 0, 0, 0, 42};
    memcpy(frame + 12, "hello", 5);
    store_u32(frame + 8, crc32c(crc32c(0, frame + 4, 4), "hello", 5));
    for (size_t i = 0; i < sizeof frame; i++) {
        put(fd, frame + i, 1);
        turn(f);
    }
    RUN_UNTIL(f, a->received_count == 1);
    assert_int_equal(a->received[0].type, 42);
    assert_int_equal(a->received[0].from, 2);
    assert_int_equal(a->received[0].crc, crc32c(0, "hello", 5));
    assert_int_equal(close(fd), 0);
}

static void noise_after_a_handshake_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    for (int seed = 0; seed < 40; seed++) {
        int fd = dial_as_member(f, a);
        uint8_t *noise = make_payload(96, (unsigned)seed);
        noise[5] |= 0x80; /* whatever the length is: this must be zero */
        put(fd, noise, 96);
        free(noise);
        expect_rejection(f, fd, seed);
    }
    assert_int_equal(a->received_count, 0);
}

static void malformed_frames_are_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int64_t count = 0;
    int fd = dial_as_member(f, a);
    put_frame(fd, PEER_FRAME_BYTES_MAX + 1, 1, 0, NULL, 0, 0);
    expect_rejection(f, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, UINT32_MAX, 1, 0, NULL, 0, 0);
    expect_rejection(f, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, 3, 1, 0, "abc", 3, 1); /* wrong checksum */
    expect_rejection(f, fd, count++);
    for (size_t at = 5; at < 8; at++) { /* must be zero */
        uint8_t header[12] = {0};
        header[at] = 1;
        store_u32(header + 8, crc32c(0, header + 4, 4));
        fd = dial_as_member(f, a);
        put(fd, header, sizeof header);
        expect_rejection(f, fd, count++);
    }
    assert_int_equal(a->received_count, 0);
}

static void half_a_large_frame_waits_without_harm(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial_as_member(f, a);
    put_frame(fd, PEER_FRAME_BYTES_MAX, 1, 0, "abc", 3, 0);
    run_for(f, 50);
    assert_int_equal(refused(f), 0);
    assert_int_equal(close(fd), 0);
    run_for(f, 20);
    assert_int_equal(refused(f), 0);
}

static void slow_handshakes_time_out(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    struct handshake h;
    struct handshake_reply reply;
    int silent = dial(a);
    int half = dial(a);
    put(half, "MSTh", 4);
    int unproven = dial(a);
    begin_handshake(unproven, a, 2, &h);
    read_message(f, unproven, &h, &reply);
    int unjudged = dial(a);
    begin_handshake(unjudged, a, 2, &h);
    read_message(f, unjudged, &h, &reply);
    put(unjudged, reply.bytes, reply.len);
    read_message(f, unjudged, &h, &reply);
    uint64_t begin_ms = clock_monotonic_ms();
    int fds[] = {silent, half, unproven, unjudged};
    for (size_t i = 0; i < 4; i++) {
        RUN_UNTIL(f, is_closed(fds[i]));
        assert_int_equal(close(fds[i]), 0);
    }
    assert_in_range(clock_monotonic_ms() - begin_ms, PEER_HANDSHAKE_MS - 500,
                    PEER_HANDSHAKE_MS + 1000);
    assert_int_equal(refused(f), 4);
    assert_int_equal(a->joined_count[2], 0);
}

/* A listener that accepts connections and never replies. */
static void silent_acceptor_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    RUN_UNTIL(f, a->state_count[2] == 1);
    assert_int_equal(a->states[2][0], PEER_REFUSED);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(f->nodes[2].address, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    uint64_t begin_ms = clock_monotonic_ms();
    RUN_UNTIL(f, a->state_count[2] == 2);
    assert_int_equal(a->states[2][1], PEER_DOWN);
    assert_true(clock_monotonic_ms() - begin_ms >= PEER_HANDSHAKE_MS - 500);
    assert_false(peers_is_up(a->p, 2));
    assert_int_equal(close(fd), 0);
}

static void newer_connection_replaces_the_older(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int older = dial_as_member(f, a);
    put_frame(older, 1, 1, 0, "x", 1, 0);
    RUN_UNTIL(f, a->received_count == 1);
    int newer = dial_as_member(f, a);
    RUN_UNTIL(f, is_closed(older));
    put_frame(newer, 1, 2, 0, "y", 1, 0);
    RUN_UNTIL(f, a->received_count == 2);
    assert_int_equal(refused(f), 0);
    assert_int_equal(close(older), 0);
    assert_int_equal(close(newer), 0);
}

static void crowd_of_strangers_does_not_keep_members_out(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fds[PEER_CONNECTIONS_MAX + 20];
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        fds[i] = dial(a);
        turn(f);
    }
    RUN_UNTIL(f, refused(f) == 20);
    int member = dial_as_member(f, a);
    put_frame(member, 1, 1, 0, "x", 1, 0);
    RUN_UNTIL(f, a->received_count == 1);
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        assert_int_equal(close(fds[i]), 0);
    }
    assert_int_equal(close(member), 0);
}

static void misbehaviour_of_one_does_not_disturb_others(void **state)
{
    struct fixture *f = *state;
    struct node *a = start(f, 1);
    struct node *b = start(f, 3);
    link_up(f, a, b);
    know(a, 2, f->nodes[2].address);
    for (int i = 0; i < 20; i++) {
        int fd = dial_as_member(f, a);
        put_frame(fd, UINT32_MAX, 1, 0, NULL, 0, 0);
        assert_int_equal(send_plain(f, b, 1, 1, false, "x", 1), ST_OK);
        expect_rejection(f, fd, i);
    }
    RUN_UNTIL(f, a->received_count == 20);
    assert_int_equal(a->state_count[3], 1);
    assert_int_equal(b->state_count[1], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(garbage_instead_of_a_hello_is_rejected),
        TEST(stranger_gets_nothing_but_a_challenge),
        TEST(recorded_handshake_is_rejected),
        TEST(own_voice_is_rejected),
        TEST(hello_with_our_own_id_is_rejected),
        TEST(frames_in_small_parts_are_put_together),
        TEST(noise_after_a_handshake_is_rejected),
        TEST(malformed_frames_are_rejected),
        TEST(half_a_large_frame_waits_without_harm),
        TEST(slow_handshakes_time_out),
        TEST(silent_acceptor_is_given_up),
        TEST(newer_connection_replaces_the_older),
        TEST(crowd_of_strangers_does_not_keep_members_out),
        TEST(misbehaviour_of_one_does_not_disturb_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
