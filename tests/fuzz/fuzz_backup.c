/* Backups from anywhere: the verdict does not depend on the pieces; a restored one starts with the
 * state and index that it declares; a refused one leaves nothing. Every input is tried as it is,
 * and as blocks (kind, two bytes of length, content) whose headers and checksums are corrected. */
#include "consensus/recovery.h"
#include "server/base/snapshot_scan.h"
#include "tests/fuzz/blocks.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/engine_fixture.h"

static const struct cluster_id cluster = {.bytes = {0xc1, 2, 3}};

static const char *scan(const uint8_t *data, size_t len, size_t piece)
{
    static struct snapshot_scan s;
    const char *wrong = NULL;
    snapshot_scan_init(&s);
    for (size_t at = 0; at < len && wrong == NULL; at += piece) {
        size_t part = len - at < piece ? len - at : piece;
        uint8_t *exact = fuzz_copy(data + at, part);
        wrong = snapshot_scan_add(&s, exact, part);
        free(exact);
    }
    const char *end = snapshot_scan_end(&s);
    CHECK(wrong == NULL || end == wrong);
    CHECK(end != NULL || s.at == len);
    return end;
}

struct source {
    const uint8_t *data;
    size_t len, at;
};

static int read_source(void *ctx, void *data, size_t len, size_t *ret_len)
{
    struct source *s = ctx;
    *ret_len = s->len - s->at < len ? s->len - s->at : len;
    if (*ret_len > 0) {
        memcpy(data, s->data + s->at, *ret_len);
    }
    s->at += *ret_len;
    return 0;
}

static void restore(const uint8_t *data, size_t len, bool is_whole)
{
    static struct world w;
    struct source s = {.data = data, .len = len};
    const struct recovery_source source = {.read = read_source, .ctx = &s, .name = "it"};
    struct consensus_restored restored;
    char error[1024] = "";
    world_init(&w, 1);
    struct host *h = world_host(&w, 1);
    struct consensus_fsm app = engine_app;
    app.ctx = h;
    app.level_min = app.level_max = 1;
    bool fine = recovery_restore(files_boot(h->disk), "dir", &w.list[0], &app, &source, &restored,
                                 error, sizeof error);
    CHECK(fine == (error[0] == '\0'));
    CHECK(is_whole || !fine);
    if (fine) {
        CHECK(host_start(h));
        CHECK(h->engine->fsm.applied_index == restored.index);
        CHECK(fsm_newest_hash(h->engine).hash == restored.hash);
        CHECK(world_run_until(&w, world_is_led, 5000));
    } else {
        CHECK(files_name_count(h->disk) == 0);
    }
    world_done(&w);
}

static void try_it(const uint8_t *data, size_t len)
{
    const char *wrong = scan(data, len, len > 0 ? len : 1);
    CHECK(scan(data, len, 7) == wrong);
    restore(data, len, wrong == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_it(data, len);
    struct buffer file;
    fuzz_blocks(&file, &cluster, data, len);
    try_it(file.data, file.len);
    buffer_done(&file);
    return 0;
}
