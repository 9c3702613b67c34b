/* An older version of musterd: supports level 1 of the replicated format only, and no operation of
 * a later level. Wraps consensus_create (--wrap). */
#include "consensus/consensus.h"

static struct consensus_fsm newer;

static bool understands_level_1(const uint8_t *data, size_t len, uint16_t level)
{
    return level <= 1 && newer.understands(data, len, 1);
}

struct consensus *__real_consensus_create(const struct consensus_options *options,
                                          const struct consensus_fsm *app);
struct consensus *__wrap_consensus_create(const struct consensus_options *options,
                                          const struct consensus_fsm *app)
{
    struct consensus_fsm older = *app;
    struct consensus_options named = *options;
    newer = *app;
    older.level_max = 1;
    older.understands = understands_level_1;
    named.version = "0.0.9";
    return __real_consensus_create(&named, &older);
}
