/* What a durable write costs on this machine, by how it is asked for and by what the file's blocks
 * are: the figures behind consensus/disk/files_posix.c. And what the log itself comes to, alone and
 * while a snapshot is written.
 *
 *     bench_disk DIRECTORY      prints tables: microseconds, median and 99th percentile
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "consensus/disk/files_posix.h"
#include "consensus/disk/snapshot_file.h"
#include "consensus/disk/wal.h"
#include "server/base/check.h"
#include "server/base/mem.h"

#define FILE_BYTES   (64u * 1024 * 1024)
#define LARGEST      (1024u * 1024)
#define SAMPLES_MAX  20000
#define SNAPSHOT_MIB 512

static uint8_t *content; /* LARGEST bytes, aligned */
static double samples[SAMPLES_MAX];
static size_t sample_count;

static double now_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_samples(void)
{
    qsort(samples, sample_count, sizeof *samples, by_value);
    printf(" %5.0f %5.0f |", samples[sample_count / 2], samples[sample_count * 99 / 100]);
    (void)fflush(stdout);
    sample_count = 0;
}

/* --- the kernel's calls --- */

enum blocks { BLOCKS_NONE, BLOCKS_UNWRITTEN, BLOCKS_ZEROS };
static const char *const blocks_names[] = {"growing file", "fallocate", "zeros written"};

static const struct way {
    const char *name;
    int open_flags, write_flags;
    bool sync;
} ways[] = {
    {"pwrite, fdatasync", 0, 0, true},
    {"pwritev2 RWF_DSYNC", 0, RWF_DSYNC, false},
    {"O_DSYNC", O_DSYNC, 0, false},
    {"O_DIRECT, fdatasync", O_DIRECT, 0, true},
    {"O_DIRECT, RWF_DSYNC", O_DIRECT, RWF_DSYNC, false},
    {"O_DIRECT, O_DSYNC", O_DIRECT | O_DSYNC, 0, false},
};

static void prepare(int dir, enum blocks blocks)
{
    int fd = openat(dir, "bench", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    if (blocks == BLOCKS_UNWRITTEN) {
        CHECK(fallocate(fd, 0, 0, FILE_BYTES) == 0);
    }
    uint8_t *zeros = mem_zalloc(1, LARGEST);
    for (off_t at = 0; blocks == BLOCKS_ZEROS && at < FILE_BYTES; at += LARGEST) {
        CHECK(pwrite(fd, zeros, LARGEST, at) == LARGEST);
    }
    free(zeros);
    CHECK(fsync(fd) == 0 && close(fd) == 0);
}

static void measure(int dir, enum blocks blocks, const struct way *way, size_t size)
{
    size_t count = size > 65536 ? 60 : 400;
    prepare(dir, blocks);
    int fd = openat(dir, "bench", O_RDWR | O_CLOEXEC | way->open_flags);
    if (fd < 0) {
        printf("     -     - |");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct iovec part = {.iov_base = content, .iov_len = size};
        double began = now_us();
        CHECK(pwritev2(fd, &part, 1, (off_t)(i * size), way->write_flags) == (ssize_t)size);
        CHECK(!way->sync || fdatasync(fd) == 0);
        samples[sample_count++] = now_us() - began;
    }
    CHECK(close(fd) == 0);
    print_samples();
}

static void measure_kernel(const char *directory)
{
    static const size_t sizes[] = {512, 4096, 65536, LARGEST};
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(dir >= 0);
    printf("| blocks        | call                |    512 B    |    4 KiB    |   64 KiB    |    "
           "1 MiB    |\n");
    for (size_t b = 0; b < ARRAY_LENGTH(blocks_names); b++) {
        for (size_t w = 0; w < ARRAY_LENGTH(ways); w++) {
            printf("| %-13s | %-19s |", blocks_names[b], ways[w].name);
            for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
                measure(dir, (enum blocks)b, &ways[w], sizes[s]);
            }
            printf("\n");
        }
    }
    CHECK(unlinkat(dir, "bench", 0) == 0 && close(dir) == 0);
}

/* --- the log --- */

static _Atomic bool stopping;

static void *write_snapshots(void *data)
{
    const struct files *files = data;
    static struct snapshot_meta meta = {.index = 1};
    struct cluster_id cluster = {.bytes = {1}};
    while (!atomic_load(&stopping)) {
        int rc;
        uint64_t bytes;
        struct snapshot_writer *w =
            snapshot_writer_open(files, SNAPSHOT_TAKEN_TEMPORARY, &cluster, &meta, NULL, &rc);
        CHECK(w != NULL);
        for (int i = 0; i < SNAPSHOT_MIB && !atomic_load(&stopping); i++) {
            snapshot_writer_add(w, content, LARGEST);
        }
        CHECK(snapshot_writer_finish(w, &bytes) == 0);
    }
    return NULL;
}

static void measure_writes(struct wal *wal, struct log *log, size_t size, size_t count)
{
    struct wal_frame frame;
    wal_frame_init(&frame);
    for (size_t i = 0; i < count; i++) {
        (void)log_append(log, 1, 1, content, size);
        uint64_t index = log_last_index(log);
        wal_frame_entry(&frame, index, log_get(log, index));
        double began = now_us();
        CHECK(wal_write(wal, &frame) == 0);
        samples[sample_count++] = now_us() - began;
        wal_frame_clear(&frame);
        log_compact(log, index);
    }
    wal_frame_done(&frame);
    print_samples();
    printf(" %6.0f |", samples[count - 1]);
}

static void measure_log(const char *directory)
{
    static const struct {
        size_t size, count;
    } loads[] = {{100, 20000}, {4000, 10000}, {65000, 2000}, {1000000, 300}};
    struct cluster_id cluster = {.bytes = {1}};
    struct wal_loaded loaded;
    char error[512];
    struct files *files = files_posix_open(directory, error, sizeof error);
    CHECK(files != NULL);
    CHECK(wal_create(files, &cluster, &(struct wal_state){0}) == 0);
    struct wal *wal = wal_open(files, &cluster, 0, &loaded, error, sizeof error);
    CHECK(wal != NULL);
    printf(
        "\n| log, entries of |     100 B, max       |    4000 B, max       |   65000 B, max       |"
        "  1000000 B, max      |\n");
    for (int beside = 0; beside < 2; beside++) {
        pthread_t thread;
        atomic_store(&stopping, false);
        CHECK(beside == 0 || pthread_create(&thread, NULL, write_snapshots, files) == 0);
        printf("| %-15s |", beside == 0 ? "alone" : "with a snapshot");
        for (size_t i = 0; i < ARRAY_LENGTH(loads); i++) {
            measure_writes(wal, &loaded.log, loads[i].size, loads[i].count);
        }
        printf("\n");
        atomic_store(&stopping, true);
        CHECK(beside == 0 || pthread_join(thread, NULL) == 0);
    }
    uint64_t bytes = wal_bytes(wal);
    wal_close(wal);
    log_done(&loaded.log);
    double began = now_us();
    wal = wal_open(files, &cluster, 0, &loaded, error, sizeof error);
    CHECK(wal != NULL);
    printf("\nlog of %llu MiB read in %.0f ms\n", (unsigned long long)bytes >> 20,
           (now_us() - began) / 1e3);
    wal_close(wal);
    log_done(&loaded.log);
    CHECK(snapshot_sweep(files) == 0);
    files_posix_close(files);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: bench_disk DIRECTORY\n");
        return 2;
    }
    void *memory = NULL;
    CHECK(posix_memalign(&memory, 4096, LARGEST) == 0);
    content = memory;
    for (size_t i = 0; i < LARGEST; i++) {
        content[i] = (uint8_t)(i * 7 + 1);
    }
    measure_kernel(argv[1]);
    measure_log(argv[1]);
    free(content);
    return 0;
}
