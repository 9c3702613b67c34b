/* The files of the page, and what browsers are told to keep the page from doing. */
#include "api/ui/handlers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/http/representation.h"
#include "api/ui/assets.h"
#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/base/text.h"

/* Nothing from elsewhere, nothing inline, in no frame; what it may ask is added to it. */
#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; "   \
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "             \
    "trusted-types 'none'; connect-src 'self'"

const struct ui_asset *ui_asset_find(const char *name)
{
    for (size_t i = 0; i < ui_assets_count; i++) {
        if (strcmp(ui_assets[i].name, name) == 0) {
            return &ui_assets[i];
        }
    }
    return NULL;
}

/* The file as text that all responses share, compressed at most once. Made when it is first asked
 * for. */
static struct rendered *text_of(const struct ui_asset *asset)
{
    static _Atomic(struct rendered *) texts[UI_ASSETS_MAX];
    size_t at = (size_t)(asset - ui_assets);
    CHECK(at < UI_ASSETS_MAX);
    struct rendered *text = atomic_load_explicit(&texts[at], memory_order_acquire);
    if (text == NULL) {
        struct buffer copy;
        buffer_init(&copy, asset->len);
        buffer_append(&copy, asset->data, asset->len);
        text = rendered_keep(&texts[at], rendered_take(&copy));
    }
    return text;
}

static enum next send_file(struct exchange *x, const struct ui_asset *asset)
{
    struct response *response = &x->response;
    const char *held = request_header(&x->request, "If-None-Match");
    response_header_static(response, "ETag", asset->tag);
    response_header_static(response, "Cross-Origin-Resource-Policy", "same-origin");
    response->content_type = asset->type;
    response->status = 200;
    if (held != NULL && representation_matches(held, asset->tag)) {
        response->status = 304;
    } else {
        response_share(response, text_of(asset));
    }
    return NEXT_RESPOND;
}

/* Members tell us their addresses: what is none could be a policy of its own. */
static bool is_plain(const char *address)
{
    return address[0] != '\0' && strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                                                 "XYZ0123456789.-_:") == strlen(address);
}

/* The page asks other members whether they are there, when this one is not. Whoever may not know
 * who they are is not told here either: his page may then ask any host, by the replica's own
 * scheme. */
static char *policy_make(const struct exchange *x)
{
    struct consensus_member_info members[MEMBERS_MAX];
    size_t count = 0;
    const char *scheme = x->context->tls != NULL ? " https:" : " http:";
    struct buffer policy;
    buffer_init(&policy, sizeof POLICY + (MEMBERS_MAX + 1) * (ADDRESS_SIZE + sizeof " https://"));
    buffer_append_text(&policy, POLICY);
    if (x->permit.is_closed) {
        buffer_append_text(&policy, scheme);
    } else {
        node_members(x->context->node, members, &count);
    }
    for (size_t i = 0; i < count; i++) {
        if (is_plain(members[i].http_address)) {
            buffer_append_text(&policy, scheme);
            buffer_append_text(&policy, "//");
            buffer_append_text(&policy, members[i].http_address);
        }
    }
    char *text = mem_strndup((const char *)policy.data, policy.len);
    buffer_done(&policy);
    return text;
}

enum next ui_page(struct exchange *x)
{
    const struct ui_asset *asset = ui_asset_find("index.html");
    CHECK(asset != NULL);
    x->state = policy_make(x);
    x->state_free = free;
    response_header_static(&x->response, "Content-Security-Policy", x->state);
    /* The replica that a page moves to wants to know which one it comes from. */
    response_header_static(&x->response, "Referrer-Policy", "strict-origin");
    response_header_static(&x->response, "X-Frame-Options", "DENY");
    response_header_static(&x->response, "Cross-Origin-Opener-Policy", "same-origin");
    return send_file(x, asset);
}

/* Programs get JSON there, from the native API. */
enum next ui_front(struct exchange *x)
{
    if (!request_wants_html(&x->request)) {
        return NEXT_DECLINE;
    }
    response_header_static(&x->response, "Vary", "Accept");
    return ui_page(x);
}

enum next ui_file(struct exchange *x)
{
    const struct ui_asset *asset = ui_asset_find(x->request.params[0]);
    if (asset == NULL) {
        response_error(&x->response, 404, "not_found", "file", "the page has no such file");
        return NEXT_RESPOND;
    }
    response_header_static(&x->response, "Content-Security-Policy",
                           "default-src 'none'; frame-ancestors 'none'");
    return send_file(x, asset);
}
