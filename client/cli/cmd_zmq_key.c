/* zmq-key: a pair of keys of CurveZMQ, in a file as pyzmq and libzmq's tools have it. */
#include "client/cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gnutls/abstract.h>

#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/base/z85.h"

#define SUFFIX ".key_secret"

struct pair {
    char public[Z85_KEY_CHARS + 1], secret[Z85_KEY_CHARS + 1];
};

/* Returns what GnuTLS says. */
static int make_pair(struct pair *ret_pair)
{
    gnutls_privkey_t key = NULL;
    gnutls_datum_t public = {NULL, 0}, none = {NULL, 0}, secret = {NULL, 0};
    gnutls_ecc_curve_t curve;
    int result = gnutls_privkey_init(&key);
    result = result < 0 ? result : gnutls_privkey_generate(key, GNUTLS_PK_ECDH_X25519, 256, 0);
    result =
        result < 0 ? result : gnutls_privkey_export_ecc_raw(key, &curve, &public, &none, &secret);
    if (result >= 0 && (public.size != Z85_KEY_BYTES || secret.size != Z85_KEY_BYTES)) {
        result = GNUTLS_E_INTERNAL_ERROR;
    }
    if (result >= 0) {
        z85_key_text(public.data, ret_pair->public);
        z85_key_text(secret.data, ret_pair->secret);
        explicit_bzero(secret.data, secret.size);
    }
    gnutls_free(public.data);
    gnutls_free(none.data);
    gnutls_free(secret.data);
    if (key != NULL) {
        gnutls_privkey_deinit(key);
    }
    return result;
}

/* The owner's alone, and none is written over. False: errno says why. */
static bool write_file(const char *path, const struct pair *pair)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool good = dprintf(fd, "metadata\ncurve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
                        pair->public, pair->secret) > 0 &&
                fsync(fd) == 0;
    return close(fd) == 0 && good;
}

enum cli_exit cmd_zmq_key(struct cli *cli)
{
    const struct args *args = &cli->args;
    char own[CERTIFICATE_NAME_BYTES_MAX + sizeof SUFFIX];
    struct pair pair;
    const char *name = args->words_count == 1 ? args->words[0] : "";
    if (!naming_is_certificate(name, strlen(name)) || strpbrk(name, "/ #") != NULL) {
        return cli_usage(cli, "zmq-key needs a name, without spaces and slashes");
    }
    (void)snprintf(own, sizeof own, "%s%s", name, SUFFIX);
    const char *path = args_get(args, "out") != NULL ? args_get(args, "out") : own;
    int result = make_pair(&pair);
    bool good = result >= 0 && write_file(path, &pair);
    if (!good) {
        cli_complain("%s: %s", path, result < 0 ? gnutls_strerror(result) : strerror(errno));
    } else {
        printf("%s %s\n", name, pair.public);
    }
    explicit_bzero(&pair, sizeof pair);
    return good ? CLI_DONE : CLI_REFUSED;
}
