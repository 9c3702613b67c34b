#include "api/amqp/amqp_url.h"

#include <stdio.h>
#include <string.h>

#include <amqp.h>

#include "server/base/text.h"

static bool refuse(char *error, size_t error_size, const char *what)
{
    (void)snprintf(error, error_size,
                   "--amqp-url: %s; it is as amqp://user:password@host:5672/vhost or amqps://...",
                   what);
    return false;
}

static bool is_short(const char *text)
{
    size_t len = strlen(text);
    return len > 0 && len <= AMQP_SHORT_BYTES_MAX && text_is_printable(text, len);
}

bool amqp_url_parse(const char *url, struct amqp_url *ret_url, char *error, size_t error_size)
{
    struct amqp_connection_info info;
    size_t len = strlen(url);
    *ret_url = (struct amqp_url){.port = 0};
    if (len > AMQP_URL_BYTES_MAX) {
        return refuse(error, error_size, "it is longer than 2048 bytes");
    }
    memcpy(ret_url->text, url, len + 1);
    amqp_default_connection_info(&info);
    if (amqp_parse_url(ret_url->text, &info) != AMQP_STATUS_OK) {
        amqp_url_wipe(ret_url);
        return refuse(error, error_size, "it cannot be read");
    }
    if (!is_short(info.user) || !is_short(info.vhost) || info.host[0] == '\0' ||
        strlen(info.host) > AMQP_SHORT_BYTES_MAX || info.port <= 0 || info.port > 65535) {
        amqp_url_wipe(ret_url);
        return refuse(error, error_size, "user, host, port or virtual host cannot be");
    }
    ret_url->user = info.user;
    ret_url->password = info.password;
    ret_url->host = info.host;
    ret_url->vhost = info.vhost;
    ret_url->port = info.port;
    ret_url->tls = info.ssl != 0;
    return true;
}

void amqp_url_wipe(struct amqp_url *url)
{
    explicit_bzero(url->text, sizeof url->text);
}
