#include "api/amqp/amqp_key.h"

#include <stdio.h>
#include <string.h>

#define FORMED_SIZE 1024

/* Whether it is not the first byte of a character. */
static bool is_inside(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

void amqp_key(const char *event, const char *service, const char *space,
              char out[AMQP_SHORT_BYTES_MAX + 1])
{
    char formed[FORMED_SIZE];
    bool apart = space[0] != '\0';
    (void)snprintf(formed, sizeof formed, "%s%s.%s%s%s", apart ? "namespace." : "registry", space,
                   event, service[0] != '\0' ? "." : "", service);
    size_t len = strlen(formed);
    if (len > AMQP_SHORT_BYTES_MAX) {
        len = AMQP_SHORT_BYTES_MAX;
        while (is_inside(formed[len])) {
            len--;
        }
    }
    memcpy(out, formed, len);
    out[len] = '\0';
}
