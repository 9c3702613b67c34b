/* The list of first members, and the address of a server: what can be parsed is formatted and
 * parsed to the same. */
#include "consensus/configuration.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_SIZE (MEMBERS_MAX * (sizeof(struct consensus_member) + 24))

static void try_list(const char *text)
{
    struct consensus_member members[MEMBERS_MAX], again[MEMBERS_MAX];
    char written[TEXT_SIZE], rewritten[TEXT_SIZE];
    size_t count, count_again;
    if (!configuration_parse_members(text, members, &count)) {
        return;
    }
    CHECK(count >= 1 && count <= MEMBERS_MAX);
    configuration_members_text(members, count, written, sizeof written);
    CHECK(configuration_parse_members(written, again, &count_again) && count_again == count);
    configuration_members_text(again, count, rewritten, sizeof rewritten);
    CHECK(strcmp(written, rewritten) == 0);
    CHECK(configuration_members_hash(written) == configuration_members_hash(rewritten));
}

static void try_server(const char *text)
{
    struct consensus_member member, again;
    char written[CONFIGURATION_ADDRESS_SIZE];
    if (!configuration_parse_server(text, &member)) {
        return;
    }
    CHECK(member.id > 0 && member.id <= INT64_MAX && member.address[0] != '\0');
    configuration_server_address(&member, written);
    CHECK(configuration_parse_server(written, &again) && again.id == member.id);
    CHECK(strcmp(again.address, member.address) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    char *text = input_text(&in);
    try_list(text);
    try_server(text);
    free(text);
    return 0;
}
