/* What the commands of `muster` share: the table's row, the context they get, and the request that
 * says by itself what went wrong.
 *
 * Thread: one, the program has no other. */
#ifndef MUSTER_CLI_CLI_H
#define MUSTER_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/args.h"
#include "client/cli/failover.h"
#include "server/base/buffer.h"

/* Exit statuses. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1, /* or not found */
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_UNKNOWN = 4, /* a write that may or may not have happened */
};

struct cli {
    struct args args;
    struct servers servers;
    struct failover failover;
    bool json; /* --output json */
};

struct command {
    const char *name;
    enum cli_exit (*run)(struct cli *cli);
    const struct args_option *options;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *help;    /* examples and what to know */
};

/* One line on stderr, "muster: ...", with control characters escaped. */
void cli_complain(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same for a wrong command line, and where to read more. Returns CLI_USAGE. */
enum cli_exit cli_usage(const struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sends the request. CLI_DONE: *ret_answer is a 2xx and the caller's to be done; anything else has
 * been explained on stderr. */
enum cli_exit cli_call(struct cli *cli, const struct http_request *request,
                       struct http_answer *ret_answer);

/* A path with its query, built up in steps: "/services/", then a part that is percent-encoded. */
#define CLI_PATH_BYTES_MAX (256 * 1024)
void cli_path_encode(struct buffer *path, const char *text);
/* Appends ?name=value, or &name=value when there is a query already. */
void cli_path_query(struct buffer *path, const char *name, const char *value);
/* The end of the path: gives it as a text that stays the buffer's. */
const char *cli_path_text(struct buffer *path);

/* The filters of a listing (health, type, zone, tag, meta) as a query. False, after having
 * complained, when one of them is malformed. */
bool cli_path_filters(const struct cli *cli, struct buffer *path);

/* The commands. */
enum cli_exit cmd_register(struct cli *cli);
enum cli_exit cmd_heartbeat(struct cli *cli);
enum cli_exit cmd_deregister(struct cli *cli);
enum cli_exit cmd_maintenance(struct cli *cli);
enum cli_exit cmd_services(struct cli *cli);
enum cli_exit cmd_list(struct cli *cli);
enum cli_exit cmd_discover(struct cli *cli);
enum cli_exit cmd_status(struct cli *cli);
enum cli_exit cmd_members(struct cli *cli);
enum cli_exit cmd_bench(struct cli *cli);
extern const char cmd_bench_help[];

#endif
