/* Options of what is outside: the URLs of sinks of events and of Docker, and files with secrets. */
#include <string.h>
#include <strings.h>

#ifdef MUSTER_AMQP
#include "api/amqp/amqp_url.h"
#endif
#ifdef MUSTER_SWARM
#include "api/swarm/docker_url.h"
#endif
#include "server/base/text.h"
#include "server/config.h"
#include "server/config_internal.h"
#include "server/secret_file.h"

/* The first line of a file. `text` is wiped if that fails. */
static bool read_line(const char *option, const char *file, char *text, size_t text_size,
                      char *error, size_t error_size)
{
    if (!secret_file_read(option, file, text, text_size, error, error_size)) {
        return false;
    }
    text[strcspn(text, "\r\n")] = '\0';
    size_t len = strlen(text);
    if (len == 0 || !text_is_printable(text, len)) {
        explicit_bzero(text, text_size);
        return config_refuse(error, error_size, "%s %s: its first line must be printable text",
                             option, file);
    }
    return true;
}

static bool settle_amqp(struct config *c, char *error, size_t error_size)
{
    if (c->amqp_url[0] != '\0' && c->amqp_url_file[0] != '\0') {
        return config_refuse(error, error_size, "give only one of --amqp-url and --amqp-url-file");
    }
    if (c->amqp_url_file[0] != '\0' && !read_line("--amqp-url-file", c->amqp_url_file, c->amqp_url,
                                                  sizeof c->amqp_url, error, error_size)) {
        return false;
    }
    if (c->amqp_url[0] == '\0') {
        return true;
    }
#ifdef MUSTER_AMQP
    struct amqp_url url;
    bool good = amqp_url_parse(c->amqp_url, &url, error, error_size);
    amqp_url_wipe(&url);
    return good;
#else
    return config_refuse(error, error_size,
                         "--amqp-url: this musterd was built without AMQP (MUSTER_AMQP)");
#endif
}

static bool settle_webhook(struct config *c, char *error, size_t error_size)
{
    const char *file = c->webhook_secret_file;
    if (file[0] != '\0' && c->webhook_url[0] == '\0') {
        return config_refuse(error, error_size, "--webhook-secret-file needs --webhook-url");
    }
    if (file[0] != '\0' && !read_line("--webhook-secret-file", file, c->webhook_secret,
                                      sizeof c->webhook_secret, error, error_size)) {
        return false;
    }
    if (file[0] != '\0' && strlen(c->webhook_secret) < SECRET_BYTES_MIN) {
        return config_refuse(error, error_size,
                             "--webhook-secret-file %s: its first line must have 16 bytes at least",
                             file);
    }
    if (c->webhook_url[0] == '\0') {
        return true;
    }
#ifdef MUSTER_WEBHOOK
    const char *host = strncmp(c->webhook_url, "http://", 7) == 0    ? c->webhook_url + 7
                       : strncmp(c->webhook_url, "https://", 8) == 0 ? c->webhook_url + 8
                                                                     : "";
    return host[strcspn(host, " ")] == '\0' && host[0] != '\0'
               ? true
               : config_refuse(error, error_size,
                               "--webhook-url: not of the form http://HOST/PATH or https://...");
#else
    return config_refuse(error, error_size,
                         "--webhook-url: this musterd was built without it (MUSTER_WEBHOOK)");
#endif
}

static bool settle_swarm(const struct config *c, char *error, size_t error_size)
{
#ifdef MUSTER_SWARM
    return c->docker[0] == '\0' || docker_is_url(c->docker) ||
           config_refuse(error, error_size,
                         "--docker: not of the form unix:///path or tcp://host:port");
#else
    return (c->docker[0] == '\0' && c->swarm_http[0] == '\0') ||
           config_refuse(error, error_size,
                         "--docker, --swarm-http: this musterd was built without (MUSTER_SWARM)");
#endif
}

bool config_settle_sinks(struct config *c, char *error, size_t error_size)
{
    return settle_amqp(c, error, error_size) && settle_webhook(c, error, error_size) &&
           settle_swarm(c, error, error_size);
}
