/* Prints the changes of a service until it is interrupted: the core of a load balancer.
 *
 *     ./follow web
 */
#include <signal.h>
#include <stdio.h>

#include <muster.h>

static void on_change(void *ctx, enum muster_change change, const struct muster_instance *instance)
{
    (void)ctx;
    printf("%s", muster_change_name(change));
    if (instance != NULL) {
        printf(" %s %s:%u %s", instance->id, instance->host, instance->port,
               muster_health_name(instance->health));
    }
    putchar('\n');
    fflush(stdout);
}

int main(int argc, char *argv[])
{
    struct muster *muster;
    struct muster_follow *follow;
    char why[200];
    int signal_number;
    sigset_t ends;
    if (argc != 2) {
        fprintf(stderr, "usage: follow SERVICE\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (muster_open(NULL, &muster, why, sizeof why) != MUSTER_OK) {
        fprintf(stderr, "follow: %s\n", why);
        return 1;
    }
    enum muster_error error = muster_follow(muster, argv[1], on_change, NULL, &follow);
    if (error == MUSTER_OK) {
        sigwait(&ends, &signal_number);
        error = muster_unfollow(follow);
    }
    if (error != MUSTER_OK) {
        fprintf(stderr, "follow: %s\n", muster_error_text(error));
    }
    muster_close(muster, 0);
    return error == MUSTER_OK ? 0 : 1;
}
