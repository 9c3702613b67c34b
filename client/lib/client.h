/* A client as a whole (struct muster of the public header): its parts side by side. */
#ifndef MUSTER_LIB_CLIENT_H
#define MUSTER_LIB_CLIENT_H

#include "client/include/muster.h"
#include "client/lib/core.h"
#include "client/lib/discovery.h"
#include "client/lib/lookup.h"
#include "client/lib/renewer.h"

struct muster {
    struct core core;
    bool stopping; /* under the mutex */
    struct renewer renewer;
    struct discovery discovery;
    struct lookups lookups;
};

#endif
