#include "api/core/event_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/base/text.h"

#define CLUSTER_DIGITS 8

/* Up to the dot or the end. False when it is no number up to `most`. */
static bool parse_number(const char *text, uint64_t most, uint64_t *ret_number, size_t *ret_len)
{
    char digits[TEXT_U64_SIZE];
    size_t len = strcspn(text, ".");
    if (len >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    *ret_len = len;
    return text_parse_u64(digits, most, ret_number);
}

/* The whole text. Digits as event_id_format() writes them. */
static bool parse_cluster(const char *text, uint32_t *ret_cluster)
{
    uint32_t cluster = 0;
    if (strlen(text) != CLUSTER_DIGITS || strspn(text, "0123456789abcdef") != CLUSTER_DIGITS) {
        return false;
    }
    for (; *text != '\0'; text++) {
        cluster = cluster << 4 | (uint32_t)text_hex_digit(*text);
    }
    *ret_cluster = cluster;
    return true;
}

bool event_id_parse(const char *text, struct event_id *ret_id, uint32_t *ret_cluster)
{
    uint64_t index, position;
    uint32_t cluster = 0;
    size_t len;
    if (!parse_number(text, UINT64_MAX, &index, &len) || text[len] == '\0') {
        return false;
    }
    text += len + 1;
    if (!parse_number(text, UINT32_MAX, &position, &len) ||
        (text[len] != '\0' && !parse_cluster(text + len + 1, &cluster))) {
        return false;
    }
    *ret_id = (struct event_id){.index = index, .position = (uint32_t)position};
    *ret_cluster = cluster;
    return true;
}

void event_id_format(struct event_id id, uint32_t cluster, char out[EVENT_ID_SIZE])
{
    char tag[CLUSTER_DIGITS + 2] = "";
    if (cluster != 0) {
        (void)snprintf(tag, sizeof tag, ".%08" PRIx32, cluster);
    }
    (void)snprintf(out, EVENT_ID_SIZE, "%" PRIu64 ".%" PRIu32 "%s", id.index, id.position, tag);
}
