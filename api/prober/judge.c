#include "api/prober/judge.h"

static uint32_t count(uint32_t number)
{
    return number < UINT32_MAX ? number + 1 : number;
}

enum health judge_take(struct judge *judge, const struct judge_limits *limits, enum health shown,
                       enum health found)
{
    if (found != HEALTH_CRITICAL) {
        judge->good = count(judge->good);
        judge->bad = 0;
        return judge->good >= limits->rise ? found : shown;
    }
    judge->bad = count(judge->bad);
    judge->good = 0;
    if (judge->bad >= limits->fall) {
        return HEALTH_CRITICAL;
    }
    return shown == HEALTH_PASSING && judge->bad >= limits->warn ? HEALTH_WARNING : shown;
}
