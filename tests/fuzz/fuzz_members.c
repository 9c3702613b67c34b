/* The list of first members: what can be parsed is written and parsed to the same members. */
#include "consensus/bootstrap.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_SIZE (MEMBERS_MAX * (sizeof(struct consensus_member) + 24))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    struct consensus_member members[MEMBERS_MAX], again[MEMBERS_MAX];
    size_t count, count_again;
    char *text = input_text(&in);
    if (bootstrap_parse_members(text, members, &count)) {
        char written[TEXT_SIZE], rewritten[TEXT_SIZE];
        CHECK(count >= 1 && count <= MEMBERS_MAX);
        bootstrap_members_text(members, count, written, sizeof written);
        CHECK(bootstrap_parse_members(written, again, &count_again) && count_again == count);
        bootstrap_members_text(again, count, rewritten, sizeof rewritten);
        CHECK(strcmp(written, rewritten) == 0);
        CHECK(bootstrap_cluster_id(written) == bootstrap_cluster_id(rewritten));
    }
    free(text);
    return 0;
}
