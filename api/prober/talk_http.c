/* HTTP/1.1 on a connection: a request, its response, and the redirects that it is sent to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/prober/internal.h"
#include "server/base/mem.h"

#define REDIRECTS_MAX 5
#define CHUNK_BYTES   8192

/* --- the request --- */

static bool has_header(const struct check_definition *d, const char *name)
{
    for (unsigned i = 0; i < d->headers_count; i++) {
        if (strcasecmp(d->headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void talk_http_begin(struct probe *p)
{
    const struct check_definition *d = p->d;
    char authority[AUTHORITY_SIZE];
    size_t body_len = strlen(d->body);
    talk_authority(d, authority);
    buffer_printf(&p->out, "%s %s HTTP/1.1\r\n", d->method, d->path);
    if (!has_header(d, "Host")) {
        buffer_printf(&p->out, "Host: %s\r\n", authority);
    }
    for (unsigned i = 0; i < d->headers_count; i++) {
        buffer_printf(&p->out, "%s: %s\r\n", d->headers[i].name, d->headers[i].value);
    }
    if (!has_header(d, "User-Agent")) {
        buffer_printf(&p->out, "User-Agent: %s\r\n", p->runner->agent);
    }
    if (!has_header(d, "Accept")) {
        buffer_append_text(&p->out, "Accept: text/plain, text/*, */*\r\n");
    }
    if (body_len > 0 || strcmp(d->method, "POST") == 0 || strcmp(d->method, "PUT") == 0) {
        buffer_printf(&p->out, "Content-Length: %zu\r\n", body_len);
    }
    buffer_append_text(&p->out, probe_keeps(p) ? "\r\n" : "Connection: close\r\n\r\n");
    buffer_append(&p->out, d->body, body_len);
    target_reply_begin(&p->reply, strcmp(d->method, "HEAD") == 0);
    if (p->out.overflowed) {
        probe_fail(p, "%s: the request is too long", d->target);
    } else if (!talk_flush(p)) {
        talk_broken(p, "the connection was closed");
    }
}

/* --- redirects --- */

/* What a Location leads to, as a URL of its own: the caller's, for free(). NULL: not to HTTP. */
static char *make_url(const struct probe *p)
{
    const struct check_definition *d = p->d;
    const char *location = p->reply.location;
    const char *scheme = d->tls ? "https:" : "http:";
    char authority[AUTHORITY_SIZE];
    size_t size = strlen(location) + strlen(d->path) + AUTHORITY_SIZE + 16;
    size_t len = strcspn(location, "#");
    char *url = mem_alloc(size);
    talk_authority(d, authority);
    size_t path_len = strcspn(d->path, "?");
    while (path_len > 0 && d->path[path_len - 1] != '/') {
        path_len--;
    }
    if (strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0) {
        (void)snprintf(url, size, "%.*s", (int)len, location);
    } else if (strncmp(location, "//", 2) == 0) {
        (void)snprintf(url, size, "%s%.*s", scheme, (int)len, location);
    } else if (location[0] == '/') {
        (void)snprintf(url, size, "%s//%s%.*s", scheme, authority, (int)len, location);
    } else if (len == 0 || strcspn(location, ":") < strcspn(location, "/?#")) {
        free(url);
        return NULL; /* another scheme */
    } else {
        (void)snprintf(url, size, "%s//%s%.*s%.*s", scheme, authority, (int)path_len, d->path,
                       (int)len, location);
    }
    return url;
}

/* The definition of the next request; NULL: it would be none. Its method and its headers are those
 * of before where RFC 9110, 15.4, and caution let them be. */
static struct check_definition *make_moved(const struct probe *p, const char *url)
{
    struct problem problem;
    struct check_definition *moved = mem_alloc(sizeof *moved);
    bool stays = p->reply.status == 307 || p->reply.status == 308;
    check_definition_init(moved, CHECK_HTTP, url);
    moved->interval_ms = p->check->d->interval_ms;
    moved->timeout_ms = p->check->d->timeout_ms;
    moved->skip_verify = p->d->skip_verify;
    if (stays || strcmp(p->d->method, "HEAD") == 0) {
        moved->method = p->d->method;
        moved->body = stays ? p->d->body : "";
    }
    if (!check_definition_settle(moved, &problem)) {
        free(moved);
        return NULL;
    }
    if (strcasecmp(moved->host, p->d->host) == 0 && moved->port == p->d->port &&
        moved->tls == p->d->tls) {
        moved->headers_count = p->d->headers_count;
        memcpy(moved->headers, p->d->headers, sizeof moved->headers);
        moved->server_name = p->d->server_name;
    }
    return moved;
}

static void follow(struct probe *p)
{
    char *url = make_url(p);
    struct check_definition *moved = url != NULL ? make_moved(p, url) : NULL;
    if (moved == NULL) {
        output_say(&p->output, "HTTP %s %s: %d: redirects to what is no HTTP: %.200s", p->d->method,
                   p->d->target, p->reply.status, p->reply.location);
        free(url);
        probe_finish(p, HEALTH_CRITICAL);
        return;
    }
    p->redirects++;
    probe_redirect(p, moved, url);
}

/* --- the response --- */

static bool is_redirect(const struct probe *p)
{
    int status = p->reply.status;
    return (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) &&
           p->reply.location[0] != '\0' && !p->check->d->disable_redirects &&
           p->redirects < REDIRECTS_MAX;
}

static void over(struct probe *p)
{
    const struct target_reply *r = &p->reply;
    probe_release_link(p, r->keeps);
    if (is_redirect(p)) {
        follow(p);
        return;
    }
    output_say(&p->output, "HTTP %s %s: %d %s", p->d->method, p->d->target, r->status, r->reason);
    if (r->body_len > 0) {
        output_add(&p->output, " Output: ", 9);
        output_add(&p->output, r->body, r->body_len);
    }
    probe_finish(p, r->status >= 200 && r->status <= 299 ? HEALTH_PASSING
                    : r->status == 429                   ? HEALTH_WARNING
                                                         : HEALTH_CRITICAL);
}

void talk_http(struct probe *p)
{
    char bytes[CHUNK_BYTES];
    if (!talk_flush(p)) {
        talk_broken(p, "the connection was closed");
        return;
    }
    for (;;) {
        ssize_t got = target_link_recv(p->link, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0 || (got == 0 && !p->is_heard)) {
            talk_broken(p, got < 0 ? strerror(errno) : "the connection was closed");
            return;
        }
        p->is_heard = true;
        enum target_reply_state state = got > 0 ? target_reply_feed(&p->reply, bytes, (size_t)got)
                                                : target_reply_end(&p->reply);
        if (state == REPLY_OVER) {
            over(p);
            return;
        }
        if (state == REPLY_BAD) {
            probe_fail(p, "%s: %s", p->d->target,
                       got > 0 ? "it does not answer in HTTP" : "its answer was cut off");
            return;
        }
    }
}
