#include "server/base/check.h"

#include <stdlib.h>

#include "server/base/limits.h"
#include "server/base/log.h"

void check_failed(const char *file, int line, const char *condition)
{
    log_write(LOG_ERROR, "check", "broken invariant", "condition=\"%s\" at=%s:%d", condition, file,
              line);
    log_flush(LAST_WORDS_MS);
    abort();
}
