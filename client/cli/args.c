#include "client/cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/base/mem.h"

static const struct args_option *find_option(const struct args_option *options, const char *name,
                                             size_t len)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == len && memcmp(options->name, name, len) == 0) {
            return options;
        }
    }
    return NULL;
}

static const struct command *find_command(const struct command *commands, const char *name)
{
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, name) == 0) {
            return commands;
        }
    }
    return NULL;
}

/* `text` begins with a dash. `next` is the argument behind it, or NULL. */
static bool take_option(struct args *args, const struct args_option *globals, const char *text,
                        const char *next, bool *ret_used_next, char *error, size_t error_size)
{
    if (strcmp(text, "-h") == 0) {
        text = "--help";
    }
    size_t len = strcspn(text, "=");
    const struct args_option *option = NULL;
    if (strncmp(text, "--", 2) == 0) {
        option = find_option(globals, text + 2, len - 2);
        if (option == NULL && args->command != NULL) {
            option = find_option(args->command->options, text + 2, len - 2);
        }
    }
    if (option == NULL) {
        (void)snprintf(error, error_size, "unknown option \"%.*s\"%s", (int)len, text,
                       args->command == NULL ? " before the command" : "");
        return false;
    }
    if (!option->repeated && args_get(args, option->name) != NULL) {
        (void)snprintf(error, error_size, "--%s is given twice", option->name);
        return false;
    }
    struct args_value *value = &args->values[args->values_count++];
    *value = (struct args_value){option->name, ""};
    *ret_used_next = false;
    if (option->bare) {
        if (text[len] == '=') {
            (void)snprintf(error, error_size, "--%s takes no value", option->name);
            return false;
        }
    } else if (text[len] == '=') {
        value->value = text + len + 1;
    } else if (next != NULL && strncmp(next, "--", 2) != 0) {
        value->value = next;
        *ret_used_next = true;
    } else {
        (void)snprintf(error, error_size, "--%s needs a value", option->name);
        return false;
    }
    return true;
}

bool args_parse(int argc, char *const argv[], const struct args_option *globals,
                const struct command *commands, struct args *ret_args, char *error,
                size_t error_size)
{
    size_t room = argc > 0 ? (size_t)argc : 1;
    bool options_ended = false;
    *ret_args = (struct args){
        .words = mem_zalloc(room, sizeof *ret_args->words),
        .values = mem_zalloc(room, sizeof *ret_args->values),
    };
    for (int i = 1; i < argc; i++) {
        bool used_next = false;
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
        } else if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0') {
            const char *next = i + 1 < argc ? argv[i + 1] : NULL;
            if (!take_option(ret_args, globals, argv[i], next, &used_next, error, error_size)) {
                return false;
            }
            i += used_next ? 1 : 0;
        } else if (ret_args->command != NULL) {
            ret_args->words[ret_args->words_count++] = argv[i];
        } else if ((ret_args->command = find_command(commands, argv[i])) == NULL) {
            (void)snprintf(error, error_size, "unknown command \"%s\"", argv[i]);
            return false;
        }
    }
    return true;
}

void args_done(struct args *args)
{
    free(args->words);
    free(args->values);
}

const char *args_get(const struct args *args, const char *name)
{
    size_t cursor = 0;
    return args_next(args, name, &cursor);
}

const char *args_next(const struct args *args, const char *name, size_t *cursor)
{
    while (*cursor < args->values_count) {
        const struct args_value *value = &args->values[(*cursor)++];
        if (strcmp(value->name, name) == 0) {
            return value->value;
        }
    }
    return NULL;
}
