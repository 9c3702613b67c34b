#include "server/config.h"

#include <string.h>
#include <unistd.h>

#include "server/base/compiler.h"
#include "server/base/limits.h"
#include "server/base/text.h"
#include "server/config_internal.h"
#include "server/secret_file.h"

/* --- where they come from --- */

static bool check_secret(const char *text, const char *file, char *error, size_t error_size)
{
    size_t len = strlen(text);
    return (len >= SECRET_BYTES_MIN && len <= SECRET_BYTES_MAX && text_is_printable(text, len)) ||
           config_refuse(
               error, error_size,
               "--cluster-secret-file %s: its first line must be printable and of 16 to 256 bytes",
               file);
}

/* Its file may be a pipe that nobody writes to. */
static bool read_secret(struct config *c, char *error, size_t error_size)
{
    char text[SECRET_BYTES_MAX + 3];
    const char *file = c->cluster_secret_file;
    if (file[0] == '\0') {
        return true;
    }
    if (c->cluster_secret[0] != '\0') {
        return config_refuse(error, error_size,
                             "give only one of --cluster-secret and --cluster-secret-file");
    }
    if (!secret_file_read("--cluster-secret-file", file, text, sizeof text, error, error_size)) {
        return false;
    }
    text[strcspn(text, "\r\n")] = '\0';
    bool good = check_secret(text, file, error, error_size);
    if (good) {
        memcpy(c->cluster_secret, text, strlen(text) + 1);
    }
    explicit_bzero(text, sizeof text);
    return good;
}

/* A secret is never quoted. */
static bool check_secrets(const struct config *c, char *error, size_t error_size)
{
    const char *old = c->cluster_secret_old;
    bool any = c->cluster_secret[0] != '\0' || c->peer_ca[0] != '\0';
    if (old[0] != '\0' && strcmp(old, SECRET_NONE) != 0 && strlen(old) < SECRET_BYTES_MIN) {
        return config_refuse(error, error_size, "--cluster-secret-old: 16 to 256 bytes, or none");
    }
    if (old[0] != '\0' && !any) {
        return config_refuse(
            error, error_size,
            "--cluster-secret-old needs the one that replaces it: --cluster-secret, or "
            "--peer-ca");
    }
    if (strcmp(old, SECRET_NONE) == 0 && c->peer_tls == 0) {
        return config_refuse(
            error, error_size,
            "--cluster-secret-old none needs --peer-tls optional: members without a "
            "secret have no TLS");
    }
    if (c->peer_tls != 0 && !any) {
        return config_refuse(
            error, error_size,
            "--peer-tls needs --cluster-secret or --peer-ca: there is no TLS without");
    }
    return true;
}

bool config_settle_secrets(struct config *c, char *error, size_t error_size)
{
    return read_secret(c, error, error_size) && check_secrets(c, error, error_size);
}

/* --- where they can be seen --- */

static const struct {
    const char *flag, *variable;
} secrets[] = {
    {"--cluster-secret", "MUSTER_CLUSTER_SECRET"},
    {"--cluster-secret-old", "MUSTER_CLUSTER_SECRET_OLD"},
    {"--amqp-url", "MUSTER_AMQP_URL"},
    {"--amqp-url", "RABBITMQ_URL"},
    {"--webhook-url", "MUSTER_WEBHOOK_URL"},
};

/* What follows "name=", if `word` begins so; NULL otherwise. */
static char *value_of(char *word, const char *name)
{
    size_t len = strlen(name);
    return strncmp(word, name, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void wipe(char *value)
{
    if (value != NULL) {
        explicit_bzero(value, strlen(value));
    }
}

void config_hide(char *argv[])
{
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++) {
        for (size_t at = 1; argv[at] != NULL; at++) {
            bool next = strcmp(argv[at], secrets[i].flag) == 0 && argv[at + 1] != NULL;
            wipe(next ? argv[at + 1] : value_of(argv[at], secrets[i].flag));
        }
        for (char **at = environ; *at != NULL; at++) {
            wipe(value_of(*at, secrets[i].variable));
        }
    }
}

bool config_has_secrets(const struct config *c)
{
    return c->cluster_secret[0] != '\0' || c->tls_key[0] != '\0' || c->peer_key[0] != '\0' ||
           c->bootstrap_token_file[0] != '\0' || c->amqp_url[0] != '\0' ||
           c->webhook_url[0] != '\0' || c->zmq_curve_key_file[0] != '\0';
}
