#include "consensus/peer/trouble.h"

#include <stdio.h>

void trouble_note(struct trouble *t, const char *what, const char *detail, uint64_t now_ms)
{
    if (t->reason[0] == '\0') {
        t->since_ms = now_ms;
        t->next_ms = now_ms + TROUBLE_FIRST_MS;
    }
    (void)snprintf(t->reason, sizeof t->reason, "%s%s%s", what, detail != NULL ? ": " : "",
                   detail != NULL ? detail : "");
}

bool trouble_is_due(struct trouble *t, uint64_t now_ms)
{
    if (t->reason[0] == '\0' || now_ms < t->next_ms) {
        return false;
    }
    t->distance_ms = t->distance_ms == 0 ? TROUBLE_DISTANCE_MS : 2 * t->distance_ms;
    if (t->distance_ms > TROUBLE_DISTANCE_MAX) {
        t->distance_ms = TROUBLE_DISTANCE_MAX;
    }
    t->next_ms = now_ms + t->distance_ms;
    return true;
}

bool trouble_end(struct trouble *t)
{
    bool said = t->distance_ms > 0;
    *t = (struct trouble){.reason = ""};
    return said;
}
