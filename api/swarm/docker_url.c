#include "api/swarm/docker_url.h"

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

/* What follows the scheme; NULL if it has another. */
static const char *after(const char *url, const char *scheme)
{
    size_t len = strlen(scheme);
    return strncmp(url, scheme, len) == 0 ? url + len : NULL;
}

bool docker_url_parse(const char *url, char base[DOCKER_URL_SIZE], char socket[DOCKER_URL_SIZE])
{
    const char *path = after(url, "unix://");
    const char *host = after(url, "tcp://");
    host = host != NULL ? host : after(url, "http://");
    socket[0] = '\0';
    if (path != NULL) {
        (void)snprintf(base, DOCKER_URL_SIZE, "http://docker");
        (void)snprintf(socket, DOCKER_URL_SIZE, "%s", path);
        return path[0] == '/' && strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
    }
    if (host == NULL || host[0] == '\0' || host[strcspn(host, "/ ?#@")] != '\0') {
        return false;
    }
    return snprintf(base, DOCKER_URL_SIZE, "http://%s", host) < DOCKER_URL_SIZE;
}

bool docker_is_url(const char *url)
{
    char base[DOCKER_URL_SIZE], socket[DOCKER_URL_SIZE];
    return docker_url_parse(url, base, socket);
}
