#include "server/base/rendered.h"

#include <stdlib.h>

#include "server/base/mem.h"

struct rendered *rendered_take(struct buffer *text)
{
    struct rendered *r = mem_alloc(sizeof *r);
    r->budget = text->budget;
    uint8_t *data = buffer_take(text, &r->len);
    r->data = (const char *)mem_realloc(data, r->len);
    atomic_init(&r->gzip, NULL);
    atomic_init(&r->references, 1);
    atomic_init(&r->senders, 0);
    return r;
}

void rendered_ref(struct rendered *text)
{
    /* The caller has a reference, or is protected from losing it: no ordering needed. */
    (void)atomic_fetch_add_explicit(&text->references, 1, memory_order_relaxed);
}

void rendered_unref(struct rendered *text)
{
    if (atomic_fetch_sub_explicit(&text->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    struct rendered *gzip = atomic_load_explicit(&text->gzip, memory_order_relaxed);
    if (gzip != NULL) {
        rendered_unref(gzip);
    }
    free((void *)(uintptr_t)text->data);
    free(text);
}

struct rendered *rendered_keep(_Atomic(struct rendered *) *place, struct rendered *text)
{
    struct rendered *first = NULL;
    if (atomic_compare_exchange_strong_explicit(place, &first, text, memory_order_acq_rel,
                                                memory_order_acquire)) {
        return text;
    }
    rendered_unref(text);
    return first;
}

static bool is_counted(const struct rendered *text)
{
    return text->budget != NULL && text->len > BUDGET_FREE_BYTES;
}

void rendered_send_always(struct rendered *text)
{
    rendered_ref(text);
    if (is_counted(text) &&
        atomic_fetch_add_explicit(&text->senders, 1, memory_order_relaxed) == 0) {
        budget_add(text->budget, text->len);
    }
}

bool rendered_send(struct rendered *text)
{
    if (is_counted(text) && atomic_load_explicit(&text->senders, memory_order_relaxed) == 0 &&
        !budget_has(text->budget, text->len)) {
        return false;
    }
    rendered_send_always(text);
    return true;
}

void rendered_sent(struct rendered *text)
{
    if (is_counted(text) &&
        atomic_fetch_sub_explicit(&text->senders, 1, memory_order_relaxed) == 1) {
        budget_give(text->budget, text->len);
    }
    rendered_unref(text);
}
