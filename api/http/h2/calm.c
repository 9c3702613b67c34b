#include "api/http/h2/calm.h"

#include "server/base/clock.h"
#include "server/base/limits.h"

void h2_calm_init(struct h2_calm *calm, uint64_t now_ms)
{
    *calm = (struct h2_calm){.noise = H2_NOISE_MAX, .resets = H2_RESETS_MAX, .filled_ms = now_ms};
}

static uint32_t filled(uint32_t left, uint64_t elapsed_ms, uint32_t a_second, uint32_t most)
{
    uint64_t more = elapsed_ms * a_second / 1000;
    return more >= most - left ? most : left + (uint32_t)more;
}

static void fill(struct h2_calm *calm, uint64_t now_ms)
{
    uint64_t elapsed_ms = clock_elapsed(calm->filled_ms, now_ms);
    if (elapsed_ms >= 1000) {
        calm->noise = filled(calm->noise, elapsed_ms, H2_NOISE_A_SECOND, H2_NOISE_MAX);
        calm->resets = filled(calm->resets, elapsed_ms, H2_RESETS_A_SECOND, H2_RESETS_MAX);
        calm->filled_ms = now_ms;
    }
}

static bool take(uint32_t *left)
{
    if (*left == 0) {
        return false;
    }
    (*left)--;
    return true;
}

bool h2_calm_noise(struct h2_calm *calm, uint64_t now_ms)
{
    fill(calm, now_ms);
    return take(&calm->noise);
}

bool h2_calm_reset(struct h2_calm *calm, uint64_t now_ms)
{
    fill(calm, now_ms);
    return take(&calm->resets);
}

void h2_calm_work(struct h2_calm *calm)
{
    calm->noise = calm->noise > H2_NOISE_MAX - H2_NOISE_OF_WORK ? H2_NOISE_MAX
                                                                : calm->noise + H2_NOISE_OF_WORK;
}
