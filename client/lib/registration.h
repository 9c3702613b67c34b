/* An instance that this client registers: what it is to be, and how far the registry knows it.
 *
 * Thread: fields are under the client's mutex unless they say otherwise.
 * Owns: its texts and its JSON. Only the background thread takes it out of the renewer's list. */
#ifndef MUSTER_LIB_REGISTRATION_H
#define MUSTER_LIB_REGISTRATION_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client/include/muster.h"
#include "server/base/limits.h"

#define REGISTRATION_WHY_SIZE 512

struct muster;

/* A value that the program sets, and which version of it the registry has. Versions start at 1. */
struct setting {
    uint64_t version;
    uint64_t sent;    /* the last that was answered */
    uint64_t refused; /* the last that was refused */
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
    bool state_told; /* to on_state */
    bool state_logged;
    bool telling;            /* on_state is running: it stays in the list */
    enum muster_error error; /* of the last attempt */
    char why[REGISTRATION_WHY_SIZE];
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
/* Copies a note or reason; NULL is "". */
void registration_set_note(char note[NOTE_BYTES_MAX + 1], const char *text);

#endif
