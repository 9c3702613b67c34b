/* A server that is found as long as it runs: registers, keeps its lease, deregisters at the end.
 *
 *     cc -o serve serve.c $(pkg-config --cflags --libs muster)
 *     MUSTER_SERVER=http://a:9000,http://b:9000 ./serve web 8080
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <muster.h>

static const char *const states[] = {"not registered", "registered", "not renewed", "refused"};

/* On the library's thread: say it, and return. */
static void on_state(void *ctx, struct muster_registration *registration, enum muster_state state,
                     const char *why)
{
    (void)ctx;
    fprintf(stderr, "%s: %s%s%s\n", muster_registration_id(registration), states[state],
            *why != '\0' ? ": " : "", why);
}

int main(int argc, char *argv[])
{
    struct muster *muster;
    struct muster_registration *self;
    char why[200];
    int signal_number;
    sigset_t ends;
    if (argc != 3) {
        fprintf(stderr, "usage: serve NAME PORT\n");
        return 2;
    }
    /* Before there are threads, so that all have them blocked and sigwait() alone gets them. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    if (muster_open(NULL, &muster, why, sizeof why) != MUSTER_OK) {
        fprintf(stderr, "serve: %s\n", why);
        return 1;
    }
    const struct muster_spec spec = {
        .size = sizeof spec,
        .name = argv[1],
        .port = (uint16_t)strtoul(argv[2], NULL, 10),
        .ttl_ms = 10000,
        .on_state = on_state,
    };
    enum muster_error error = muster_register(muster, &spec, &self);
    if (error == MUSTER_OK) {
        /* Here the server would serve. */
        sigwait(&ends, &signal_number);
        error = muster_deregister(self, 5000);
    }
    if (error != MUSTER_OK) {
        fprintf(stderr, "serve: %s\n", muster_error_text(error));
    }
    muster_close(muster, 5000);
    return error == MUSTER_OK ? 0 : 1;
}
