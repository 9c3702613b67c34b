#include "consensus/disk/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <stddef.h>

bool name_parse_digits(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < NAME_DIGITS; i++) {
        char c = text[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

void snapshot_name(uint64_t index, uint64_t term, char out[SNAPSHOT_NAME_SIZE])
{
    (void)snprintf(out, SNAPSHOT_NAME_SIZE, "snapshot-%016" PRIx64 "-%016" PRIx64, index, term);
}

bool snapshot_name_parse(const char *name, uint64_t *ret_index, uint64_t *ret_term)
{
    static const char prefix[] = "snapshot-";
    size_t index_at = sizeof prefix - 1;
    size_t term_at = index_at + NAME_DIGITS + 1;
    uint64_t index;
    uint64_t term;
    if (strncmp(name, prefix, index_at) != 0 || strlen(name) != term_at + NAME_DIGITS ||
        name[term_at - 1] != '-' || !name_parse_digits(name + index_at, &index) ||
        !name_parse_digits(name + term_at, &term)) {
        return false;
    }
    *ret_index = index;
    *ret_term = term;
    return true;
}
