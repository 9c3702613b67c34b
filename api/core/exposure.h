/* What strangers could do to this replica, as it is reached and protected: warnings for operators.
 * A replica that only its own machine reaches has none, but that of a certificate.
 *
 * Thread: any. */
#ifndef MUSTER_CORE_EXPOSURE_H
#define MUSTER_CORE_EXPOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/core/access.h"

/* A certificate that ends earlier is worth a warning. */
#define EXPOSURE_END_IS_NEAR_S (14 * 24 * 3600)

/* How it was started. */
struct exposure {
    bool clients_reach; /* its port for clients, from other machines */
    bool members_reach; /* its port for members, likewise */
    bool is_encrypted;  /* the port for clients speaks TLS */
    bool members_prove; /* who connects as a member has to prove that he is one */
    enum anonymous anonymous;
};

struct warning {
    const char *code;    /* for programs; static */
    const char *message; /* for people; static */
};

#define EXPOSURE_WARNINGS_MAX 4

/* Of how it was started. Returns their number. */
size_t exposure_find(const struct exposure *exposure,
                     struct warning ret_warnings[EXPOSURE_WARNINGS_MAX]);
/* True when anybody who reaches it may write, as of a view: within its critical section. */
bool exposure_find_open(const struct exposure *exposure, const struct view *view,
                        struct warning *ret_warning);
/* True when its certificate has ended or soon will. `end_s`: since 1970; 0: it has none. */
bool exposure_find_end(int64_t end_s, int64_t now_s, struct warning *ret_warning);

#endif
