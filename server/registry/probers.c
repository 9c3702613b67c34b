#include <string.h>

#include "server/base/check.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"

const struct prober *probers_find(const struct probers *probers, uint64_t member)
{
    for (uint32_t i = 0; i < probers->count; i++) {
        if (probers->rows[i].member == member && probers->rows[i].until == 0) {
            return &probers->rows[i];
        }
    }
    return NULL;
}

/* --- which of them --- */

static uint64_t weight_of(struct slice check_id, uint64_t member)
{
    return mix64(mix_bytes(check_id.data, check_id.len) ^ mix64(member));
}

/* Of two members that weigh the same, the one with the larger id. */
static bool goes_before(struct slice check_id, uint64_t a, uint64_t b)
{
    uint64_t weight_a = weight_of(check_id, a);
    uint64_t weight_b = weight_of(check_id, b);
    return weight_a > weight_b || (weight_a == weight_b && a > b);
}

uint64_t prober_of(const struct probers *probers, struct slice check_id)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < probers->count; i++) {
        const struct prober *row = &probers->rows[i];
        if (row->until == 0 && (first == 0 || goes_before(check_id, row->member, first))) {
            first = row->member;
        }
    }
    return first;
}

bool prober_was(const struct probers *probers, struct slice check_id, uint64_t member,
                uint64_t epoch)
{
    const struct prober *own = probers_find(probers, member);
    if (own == NULL || own->since > epoch || epoch < probers->forgotten) {
        return false;
    }
    for (uint32_t i = 0; i < probers->count; i++) {
        const struct prober *row = &probers->rows[i];
        bool was_there = row->until == 0 || row->until > epoch;
        if (was_there && row->member != member && goes_before(check_id, row->member, member)) {
            return false;
        }
    }
    return true;
}

uint64_t prober_definition(const struct record *check)
{
    const char *extra = record_extra(check);
    uint64_t h = mix64(mix64(check->incarnation) ^ mix_bytes(extra, strlen(extra)));
    return h != 0 ? h : 1;
}

/* --- the set --- */

uint64_t probers_hash(const struct probers *probers)
{
    uint64_t h = mix64(mix64(probers->epoch) ^ probers->forgotten);
    h = mix64(h ^ probers->count);
    for (uint32_t i = 0; i < probers->count; i++) {
        const struct prober *row = &probers->rows[i];
        h = mix64(h ^ row->member);
        h = mix64(h ^ row->since);
        h = mix64(h ^ row->until);
    }
    return h;
}

bool probers_are_possible(const struct probers *probers, uint64_t index)
{
    if (probers->epoch > index || probers->forgotten > probers->epoch ||
        probers->count > PROBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < probers->count; i++) {
        const struct prober *row = &probers->rows[i];
        if (row->member <= (i > 0 ? row[-1].member : 0) || row->since == 0 ||
            row->since > probers->epoch || row->until > probers->epoch ||
            (row->until != 0 && row->until < row->since)) {
            return false;
        }
    }
    return true;
}

/* Both sets by member: those that come, stay, leave, or have left. */
struct merge {
    struct prober rows[2 * PROBERS_MAX];
    uint32_t count;
    bool changed;
};

static void merge_one(struct merge *m, const struct prober *old, uint64_t wanted, uint64_t index)
{
    struct prober row = {.member = wanted, .since = index};
    bool was_there = old != NULL && old->until == 0;
    if (old != NULL && (was_there || wanted == 0)) {
        row = *old;
        row.until = was_there && wanted == 0 ? index : row.until;
    }
    m->changed = m->changed || was_there != (wanted != 0);
    m->rows[m->count++] = row;
}

static void merge(struct merge *m, const struct probers *old, const struct command *command,
                  uint64_t index)
{
    uint32_t i = 0, j = 0;
    while (i < old->count || j < command->probers.count) {
        const struct prober *row = i < old->count ? &old->rows[i] : NULL;
        uint64_t wanted = j < command->probers.count ? command->probers.members[j] : 0;
        if (row != NULL && wanted != 0 && row->member != wanted) {
            wanted = row->member < wanted ? 0 : wanted;
            row = wanted != 0 ? NULL : row;
        }
        i += row != NULL;
        j += wanted != 0;
        merge_one(m, row, wanted, index);
    }
}

/* The one that left first goes, to make room. */
static void forget_one(struct merge *m, uint64_t *forgotten)
{
    uint32_t first = NONE;
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t until = m->rows[i].until;
        if (until != 0 && (first == NONE || until < m->rows[first].until)) {
            first = i;
        }
    }
    CHECK(first != NONE); /* the command has PROBERS_MAX at most */
    *forgotten = m->rows[first].until;
    m->count--;
    memmove(&m->rows[first], &m->rows[first + 1], (m->count - first) * sizeof m->rows[0]);
}

void probers_apply(struct registry *r, const struct command *command)
{
    struct merge m = {.count = 0};
    struct probers *probers = &r->work.probers;
    merge(&m, probers, command, r->work.index);
    if (!m.changed) {
        return;
    }
    while (m.count > PROBERS_MAX) {
        forget_one(&m, &probers->forgotten);
    }
    probers->epoch = r->work.index;
    probers->count = m.count;
    memset(probers->rows, 0, sizeof probers->rows);
    memcpy(probers->rows, m.rows, m.count * sizeof m.rows[0]);
}
