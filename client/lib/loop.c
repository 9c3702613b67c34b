#include "client/lib/loop.h"

#include <stdlib.h>
#include <string.h>

#include "server/base/clock.h"

bool loop_init(struct loop *loop)
{
    *loop = (struct loop){.multi = curl_multi_init(), .shared = http_shared_new()};
    if (loop->multi == NULL || loop->shared == NULL) {
        loop_done(loop);
        return false;
    }
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)LOOP_CONNECTIONS_MAX);
    return true;
}

void loop_done(struct loop *loop)
{
    curl_multi_cleanup(loop->multi);
    http_shared_free(loop->shared);
    *loop = (struct loop){.multi = NULL};
}

/* Milliseconds until the next timer, at most wait_ms. */
static uint64_t until_due(const struct loop *loop, uint64_t wait_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (const struct loop_timer *timer = loop->timers; timer != NULL; timer = timer->next) {
        uint64_t left_ms = timer->due_ms > now_ms ? timer->due_ms - now_ms : 0;
        wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms;
}

static void run_timers(struct loop *loop)
{
    uint64_t now_ms = clock_monotonic_ms();
    for (struct loop_timer *timer = loop->timers; timer != NULL; timer = loop->next_timer) {
        loop->next_timer = timer->next;
        if (timer->due_ms <= now_ms) {
            loop_unset(loop, timer);
            timer->on_due(timer);
        }
    }
    loop->next_timer = NULL;
}

static void finish_transfers(struct loop *loop)
{
    const CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
        struct loop_transfer *transfer = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        curl_multi_remove_handle(loop->multi, transfer->curl);
        transfer->on_done(transfer, code);
    }
}

void loop_turn(struct loop *loop, uint64_t wait_ms, struct curl_waitfd *extra, unsigned extra_count)
{
    int running;
    uint64_t longest_ms = wait_ms < 60000 ? wait_ms : 60000;
    (void)curl_multi_poll(loop->multi, extra, extra_count, (int)until_due(loop, longest_ms), NULL);
    (void)curl_multi_perform(loop->multi, &running);
    /* Nothing may be performed behind this: what is done then would wait for another turn. What is
     * started by these makes the next wait end at once. */
    finish_transfers(loop);
    run_timers(loop);
}

void loop_wake(struct loop *loop)
{
    (void)curl_multi_wakeup(loop->multi);
}

void loop_set(struct loop *loop, struct loop_timer *timer, uint64_t due_ms)
{
    loop_unset(loop, timer);
    timer->due_ms = due_ms;
    timer->next = loop->timers;
    timer->previous = NULL;
    if (loop->timers != NULL) {
        loop->timers->previous = timer;
    }
    loop->timers = timer;
}

void loop_unset(struct loop *loop, struct loop_timer *timer)
{
    if (timer->due_ms == LOOP_NEVER) {
        return;
    }
    if (loop->next_timer == timer) {
        loop->next_timer = timer->next;
    }
    if (timer->previous != NULL) {
        timer->previous->next = timer->next;
    } else {
        loop->timers = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->previous = timer->previous;
    }
    timer->due_ms = LOOP_NEVER;
}

bool loop_add(struct loop *loop, struct loop_transfer *transfer)
{
    curl_easy_setopt(transfer->curl, CURLOPT_PRIVATE, transfer);
    return curl_multi_add_handle(loop->multi, transfer->curl) == CURLM_OK;
}

void loop_remove(struct loop *loop, struct loop_transfer *transfer)
{
    curl_multi_remove_handle(loop->multi, transfer->curl);
}
