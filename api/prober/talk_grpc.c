/* A call of grpc.health.v1.Health/Check on a connection. */
#include <errno.h>
#include <string.h>

#include "api/prober/health_call.h"
#include "api/prober/internal.h"

#define CHUNK_BYTES 4096

/* Moves what HTTP/2 has to say to `out`, and that to the connection. */
static bool send_all(struct probe *p)
{
    const uint8_t *bytes;
    size_t len;
    if (p->out_at == p->out.len) {
        buffer_clear(&p->out);
        p->out_at = 0;
    }
    while ((len = health_session_take(p->link->h2, &bytes)) > 0) {
        buffer_append(&p->out, bytes, len);
    }
    return !p->out.overflowed && talk_flush(p);
}

void talk_grpc_begin(struct probe *p)
{
    char authority[AUTHORITY_SIZE];
    struct target_link *link = p->link;
    if (link->tls != NULL && !link->is_used && !target_tls_speaks(link->tls, "h2")) {
        probe_fail(p, "%s: the target does not speak HTTP/2", p->d->target);
        return;
    }
    if (link->h2 == NULL) {
        link->h2 = health_session_new();
    }
    if (link->h2 == NULL) {
        probe_fail(p, "%s: this musterd was built without HTTP/2", p->d->target);
        return;
    }
    talk_authority(p->d, authority);
    if (!health_session_ask(link->h2, authority, p->target->tls, p->d->service, p->runner->agent) ||
        !send_all(p)) {
        talk_broken(p, "the connection was closed");
    }
}

static void over(struct probe *p)
{
    struct output said = {.len = 0};
    enum health found = health_judge(health_session_answer(p->link->h2), &said);
    output_say(&p->output, "%s: %s", p->d->target, said.text);
    probe_release_link(p, health_session_is_good(p->link->h2));
    probe_finish(p, found);
}

void talk_grpc(struct probe *p)
{
    char bytes[CHUNK_BYTES];
    struct health_session *h2 = p->link->h2;
    for (;;) {
        ssize_t got = target_link_recv(p->link, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            if (!send_all(p)) {
                talk_broken(p, "the connection was closed");
            }
            return;
        }
        if (got <= 0) {
            talk_broken(p, got < 0 ? strerror(errno) : "the connection was closed");
            return;
        }
        bool good = health_session_put(h2, bytes, (size_t)got);
        const struct health_answer *answer = health_session_answer(h2);
        p->is_heard = p->is_heard || answer->http_status > 0;
        if (answer->is_over) {
            if (send_all(p)) {
                over(p);
            } else {
                talk_broken(p, "the connection was closed");
            }
            return;
        }
        if (!good) {
            talk_broken(p, "the target does not speak HTTP/2, or goes");
            return;
        }
    }
}
