#include "api/http/same_answers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

struct rendered *same_answers_find(const struct same_answers *same, const char *target,
                                   uint64_t index)
{
    for (unsigned i = 0; i < same->count; i++) {
        if (same->list[i].index == index && strcmp(same->list[i].target, target) == 0) {
            return same->list[i].text;
        }
    }
    return NULL;
}

static void drop(struct rendered *text)
{
    rendered_sent(text);
    rendered_unref(text);
}

/* One more reference is held as if it sent the text, so that it is counted. */
void same_answers_add(struct same_answers *same, const char *target, uint64_t index,
                      struct rendered *text)
{
    if (same->count == SAME_ANSWERS_MAX) {
        rendered_unref(text);
        return;
    }
    rendered_send_always(text);
    same->list[same->count].target = mem_strdup(target);
    same->list[same->count].index = index;
    same->list[same->count++].text = text;
}

static unsigned senders_of(const struct rendered *text)
{
    return text != NULL ? atomic_load_explicit(&text->senders, memory_order_relaxed) : 0;
}

/* Only this thread sends what is kept here. */
static bool is_sent(const struct rendered *text)
{
    return senders_of(text) > 1 ||
           senders_of(atomic_load_explicit(&text->gzip, memory_order_relaxed)) > 0;
}

void same_answers_sweep(struct same_answers *same)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < same->count; i++) {
        if (is_sent(same->list[i].text)) {
            same->list[kept++] = same->list[i];
            continue;
        }
        drop(same->list[i].text);
        free(same->list[i].target);
    }
    same->count = kept;
}
