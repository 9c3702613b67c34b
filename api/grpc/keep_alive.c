/* KeepAlive: heartbeats one after the other, and an answer for each. Those that have come while the
 * last ones were with the node become one renewal. */
#include <stdlib.h>

#include <registry.pb-c.h>

#include "api/grpc/beat.h"
#include "api/grpc/talk.h"
#include "server/base/limits.h"
#include "server/base/mem.h"

/* Of one renewal. */
#define BEATS_MAX 8192

struct keeping {
    struct talk talk;
    /* Of this turn; they point into the arena. */
    uint32_t beats_count, ids_count;
    const Muster__V1__HeartbeatRequest **beats;
    struct slice *ids;
};

/* Whether it can be part of the same renewal as the ones before. */
static bool fits(const struct keeping *k, const Muster__V1__HeartbeatRequest *beat)
{
    if (k->beats_count == 0) {
        return true;
    }
    return k->beats_count < BEATS_MAX && k->ids_count + beat->n_ids <= HEARTBEAT_IDS_MAX &&
           !beat_has_details(beat) && !beat_has_details(k->beats[0]);
}

static void free_turn(void *state)
{
    struct keeping *k = state;
    free(k->beats);
    free(k->ids);
    k->beats = NULL;
    k->ids = NULL;
    k->beats_count = k->ids_count = 0;
}

/* Room for what has come: a heartbeat has 8 bytes at least, with its head, and an id three. */
static void begin_turn(struct keeping *k)
{
    size_t waiting = k->talk.in.len - k->talk.in_at;
    size_t beats = waiting / 8 + 1, ids = waiting / 3 + 1;
    free_turn(k);
    k->beats = mem_zalloc(beats < BEATS_MAX ? beats : BEATS_MAX, sizeof *k->beats);
    k->ids = mem_zalloc(ids < HEARTBEAT_IDS_MAX ? ids : HEARTBEAT_IDS_MAX, sizeof *k->ids);
}

static void add(struct keeping *k, const Muster__V1__HeartbeatRequest *beat)
{
    for (size_t i = 0; i < beat->n_ids; i++) {
        k->ids[k->ids_count++] = frame_slice(beat->ids[i]);
    }
    k->beats[k->beats_count++] = beat;
}

/* False: the call has failed. */
static bool gather(struct exchange *x, struct keeping *k)
{
    const Muster__V1__HeartbeatRequest *beat;
    struct problem problem;
    size_t at = k->talk.in_at;
    while ((beat = (const void *)talk_next(x, &muster__v1__heartbeat_request__descriptor)) !=
           NULL) {
        bool good = beat_check(beat, &problem);
        if (good && beat->check.len > 0) {
            problem_set(&problem, "check", "is for Heartbeat alone");
            good = false;
        }
        if (!good) {
            (void)call_refuse(x, &problem);
            return false;
        }
        if (!fits(k, beat)) {
            talk_back(&k->talk, at);
            break;
        }
        if (!exchange_may_ask(x)) {
            return false;
        }
        add(k, beat);
        at = k->talk.in_at;
    }
    return x->response.status < 400;
}

static void answer(struct keeping *k, const struct node_renewal *renewal, const bool *missed)
{
    ProtobufCBinaryData *unknown = mem_zalloc(renewal->missed_count + 1, sizeof *unknown);
    uint32_t at = 0;
    for (uint32_t i = 0; i < k->beats_count; i++) {
        const Muster__V1__HeartbeatRequest *beat = k->beats[i];
        Muster__V1__HeartbeatReply reply = MUSTER__V1__HEARTBEAT_REPLY__INIT;
        reply.unknown = unknown;
        for (size_t j = 0; j < beat->n_ids; j++) {
            if (missed[at++]) {
                unknown[reply.n_unknown++] = beat->ids[j];
            }
        }
        reply.renewed = (uint32_t)(beat->n_ids - reply.n_unknown);
        reply.index = renewal->index;
        frame_put(&k->talk.out, &reply.base);
    }
    free(unknown);
}

static enum next finish_beats(struct exchange *x, enum status status)
{
    struct keeping *k = x->state;
    struct node_renewal *renewal = &x->renewal;
    if (status == ST_CONFLICT) {
        (void)call_conflict(x, renewal->incarnation, renewal->present);
    } else if (status != ST_OK) {
        (void)call_fail(x, status);
    } else {
        bool *missed = mem_zalloc(k->ids_count + 1, sizeof *missed);
        for (uint32_t i = 0; i < renewal->missed_count; i++) {
            missed[renewal->missed[i]] = true;
        }
        answer(k, renewal, missed);
        free(missed);
    }
    free(renewal->missed);
    renewal->missed = NULL;
    renewal->missed_count = 0;
    free_turn(k);
    if (k->talk.out.overflowed) {
        response_refuse_memory(&x->response);
    }
    return NEXT_RESPOND;
}

enum next grpc_keep_alive(struct exchange *x)
{
    struct keeping *k = talk_turn(x, sizeof *k, HEARTBEAT_BODY_BYTES_MAX, free_turn);
    begin_turn(k);
    enum status status = permit_again(&x->permit, x->context->node);
    if (status != ST_OK) {
        return call_fail(x, status);
    }
    if (!gather(x, k) || k->beats_count == 0) {
        return NEXT_RESPOND;
    }
    beat_renewal(k->beats[0], &x->renewal);
    x->renewal.ids = k->ids;
    x->renewal.count = k->ids_count;
    x->finish = finish_beats;
    return NEXT_RENEW;
}

const struct duplex_kind keep_alive_duplex = {
    .take = talk_take, .has_work = talk_has_work, .read = talk_read};
