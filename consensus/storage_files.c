#include "consensus/storage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/base/buffer.h"
#include "server/base/crc32c.h"
#include "server/base/text.h"

#define IDENTITY_BYTES_MAX 4096
#define IDENTITY_HEAD      "muster identity 1\n"

#define SLOTS       2
#define SLOT_BYTES  64
#define SLOT_STRIDE 512 /* a sector each: a write that power cuts short harms one only */
#define FILE_BYTES  (SLOTS * SLOT_STRIDE)
#define SLOT_CRC_AT (SLOT_BYTES - 4)

static const uint8_t slot_magic[8] = {'M', 'S', 'T', 'm', 'a', 'r', 'k', '1'};

static bool write_whole(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* Bytes read, up to size; -1 with errno. */
static ssize_t read_whole(int fd, uint8_t *data, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = pread(fd, data + len, size - len, (off_t)len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        len += (size_t)n;
    }
    return (ssize_t)len;
}

bool file_publish(int dir, const char *name, const void *data, size_t len)
{
    char temporary[64];
    (void)snprintf(temporary, sizeof temporary, "%s.new", name);
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool written = write_whole(fd, data, len) && fsync(fd) == 0;
    int reason = errno;
    (void)close(fd);
    if (!written) {
        errno = reason;
        return false;
    }
    return renameat(dir, temporary, dir, name) == 0 && fsync(dir) == 0;
}

/* --- identity --- */

bool identity_write(int dir, const struct storage_identity *identity)
{
    char text[IDENTITY_BYTES_MAX];
    int n = snprintf(text, sizeof text,
                     IDENTITY_HEAD "member=%" PRIu64 "\ncluster=%" PRIu64 "\nmembers=%s\n",
                     identity->member_id, identity->cluster_id, identity->members);
    n += snprintf(text + n, sizeof text - (size_t)n, "crc32c=%08" PRIx32 "\n",
                  crc32c(0, text, (size_t)n));
    return file_publish(dir, "identity", text, (size_t)n);
}

/* Takes the value of the line `key=value` at *at, and goes to the next line. NULL when it is not
 * such a line. */
static char *take_line(char **at, const char *key)
{
    size_t key_len = strlen(key);
    char *end = strchr(*at, '\n');
    if (end == NULL || strncmp(*at, key, key_len) != 0 || (*at)[key_len] != '=') {
        return NULL;
    }
    char *value = *at + key_len + 1;
    *end = '\0';
    *at = end + 1;
    return value;
}

static bool identity_parse(char *text, struct storage_identity *ret_identity)
{
    /* The checksum is over all that is before its line. */
    char *last = strstr(text, "\ncrc32c=");
    if (last == NULL || strncmp(text, IDENTITY_HEAD, strlen(IDENTITY_HEAD)) != 0) {
        return false;
    }
    char expected[32];
    (void)snprintf(expected, sizeof expected, "crc32c=%08" PRIx32 "\n",
                   crc32c(0, text, (size_t)(last + 1 - text)));
    if (strcmp(last + 1, expected) != 0) {
        return false;
    }
    char *at = text + strlen(IDENTITY_HEAD);
    const char *member = take_line(&at, "member");
    const char *cluster = member != NULL ? take_line(&at, "cluster") : NULL;
    const char *members = cluster != NULL ? take_line(&at, "members") : NULL;
    struct storage_identity identity = {0};
    if (members == NULL || strlen(members) >= sizeof identity.members ||
        !text_parse_u64(member, UINT64_MAX, &identity.member_id) ||
        !text_parse_u64(cluster, UINT64_MAX, &identity.cluster_id)) {
        return false;
    }
    (void)snprintf(identity.members, sizeof identity.members, "%s", members);
    *ret_identity = identity;
    return true;
}

enum file_state identity_read(int dir, struct storage_identity *ret_identity)
{
    int fd = openat(dir, "identity", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? FILE_MISSING : FILE_UNREADABLE;
    }
    char text[IDENTITY_BYTES_MAX];
    ssize_t len = read_whole(fd, (uint8_t *)text, sizeof text - 1);
    (void)close(fd);
    if (len < 0) {
        return FILE_UNREADABLE;
    }
    text[len] = '\0';
    bool fine = strlen(text) == (size_t)len && identity_parse(text, ret_identity);
    return fine ? FILE_FINE : FILE_DAMAGED;
}

/* --- watermark --- */

bool watermark_create(int dir)
{
    static const uint8_t zeros[FILE_BYTES];
    return file_publish(dir, "watermark", zeros, sizeof zeros);
}

static bool slot_is_zero(const uint8_t *slot)
{
    static const uint8_t zeros[SLOT_STRIDE];
    return memcmp(slot, zeros, sizeof zeros) == 0;
}

static bool slot_decode(const uint8_t *slot, struct mark *ret_mark)
{
    if (memcmp(slot, slot_magic, sizeof slot_magic) != 0 ||
        load_u32(slot + SLOT_CRC_AT) != crc32c(0, slot, SLOT_CRC_AT)) {
        return false;
    }
    *ret_mark = (struct mark){.sequence = load_u64(slot + 8),
                              .boot = load_u64(slot + 16),
                              .term = load_u64(slot + 24),
                              .index = load_u64(slot + 32)};
    return true;
}

static bool watermark_decode(const uint8_t *data, struct mark *ret_mark)
{
    struct mark best = {0};
    bool all_zero = true;
    for (size_t i = 0; i < SLOTS; i++) {
        const uint8_t *slot = data + i * SLOT_STRIDE;
        struct mark mark;
        if (slot_decode(slot, &mark) && mark.sequence > best.sequence) {
            best = mark;
        }
        all_zero = all_zero && slot_is_zero(slot);
    }
    if (best.sequence == 0 && !all_zero) {
        return false;
    }
    *ret_mark = best;
    return true;
}

enum file_state watermark_open(int dir, int *ret_fd, struct mark *ret_mark)
{
    int fd = openat(dir, "watermark", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? FILE_MISSING : FILE_UNREADABLE;
    }
    uint8_t data[FILE_BYTES + 1];
    ssize_t len = read_whole(fd, data, sizeof data);
    if (len == FILE_BYTES && watermark_decode(data, ret_mark)) {
        *ret_fd = fd;
        return FILE_FINE;
    }
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return len < 0 ? FILE_UNREADABLE : FILE_DAMAGED;
}

bool watermark_write(int fd, const struct mark *mark)
{
    uint8_t slot[SLOT_BYTES] = {0};
    memcpy(slot, slot_magic, sizeof slot_magic);
    store_u64(slot + 8, mark->sequence);
    store_u64(slot + 16, mark->boot);
    store_u64(slot + 24, mark->term);
    store_u64(slot + 32, mark->index);
    store_u32(slot + SLOT_CRC_AT, crc32c(0, slot, SLOT_CRC_AT));
    off_t at = (off_t)(mark->sequence % SLOTS * SLOT_STRIDE);
    ssize_t n;
    do {
        n = pwrite(fd, slot, sizeof slot, at);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof slot;
}
