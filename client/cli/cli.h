/* What the commands of `muster` share: the context that they get, and requests that explain their
 * own failure on stderr.
 *
 * Thread: one, the program has no other. */
#ifndef MUSTER_CLI_CLI_H
#define MUSTER_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/args.h"
#include "client/cli/command.h"
#include "client/lib/bytes.h"
#include "client/lib/call.h"
#include "client/lib/servers.h"

struct cli {
    struct args args;
    struct servers servers;
    struct loop loop;
    struct failover failover;
    uint64_t timeout_ms; /* of a request with all its attempts */
    bool json;           /* --output json */
    const char *space;   /* the namespace; "": none is named */
};

/* One line on stderr, "muster: ...", with control characters escaped. */
void cli_complain(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same for a wrong command line, and where to read more. Returns CLI_USAGE. */
enum cli_exit cli_usage(const struct cli *cli, const char *format, ...) PRINTF_LIKE(2, 3);
/* Sends the request. CLI_DONE: *ret_answer is a 2xx and the caller's to be done; anything else has
 * been explained on stderr. */
enum cli_exit cli_call(struct cli *cli, const struct http_request *request,
                       struct http_answer *ret_answer);

/* The same, and shows the answer: as JSON, or by `print`, which gets `data`. */
enum cli_exit cli_show(struct cli *cli, const struct http_request *request,
                       void (*print)(const json_t *body, const void *data), const void *data);

struct cli_question {
    const char *url;
    const struct http_request *request;
    /* the outcome */
    bool answered; /* whatever the status; `answer` is the caller's to be done */
    struct http_answer answer;
    char why[HTTP_WHY_SIZE]; /* if not: a few words */
};

/* Asks all at once, each one time, within limit_ms. */
void cli_ask_all(struct cli *cli, struct cli_question *questions, size_t count, uint64_t limit_ms);

/* The filters of a listing (health, type, zone, tag, meta) as a query. False, after having
 * complained, when one of them is malformed. */
bool cli_path_filters(const struct cli *cli, struct bytes *path);

#endif
