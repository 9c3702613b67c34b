/* The command line: `muster [GLOBAL OPTION]... COMMAND [OPTION | WORD]...`. Global options may
 * stand on either side of the command; `--name value` and `--name=value` are the same; `--` ends
 * options.
 *
 * Owns: its two arrays; the texts stay argv's. */
#ifndef MUSTER_CLI_ARGS_H
#define MUSTER_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/cli/command.h"

#include "server/base/compiler.h"

struct args_value {
    const char *name;
    const char *value; /* "" of a bare option */
};

struct args {
    const struct command *command; /* NULL: none was named */
    const char **words;            /* what follows the command and is no option */
    size_t words_count;
    struct args_value *values;
    size_t values_count;
};

/* `commands` ends with one without a name. False with a sentence in `error`; *ret_args is to be
 * done either way, and its command is the one found so far. */
MUST_USE bool args_parse(int argc, char *const argv[], const struct args_option *globals,
                         const struct command *commands, struct args *ret_args, char *error,
                         size_t error_size);
void args_done(struct args *args);
/* NULL when it was not given. */
const char *args_get(const struct args *args, const char *name);
/* All values of an option, in order: start with *cursor = 0; NULL at the end. */
const char *args_next(const struct args *args, const char *name, size_t *cursor);

#endif
