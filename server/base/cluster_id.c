#include "server/base/cluster_id.h"

#include <string.h>

bool cluster_id_is_none(const struct cluster_id *id)
{
    static const struct cluster_id none;
    return cluster_id_equal(id, &none);
}

bool cluster_id_equal(const struct cluster_id *a, const struct cluster_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

void cluster_id_text(const struct cluster_id *id, char out[CLUSTER_ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        out[2 * i] = digits[id->bytes[i] >> 4];
        out[2 * i + 1] = digits[id->bytes[i] & 15];
    }
    out[2 * CLUSTER_ID_BYTES] = '\0';
}

/* -1 if it is not a digit. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool cluster_id_parse(const char *text, struct cluster_id *ret_id)
{
    struct cluster_id id;
    if (strlen(text) != CLUSTER_ID_TEXT_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < CLUSTER_ID_BYTES; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret_id = id;
    return true;
}
