/* The bytes of a client of ZeroMQ, plain and under CURVE: greeting, handshake, frames, commands.
 * What is understood does not depend on the pieces in which they come; each request that wants an
 * answer gets one, in frames that are whole; a handshake that was changed is refused; who falls
 * silent is cut off; and nothing is kept of those who are gone.
 *
 * Input: flags (below), the length of the pieces (0: all at once). With SEALED, what is changed in
 * INITIATE (a place in two bytes, and bits), and its metadata behind their length; then frames,
 * which are sealed. Otherwise the rest is sent as it is. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>

#include "api/core/rate_limit.h"
#include "api/zmq/zmq_client.h"
#include "server/base/limits.h"
#include "tests/fuzz/fuzz.h"

#define EVENTS 1u /* a port of events */
#define CURVE  2u
#define SEALED 4u /* the handshake is made here */

#define OUT_BYTES_MAX (8u * 1024 * 1024)
#define WELCOME_AT    (ZMTP_GREETING_BYTES + 2)
#define TOPIC         "register"

static struct zmq_clients all;
static struct curve_keys keys;
static uint8_t public[32], secret[32]; /* the client's */

/* One connection. */
struct talk {
    struct zmq_client *client;
    int fd;
    struct buffer out; /* what came back */
    uint8_t their_public[32];
    uint64_t sent; /* nonces */
    /* What became of it. */
    uint64_t digest;
    unsigned answers, read;
    enum zmq_client_state state;
};

static struct talk *now;

static void mix(const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        now->digest = (now->digest ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    }
}

/* Answers with what was asked. */
static void take(struct zmq_client *from, const struct incoming *in)
{
    struct envelope to;
    struct slice body = {"", 0};
    struct buffer text;
    CHECK(in->count >= 1 && in->count <= ENVELOPE_FRAMES_MAX);
    for (size_t i = 0; i < in->count; i++) {
        mix(&in->frames[i].len, sizeof in->frames[i].len);
        mix(in->frames[i].data, in->frames[i].len);
    }
    mix(&in->is_cut, 1);
    if (!envelope_parse(in->frames, in->count, &to, &body)) {
        body = (struct slice){"none", 4};
    }
    if (to.wants_answer) {
        buffer_init(&text, ZMQ_FRAME_BYTES_MAX);
        buffer_append(&text, body.data, body.len);
        CHECK(zmq_client_answer(from, &to, "RESPONSE", &text) == ZMQ_SENT);
        now->answers++;
    }
}

/* --- what is sent --- */

static void read_all(struct talk *t)
{
    static uint8_t bytes[65536];
    ssize_t got;
    while ((got = recv(t->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        buffer_append(&t->out, bytes, (size_t)got);
    }
}

/* Until nothing is left to do. */
static void settle(struct talk *t)
{
    struct epoll_event event;
    bool more;
    do {
        more = epoll_wait(all.epoll_fd, &event, 1, 0) == 1;
        if (more) {
            struct pollee *pollee = event.data.ptr;
            pollee->event(pollee, event.events);
        }
        more |= zmq_clients_run(&all);
        read_all(t);
    } while (more);
}

static void send_all(struct talk *t, const uint8_t *data, size_t len)
{
    while (len > 0 && t->client->state != ZMQ_CLOSED) {
        ssize_t sent = send(t->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        settle(t);
        data += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
    }
}

static void send_pieces(struct talk *t, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        send_all(t, data + at, len - at < piece ? len - at : piece);
    }
}

static void append_frame(struct buffer *out, unsigned flags, const uint8_t *body, size_t len)
{
    uint8_t head[ZMTP_FRAME_HEAD_BYTES];
    buffer_append(out, head, zmtp_frame_head(flags, len, head));
    buffer_append(out, body, len);
}

/* --- CURVE --- */

static void make_nonce(uint8_t nonce[24], const char *prefix, const uint8_t *rest)
{
    memcpy(nonce, prefix, strlen(prefix));
    memcpy(nonce + strlen(prefix), rest, 24 - strlen(prefix));
}

static void next_nonce(struct talk *t, uint8_t at[8])
{
    t->sent++;
    for (size_t i = 0; i < 8; i++) {
        at[i] = (uint8_t)(t->sent >> (56 - 8 * i));
    }
}

static void send_frame(struct talk *t, unsigned flags, const uint8_t *body, size_t len)
{
    struct buffer frame;
    buffer_init(&frame, ZMTP_FRAME_HEAD_BYTES + len);
    append_frame(&frame, flags, body, len);
    send_all(t, frame.data, frame.len);
    buffer_done(&frame);
}

static void send_hello(struct talk *t)
{
    uint8_t body[200] = "\5HELLO\1", nonce[24], zeros[64] = {0};
    memcpy(body + 80, public, 32);
    next_nonce(t, body + 112);
    make_nonce(nonce, "CurveZMQHELLO---", body + 112);
    CHECK(crypto_box_easy(body + 120, zeros, 64, nonce, keys.public, secret) == 0);
    send_frame(t, ZMTP_COMMAND, body, sizeof body);
}

/* Its key of the connection is that which it has for good. */
static void send_initiate(struct talk *t, struct input *in)
{
    uint8_t nonce[24], plain[128], vouch[64], all_of_it[128 + 255], body[129 + sizeof all_of_it];
    struct slice type;
    uint8_t place[2];
    input_bytes(in, place, sizeof place);
    uint8_t bits = input_u8(in), len = input_u8(in);
    const uint8_t *welcome = t->out.data + WELCOME_AT;
    CHECK(t->out.len == WELCOME_AT + 168);
    make_nonce(nonce, "WELCOME-", welcome + 8);
    CHECK(crypto_box_open_easy(plain, welcome + 24, 144, nonce, keys.public, secret) == 0);
    memcpy(t->their_public, plain, 32);
    memcpy(vouch, public, 32);
    memcpy(vouch + 32, keys.public, 32);
    memcpy(all_of_it, public, 32);
    memset(all_of_it + 32, 7, 16);
    make_nonce(nonce, "VOUCH---", all_of_it + 32);
    CHECK(crypto_box_easy(all_of_it + 48, vouch, 64, nonce, t->their_public, secret) == 0);
    input_bytes(in, all_of_it + 128, len);
    memcpy(body, "\10INITIATE", 9);
    memcpy(body + 9, plain + 32, 96);
    next_nonce(t, body + 105);
    make_nonce(nonce, "CurveZMQINITIATE", body + 105);
    CHECK(crypto_box_easy(body + 113, all_of_it, 128u + len, nonce, t->their_public, secret) == 0);
    size_t body_len = 129 + 128 + (size_t)len;
    body[load_u16(place) % body_len] ^= bits;
    send_frame(t, ZMTP_COMMAND, body, body_len);
    bool is_good = bits == 0 &&
                   zmtp_metadata_parse((struct slice){(char *)all_of_it + 128, len}, &type) &&
                   zmtp_types_match(t->client->type, type);
    CHECK(t->client->state == (is_good ? ZMQ_OPEN : ZMQ_CLOSED));
}

static void append_sealed(struct talk *t, struct buffer *out, const struct zmtp_frame *frame)
{
    size_t len = frame->body.len;
    uint8_t nonce[24], *plain = mem_alloc(1 + len), *body = mem_alloc(CURVE_OVERHEAD_BYTES + len);
    plain[0] = (frame->flags & ZMTP_MORE) | ((frame->flags & ZMTP_COMMAND) != 0 ? 2 : 0);
    memcpy(plain + 1, frame->body.data, len);
    memcpy(body, "\7MESSAGE", 8);
    next_nonce(t, body + 8);
    make_nonce(nonce, "CurveZMQMESSAGEC", body + 8);
    CHECK(crypto_box_easy(body + 16, plain, 1 + len, nonce, t->their_public, secret) == 0);
    append_frame(out, 0, body, CURVE_OVERHEAD_BYTES + len);
    free(plain);
    free(body);
}

static void talk_sealed(struct talk *t, struct input *in, size_t piece)
{
    struct zmtp_frame frame;
    struct buffer out;
    uint8_t greeting[ZMTP_GREETING_BYTES];
    zmtp_greeting_write("CURVE", greeting);
    send_all(t, greeting, sizeof greeting);
    send_hello(t);
    send_initiate(t, in);
    buffer_init(&out, OUT_BYTES_MAX);
    while (zmtp_frame_parse(in->at, in->left, ZMQ_FRAME_BYTES_MAX, &frame) == ZMTP_WHOLE) {
        append_sealed(t, &out, &frame);
        in->at += frame.bytes;
        in->left -= frame.bytes;
    }
    buffer_append(&out, in->at, in->left);
    send_pieces(t, out.data, out.len, piece == 0 ? out.len : piece);
    buffer_done(&out);
}

/* --- what comes back --- */

/* Opens it in place. */
static void unseal(const struct talk *t, struct zmtp_frame *frame)
{
    uint8_t nonce[24], *body = (uint8_t *)(uintptr_t)frame->body.data;
    CHECK(frame->body.len >= CURVE_OVERHEAD_BYTES && memcmp(body, "\7MESSAGE", 8) == 0);
    make_nonce(nonce, "CurveZMQMESSAGES", body + 8);
    CHECK(crypto_box_open_easy(body + 16, body + 16, frame->body.len - 16, nonce, t->their_public,
                               secret) == 0);
    frame->flags = (body[16] & 1u ? ZMTP_MORE : 0) | (body[16] & 2u ? ZMTP_COMMAND : 0);
}

/* Counts the messages; there is nothing behind the last frame. */
static void read_frames(struct talk *t, bool is_sealed)
{
    size_t at = ZMTP_GREETING_BYTES;
    struct zmtp_frame frame;
    CHECK(t->out.len >= at);
    while (at < t->out.len) {
        CHECK(zmtp_frame_parse(t->out.data + at, t->out.len - at, OUT_BYTES_MAX, &frame) ==
              ZMTP_WHOLE);
        at += frame.bytes;
        if (is_sealed && (frame.flags & ZMTP_COMMAND) == 0) {
            unseal(t, &frame);
        }
        t->read += (frame.flags & (ZMTP_COMMAND | ZMTP_MORE)) == 0;
    }
}

/* --- one connection from its beginning to its end --- */

static void publish(struct talk *t)
{
    struct buffer text;
    buffer_init(&text, 16);
    buffer_append(&text, "{}", 2);
    struct shared_text *shared = shared_text_add(&all.waiting, &text);
    CHECK(zmq_client_publish(t->client, TOPIC, shared));
    shared_text_drop(shared);
    settle(t);
}

/* One that says nothing any more is asked once, and then cut off. */
static void fall_silent(struct talk *t)
{
    size_t before = t->out.len;
    all.now_ms += ZMQ_PING_MS;
    zmq_client_look(t->client);
    settle(t);
    CHECK(t->client->state == ZMQ_CLOSED || t->out.len > before);
    all.now_ms += ZMQ_PING_TIMEOUT_MS;
    zmq_client_look(t->client);
    CHECK(t->client->state == ZMQ_CLOSED);
}

static void run(struct talk *t, struct input in, unsigned flags, size_t piece)
{
    struct cds_list_head place;
    int fds[2];
    const struct sockaddr_storage peer = {.ss_family = AF_INET};
    const struct zmq_service service = {.type = (flags & EVENTS) != 0 ? "PUB" : "ROUTER",
                                        .keys = (flags & (CURVE | SEALED)) != 0 ? &keys : NULL};
    CDS_INIT_LIST_HEAD(&place);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(crowd_enter(&all.crowd, (const struct sockaddr *)&peer, true) == CROWD_FINE);
    zmq_client_open(&all, &place, &service, fds[0], &peer);
    now = t;
    t->client = cds_list_first_entry(&place, struct zmq_client, place);
    t->fd = fds[1];
    buffer_init(&t->out, OUT_BYTES_MAX);
    settle(t);
    if ((flags & SEALED) != 0) {
        talk_sealed(t, &in, piece);
    } else {
        send_pieces(t, in.at, in.left, piece == 0 ? in.left : piece);
    }
    publish(t);
    t->state = t->client->state;
    if (t->state != ZMQ_CLOSED) {
        read_frames(t, (flags & SEALED) != 0);
        CHECK((flags & EVENTS) != 0 ? t->read <= 1 : t->read == t->answers);
        fall_silent(t);
    }
    zmq_clients_reap(&all);
    CHECK(cds_list_empty(&all.closed) && cds_list_empty(&all.ready) && cds_list_empty(&place));
    CHECK(atomic_load(&all.waiting.used) == 0 && atomic_load(&all.unread.used) == 0);
    CHECK(atomic_load(&all.crowd.count) == 0);
    buffer_done(&t->out);
    (void)close(fds[1]);
}

static void set_up(void)
{
    CHECK(sodium_init() >= 0);
    keys.any = true;
    memset(keys.secret, 1, sizeof keys.secret);
    memset(secret, 2, sizeof secret);
    CHECK(crypto_scalarmult_base(keys.public, keys.secret) == 0);
    CHECK(crypto_scalarmult_base(public, secret) == 0);
    CDS_INIT_LIST_HEAD(&all.ready);
    CDS_INIT_LIST_HEAD(&all.closed);
    budget_init(&all.waiting, ZMQ_WAITING_BYTES_MAX, METRIC_zmq_waiting_bytes);
    budget_init(&all.unread, ZMQ_UNREAD_BYTES_MAX, METRIC_zmq_unread_bytes);
    crowd_init(&all.crowd, 8, 8);
    all.limits = rate_limits_new(&(const struct rate_limit_options){.local = false});
    all.take = take;
    all.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all.now_ms = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct talk whole = {0}, pieces = {0};
    if (all.take == NULL) {
        set_up();
    }
    if (len < 2) {
        return 0;
    }
    run(&whole, (struct input){data + 2, len - 2}, data[0], 0);
    run(&pieces, (struct input){data + 2, len - 2}, data[0], data[1]);
    CHECK(whole.digest == pieces.digest && whole.answers == pieces.answers);
    CHECK(whole.state == pieces.state && (whole.state == ZMQ_CLOSED || whole.read == pieces.read));
    return 0;
}
