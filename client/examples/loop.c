/* One thread and one poll() loop: a server that is registered, and knows the instances of another
 * service, with all callbacks on its own thread.
 *
 *     ./loop web 8080 db
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <muster.h>

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void on_state(void *ctx, struct muster_registration *registration, enum muster_state state,
                     const char *why)
{
    (void)ctx;
    printf("%s is %s%s%s\n", muster_registration_id(registration), muster_state_name(state),
           *why != '\0' ? ": " : "", why);
    fflush(stdout);
}

static void on_change(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    (void)ctx;
    if (instance != NULL) {
        printf("%s %s %s\n", muster_change_name(change), instance->id,
               muster_health_name(instance->health));
        fflush(stdout);
    }
}

/* A real server has its own sockets in here, too. */
static enum muster_error serve(struct muster *muster)
{
    struct pollfd descriptor = {.fd = muster_descriptor(muster), .events = POLLIN};
    enum muster_error error = MUSTER_OK;
    while (!ended && error == MUSTER_OK) {
        int count = poll(&descriptor, 1, -1);
        if (count < 0 && errno != EINTR) {
            return MUSTER_SYSTEM;
        }
        if (count > 0) {
            error = muster_dispatch(muster);
        }
    }
    return error;
}

int main(int argc, char *argv[])
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_spec spec = MUSTER_SPEC_INIT;
    struct muster_registration *self;
    struct muster_follow *follow;
    struct muster *muster;
    char why[200];
    const struct sigaction action = {.sa_handler = on_signal};
    if (argc != 4) {
        fprintf(stderr, "usage: loop NAME PORT OTHER\n");
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    options.use_dispatch = true;
    spec.name = argv[1];
    spec.port = (uint16_t)strtoul(argv[2], NULL, 10);
    spec.on_state = on_state;
    if (muster_open(&options, &muster, why, sizeof why) != MUSTER_OK) {
        fprintf(stderr, "loop: %s\n", why);
        return 1;
    }
    enum muster_error error = muster_register(muster, &spec, &self);
    if (error == MUSTER_OK) {
        error = muster_follow(muster, argv[3], on_change, NULL, &follow);
    }
    if (error == MUSTER_OK) {
        error = serve(muster);
    }
    if (error != MUSTER_OK) {
        fprintf(stderr, "loop: %s: %s\n", muster_error_text(error), muster_invalid_argument());
    }
    muster_close(muster, 5000);
    return error == MUSTER_OK ? 0 : 1;
}
