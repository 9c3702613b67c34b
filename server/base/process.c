#include "server/base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/base/limits.h"
#include "server/base/text.h"

bool process_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* open() uses the lowest free number: this one. It is inherited: programs that we start
         * need it, too. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) {
            return false;
        }
    }
    return true;
}

uint64_t process_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

uint64_t process_inherited(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { /* nobody else reads this directory */
        count += entry->d_name[0] != '.' && strtoll(entry->d_name, NULL, 10) > STDERR_FILENO;
    }
    (void)closedir(dir);
    return count > 0 ? count - 1 : 0; /* without the directory's own */
}

void process_close_memory(void)
{
    /* Best effort: it cannot fail with this value. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static uint64_t needed(uint64_t inherited, unsigned http_threads)
{
    uint64_t a_thread = DESCRIPTORS_A_WORKER + HTTP_SPARE_A_WORKER_MIN;
    uint64_t clients = http_threads > HTTP_CONNECTIONS_MIN ? http_threads : HTTP_CONNECTIONS_MIN;
    return inherited + DESCRIPTORS_OF_LOOP + (CLUSTER_MEMBERS_MAX - 1) + PEER_CONNECTIONS_MIN +
           http_threads * a_thread + clients;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

bool process_share(uint64_t limit, uint64_t inherited, unsigned http_threads,
                   struct descriptor_shares *ret_shares, uint64_t *ret_needed)
{
    while (http_threads > 1 && needed(inherited, http_threads) > limit) {
        http_threads--;
    }
    *ret_needed = needed(inherited, http_threads);
    if (*ret_needed > limit) {
        return false;
    }
    uint64_t rest = limit - *ret_needed;
    uint64_t peers = at_most(rest / 4, PEER_CONNECTIONS_MAX - PEER_CONNECTIONS_MIN);
    uint64_t spare =
        at_most(rest / 8 / http_threads, HTTP_SPARE_A_WORKER_MAX - HTTP_SPARE_A_WORKER_MIN);
    uint64_t clients = http_threads > HTTP_CONNECTIONS_MIN ? http_threads : HTTP_CONNECTIONS_MIN;
    clients += rest - peers - spare * http_threads;
    *ret_shares = (struct descriptor_shares){
        .http_threads = http_threads,
        .http_connections = (unsigned)at_most(clients, HTTP_CONNECTIONS_MAX),
        .http_spare = (unsigned)(HTTP_SPARE_A_WORKER_MIN + spare),
        .peer_connections = (unsigned)(PEER_CONNECTIONS_MIN + peers),
    };
    return true;
}

/* The second number of /proc/self/statm, in pages (man 5 proc). */
uint64_t process_resident_bytes(void)
{
    char line[256];
    uint64_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        char *second = line + strcspn(line, " ");
        second += strspn(second, " ");
        second[strcspn(second, " ")] = '\0';
        if (!text_parse_u64(second, UINT64_MAX / 65536, &pages)) {
            pages = 0;
        }
    }
    (void)fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
