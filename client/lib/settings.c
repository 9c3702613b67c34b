#include "client/lib/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/arguments.h"
#include "server/base/naming.h"
#include "server/base/text.h"

#define SERVERS_DEFAULT        "http://127.0.0.1:9000"
#define REQUEST_TIMEOUT_MS     10000
#define REQUEST_TIMEOUT_MS_MIN 100

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static bool take_servers(const struct muster_options *options, struct servers *ret_servers,
                         char *why, size_t why_size)
{
    const char *list = options->servers != NULL ? options->servers : environment("MUSTER_SERVER");
    if (list == NULL && options->adopt_environment) {
        list = environment("REGISTRY_URL");
    }
    return servers_parse(list != NULL ? list : SERVERS_DEFAULT, ret_servers, why, why_size);
}

static bool take_fallback(struct settings *settings, const struct muster_options *options,
                          char *why, size_t why_size)
{
    const char *url = options->fallback;
    if (url == NULL && options->adopt_environment) {
        url = environment("API_URL");
    }
    if (url == NULL || *url == '\0') {
        return true;
    }
    if (!servers_parse_host(url, settings->fallback_host, sizeof settings->fallback_host,
                            &settings->fallback_port)) {
        (void)snprintf(why, why_size, "the fallback is not a URL such as http://10.0.0.5:8000");
        return false;
    }
    return true;
}

static bool take_namespace(struct settings *settings, const struct muster_options *options,
                           char *why, size_t why_size)
{
    const char *name =
        options->namespace_name != NULL ? options->namespace_name : environment("MUSTER_NAMESPACE");
    if (name == NULL || *name == '\0') {
        return true;
    }
    if (!naming_is_namespace(name, strlen(name))) {
        (void)snprintf(why, why_size,
                       "the namespace is not 1 to %d lower-case letters, digits, '-', '_' and '.'",
                       NAMESPACE_BYTES_MAX);
        return false;
    }
    memcpy(settings->space, name, strlen(name) + 1);
    return true;
}

/* These names are not ours alone (Kubernetes sets SERVER_PORT to a URL if there is a service
 * `server`): a value that cannot be used is an error of the registration that needs it. */
static void take_environment(struct settings *settings)
{
    const char *port = environment("SERVER_PORT");
    const char *interval = environment("HEARTBEAT_INTERVAL");
    const char *id = environment("SERVER_ID");
    uint64_t value = 0;
    settings->port = port != NULL && text_parse_u64(port, UINT16_MAX, &value) ? (uint16_t)value : 0;
    settings->port_unusable = port != NULL && settings->port == 0;
    settings->interval_unusable =
        interval != NULL &&
        (!text_parse_duration_ms(interval, &settings->interval_ms) || settings->interval_ms == 0);
    settings->id_unusable = id != NULL && strlen(id) > NAME_BYTES_MAX;
    settings->id = id != NULL && !settings->id_unusable ? strdup(id) : NULL;
}

bool settings_init(struct settings *settings, const struct muster_options *given,
                   struct servers *ret_servers, char *why, size_t why_size)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    const size_t least = offsetof(struct muster_options, on_log); /* version 0.1 */
    const char *fault =
        given != NULL ? arguments_copy(&options, sizeof options, least, given) : NULL;
    if (fault != NULL) {
        (void)snprintf(why, why_size, "options: %s", fault);
        return false;
    }
    uint32_t timeout_ms = options.request_timeout_ms;
    settings->request_timeout_ms = timeout_ms > 0 ? timeout_ms : REQUEST_TIMEOUT_MS;
    if (settings->request_timeout_ms < REQUEST_TIMEOUT_MS_MIN ||
        settings->request_timeout_ms > WAIT_MS_MAX) {
        (void)snprintf(why, why_size, "request_timeout_ms is not between %d and %d",
                       REQUEST_TIMEOUT_MS_MIN, WAIT_MS_MAX);
        return false;
    }
    if (!take_servers(&options, ret_servers, why, why_size) ||
        !take_fallback(settings, &options, why, why_size) ||
        !take_namespace(settings, &options, why, why_size)) {
        return false;
    }
    settings->on_log = options.on_log;
    settings->log_ctx = options.log_ctx;
    settings->use_dispatch = options.use_dispatch;
    if (options.adopt_environment) {
        take_environment(settings);
    }
    return true;
}

void settings_done(struct settings *settings)
{
    free(settings->id);
    settings->id = NULL;
}
