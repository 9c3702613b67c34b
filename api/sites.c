#include "api/http/protocol.h"
#include "api/http/site.h"

#define SITE(row) extern const struct site row;
#include "api/sites.def"
#undef SITE

const struct site *const http_sites[] = {
#define SITE(row) &(row),
#include "api/sites.def"
#undef SITE
    NULL};

#ifdef MUSTER_H2
extern const struct protocol h2_protocol;
const struct protocol *const http_protocol = &h2_protocol;
#else
const struct protocol *const http_protocol = NULL;
#endif
