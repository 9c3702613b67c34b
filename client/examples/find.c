/* Prints the address of one healthy instance, once a second, whatever happens to the registry.
 *
 *     ./find web          until it is interrupted
 *     ./find web 3        three times
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <muster.h>

int main(int argc, char *argv[])
{
    struct muster *muster;
    char why[200];
    if (argc < 2) {
        fprintf(stderr, "usage: find SERVICE [TIMES]\n");
        return 2;
    }
    if (muster_open(NULL, &muster, why, sizeof why) != MUSTER_OK) {
        fprintf(stderr, "find: %s\n", why);
        return 1;
    }
    struct muster_query query = MUSTER_QUERY_INIT;
    query.service = argv[1];
    query.strategy = MUSTER_ROUND_ROBIN;
    unsigned long times = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    enum muster_error error = MUSTER_OK;
    for (unsigned long i = 0; times == 0 || i < times; i++) {
        struct muster_found found;
        if (i > 0) {
            sleep(1);
        }
        /* From memory, except for the first time. */
        error = muster_discover(muster, &query, 2000, &found);
        if (error != MUSTER_OK) {
            fprintf(stderr, "find: %s\n", muster_error_text(error));
            continue;
        }
        printf("%s:%u", found.instance->host, found.instance->port);
        if (found.source == MUSTER_FROM_FALLBACK) {
            printf(" (the fallback)");
        } else if (found.age_ms > 0) {
            printf(" (as it was %" PRIu64 " s ago)", found.age_ms / 1000);
        }
        putchar('\n');
        fflush(stdout);
        muster_instance_unref(found.instance);
    }
    muster_close(muster, 0);
    return error == MUSTER_OK ? 0 : 1;
}
