/* Any message to the DNS door. What is answered can be read by another implementation (ldns), has
 * the question's id, and fits where it goes.
 *
 * Input: a byte of flags (over TCP; near by subnet; not caught up; warning ones too), then a
 * message. */
#include <ldns/ldns.h>
#include <urcu.h>

#include "api/dns/answer.h"
#include "server/base/health.h"
#include "server/registry/registry.h"
#include "tests/fuzz/fuzz.h"

enum { OVER_TCP = 1, BY_SUBNET = 2, BEHIND = 4, WARNING_TOO = 8 };

static void add(struct registry *r, uint64_t index, const char *id, const char *name,
                const char *host)
{
    struct result result;
    const struct stamp stamp = {.now_ms = 1000, .wall_ms = 1790000000000};
    struct command command = {.kind = COMMAND_REGISTER,
                              .register_ = {.registration = {.id = slice_of(id),
                                                             .name = slice_of(name),
                                                             .type = slice_of(""),
                                                             .host = slice_of(host),
                                                             .zone = slice_of("z"),
                                                             .port = 80,
                                                             .weight = 1,
                                                             .ttl_ms = 10000,
                                                             .tags_count = 1,
                                                             .tags = {slice_of("Blue")}}}};
    registry_begin(r, index, &stamp);
    registry_apply(r, 0, &command, &result);
    registry_end(r);
    CHECK(result.status == ST_OK);
    free(result.missed);
}

/* A few services of each kind, and one that fits nowhere. */
static struct registry *make_registry(void)
{
    char id[16], host[32];
    uint64_t index = 1;
    struct registry *r = registry_create(&(struct registry_options){.retire = NULL});
    add(r, index++, "a", "web", "10.0.0.1");
    add(r, index++, "b", "web", "2001:db8::1");
    add(r, index++, "c", "Named", "host.example.test");
    add(r, index++, "d", "a.b", "10.0.0.2");
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(id, sizeof id, "e%u", i);
        (void)snprintf(host, sizeof host, "10.1.%u.%u", i / 200, i % 200);
        add(r, index++, id, "big", host);
    }
    registry_publish(r);
    return r;
}

static void check_readable(const uint8_t *answer, size_t len)
{
    ldns_pkt *packet;
    CHECK(ldns_wire2pkt(&packet, answer, len) == LDNS_STATUS_OK);
    CHECK(ldns_pkt_qr(packet) && !ldns_pkt_ra(packet));
    ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct registry *registry;
    static uint8_t out[DNS_ANSWER_BYTES_MAX];
    if (registry == NULL) {
        rcu_register_thread();
        registry = make_registry();
    }
    if (len == 0) {
        return 0;
    }
    uint8_t *message = fuzz_copy(data + 1, len - 1);
    struct dns_settings settings = {
        .datacenter = "dc1", .udp_size = 4096, .has_warning = (data[0] & WARNING_TOO) != 0};
    struct dns_asker asker = {.is_tcp = (data[0] & OVER_TCP) != 0};
    struct dns_answerer answerer;
    struct dns_names *names = dns_names_new();
    CHECK(dns_name_parse("consul.", &settings.domain));
    CHECK(near_parse((data[0] & BY_SUBNET) != 0 ? "subnet" : "no", &settings.near));
    CHECK(ip_address_parse("10.0.0.9", &asker.address));
    dns_answerer_init(&answerer, &settings, names);
    answerer.random = 1; /* the same input does the same */
    rcu_read_lock();
    const struct view *view = (data[0] & BEHIND) != 0 ? NULL : registry_view(registry);
    size_t got = dns_answer(&answerer, view, &asker, message, len - 1, 1, out);
    rcu_read_unlock();
    if (got > 0) {
        CHECK(asker.is_tcp || got <= 4096);
        CHECK(out[0] == message[0] && out[1] == message[1]);
        check_readable(out, got);
        CHECK(dns_answer_slip(message, len - 1, out) <= len - 1);
    }
    dns_answerer_done(&answerer);
    dns_names_free(names);
    free(message);
    return 0;
}
