/* Configuration file and flags. An accepted configuration is complete and consistent; a refusal is
 * one printable line.
 *
 * Input: the file; or, after a first byte of 1, flags separated by that byte. */
#include "server/config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/base/text.h"
#include "tests/fuzz/fuzz.h"

#define FLAGS_MAX  8
#define SEPARATOR  "\x01"
#define ERROR_SIZE 1024

static const char *nothing_set(const char *name UNUSED)
{
    return NULL;
}

/* Writes the file, and returns its path. */
static void write_file(const uint8_t *data, size_t len, char *ret_path, size_t size)
{
    static int fd = -1;
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        CHECK(fd >= 0);
    }
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, len, 0) == (ssize_t)len);
    (void)snprintf(ret_path, size, "/proc/self/fd/%d", fd);
}

static bool only_prints(const char *flag)
{
    return strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0 || strcmp(flag, "--version") == 0;
}

static void check_address(const char *text)
{
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    CHECK(text_parse_address(text, host, sizeof host, &port));
}

static void check_config(const struct config *c)
{
    CHECK(c->id > 0 && c->name[0] != '\0' && c->http_threads > 0);
    CHECK(text_is_printable(c->name, strlen(c->name)));
    CHECK(c->heartbeat_interval_ms > 0 && c->heartbeat_interval_ms <= c->election_timeout_ms / 2);
    CHECK(c->members_count >= 1 && c->members_count <= MEMBERS_MAX);
    CHECK(c->log_level <= LOG_DEBUG && c->log_format <= LOG_JSON);
    check_address(c->http);
    check_address(c->peer);
    check_address(c->advertise_http);
    check_address(c->advertise_peer);
    bool listed = false;
    for (size_t i = 0; i < c->members_count; i++) {
        check_address(c->members[i].address);
        CHECK(i == 0 || c->members[i - 1].id < c->members[i].id);
        listed = listed || c->members[i].id == c->id;
    }
    CHECK(listed);
}

static void try_flags(char *path, char *flags)
{
    char name[] = "musterd", config_flag[] = "--config";
    char *argv[3 + FLAGS_MAX] = {name, config_flag, path};
    int argc = 3;
    char error[ERROR_SIZE] = "";
    struct config config;
    while (flags != NULL && argc < (int)ARRAY_LENGTH(argv)) {
        char *flag = strsep(&flags, SEPARATOR);
        if (!only_prints(flag)) {
            argv[argc++] = flag;
        }
    }
    if (config_load(argc, argv, nothing_set, &config, error, sizeof error) == CONFIG_RUN) {
        check_config(&config);
    } else {
        CHECK(error[0] != '\0' && text_is_printable(error, strlen(error)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input in = {.at = data, .left = len};
    char path[32];
    const uint8_t *separator = len > 0 ? memchr(data, SEPARATOR[0], len) : NULL;
    char *flags = NULL;
    size_t file_len = separator != NULL ? (size_t)(separator - data) : len;
    write_file(data, file_len, path, sizeof path);
    if (separator != NULL) {
        in.at += file_len + 1;
        in.left -= file_len + 1;
        flags = input_text(&in);
    }
    try_flags(path, flags);
    free(flags);
    return 0;
}
