#include "consensus/disk/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "consensus/disk/complaint.h"
#include "server/base/check.h"
#include "server/base/crc32c.h"
#include "server/base/text.h"

#define NAME      "identity"
#define TEMPORARY "identity.new"
#define TEXT_MAX  4096
#define HEAD      "muster identity 2\n"
#define OLD_HEAD  "muster identity 1\n"

PRINTF_LIKE(2, 3)
static enum identity_state refuse(const struct complaint *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(c->text, c->size, format, args);
    va_end(args);
    return IDENTITY_REFUSED;
}

static enum identity_state refuse_old(const struct complaint *c, const char *name)
{
    return refuse(c,
                  "%s was written by Muster 0.1, whose format this version does not read: start "
                  "with an empty directory",
                  name);
}

/* --- other files --- */

struct others {
    char of_log[64]; /* a file that implies an identity, or "" */
    bool old_raft, old_watermark;
};

static void note_other(void *data, const char *name, uint64_t bytes UNUSED)
{
    struct others *o = data;
    if (strcmp(name, "raft") == 0) {
        o->old_raft = true;
    } else if (strcmp(name, "watermark") == 0) {
        o->old_watermark = true;
    } else if (strncmp(name, "log-", 4) == 0 || strncmp(name, "snapshot", 8) == 0 ||
               strcmp(name, "log.new") == 0) {
        (void)snprintf(o->of_log, sizeof o->of_log, "%s", name);
    }
}

/* --- text --- */

/* Returns the value of the line `key=value` at *at, and advances to the next line. NULL if it is
 * another line. */
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

/* An optional line; false if its value is not "yes". */
static bool take_flag(char **at, const char *end, const char *key, bool *ret_is_set)
{
    const char *value = *at != end ? take_line(at, key) : NULL;
    *ret_is_set = value != NULL;
    return value == NULL || strcmp(value, "yes") == 0;
}

static bool parse(char *text, struct identity *ret_identity)
{
    /* The checksum covers all preceding lines. */
    char *last = strstr(text, "\ncrc32c=");
    if (last == NULL || strncmp(text, HEAD, strlen(HEAD)) != 0) {
        return false;
    }
    char expected[32];
    (void)snprintf(expected, sizeof expected, "crc32c=%08" PRIx32 "\n",
                   crc32c(0, text, (size_t)(last + 1 - text)));
    if (strcmp(last + 1, expected) != 0) {
        return false;
    }
    char *at = text + strlen(HEAD);
    const char *member = take_line(&at, "member");
    const char *life = member != NULL ? take_line(&at, "life") : NULL;
    const char *cluster = life != NULL ? take_line(&at, "cluster") : NULL;
    const char *members = cluster != NULL ? take_line(&at, "members") : NULL;
    struct identity identity = {0};
    bool is_sound = members != NULL && take_flag(&at, last + 1, "joins", &identity.joins) &&
                    take_flag(&at, last + 1, "joining", &identity.joining);
    if (!is_sound || at != last + 1 || strlen(members) >= sizeof identity.members ||
        !text_parse_u64(member, UINT64_MAX, &identity.member) ||
        !text_parse_u64(life, INT64_MAX, &identity.life) || identity.life == 0 ||
        !cluster_id_parse(cluster, &identity.cluster)) {
        return false;
    }
    memcpy(identity.members, members, strlen(members) + 1);
    *ret_identity = identity;
    return true;
}

static size_t format(const struct identity *identity, char out[TEXT_MAX])
{
    char cluster[CLUSTER_ID_TEXT_SIZE];
    cluster_id_text(&identity->cluster, cluster);
    int n = snprintf(
        out, TEXT_MAX, HEAD "member=%" PRIu64 "\nlife=%" PRIu64 "\ncluster=%s\nmembers=%s\n%s%s",
        identity->member, identity->life, cluster, identity->members,
        identity->joins ? "joins=yes\n" : "", identity->joining ? "joining=yes\n" : "");
    n += snprintf(out + n, TEXT_MAX - (size_t)n, "crc32c=%08" PRIx32 "\n",
                  crc32c(0, out, (size_t)n));
    CHECK(n < TEXT_MAX);
    return (size_t)n;
}

/* --- the file --- */

static enum identity_state read_file(const struct files *files, const char *name,
                                     char text[TEXT_MAX], size_t *ret_len,
                                     const struct complaint *c)
{
    int file;
    int rc = files->open(files->ctx, name, FILE_READ, &file);
    if (rc == -ENOENT) {
        return IDENTITY_MISSING;
    }
    if (rc == 0) {
        rc = files->read(files->ctx, file, 0, text, TEXT_MAX - 1, ret_len);
        files->close(files->ctx, file);
    }
    return rc == 0 ? IDENTITY_FINE : refuse(c, "cannot read the file %s: %s", name, strerror(-rc));
}

enum identity_state identity_read(const struct files *files, struct identity *ret_identity,
                                  char *error, size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    struct others others = {0};
    int rc = files->list(files->ctx, note_other, &others);
    if (rc != 0) {
        return refuse(&c, "cannot list the directory: %s", strerror(-rc));
    }
    if (others.old_raft || others.old_watermark) {
        return refuse_old(&c, others.old_raft ? "the directory raft" : "the file watermark");
    }
    char text[TEXT_MAX] = "";
    size_t len = 0;
    enum identity_state state = read_file(files, NAME, text, &len, &c);
    if (state == IDENTITY_MISSING && others.of_log[0] != '\0') {
        return refuse(&c, "the file identity is missing, though there is %s", others.of_log);
    }
    if (state != IDENTITY_FINE) {
        return state;
    }
    text[len] = '\0';
    if (strncmp(text, OLD_HEAD, strlen(OLD_HEAD)) == 0) {
        return refuse_old(&c, "the file identity");
    }
    if (strlen(text) != len || !parse(text, ret_identity)) {
        return refuse(&c, "the file identity is damaged (its checksum is wrong)");
    }
    /* The process that renamed it may have crashed before its own sync_dir. */
    rc = files->sync_dir(files->ctx);
    return rc == 0 ? IDENTITY_FINE : refuse(&c, "cannot sync the directory: %s", strerror(-rc));
}

int identity_probe(const struct files *files)
{
    int file;
    int rc = files->open(files->ctx, NAME, FILE_READ, &file);
    if (rc == 0) {
        files->close(files->ctx, file);
    }
    return rc;
}

enum identity_state identity_read_named(const struct files *files, const char *name,
                                        struct identity *ret_identity, char *error,
                                        size_t error_size)
{
    struct complaint c = {.text = error, .size = error_size};
    char text[TEXT_MAX] = "";
    size_t len = 0;
    enum identity_state state = read_file(files, name, text, &len, &c);
    if (state != IDENTITY_FINE) {
        return state;
    }
    text[len] = '\0';
    if (strlen(text) != len || !parse(text, ret_identity)) {
        return refuse(&c, "the file %s is damaged (its checksum is wrong)", name);
    }
    /* As below: the process that renamed it may have crashed before it was durable. */
    int rc = files->sync_dir(files->ctx);
    return rc == 0 ? IDENTITY_FINE : refuse(&c, "cannot sync the directory: %s", strerror(-rc));
}

int identity_write_named(const struct files *files, const char *temporary, const char *name,
                         const struct identity *identity)
{
    CHECK(identity->life > 0 && identity->life <= INT64_MAX);
    CHECK(strchr(identity->members, '\n') == NULL);
    char text[TEXT_MAX];
    size_t len = format(identity, text);
    int file;
    int rc = files->open(files->ctx, temporary, FILE_CREATE, &file);
    if (rc != 0) {
        return rc;
    }
    rc = files->write(files->ctx, file, 0, text, len, true);
    files->close(files->ctx, file);
    if (rc == 0) {
        rc = files->rename(files->ctx, temporary, name);
    }
    return rc == 0 ? files->sync_dir(files->ctx) : rc;
}

int identity_write(const struct files *files, const struct identity *identity)
{
    return identity_write_named(files, TEMPORARY, NAME, identity);
}
