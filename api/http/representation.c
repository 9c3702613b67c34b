#include "api/http/representation.h"

#include <string.h>

#include "api/http/exchange.h"
#include "api/http/same_answers.h"
#include "server/base/clock.h"
#include "server/base/crc32c.h"
#include "server/base/limits.h"
#include "server/base/text.h"

#define TAG_SIZE 48

/* --- entity tags --- */

/* The cluster and this version, in 32 bits: another cluster, or a replica that renders differently,
 * has other bytes for the same index. 0 while the cluster is not formed. */
static uint32_t tag_of(const struct api_context *context)
{
    uint32_t cluster = node_cluster_tag(context->node);
    uint32_t tag = crc32c(cluster, MUSTER_VERSION, strlen(MUSTER_VERSION));
    return cluster == 0 ? 0 : tag | (tag == 0);
}

/* W/"<index>-<tag>". Weak: the same with and without compression. Without printf, as every listing
 * has one. */
static void tag_text(uint32_t tag, uint64_t index, char out[TAG_SIZE])
{
    char digits[TEXT_U64_SIZE];
    const char *index_text = text_format_u64(index, digits);
    size_t len = strlen(index_text);
    memcpy(out, "W/\"", 3);
    memcpy(out + 3, index_text, len);
    char *p = out + 3 + len;
    *p++ = '-';
    for (int shift = 28; shift >= 0; shift -= 4) {
        *p++ = "0123456789abcdef"[tag >> shift & 15u];
    }
    *p++ = '"';
    *p = '\0';
}

bool representation_matches(const char *if_none_match, const char *tag)
{
    const char *opaque = strchr(tag, '"');
    size_t len = strlen(opaque);
    const char *p = if_none_match;
    p += strspn(p, " \t");
    if (*p == '*') {
        return true;
    }
    while ((p = strchr(p, '"')) != NULL) {
        const char *end = strchr(p + 1, '"');
        if (end == NULL) {
            return false;
        }
        if ((size_t)(end + 1 - p) == len && memcmp(p, opaque, len) == 0) {
            return true;
        }
        p = end + 1;
    }
    return false;
}

/* False when there is none yet. */
static bool make_tag(struct exchange *x, char out[TAG_SIZE])
{
    uint32_t tag = tag_of(x->context);
    if (tag != 0) {
        tag_text(tag, x->response.asked_index, out);
    }
    return tag != 0;
}

static bool is_held(struct exchange *x)
{
    char tag[TAG_SIZE];
    const char *held = request_header(&x->request, "If-None-Match");
    return held != NULL && make_tag(x, tag) && representation_matches(held, tag);
}

static void add_tag(struct exchange *x)
{
    char tag[TAG_SIZE];
    if (x->response.is_tagged && make_tag(x, tag)) {
        response_header(&x->response, "ETag", tag);
    }
}

/* --- compression --- */

static void send_compressed(struct exchange *x)
{
    struct response *response = &x->response;
    struct rendered *text = response->shared;
    struct rendered *gzip = atomic_load_explicit(&text->gzip, memory_order_acquire);
    if (gzip == NULL) {
        struct buffer out;
        buffer_init(&out, text->len);
        if (text->budget != NULL) {
            buffer_count_in(&out, text->budget);
        }
        if (!gzip_compress(&x->scratch->gzip, text->data, text->len, clock_monotonic_ms(), &out)) {
            buffer_done(&out);
            return;
        }
        gzip = rendered_keep(&text->gzip, rendered_take(&out));
    }
    /* It is smaller than what it takes the place of. */
    rendered_send_always(gzip);
    rendered_sent(text);
    response->shared = gzip;
    response_header_static(response, "Content-Encoding", "gzip");
}

/* A body of our own gets references, to be shared, counted and compressed. */
static void share_body(struct exchange *x)
{
    struct response *response = &x->response;
    bool is_large = response->body.len > BUDGET_FREE_BYTES;
    struct rendered *text = rendered_take(&response->body);
    rendered_send_always(text);
    response->shared = text;
    if (response->is_tagged && response->status == 200 && is_large) {
        same_answers_add(&x->scratch->same, x->target, response->asked_index, text);
    } else {
        rendered_unref(text);
    }
}

static void negotiate(struct exchange *x)
{
    struct response *response = &x->response;
    size_t len = response->shared != NULL ? response->shared->len : response->body.len;
    bool may_be_compressed = len >= GZIP_BYTES_MIN && response->status == 200;
    bool compressed =
        may_be_compressed && gzip_is_accepted(request_header(&x->request, "Accept-Encoding"));
    if (may_be_compressed || response->is_tagged) {
        response_header_static(response, "Vary", "Accept-Encoding, X-Muster-Namespace");
    }
    if (response->shared == NULL && (compressed || len > BUDGET_FREE_BYTES)) {
        share_body(x);
    }
    if (compressed) {
        send_compressed(x);
    }
}

/* --- the answer --- */

bool representation_is_known(struct exchange *x, uint64_t index)
{
    struct response *response = &x->response;
    response_asked(response, index);
    if (x->permit.is_narrow) {
        return false; /* others, who see more or less, would have the same tag */
    }
    response->is_tagged = true;
    if (is_held(x)) {
        response->status = 304;
        return true;
    }
    struct rendered *same = same_answers_find(&x->scratch->same, x->target, index);
    if (same == NULL) {
        return false;
    }
    response_share(response, same);
    return true;
}

void representation_settle(struct exchange *x)
{
    struct buffer *body = &x->response.body;
    if (x->stream != NULL || (x->download != NULL && !x->late)) {
        return;
    }
    if (body->starved) {
        buffer_done(body);
        response_refuse_memory(&x->response);
    } else if (body->overflowed) {
        buffer_done(body);
        response_error(&x->response, 413, "too_large", "", "the answer is too long; ask for pages");
    }
    add_tag(x);
    if (x->site->trailers == NULL) {
        negotiate(x); /* else what is in the body has its own ways */
    }
}
