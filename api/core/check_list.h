/* The checks of a registration: read by a door, checked, and put into its command.
 *
 * Thread: any; one owner at a time. Owns: its texts. */
#ifndef MUSTER_API_CORE_CHECK_LIST_H
#define MUSTER_API_CORE_CHECK_LIST_H

#include "api/core/check_kept.h"
#include "server/registry/command.h"

/* One, as a client says it. Borrowed. */
struct check_said {
    const char *id;               /* among those of its instance; "": one is made */
    uint32_t ttl_ms;              /* it is to be heard from; 0: it has a definition, and is run */
    uint32_t deregister_after_ms; /* its instance goes when it was critical for so long; 0: never */
    enum health status;           /* passing, warning or critical, until there is a result */
    struct check_kept kept;       /* its definition is settled; no name: the id */
};

/* All zero: no checks were said. */
struct check_list {
    bool given;
    uint32_t count;
    struct check_spec specs[CHECKS_MAX]; /* borrow the texts */
    char *texts[2 * CHECKS_MAX];
};
void check_list_done(struct check_list *list);
/* False: over a limit, or an id that is there already. */
MUST_USE bool check_list_add(struct check_list *list, const struct check_said *said,
                             struct problem *problem);
/* From JSON: [{"http": URL, ...}, ...]; NULL and null: not said. Fields of problems are such as
 * "checks[0].interval". */
MUST_USE bool check_list_parse(struct check_list *list, const json_t *json,
                               struct problem *problem);
/* Makes an enrolment of a registration, if checks were said: they replace those that there are.
 * With checks it has a lease only if it `has_ttl`. */
void check_list_put(const struct check_list *list, bool has_ttl, struct command *c);

/* Puts "checks[N]." in front of the field of a problem. */
void check_list_name(struct problem *problem, uint32_t n);

#endif
