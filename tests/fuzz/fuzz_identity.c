/* The identity file: what is accepted can be written again unchanged. Every input is tried as it
 * is, and with head and checksum corrected. */
#include <inttypes.h>
#include <stdio.h>

#include "consensus/disk/identity.h"
#include "server/base/crc32c.h"
#include "tests/fuzz/disk.h"

static void try_identity(const void *text, size_t len)
{
    struct identity found;
    struct identity again;
    char error[256] = "";
    struct files_disk *disk = fuzz_disk();
    const struct files *files = files_boot(disk);
    files_put(disk, "identity", text, len);
    enum identity_state state = identity_read(files, &found, error, sizeof error);
    CHECK(state != IDENTITY_MISSING);
    CHECK((state == IDENTITY_REFUSED) == (error[0] != '\0'));
    CHECK(fuzz_changes(disk) == 0);
    if (state == IDENTITY_FINE) {
        CHECK(found.life > 0 && strlen(found.members) < sizeof found.members);
        CHECK(identity_write(files, &found) == 0);
        CHECK(identity_read(files, &again, error, sizeof error) == IDENTITY_FINE);
        CHECK(again.member == found.member && again.life == found.life);
        CHECK(cluster_id_equal(&again.cluster, &found.cluster));
        CHECK(strcmp(again.members, found.members) == 0);
    }
    files_destroy(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    try_identity(data, len);
    struct buffer b;
    buffer_init(&b, 1u << 20);
    buffer_append_text(&b, "muster identity 2\n");
    buffer_append(&b, data, len);
    buffer_printf(&b, "crc32c=%08" PRIx32 "\n", crc32c(0, b.data, b.len));
    try_identity(b.data, b.len);
    buffer_done(&b);
    return 0;
}
