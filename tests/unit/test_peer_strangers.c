/* What a client that is no member, or a member gone mad, can do to us: nothing but be closed. */
#include "tests/unit/peer_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include "consensus/hello.h"
#include "server/base/buffer.h"

/* --- tests: a client that misbehaves --- */

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

static void begin_handshake(int fd, uint64_t from, uint64_t to, struct hello *ret_hello)
{
    uint8_t bytes[HELLO_BYTES];
    *ret_hello = (struct hello){.cluster_id = CLUSTER, .from = from, .to = to};
    hello_nonce(ret_hello->nonce);
    hello_encode(ret_hello, bytes);
    put(fd, bytes, sizeof bytes);
}

static void read_answer(struct fixture *f, int fd, uint8_t answer[HELLO_ANSWER_BYTES])
{
    RUN_UNTIL(f, recv(fd, answer, HELLO_ANSWER_BYTES, MSG_PEEK) == HELLO_ANSWER_BYTES);
    assert_int_equal(recv(fd, answer, HELLO_ANSWER_BYTES, 0), HELLO_ANSWER_BYTES);
}

/* A connection to `n` as member 2, after its handshake. */
static int dial_as_member(struct fixture *f, const struct node *n)
{
    int fd = dial(n);
    struct hello hello;
    uint8_t answer[HELLO_ANSWER_BYTES];
    uint8_t proof[HELLO_PROOF_BYTES];
    begin_handshake(fd, 2, n->id, &hello);
    read_answer(f, fd, answer);
    assert_int_equal(hello_answer_decode(answer, &hello, "secret", proof), HELLO_ACCEPTED);
    put(fd, proof, sizeof proof);
    return fd;
}

static struct node *start_with_known_member(struct fixture *f)
{
    struct node *a = start(f, 1);
    peers_set(a->p, 2, f->nodes[2].address);
    return a;
}

static void put_frame(int fd, uint32_t len, uint8_t type, uint8_t flags, const void *content,
                      size_t content_len, uint32_t crc_error)
{
    uint8_t header[12] = {0};
    store_u32(header, len);
    header[4] = type;
    header[5] = flags;
    store_u32(header + 8, crc32c(crc32c(0, header + 4, 4), content, content_len) ^ crc_error);
    put(fd, header, sizeof header);
    if (content_len > 0) {
        put(fd, content, content_len);
    }
}

static void expect_rejection(struct fixture *f, struct node *n, int fd, uint64_t before)
{
    RUN_UNTIL(f, is_closed(fd));
    assert_int_equal(rejected(n), before + 1);
    assert_int_equal(close(fd), 0);
}

static void garbage_instead_of_a_hello_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial(a);
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a web browser\r\n\r\n";
    put(fd, request, HELLO_BYTES);
    expect_rejection(f, a, fd, 0);
}

static void wrong_proof_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial(a);
    struct hello hello;
    uint8_t answer[HELLO_ANSWER_BYTES];
    begin_handshake(fd, 2, 1, &hello);
    read_answer(f, fd, answer);
    put(fd, answer + 24, HELLO_PROOF_BYTES); /* its own one */
    expect_rejection(f, a, fd, 0);
}

static void hello_from_ourselves_is_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial(a);
    struct hello hello;
    begin_handshake(fd, 1, 1, &hello);
    expect_rejection(f, a, fd, 0);
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
    for (unsigned seed = 0; seed < 40; seed++) {
        int fd = dial_as_member(f, a);
        uint8_t *noise = make_payload(96, seed);
        noise[5] |= 0x80; /* whatever the length says: these flags are wrong */
        put(fd, noise, 96);
        free(noise);
        expect_rejection(f, a, fd, seed);
    }
    assert_int_equal(a->received_count, 0);
}

static void malformed_frames_are_rejected(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    uint8_t *piece = make_payload(PEER_PIECE_BYTES, 1);
    uint64_t count = 0;
    int fd = dial_as_member(f, a);
    put_frame(fd, PEER_FRAME_BYTES_MAX + 1, 1, 0, NULL, 0, 0);
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, UINT32_MAX, 1, 0, NULL, 0, 0);
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, 3, 1, 0, "abc", 3, 1); /* wrong checksum */
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, 3, 1, 2, "abc", 3, 0); /* more of what is not bulk */
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, 3, 1, 3, "abc", 3, 0); /* a short piece in the middle */
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, PEER_PIECE_BYTES + 1, 1, 1, NULL, 0, 0);
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    put_frame(fd, 1000, 1, 3, NULL, 0, 0);
    expect_rejection(f, a, fd, count++);
    fd = dial_as_member(f, a);
    assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
    put_frame(fd, PEER_PIECE_BYTES, 1, 3, piece, PEER_PIECE_BYTES, 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    put_frame(fd, 3, 2, 1, "abc", 3, 0); /* goes on as another type */
    expect_rejection(f, a, fd, count++);
    assert_int_equal(a->received_count, 0);
    free(piece);
}

static void half_a_large_frame_waits_without_harm(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    int fd = dial_as_member(f, a);
    put_frame(fd, PEER_FRAME_BYTES_MAX, 1, 0, "abc", 3, 0);
    run_for(f, 50);
    assert_int_equal(rejected(a), 0);
    assert_int_equal(close(fd), 0);
    run_for(f, 20);
    assert_int_equal(rejected(a), 0);
}

static void slow_handshakes_time_out(void **state)
{
    struct fixture *f = *state;
    struct node *a = start_with_known_member(f);
    struct hello hello;
    int silent = dial(a);
    int half = dial(a);
    put(half, "MSTh", 4);
    int unproven = dial(a);
    begin_handshake(unproven, 2, 1, &hello);
    uint8_t answer[HELLO_ANSWER_BYTES];
    read_answer(f, unproven, answer);
    uint64_t begin_ms = clock_monotonic_ms();
    int fds[] = {silent, half, unproven};
    for (size_t i = 0; i < 3; i++) {
        RUN_UNTIL(f, is_closed(fds[i]));
        assert_int_equal(close(fds[i]), 0);
    }
    assert_in_range(clock_monotonic_ms() - begin_ms, PEER_HANDSHAKE_MS - 500,
                    PEER_HANDSHAKE_MS + 1000);
    assert_int_equal(rejected(a), 3);
}

/* A listener that takes connections and never answers. */
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
    assert_int_equal(rejected(a), 0);
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
    RUN_UNTIL(f, rejected(a) == 20);
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
    peers_set(a->p, 2, f->nodes[2].address);
    for (size_t i = 0; i < 20; i++) {
        int fd = dial_as_member(f, a);
        put_frame(fd, UINT32_MAX, 1, 0, NULL, 0, 0);
        assert_int_equal(send_plain(f, b, 1, 1, false, "x", 1), ST_OK);
        expect_rejection(f, a, fd, i);
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
        TEST(wrong_proof_is_rejected),
        TEST(hello_from_ourselves_is_rejected),
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
