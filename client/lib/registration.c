#include "client/lib/registration.h"

#include <stdio.h>
#include <stdlib.h>

#define TTL_MS_DEFAULT 30000 /* until the registry says another */

void registration_free(struct muster_registration *registration)
{
    if (registration != NULL) {
        json_decref(registration->body);
        free(registration->id);
        free(registration);
    }
}

uint64_t registration_interval_ms(const struct muster_registration *registration)
{
    uint64_t ttl_ms = registration->ttl_ms > 0 ? registration->ttl_ms : TTL_MS_DEFAULT;
    uint64_t interval_ms = registration->interval_ms > 0 ? registration->interval_ms : ttl_ms / 3;
    return interval_ms < ttl_ms / 2 ? interval_ms : ttl_ms / 2;
}

void registration_set_note(char note[NOTE_BYTES_MAX + 1], const char *text)
{
    (void)snprintf(note, NOTE_BYTES_MAX + 1, "%s", text != NULL ? text : "");
}
