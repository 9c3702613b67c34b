#include "consensus/disk/complaint.h"

#include <stdarg.h>
#include <stdio.h>

bool complain(const struct complaint *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, c->size, format, args);
    va_end(args);
    return false;
}
