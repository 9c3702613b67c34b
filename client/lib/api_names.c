/* The functions of the public header that put numbers into words. */
#include "client/include/muster.h"

#include <stddef.h>

#include "server/base/compiler.h"

const char *muster_error_text(enum muster_error error)
{
    static const char *const texts[] = {
        [MUSTER_OK] = "done",
        [MUSTER_INVALID] = "an argument is wrong, or it may not be called here",
        [MUSTER_NO_MEMORY] = "there is no memory",
        [MUSTER_SYSTEM] = "the system has no thread or no descriptor to give",
        [MUSTER_TOO_MANY] = "over a limit of the library",
        [MUSTER_FORKED] = "the client belongs to the process that forked this one",
        [MUSTER_NOT_FOUND] = "there is no such instance",
        [MUSTER_REFUSED] = "the registry refused it",
        [MUSTER_UNREACHABLE] = "no replica could be reached; surely not done",
        [MUSTER_UNKNOWN] = "the outcome is unknown: it may or may not have been done",
        [MUSTER_TIMED_OUT] = "not done in time; it is tried on",
    };
    size_t which = (size_t)error;
    return which < ARRAY_LENGTH(texts) ? texts[which] : "an error that this version does not know";
}

const char *muster_version(void)
{
    return MUSTER_VERSION;
}
