/* The functions of the public header for event loops. */
#include "client/lib/arguments.h"
#include "client/lib/client.h"

int muster_descriptor(const struct muster *muster)
{
    return muster->core.descriptor;
}

enum muster_error muster_dispatch(struct muster *muster)
{
    if (muster == NULL || !core_uses_dispatch(&muster->core)) {
        return arguments_invalid("muster was not opened with use_dispatch");
    }
    struct core *core = &muster->core;
    enum muster_error error = core_check(core, 1);
    if (error != MUSTER_OK) {
        return error;
    }
    pthread_mutex_lock(&core->mutex);
    if (core_begin_dispatch(core)) {
        renewer_dispatch(&muster->renewer);
        error = discovery_dispatch(&muster->discovery) ? MUSTER_OK : MUSTER_NO_MEMORY;
        core_end_dispatch(core);
    }
    pthread_mutex_unlock(&core->mutex);
    return error;
}
