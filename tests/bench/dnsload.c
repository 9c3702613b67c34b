/* Load for DNS servers over UDP: questions for many services, so many under way at a time.
 *
 *     bench_dnsload PORT SERVICES A|SRV SECONDS UNDER_WAY
 *
 * asks 127.0.0.1 for s0.service.consul to s<SERVICES - 1>, and prints one JSON object. An answer
 * counts if it has NOERROR and an answer. What has not been answered for 100 ms is lost. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "server/base/clock.h"
#include "server/base/compiler.h"
#include "server/base/text.h"

#define BATCH         64
#define QUESTION_SIZE 64
#define ANSWER_SIZE   4096
#define LOST_MS       100

struct load {
    int fd;
    unsigned services, under_way_max;
    uint16_t type;
    uint64_t sent, good, bad, lost;
    uint16_t id;
};

static uint8_t questions[BATCH][QUESTION_SIZE], answers[BATCH][ANSWER_SIZE];

static size_t add_label(uint8_t *out, size_t at, const char *label)
{
    size_t len = strlen(label);
    out[at] = (uint8_t)len;
    memcpy(out + at + 1, label, len);
    return at + len + 1;
}

static size_t make(struct load *load, uint8_t *out)
{
    char name[16];
    /* RD, one question, one additional record. */
    static const uint8_t head[] = {1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
    static const uint8_t opt[] = {0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0};
    (void)snprintf(name, sizeof name, "s%u", (unsigned)(load->sent % load->services));
    load->id++;
    out[0] = (uint8_t)(load->id >> 8);
    out[1] = (uint8_t)load->id;
    memcpy(out + 2, head, sizeof head);
    size_t at = add_label(out, 12, name);
    at = add_label(out, at, "service");
    at = add_label(out, at, "consul");
    const uint8_t tail[] = {0, 0, (uint8_t)load->type, 0, 1};
    memcpy(out + at, tail, sizeof tail);
    memcpy(out + at + sizeof tail, opt, sizeof opt);
    load->sent++;
    return at + sizeof tail + sizeof opt;
}

static void ask(struct load *load, unsigned count)
{
    struct mmsghdr messages[BATCH] = {{.msg_len = 0}};
    struct iovec parts[BATCH];
    for (unsigned i = 0; i < count; i++) {
        parts[i] = (struct iovec){questions[i], make(load, questions[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(load->fd, messages + done, count - done, 0);
        done += sent > 0 ? (unsigned)sent : 1;
    }
}

/* Waits for at least one. Returns their number. */
static unsigned hear(struct load *load)
{
    struct mmsghdr messages[BATCH] = {{.msg_len = 0}};
    struct iovec parts[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){answers[i], ANSWER_SIZE};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(load->fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < got; i++) {
        bool is_good = messages[i].msg_len > 12 && (answers[i][3] & 15) == 0 &&
                       (answers[i][6] | answers[i][7]) != 0;
        load->good += is_good;
        load->bad += !is_good;
    }
    return got > 0 ? (unsigned)got : 0;
}

static void run(struct load *load, uint64_t until_ns)
{
    unsigned under_way = 0;
    while (clock_monotonic_ns() < until_ns) {
        while (under_way < load->under_way_max) {
            unsigned room = load->under_way_max - under_way;
            unsigned count = room < BATCH ? room : BATCH;
            ask(load, count);
            under_way += count;
        }
        unsigned got = hear(load);
        if (got == 0) {
            load->lost += under_way;
            under_way = 0;
        }
        under_way -= got < under_way ? got : under_way;
    }
}

static bool parse(int argc, char *argv[], struct load *load, uint64_t *ret_port,
                  uint64_t *ret_seconds)
{
    uint64_t services, under_way;
    if (argc != 6 || !text_parse_u64(argv[1], UINT16_MAX, ret_port) ||
        !text_parse_u64(argv[2], 1000000, &services) || services == 0 ||
        !text_parse_u64(argv[4], 3600, ret_seconds) ||
        !text_parse_u64(argv[5], 16384, &under_way) || under_way == 0) {
        return false;
    }
    load->services = (unsigned)services;
    load->under_way_max = (unsigned)under_way;
    load->type = strcmp(argv[3], "SRV") == 0 ? 33 : 1;
    return true;
}

int main(int argc, char *argv[])
{
    struct load load = {.fd = socket(AF_INET, SOCK_DGRAM, 0)};
    const struct timeval patience = {.tv_usec = LOST_MS * 1000};
    int bytes = 4 * 1024 * 1024;
    uint64_t port, seconds;
    if (!parse(argc, argv, &load, &port, &seconds)) {
        fprintf(stderr, "usage: bench_dnsload PORT SERVICES A|SRV SECONDS UNDER_WAY\n");
        return 2;
    }
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (load.fd < 0 || connect(load.fd, (const struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(load.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
        perror("bench_dnsload");
        return 1;
    }
    (void)setsockopt(load.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    uint64_t began_ns = clock_monotonic_ns();
    run(&load, began_ns + seconds * 1000000000u);
    double took_s = (double)(clock_monotonic_ns() - began_ns) / 1e9;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    double cpu_us = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
                    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    uint64_t answered = load.good + load.bad;
    printf("{\"requests\": %llu, \"failed\": %llu, \"lost\": %llu, \"per_second\": %.1f, "
           "\"client_cpu_us\": %.3f}\n",
           (unsigned long long)answered, (unsigned long long)load.bad,
           (unsigned long long)load.lost, (double)answered / took_s,
           answered > 0 ? cpu_us / (double)answered : 0);
    return 0;
}
