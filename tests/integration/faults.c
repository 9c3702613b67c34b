/* Preloaded into a replica: its n-th call that changes a file of the data directory kills the
 * process, or fails. Counting starts when FAULT_ARMED (a file made by the test) exists, or when a
 * call names FAULT_AFTER.
 *
 *   FAULT_DIR     only files below this directory count
 *   FAULT_ARMED   a file; counting starts when it exists
 *   FAULT_AFTER   part of a name; counting starts when such a file is created
 *   FAULT_ON      names of calls that count, with spaces around each; empty: all
 *   FAULT_NAME    part of the names of files that count
 *   FAULT_AT      which call; 0: none, calls are only logged
 *   FAULT_DO      kill (instead of the call), late (kill after it), slow (300 ms), EIO, ENOSPC
 *   FAULT_TIMES   how many calls fail, or are slow, from there on (1)
 *   FAULT_LOG     each call that counts appends a line to this file */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name)                                                                                 \
    static __typeof__(&name) next;                                                                 \
    if (next == NULL) {                                                                            \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                         \
    }

enum what { GO_ON, FAIL, DIE_BEHIND };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool armed;
static long seen;

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? value : "";
}

static void note(const char *call, const char *path)
{
    char line[512];
    const char *name = strrchr(path, '/');
    int n = snprintf(line, sizeof line, "%ld %s %s\n", seen, call, name != NULL ? name + 1 : path);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, setting("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND,
                          0600);
    if (fd >= 0) {
        (void)!write(fd, line, (size_t)n);
        (void)close(fd);
    }
}

static bool is_ours(const char *path)
{
    const char *dir = setting("FAULT_DIR");
    return strncmp(path, dir, strlen(dir)) == 0;
}

static bool counts(const char *call, const char *path)
{
    char spaced[32];
    const char *on = setting("FAULT_ON");
    (void)snprintf(spaced, sizeof spaced, " %s ", call);
    if (!armed) {
        const char *after = setting("FAULT_AFTER");
        armed = *after != '\0' ? strcmp(call, "create") == 0 && strstr(path, after) != NULL
                               : access(setting("FAULT_ARMED"), F_OK) == 0;
    }
    return armed && (*on == '\0' || strstr(on, spaced) != NULL) &&
           strstr(path, setting("FAULT_NAME")) != NULL;
}

/* Called before each call on a file. */
static enum what step(const char *call, const char *path)
{
    long at = strtol(setting("FAULT_AT"), NULL, 10);
    const char *times = setting("FAULT_TIMES");
    const char *how = setting("FAULT_DO");
    if (!is_ours(path)) {
        return GO_ON;
    }
    (void)pthread_mutex_lock(&lock);
    bool it = false;
    if (counts(call, path)) {
        seen++;
        note(call, path);
        it = at > 0 && seen >= at && seen < at + (*times != '\0' ? strtol(times, NULL, 10) : 1);
    }
    (void)pthread_mutex_unlock(&lock);
    if (it && strcmp(how, "kill") == 0) {
        (void)kill(getpid(), SIGKILL);
    }
    if (it && strcmp(how, "late") == 0) {
        return DIE_BEHIND;
    }
    if (it && strcmp(how, "slow") == 0) {
        (void)usleep(300 * 1000);
        return GO_ON;
    }
    errno = strcmp(how, "EIO") == 0 ? EIO : ENOSPC;
    return it ? FAIL : GO_ON;
}

static enum what step_fd(const char *call, int fd, const char *name)
{
    char link[64];
    char path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 300);
    if (n < 0) {
        return GO_ON;
    }
    (void)snprintf(path + n, sizeof path - (size_t)n, *name != '\0' ? "/%s" : "%s", name);
    return step(call, path);
}

static void behind(enum what what)
{
    if (what == DIE_BEHIND) {
        (void)kill(getpid(), SIGKILL);
    }
}

#define CALL(name, args, result)                                                                   \
    NEXT(name)                                                                                     \
    if (what == FAIL) {                                                                            \
        return -1;                                                                                 \
    }                                                                                              \
    result got = next args;                                                                        \
    behind(what);                                                                                  \
    return got;

int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list args;
        va_start(args, flags);
        mode = va_arg(args, mode_t);
        va_end(args);
    }
    enum what what = (flags & O_CREAT) != 0 ? step_fd("create", dir, path) : GO_ON;
    CALL(openat, (dir, path, flags, mode), int)
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    enum what what = step_fd("rename", to_dir, to);
    CALL(renameat, (from_dir, from, to_dir, to), int)
}

int unlinkat(int dir, const char *path, int flags)
{
    enum what what = step_fd("unlink", dir, path);
    CALL(unlinkat, (dir, path, flags), int)
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    enum what what = step_fd("write", fd, "");
    CALL(pwritev2, (fd, parts, count, at, flags), ssize_t)
}

int fsync(int fd)
{
    enum what what = step_fd("sync", fd, "");
    CALL(fsync, (fd), int)
}

int fdatasync(int fd)
{
    enum what what = step_fd("sync", fd, "");
    CALL(fdatasync, (fd), int)
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    enum what what = step_fd("allocate", fd, "");
    CALL(fallocate, (fd, mode, at, len), int)
}

int ftruncate(int fd, off_t len)
{
    enum what what = step_fd("truncate", fd, "");
    CALL(ftruncate, (fd, len), int)
}
