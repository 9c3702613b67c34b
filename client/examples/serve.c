/* A server that is found as long as it runs: registers, keeps its lease, deregisters at the end.
 *
 *     cc -o serve serve.c $(pkg-config --cflags --libs muster)
 *     MUSTER_SERVER=http://a:9000,http://b:9000 ./serve web 8080
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <muster.h>

/* Runs on the library's thread, and must return soon. */
static void on_state(void *ctx, struct muster_registration *registration, enum muster_state state,
                     const char *why)
{
    (void)ctx;
    fprintf(stderr, "%s: %s%s%s\n", muster_registration_id(registration), muster_state_name(state),
            *why != '\0' ? ": " : "", why);
}

int main(int argc, char *argv[])
{
    struct muster *muster;
    struct muster_registration *self;
    struct muster_spec spec = MUSTER_SPEC_INIT;
    char why[200];
    int signal_number;
    sigset_t ends;
    if (argc != 3) {
        fprintf(stderr, "usage: serve NAME PORT\n");
        return 2;
    }
    /* Block them before there are threads: all inherit the mask, and only sigwait() gets them. */
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    if (muster_open(NULL, &muster, why, sizeof why) != MUSTER_OK) {
        fprintf(stderr, "serve: %s\n", why);
        return 1;
    }
    spec.name = argv[1];
    spec.port = (uint16_t)strtoul(argv[2], NULL, 10);
    spec.ttl_ms = 10000;
    spec.on_state = on_state;
    enum muster_error error = muster_register(muster, &spec, &self);
    if (error == MUSTER_OK) {
        /* Here the server would serve. */
        sigwait(&ends, &signal_number);
        error = muster_deregister(self, 5000);
    }
    if (error != MUSTER_OK) {
        fprintf(stderr, "serve: %s: %s\n", muster_error_text(error), muster_invalid_argument());
    }
    muster_close(muster, 5000);
    return error == MUSTER_OK ? 0 : 1;
}
