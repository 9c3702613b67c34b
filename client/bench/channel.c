#include "client/bench/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/base/check.h"

void channel_init(struct channel *channel, const struct target *target, int epoll)
{
    channel->target = target;
    channel->epoll = epoll;
    channel->fd = -1;
    channel->state = CHANNEL_DOWN;
    buffer_init(&channel->out, CHANNEL_REQUEST_BYTES_MAX);
}

void channel_close(struct channel *channel)
{
    if (channel->fd >= 0) {
        (void)close(channel->fd);
    }
    channel->fd = -1;
    channel->state = CHANNEL_DOWN;
}

void channel_done(struct channel *channel)
{
    channel_close(channel);
    buffer_done(&channel->out);
}

static enum channel_event close_as(struct channel *channel, enum channel_event event)
{
    channel_close(channel);
    return event;
}

static void watch(struct channel *channel, int operation, bool out)
{
    struct epoll_event event = {.events = EPOLLIN | (out ? EPOLLOUT : 0u), .data.ptr = channel};
    CHECK(epoll_ctl(channel->epoll, operation, channel->fd, &event) == 0);
    channel->wants_out = out;
}

enum channel_event channel_connect(struct channel *channel)
{
    const struct target *target = channel->target;
    int on = 1;
    CHECK(channel->state == CHANNEL_DOWN);
    channel->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (channel->fd < 0) {
        return CHANNEL_REFUSED;
    }
    (void)setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(channel->fd, (const struct sockaddr *)&target->address, target->address_len) == 0) {
        watch(channel, EPOLL_CTL_ADD, false);
        channel->state = CHANNEL_IDLE;
        return CHANNEL_OPENED;
    }
    if (errno != EINPROGRESS) {
        return close_as(channel, CHANNEL_REFUSED);
    }
    watch(channel, EPOLL_CTL_ADD, true);
    channel->state = CHANNEL_CONNECTING;
    return CHANNEL_NOTHING;
}

/* Sends what is left of the request. Asks epoll for more only when the socket is full, which it
 * hardly ever is: a request then costs two system calls and its share of a wait. */
static bool push(struct channel *channel)
{
    while (channel->sent < channel->out.len) {
        ssize_t sent = send(channel->fd, channel->out.data + channel->sent,
                            channel->out.len - channel->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        if (sent < 0) {
            break;
        }
        channel->sent += (size_t)sent;
    }
    bool out = channel->sent < channel->out.len;
    if (out != channel->wants_out) {
        watch(channel, EPOLL_CTL_MOD, out);
    }
    return true;
}

enum channel_event channel_send(struct channel *channel)
{
    CHECK(channel->state == CHANNEL_IDLE);
    CHECK(!channel->out.overflowed);
    channel->sent = 0;
    channel->state = CHANNEL_BUSY;
    answer_begin(&channel->answer);
    return push(channel) ? CHANNEL_NOTHING : close_as(channel, CHANNEL_BROKEN);
}

static enum channel_event finish_connect(struct channel *channel)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        return close_as(channel, CHANNEL_REFUSED);
    }
    watch(channel, EPOLL_CTL_MOD, false);
    channel->state = CHANNEL_IDLE;
    return CHANNEL_OPENED;
}

/* Bytes when no request is under way are nothing that HTTP knows; the end of the stream is. */
static enum channel_event handle_idle(struct channel *channel, char *scratch)
{
    ssize_t got = recv(channel->fd, scratch, CHANNEL_SCRATCH_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return CHANNEL_NOTHING;
    }
    return close_as(channel, got > 0 ? CHANNEL_MALFORMED : CHANNEL_LOST);
}

static enum channel_event handle_busy(struct channel *channel, char *scratch)
{
    size_t used;
    ssize_t got = recv(channel->fd, scratch, CHANNEL_SCRATCH_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return CHANNEL_NOTHING;
    }
    if (got <= 0) {
        return close_as(channel, CHANNEL_BROKEN);
    }
    switch (answer_feed(&channel->answer, scratch, (size_t)got, &used)) {
    case ANSWER_MORE:
        return CHANNEL_NOTHING;
    case ANSWER_MALFORMED:
        return close_as(channel, CHANNEL_MALFORMED);
    case ANSWER_DONE:
        break;
    }
    if (used < (size_t)got) {
        return close_as(channel, CHANNEL_MALFORMED);
    }
    channel->state = CHANNEL_IDLE;
    /* An answer that came before the whole request was sent ends the connection as well. */
    if (!channel->answer.keep_alive || channel->sent < channel->out.len) {
        channel_close(channel);
    }
    return CHANNEL_ANSWERED;
}

enum channel_event channel_handle(struct channel *channel, uint32_t events, char *scratch)
{
    switch (channel->state) {
    case CHANNEL_CONNECTING:
        return finish_connect(channel);
    case CHANNEL_IDLE:
        return handle_idle(channel, scratch);
    case CHANNEL_BUSY:
        if ((events & EPOLLOUT) != 0 && !push(channel)) {
            return close_as(channel, CHANNEL_BROKEN);
        }
        if ((events & ~(uint32_t)EPOLLOUT) != 0) {
            return handle_busy(channel, scratch);
        }
        return CHANNEL_NOTHING;
    case CHANNEL_DOWN:
        break;
    }
    /* It was closed earlier in the same batch of events. */
    return CHANNEL_NOTHING;
}
