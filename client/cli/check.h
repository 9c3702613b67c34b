/* The health check of `muster run`: asks again and again whether the program is well, by HTTP, by a
 * TCP connection or by a command, and says when the verdict changes.
 *
 * Thread: the loop's. Owns: the request or command that is under way. */
#ifndef MUSTER_CLI_CHECK_H
#define MUSTER_CLI_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "client/lib/loop.h"
#include "server/base/compiler.h"

#define CHECK_NOTE_SIZE 256

struct check_options {
    const char *target; /* http://..., https://..., tcp://host:port, or a command for the shell */
    uint64_t interval_ms;
    uint64_t timeout_ms;
    unsigned unhealthy_after; /* failures in a row */
    unsigned healthy_after;   /* successes in a row */
};

struct check {
    /* `note` says why not, "" when it is well. The first verdict always comes. */
    void (*on_verdict)(void *ctx, bool healthy, const char *note);
    void *ctx;

    /* the check's own */
    struct check_options options;
    struct loop *loop;
    struct loop_timer timer;
    CURL *curl; /* NULL: no request is under way */
    struct loop_transfer transfer;
    char url[600];
    pid_t pid; /* 0: no command is under way */
    int output;
    char note[CHECK_NOTE_SIZE];
    bool timed_out;
    bool healthy;
    bool judged;     /* a verdict was given */
    unsigned streak; /* results in a row that speak against the verdict */
    uint64_t began_ms;
};

/* False with a sentence when the target is malformed. */
MUST_USE bool check_validate(const char *target, char *error, size_t error_size);
/* The first check is made at once. Borrows the target. */
void check_start(struct check *check, struct loop *loop, const struct check_options *options);
/* A child has ended. Whether it was this check's. */
bool check_reaped(struct check *check, pid_t pid, int status);
/* The descriptor of a command's output, -1 when there is none; and what is to be done when it can
 * be read. */
int check_output(const struct check *check);
void check_read(struct check *check);
/* Harmless on a check that was not started. */
void check_stop(struct check *check);

/* One result, and whether the verdict changes with it. Pure, for tests. */
bool check_judge(struct check *check, bool good);

#endif
