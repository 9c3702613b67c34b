/* Snapshot files, from disk or from another member: an accepted file is returned raw byte for byte,
 * and its state, written again, is accepted and the same. Every input is tried as it is, and as
 * blocks (kind, two bytes of length, content) whose headers and checksums are corrected. */
#include "consensus/disk/snapshot_file.h"
#include "server/base/snapshot_block.h"
#include "tests/fuzz/blocks.h"
#include "tests/fuzz/disk.h"

static const char name[] = SNAPSHOT_RECEIVED_TEMPORARY;

/* False: refused. */
static bool read_all(const struct files *files, const char *from, bool raw,
                     struct snapshot_meta *ret_meta, struct buffer *ret_bytes)
{
    char error[256] = "";
    struct snapshot_reader *r =
        snapshot_reader_open(files, from, &fuzz_cluster, ret_meta, error, sizeof error);
    bool fine = r != NULL;
    for (size_t len = 1; fine && len > 0;) {
        const uint8_t *data;
        fine = raw ? snapshot_reader_raw(r, &data, &len, error, sizeof error)
                   : snapshot_reader_next(r, &data, &len, error, sizeof error);
        if (fine) {
            buffer_append(ret_bytes, data, len);
        }
    }
    snapshot_reader_close(r);
    CHECK(fine == (error[0] == '\0'));
    return fine;
}

static void write_again(const struct files *files, const struct snapshot_meta *meta,
                        const struct buffer *state)
{
    int rc;
    uint64_t bytes;
    struct snapshot_meta again;
    struct buffer b;
    buffer_init(&b, 1u << 24);
    struct snapshot_writer *w =
        snapshot_writer_open(files, SNAPSHOT_TAKEN_TEMPORARY, &fuzz_cluster, meta, NULL, &rc);
    CHECK(w != NULL);
    snapshot_writer_add(w, state->data, state->len);
    CHECK(snapshot_writer_finish(w, &bytes) == 0);
    CHECK(read_all(files, SNAPSHOT_TAKEN_TEMPORARY, false, &again, &b));
    CHECK(b.len == state->len && (b.len == 0 || memcmp(b.data, state->data, b.len) == 0));
    CHECK(again.index == meta->index && again.term == meta->term);
    CHECK(again.checksum == meta->checksum && again.level == meta->level);
    CHECK(again.configuration_len == meta->configuration_len);
    CHECK(memcmp(again.configuration, meta->configuration, meta->configuration_len) == 0);
    buffer_done(&b);
}

static void try_file(const void *data, size_t len)
{
    static struct snapshot_meta meta;
    struct files_disk *disk = fuzz_disk();
    const struct files *files = files_boot(disk);
    struct buffer state;
    struct buffer raw;
    buffer_init(&state, 1u << 24);
    buffer_init(&raw, 1u << 24);
    files_put(disk, name, data, len);
    bool fine = read_all(files, name, false, &meta, &state);
    CHECK(read_all(files, name, true, &meta, &raw) == fine);
    CHECK(fuzz_changes(disk) == 0);
    if (fine) {
        CHECK(raw.len == len && memcmp(raw.data, data, len) == 0);
        write_again(files, &meta, &state);
    }
    buffer_done(&state);
    buffer_done(&raw);
    files_destroy(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_file(data, len);
    struct buffer file;
    fuzz_blocks(&file, &fuzz_cluster, data, len);
    try_file(file.data, file.len);
    buffer_done(&file);
    return 0;
}
