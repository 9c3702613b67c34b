#include "consensus/peer/secure.h"

#include <stdlib.h>
#include <sys/uio.h>

#include "consensus/peer/peer_internal.h"
#include "server/base/check.h"
#include "server/base/mem.h"

/* A step of the handshake of TLS on a thread of the pool. The session is the thread's until the
 * step is done. Outlives the connection, if that is closed meanwhile. */
struct shake {
    uv_work_t work;
    struct peers *p;
    struct secure *secure; /* NULL: closed meanwhile; then the session is freed here */
    struct link_session *session;
    enum link_shake result;
    char reason[TLS_REASON_SIZE];
};

/* All of it at once. A new socket has room for so few bytes. */
static bool write_whole(struct secure *s, const void *data, size_t len, int *ret_error)
{
    uv_buf_t buf = {.base = (char *)(uintptr_t)data, .len = len};
    int rv = uv_try_write((uv_stream_t *)s->tcp, &buf, 1);
    *ret_error = rv < 0 ? rv : UV_EPROTO;
    return rv >= 0 && (size_t)rv == len;
}

/* What the session has to send. */
static bool write_output(struct secure *s, int *ret_error)
{
    size_t len;
    uint8_t *bytes = link_session_take(s->session, &len);
    bool written = bytes == NULL || write_whole(s, bytes, len, ret_error);
    free(bytes);
    return written;
}

static void compute(uv_work_t *work)
{
    struct shake *shake = CONTAINER_OF(work, struct shake, work);
    shake->result = link_session_shake(shake->session, shake->reason);
}

static void finish(struct secure *s, enum link_shake result, const char *reason)
{
    int error;
    bool written = write_output(s, &error);
    if (result == LINK_SHAKE_FAILED) {
        s->done(s->owner, UV_EPROTO, reason);
        return;
    }
    if (!written) {
        s->done(s->owner, error, NULL);
        return;
    }
    CHECK(uv_read_start((uv_stream_t *)s->tcp, s->alloc, s->read) == 0);
    if (result == LINK_SHAKE_DONE) {
        s->open = true;
        s->done(s->owner, 0, NULL);
    }
}

static void on_computed(uv_work_t *work, int status)
{
    struct shake *shake = CONTAINER_OF(work, struct shake, work);
    struct peers *p = shake->p;
    struct secure *s = shake->secure;
    CHECK(status == 0);
    if (s == NULL) {
        link_session_end(shake->session);
    } else {
        s->shake = NULL;
        finish(s, shake->result, shake->reason);
    }
    free(shake);
    peers_drop(p);
}

static void step(struct secure *s)
{
    struct shake *shake = mem_zalloc(1, sizeof *shake);
    CHECK(s->shake == NULL && !s->open);
    (void)uv_read_stop((uv_stream_t *)s->tcp);
    shake->p = s->p;
    shake->secure = s;
    shake->session = s->session;
    s->shake = shake;
    peers_hold(s->p);
    CHECK(uv_queue_work(s->p->options.loop, &shake->work, compute, on_computed) == 0);
}

void secure_begin(struct secure *s, struct link_session *session, const void *first, size_t len)
{
    CHECK(s->session == NULL);
    s->session = session;
    CHECK(len == 0 || link_session_put(session, first, len));
    step(s);
}

void secure_end(struct secure *s)
{
    if (s->shake != NULL) {
        s->shake->secure = NULL;
    } else {
        link_session_end(s->session);
    }
    s->shake = NULL;
    s->session = NULL;
    s->open = false;
}

bool secure_take(struct secure *s, const void *data, size_t len)
{
    CHECK(s->session != NULL && s->shake == NULL);
    if (!link_session_put(s->session, data, len)) {
        return false;
    }
    if (!s->open) {
        step(s);
    }
    return true;
}

bool secure_write(struct secure *s, const void *data, size_t len, int *ret_error)
{
    if (s->session != NULL) {
        const struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
        *ret_error = UV_EPROTO;
        return link_session_write(s->session, &piece, 1) && write_output(s, ret_error);
    }
    return write_whole(s, data, len, ret_error);
}
