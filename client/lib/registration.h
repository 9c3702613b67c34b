/* An instance of one's own: what it is to be, and how far the registry knows it.
 *
 * Thread: fields are under the client's mutex, unless they say else.
 * Owns: its texts and its JSON. The background thread alone takes it out of the list. */
#ifndef MUSTER_LIB_REGISTRATION_H
#define MUSTER_LIB_REGISTRATION_H

#include <jansson.h>

#include "client/lib/client.h"

/* Something that is set, and what of it the registry has heard. Versions count from 1. */
struct setting {
    uint64_t version;
    uint64_t sent;    /* the last that was answered */
    uint64_t refused; /* the last that was answered with no */
};

struct muster_registration {
    /* immutable */
    struct muster *muster;
    char *id;
    muster_state_cb on_state;
    void *ctx;
    uint64_t interval_ms; /* as asked for; 0: a third of the ttl */

    struct muster_registration *next, *previous;
    struct muster_registration *next_queued;
    bool queued;
    json_t *body; /* of POST /register, without health */
    struct setting health;
    enum muster_health declared;
    char note[NOTE_BYTES_MAX + 1];
    struct setting maintenance;
    bool hidden;
    char reason[NOTE_BYTES_MAX + 1];

    enum muster_state state;
    bool state_told;
    enum muster_error error; /* of the last attempt */
    char why[CLIENT_WHY_SIZE];
    bool tried;      /* to register: it may be there */
    bool registered; /* and not known to be lost */
    bool busy;       /* a request about it is under way */
    bool removing;
    bool removed;
    bool abandoned; /* nobody waits for its removal: whoever removes it frees it */
    uint64_t incarnation;
    uint64_t ttl_ms;
    uint64_t due_ms; /* of its next heartbeat */
};

void registration_free(struct muster_registration *registration);
/* Milliseconds between heartbeats. */
uint64_t registration_interval_ms(const struct muster_registration *registration);

#endif
