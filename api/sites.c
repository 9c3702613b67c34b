#include "api/http/site.h"

#define SITE(row) extern const struct site row;
#include "api/sites.def"
#undef SITE

const struct site *const http_sites[] = {
#define SITE(row) &(row),
#include "api/sites.def"
#undef SITE
    NULL};
