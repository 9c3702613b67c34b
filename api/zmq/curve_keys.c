#include "api/zmq/curve_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "server/base/mem.h"
#include "server/base/naming.h"

#define LINE_BYTES_MAX 512

/* --- clients --- */

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct curve_client *)a)->key, ((const struct curve_client *)b)->key,
                  CURVE_KEY_BYTES);
}

/* False: neither a client nor empty. */
static bool parse_line(struct curve_keys *keys, char *line)
{
    char *rest = NULL;
    line[strcspn(line, "\r\n")] = '\0';
    const char *name = strtok_r(line, " \t", &rest);
    if (name == NULL || name[0] == '#') {
        return true;
    }
    const char *key = strtok_r(NULL, " \t", &rest);
    const char *more = strtok_r(NULL, " \t", &rest);
    struct curve_client *client = &keys->clients[keys->count];
    if (key == NULL || strlen(key) != Z85_KEY_CHARS || (more != NULL && more[0] != '#') ||
        !naming_is_certificate(name, strlen(name)) || !z85_key_parse(key, client->key)) {
        return false;
    }
    memcpy(client->name, name, strlen(name) + 1);
    keys->count++;
    return true;
}

static bool is_twice(const struct curve_keys *keys)
{
    for (size_t i = 1; i < keys->count; i++) {
        if (compare(&keys->clients[i - 1], &keys->clients[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool read_clients(struct curve_keys *keys, FILE *file, const char *path, char *error,
                         size_t error_size)
{
    char line[LINE_BYTES_MAX];
    for (unsigned number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        if (keys->count == CURVE_CLIENTS_MAX || !parse_line(keys, line)) {
            (void)snprintf(error, error_size,
                           "--zmq-curve-clients %s: line %u must be a name and a public key, of at "
                           "most %d clients",
                           path, number, CURVE_CLIENTS_MAX);
            return false;
        }
    }
    if (keys->count > 0) {
        qsort(keys->clients, keys->count, sizeof keys->clients[0], compare);
    }
    if (ferror(file) || is_twice(keys)) {
        (void)snprintf(error, error_size, "--zmq-curve-clients %s: %s", path,
                       ferror(file) ? "cannot be read" : "a key is there twice");
        return false;
    }
    return true;
}

bool curve_keys_load(struct curve_keys *ret_keys, const char *secret, const char *clients,
                     char *error, size_t error_size)
{
    *ret_keys = (struct curve_keys){.any = clients == NULL || clients[0] == '\0'};
    if (sodium_init() < 0 || strlen(secret) != Z85_KEY_CHARS ||
        !z85_key_parse(secret, ret_keys->secret) ||
        crypto_scalarmult_base(ret_keys->public, ret_keys->secret) != 0) {
        (void)snprintf(error, error_size,
                       "--zmq-curve-key: the file has no secret key of CURVE (40 characters)");
        return false;
    }
    if (ret_keys->any) {
        return true;
    }
    FILE *file = fopen(clients, "re");
    if (file == NULL) {
        (void)snprintf(error, error_size, "--zmq-curve-clients %s: %s", clients, strerror(errno));
        return false;
    }
    ret_keys->clients = mem_zalloc(CURVE_CLIENTS_MAX, sizeof *ret_keys->clients);
    bool good = read_clients(ret_keys, file, clients, error, error_size);
    (void)fclose(file);
    return good;
}

const char *curve_keys_find(const struct curve_keys *keys, const uint8_t key[CURVE_KEY_BYTES])
{
    struct curve_client wanted = {.name = ""};
    if (keys->any) {
        return "";
    }
    memcpy(wanted.key, key, CURVE_KEY_BYTES);
    const struct curve_client *found =
        keys->count > 0
            ? bsearch(&wanted, keys->clients, keys->count, sizeof keys->clients[0], compare)
            : NULL;
    return found != NULL ? found->name : NULL;
}

void curve_keys_done(struct curve_keys *keys)
{
    free(keys->clients);
    explicit_bzero(keys, sizeof *keys);
}
