#include "server/registry/prober.h"

#include <string.h>

#include "server/registry/mix.h"

bool probers_have(const struct probers *probers, uint64_t member)
{
    for (uint32_t i = 0; i < probers->count; i++) {
        if (probers->rows[i].member == member) {
            return true;
        }
    }
    return false;
}

uint64_t prober_of(const struct probers *probers, struct slice check_id)
{
    uint64_t check = mix_bytes(check_id.data, check_id.len);
    uint64_t best = 0;
    uint64_t best_weight = 0;
    for (uint32_t i = 0; i < probers->count; i++) {
        uint64_t member = probers->rows[i].member;
        uint64_t weight = mix64(check ^ mix64(member));
        if (best == 0 || weight > best_weight) {
            best = member;
            best_weight = weight;
        }
    }
    return best;
}

uint64_t prober_definition(const struct record *check)
{
    const char *extra = record_extra(check);
    uint64_t h = mix64(mix64(check->incarnation) ^ mix_bytes(extra, strlen(extra)));
    return h != 0 ? h : 1;
}
