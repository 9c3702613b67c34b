#include "server/base/z85.h"

#include <stddef.h>
#include <string.h>

static const char alphabet[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

bool z85_key_parse(const char text[Z85_KEY_CHARS], uint8_t ret_key[Z85_KEY_BYTES])
{
    for (size_t i = 0; i < Z85_KEY_CHARS; i += 5) {
        uint64_t value = 0;
        for (size_t j = i; j < i + 5; j++) {
            const char *at = text[j] != '\0' ? strchr(alphabet, text[j]) : NULL;
            if (at == NULL) {
                return false;
            }
            value = value * 85 + (uint64_t)(at - alphabet);
        }
        if (value > UINT32_MAX) {
            return false;
        }
        for (size_t j = 0; j < 4; j++) {
            ret_key[i / 5 * 4 + j] = (uint8_t)(value >> (24 - 8 * j));
        }
    }
    return true;
}

void z85_key_text(const uint8_t key[Z85_KEY_BYTES], char ret_text[Z85_KEY_CHARS + 1])
{
    for (size_t i = 0; i < Z85_KEY_BYTES; i += 4) {
        uint32_t value = (uint32_t)key[i] << 24 | (uint32_t)key[i + 1] << 16 |
                         (uint32_t)key[i + 2] << 8 | key[i + 3];
        for (size_t j = 5; j > 0; j--) {
            ret_text[i / 4 * 5 + j - 1] = alphabet[value % 85];
            value /= 85;
        }
    }
    ret_text[Z85_KEY_CHARS] = '\0';
}
