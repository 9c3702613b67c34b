/* One row of the table of commands: what `muster NAME` takes, prints for help, and runs.
 *
 * Thread: values. Owns: nothing, its texts are constants. */
#ifndef MUSTER_CLI_COMMAND_H
#define MUSTER_CLI_COMMAND_H

#include <stdbool.h>

struct cli;

/* Exit statuses. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1, /* or not found */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_UNKNOWN = 4, /* a write that may or may not have happened */
    /* of status */
    CLI_DEGRADED = CLI_REFUSED,
    CLI_NO_QUORUM = 5,
    CLI_MIXED = 6, /* replicas of different clusters */
};

struct args_option {
    const char *name; /* without dashes; NULL ends a list */
    bool repeated;    /* may be given more than once */
    bool bare;        /* takes no value */
};

struct command {
    const char *name;
    enum cli_exit (*run)(struct cli *cli);
    const struct args_option *options;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *help;    /* examples and what to know */
};

#endif
