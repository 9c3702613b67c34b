#include "api/dns/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/base/mem.h"
#include "server/base/metric.h"

#define BATCH 32
/* Of a question; a longer one is dropped. */
#define QUESTION_BYTES 1232
#define CONTROL_BYTES  CMSG_SPACE(sizeof(struct in6_pktinfo))
/* Bursts wait here, as far as the system allows. */
#define RECEIVE_BYTES (4 * 1024 * 1024)
/* A datagram cannot be larger. */
#define ANSWER_BYTES DNS_UDP_BYTES_MAX

union control {
    struct cmsghdr align;
    uint8_t bytes[CONTROL_BYTES];
};

struct udp_batch {
    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_parts[BATCH], out_parts[BATCH];
    union dns_peer peers[BATCH];
    union control controls[BATCH];
    uint8_t questions[BATCH][QUESTION_BYTES];
    uint8_t answers[BATCH][ANSWER_BYTES];
    uint8_t scratch[DNS_ANSWER_BYTES_MAX];
};

void dns_udp_init(struct dns_udp *udp, int fd)
{
    union dns_peer own = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof own;
    int on = 1, bytes = RECEIVE_BYTES;
    udp->fd = fd;
    udp->batch = mem_zalloc(1, sizeof *udp->batch);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (getsockname(fd, &own.any, &size) != 0) {
        return;
    }
    if (own.any.sa_family == AF_INET6) {
        udp->is_any = IN6_IS_ADDR_UNSPECIFIED(&own.ipv6.sin6_addr);
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    } else {
        udp->is_any = own.ipv4.sin_addr.s_addr == htonl(INADDR_ANY);
        (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    }
}

void dns_udp_done(struct dns_udp *udp)
{
    if (udp->fd >= 0) {
        (void)close(udp->fd);
        udp->fd = -1;
    }
    free(udp->batch);
    udp->batch = NULL;
}

static void prepare(struct dns_udp *udp)
{
    struct udp_batch *b = udp->batch;
    for (size_t i = 0; i < BATCH; i++) {
        b->in_parts[i] = (struct iovec){b->questions[i], QUESTION_BYTES};
        b->in[i].msg_hdr =
            (struct msghdr){.msg_name = &b->peers[i],
                            .msg_namelen = sizeof b->peers[i],
                            .msg_iov = &b->in_parts[i],
                            .msg_iovlen = 1,
                            .msg_control = udp->is_any ? &b->controls[i] : NULL,
                            .msg_controllen = udp->is_any ? sizeof b->controls[i] : 0};
    }
}

/* The answer leaves from the address that was asked, through whatever interface leads there; but
 * for an address that is known on one link only. */
static void turn_round(struct msghdr *header)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    if (c == NULL) {
        header->msg_control = NULL;
        header->msg_controllen = 0;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi_ifindex = 0;
        memcpy(CMSG_DATA(c), &info, sizeof info);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
            info.ipi6_ifindex = 0;
        }
        memcpy(CMSG_DATA(c), &info, sizeof info);
    }
}

/* 0: no answer is sent. */
static size_t limit(struct dns_udp *udp, const struct dns_turn *turn, const union dns_peer *peer,
                    const uint8_t *question, size_t question_len, uint8_t *answer, size_t len)
{
    unsigned units = (unsigned)((len + DNS_PLAIN_BYTES - 1) / DNS_PLAIN_BYTES);
    uint64_t client = rate_limits_client(turn->limits, &peer->any);
    if (len == 0 ||
        rate_limits_take_many(turn->limits, RATE_DATAGRAMS, client, units, turn->now_ns)) {
        return len;
    }
    metric_add(METRIC_dns_rate_limited_total, 1);
    return udp->limited++ % 2 == 0 ? dns_answer_slip(question, question_len, answer) : 0;
}

/* Returns the length of the answer in the batch's scratch. */
static size_t answer_one(struct dns_udp *udp, const struct dns_turn *turn, size_t i)
{
    struct udp_batch *b = udp->batch;
    const struct dns_asker asker = {.address = dns_peer_address(&b->peers[i])};
    const uint8_t *question = b->questions[i];
    size_t question_len = b->in[i].msg_len;
    if ((b->in[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        return 0;
    }
    size_t len = dns_answer(turn->answerer, turn->view, &asker, question, question_len,
                            turn->now_ns, b->scratch);
    return limit(udp, turn, &b->peers[i], question, question_len, b->scratch, len);
}

/* What cannot be sent is lost, as anything over UDP may be. */
static void send_all(struct dns_udp *udp, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        int done = sendmmsg(udp->fd, udp->batch->out + sent, count - sent, 0);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        sent += done > 0 ? (unsigned)done : 1;
    }
}

bool dns_udp_turn(struct dns_udp *udp, const struct dns_turn *turn)
{
    struct udp_batch *b = udp->batch;
    unsigned answers = 0;
    prepare(udp);
    int count = recvmmsg(udp->fd, b->in, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
        size_t len = answer_one(udp, turn, (size_t)i);
        if (len == 0) {
            continue;
        }
        memcpy(b->answers[answers], b->scratch, len);
        b->out_parts[answers] = (struct iovec){b->answers[answers], len};
        b->out[answers].msg_hdr = b->in[i].msg_hdr;
        b->out[answers].msg_hdr.msg_iov = &b->out_parts[answers];
        turn_round(&b->out[answers].msg_hdr);
        answers++;
    }
    if (count > 0) {
        metric_add(METRIC_dns_questions_total, count);
    }
    send_all(udp, answers);
    return count == BATCH;
}
