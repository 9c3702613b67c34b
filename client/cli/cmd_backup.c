/* muster backup: fetches one, checked, into a file; or checks one that is there. */
#include "client/cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "client/cli/backup_file.h"
#include "client/cli/output.h"
#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/mem.h"
#include "server/base/text.h"

#define MIB               (1024.0 * 1024)
#define REFUSAL_BYTES_MAX (64u * 1024)
/* After this time without data the replica is given up. */
#define SILENCE_SECONDS 60L
#define PROGRESS_MS     100
#define PROGRESS_WIDTH  40
#define WHY_SIZE        640

/* --- what is in one --- */

static const char *cluster_text(const struct snapshot_scan *scan, char out[CLUSTER_ID_TEXT_SIZE])
{
    cluster_id_text(&scan->chain.cluster, out);
    return out;
}

static void print_json(const char *path, const struct snapshot_scan *scan)
{
    char cluster[CLUSTER_ID_TEXT_SIZE], taken[TEXT_TIME_SIZE], hash[24];
    text_format_time((int64_t)scan->info.taken_ms, taken);
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, scan->info.hash);
    json_t *json = json_pack(
        "{s:s, s:I, s:s, s:i, s:s, s:I, s:I, s:I, s:s}", "file", path, "index",
        (json_int_t)scan->meta.index, "cluster", cluster_text(scan, cluster), "level",
        (int)scan->meta.level, "taken", taken, "member", (json_int_t)scan->info.member, "instances",
        (json_int_t)scan->info.items, "bytes", (json_int_t)scan->at, "state", hash);
    CHECK(json != NULL);
    output_json(json);
    json_decref(json);
}

static void print_facts(const struct cli *cli, const char *path, const struct snapshot_scan *scan)
{
    char cluster[CLUSTER_ID_TEXT_SIZE], taken[TEXT_TIME_SIZE];
    if (cli->json) {
        print_json(path, scan);
        return;
    }
    text_format_time((int64_t)scan->info.taken_ms, taken);
    printf("index      %" PRIu64 "\n", scan->meta.index);
    printf("cluster    %s\n", cluster_text(scan, cluster));
    printf("level      %u\n", scan->meta.level);
    printf("taken      %s by member %" PRIu64 "\n", taken, scan->info.member);
    printf("instances  %" PRIu64 "\n", scan->info.items);
    printf("bytes      %" PRIu64 "\n", scan->at);
    printf("state      %016" PRIx64 "\n", scan->info.hash);
}

static enum cli_exit verify(struct cli *cli, const char *path)
{
    char error[WHY_SIZE];
    struct snapshot_scan *scan = mem_alloc(sizeof *scan);
    bool fine = backup_file_check(path, scan, error, sizeof error);
    if (fine) {
        print_facts(cli, path, scan);
    } else {
        cli_complain("%s", error);
    }
    free(scan);
    return fine ? CLI_DONE : CLI_REFUSED;
}

/* --- fetching one --- */

struct fetch {
    struct cli *cli;
    struct backup_file file;
    CURL *curl;
    struct bytes refusal; /* the body of an answer that is none */
    uint64_t drawn_ms;
    bool drawn;
};

static void draw(struct fetch *f, curl_off_t total, curl_off_t now)
{
    char bar[PROGRESS_WIDTH + 1];
    int filled = total > 0 ? (int)(now * PROGRESS_WIDTH / total) : 0;
    memset(bar, '.', PROGRESS_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[PROGRESS_WIDTH] = '\0';
    fprintf(stderr, "\r[%s] %3d %%  %.1f of %.1f MiB ", bar,
            total > 0 ? (int)(now * 100 / total) : 0, (double)now / MIB, (double)total / MIB);
    (void)fflush(stderr);
    f->drawn = true;
    f->drawn_ms = clock_monotonic_ms();
}

static int show_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total,
                         curl_off_t up)
{
    struct fetch *f = ctx;
    (void)up_total, (void)up;
    if (total > 0 && (now == total || clock_monotonic_ms() - f->drawn_ms >= PROGRESS_MS)) {
        draw(f, total, now);
    }
    return 0;
}

static long status_of(const struct fetch *f)
{
    long status = 0;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *f = ctx;
    size_t len = size * count;
    bool taken;
    if (status_of(f) == 200) {
        taken = backup_file_add(&f->file, data, len);
    } else {
        bytes_append(&f->refusal, data, len);
        taken = !f->refusal.failed;
    }
    return taken ? len : 0;
}

static bool prepare(struct fetch *f, const char *server)
{
    const char *consistency = args_get(&f->cli->args, "consistency");
    char path[64];
    (void)snprintf(path, sizeof path, "/backup?consistency=%s",
                   consistency != NULL ? consistency : "linearizable");
    if (f->curl == NULL || !http_prepare(f->curl, server, path, f->cli->loop.shared) ||
        !http_authorize(f->curl, f->cli->loop.shared)) {
        return false;
    }
    curl_easy_setopt(f->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)f->cli->timeout_ms);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(f->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_SECONDS);
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, f);
    if (isatty(STDERR_FILENO) == 1) {
        curl_easy_setopt(f->curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(f->curl, CURLOPT_XFERINFOFUNCTION, show_progress);
        curl_easy_setopt(f->curl, CURLOPT_XFERINFODATA, f);
    }
    return true;
}

/* An answer that is no backup: what it says. */
static void explain(struct fetch *f, char why[WHY_SIZE])
{
    struct http_answer answer = {.status = status_of(f)};
    answer.body = json_loadb(f->refusal.data, f->refusal.len, 0, NULL);
    const char *message = http_answer_message(&answer);
    if (message != NULL) {
        (void)snprintf(why, WHY_SIZE, "%s - %s", message, http_answer_code(&answer));
    } else {
        (void)snprintf(why, WHY_SIZE, "it answers with HTTP status %ld", answer.status);
    }
    http_answer_done(&answer);
}

enum fetched {
    FETCHED,
    FETCH_UNREACHED, /* nobody there, or it broke off */
    FETCH_REFUSED,   /* not by this replica, or not now */
    FETCH_FAILED,    /* no replica can help */
};

static enum fetched judge(struct fetch *f, CURLcode code, char why[WHY_SIZE])
{
    if (f->file.error[0] != '\0') {
        (void)snprintf(why, WHY_SIZE, "%s", f->file.error);
        return f->file.is_damaged ? FETCH_REFUSED : FETCH_FAILED;
    }
    if (code != CURLE_OK) {
        (void)snprintf(why, WHY_SIZE, "%s", curl_easy_strerror(code));
        return FETCH_UNREACHED;
    }
    if (status_of(f) != 200) {
        explain(f, why);
        return status_of(f) < 500 && status_of(f) != 429 ? FETCH_FAILED : FETCH_REFUSED;
    }
    if (!backup_file_finish(&f->file, args_get(&f->cli->args, "force") != NULL)) {
        (void)snprintf(why, WHY_SIZE, "%s", f->file.error);
        return f->file.is_damaged ? FETCH_REFUSED : FETCH_FAILED;
    }
    return FETCHED;
}

static enum fetched fetch_from(struct fetch *f, const char *server, char why[WHY_SIZE])
{
    enum fetched fetched = FETCH_FAILED;
    f->curl = curl_easy_init();
    bytes_init(&f->refusal, REFUSAL_BYTES_MAX);
    f->drawn = false;
    if (!prepare(f, server)) {
        (void)snprintf(why, WHY_SIZE, "no memory");
    } else if (!backup_file_restart(&f->file)) {
        (void)snprintf(why, WHY_SIZE, "%s", f->file.error);
    } else {
        CURLcode code = curl_easy_perform(f->curl);
        if (f->drawn) {
            fputc('\n', stderr);
        }
        fetched = judge(f, code, why);
    }
    bytes_done(&f->refusal);
    curl_easy_cleanup(f->curl);
    return fetched;
}

/* One replica after the other, until one gives a whole one. */
static enum cli_exit fetch(struct fetch *f)
{
    const struct servers *servers = &f->cli->servers;
    enum fetched fetched = FETCH_UNREACHED;
    bool any_refused = false;
    for (size_t i = 0; i < servers->count; i++) {
        char why[WHY_SIZE] = "";
        fetched = fetch_from(f, servers->urls[i], why);
        any_refused |= fetched == FETCH_REFUSED;
        if (fetched == FETCHED) {
            print_facts(f->cli, f->file.path, f->file.scan);
            return CLI_DONE;
        }
        cli_complain("%s%s%s", fetched == FETCH_FAILED ? "" : servers->urls[i],
                     fetched == FETCH_FAILED ? "" : ": ", why);
        if (fetched == FETCH_FAILED) {
            return CLI_REFUSED;
        }
    }
    cli_complain("no backup was taken: no replica gave one");
    return any_refused ? CLI_REFUSED : CLI_UNREACHABLE;
}

enum cli_exit cmd_backup(struct cli *cli)
{
    const struct args *args = &cli->args;
    const char *consistency = args_get(args, "consistency");
    bool verifies = args_get(args, "verify") != NULL;
    if (args->words_count != 1) {
        return cli_usage(cli, "backup needs the name of one file");
    }
    if (consistency != NULL && strcmp(consistency, "stale") != 0 &&
        strcmp(consistency, "linearizable") != 0) {
        return cli_usage(cli, "--consistency %s is neither stale nor linearizable", consistency);
    }
    if (verifies && (consistency != NULL || args_get(args, "force") != NULL)) {
        return cli_usage(cli, "--verify only reads a file: it goes with no other option");
    }
    if (verifies) {
        return verify(cli, args->words[0]);
    }
    struct fetch f = {.cli = cli};
    enum cli_exit exit_status = CLI_REFUSED;
    if (backup_file_open(&f.file, args->words[0], args_get(args, "force") != NULL)) {
        exit_status = fetch(&f);
    } else {
        cli_complain("%s", f.file.error);
    }
    backup_file_close(&f.file);
    return exit_status;
}
