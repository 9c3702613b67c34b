#include "api/http/representation.h"

#include <stdlib.h>
#include <string.h>

#include "api/http/exchange.h"
#include "server/base/mem.h"
#include "server/base/metric.h"

/* --- the same for several --- */

static struct rendered *find_same(const struct same_answers *same, const char *target,
                                  uint64_t index)
{
    for (unsigned i = 0; i < same->count; i++) {
        if (same->list[i].index == index && strcmp(same->list[i].target, target) == 0) {
            return same->list[i].text;
        }
    }
    return NULL;
}

/* Takes the reference. */
static void add_same(struct same_answers *same, const char *target, uint64_t index,
                     struct rendered *text)
{
    if (same->count == SAME_ANSWERS_MAX) {
        rendered_unref(text);
        return;
    }
    same->list[same->count].target = mem_strdup(target);
    same->list[same->count].index = index;
    same->list[same->count++].text = text;
}

void same_answers_sweep(struct same_answers *same)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < same->count; i++) {
        /* Only this thread sends it. */
        if (atomic_load_explicit(&same->list[i].text->senders, memory_order_relaxed) > 0) {
            same->list[kept++] = same->list[i];
            continue;
        }
        rendered_unref(same->list[i].text);
        free(same->list[i].target);
    }
    same->count = kept;
}

/* --- the answer --- */

bool representation_is_known(struct exchange *x, uint64_t index)
{
    struct response *response = &x->response;
    response->asked_index = index;
    response->is_tagged = true;
    struct rendered *same = find_same(&x->scratch->same, x->target, index);
    if (same == NULL) {
        return false;
    }
    response_share(response, same);
    return true;
}

void representation_refuse_memory(struct exchange *x)
{
    metric_add(METRIC_http_memory_refused_total, 1);
    response_error(&x->response, 503, "overloaded", "",
                   "too many large answers or bodies are on their way at this replica; try again "
                   "or try another replica");
}

/* A large body gets references, to be counted and shared. */
static void share_body(struct exchange *x)
{
    struct response *response = &x->response;
    struct rendered *text = rendered_take(&response->body);
    rendered_send_always(text);
    response->shared = text;
    if (response->is_tagged && response->status == 200) {
        add_same(&x->scratch->same, x->target, response->asked_index, text);
    } else {
        rendered_unref(text);
    }
}

void representation_settle(struct exchange *x)
{
    struct buffer *body = &x->response.body;
    if (body->starved) {
        buffer_done(body);
        representation_refuse_memory(x);
    } else if (body->overflowed) {
        buffer_done(body);
        response_error(&x->response, 413, "too_large", "", "the answer is too long; ask for pages");
    } else if (body->counted > 0) {
        share_body(x);
    }
}
