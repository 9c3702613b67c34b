#include "client/lib/http.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/base/text.h"

#define TOKEN_SIZE_MAX          256
#define RETRY_AFTER_SECONDS_MAX 3600

/* Programs that the process starts must not hold its connections open. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_shared *shared = ctx;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    for (size_t i = 0; fd >= 0 && i < HTTP_SOCKETS_MAX; i++) {
        int none = 0;
        if (atomic_compare_exchange_strong(&shared->fds[i], &none, fd + 1)) {
            return fd;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return CURL_SOCKET_BAD;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
    struct http_shared *shared = ctx;
    for (size_t i = 0; i < HTTP_SOCKETS_MAX; i++) {
        int held = fd + 1;
        if (atomic_compare_exchange_strong(&shared->fds[i], &held, 0)) {
            break;
        }
    }
    return close(fd);
}

void http_close_sockets(struct http_shared *shared)
{
    for (size_t i = 0; i < HTTP_SOCKETS_MAX; i++) {
        int held = atomic_exchange(&shared->fds[i], 0);
        if (held != 0) {
            close(held - 1);
        }
    }
}

/* False without memory. */
static bool copy_variable(const char *name, char **ret_value)
{
    const char *value = getenv(name);
    bool is_set = value != NULL && *value != '\0';
    *ret_value = is_set ? strdup(value) : NULL;
    return !is_set || *ret_value != NULL;
}

struct http_shared *http_shared_new(void)
{
    struct http_shared *shared = calloc(1, sizeof *shared);
    if (shared != NULL && !(copy_variable("MUSTER_CACERT", &shared->cacert) &&
                            copy_variable("MUSTER_CERT", &shared->cert) &&
                            copy_variable("MUSTER_KEY", &shared->key) &&
                            copy_variable("MUSTER_TOKEN", &shared->token) &&
                            copy_variable("MUSTER_TOKEN_FILE", &shared->token_file))) {
        http_shared_free(shared);
        return NULL;
    }
    return shared;
}

void http_shared_free(struct http_shared *shared)
{
    if (shared != NULL) {
        free(shared->cacert);
        free(shared->cert);
        free(shared->key);
        free(shared->pin);
        if (shared->token != NULL) {
            explicit_bzero(shared->token, strlen(shared->token));
        }
        free(shared->token);
        free(shared->token_file);
        free(shared->space);
        free(shared);
    }
}

bool http_set_namespace(struct http_shared *shared, const char *name)
{
    static const char header[] = "X-Muster-Namespace: ";
    size_t size = sizeof header + strlen(name);
    free(shared->space);
    shared->space = NULL;
    if (*name == '\0') {
        return true;
    }
    shared->space = malloc(size);
    if (shared->space != NULL) {
        (void)snprintf(shared->space, size, "%s%s", header, name);
    }
    return shared->space != NULL;
}

struct curl_slist *http_add_headers(struct curl_slist *headers, const struct http_shared *shared)
{
    if (shared->space == NULL || headers == NULL) {
        return headers;
    }
    struct curl_slist *longer = curl_slist_append(headers, shared->space);
    if (longer == NULL) {
        curl_slist_free_all(headers);
    }
    return longer;
}

/* The first word of a file; "" when there is none that can be sent. */
static void read_token(const char *file, char out[TOKEN_SIZE_MAX])
{
    ssize_t len = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        len = read(fd, out, TOKEN_SIZE_MAX - 1);
        close(fd);
    }
    out[len > 0 ? len : 0] = '\0';
    out[strcspn(out, " \t\r\n")] = '\0';
}

/* Nothing that would end the header, or begin another one. */
static bool can_be_sent(const char *token)
{
    for (const char *p = token; *p != '\0'; p++) {
        if (*p <= ' ' || *p > '~') {
            return false;
        }
    }
    return *token != '\0';
}

/* False without memory. */
static bool prepare_tls(CURL *curl, const struct http_shared *shared)
{
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (shared->pin != NULL) {
        if (curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, shared->pin) != CURLE_OK) {
            return false;
        }
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return (shared->cacert == NULL ||
            curl_easy_setopt(curl, CURLOPT_CAINFO, shared->cacert) == CURLE_OK) &&
           (shared->cert == NULL ||
            (curl_easy_setopt(curl, CURLOPT_SSLCERT, shared->cert) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSLKEY,
                              shared->key != NULL ? shared->key : shared->cert) == CURLE_OK));
}

/* What is to be sent; NULL: nothing. `text` is where one that stands in a file gets. */
static const char *find_token(const struct http_shared *shared, char text[TOKEN_SIZE_MAX])
{
    const char *token = shared->token;
    if (token == NULL && shared->token_file != NULL) {
        read_token(shared->token_file, text);
        token = text;
    }
    return token != NULL && can_be_sent(token) ? token : NULL;
}

void http_append_identity(struct bytes *out, const struct http_shared *shared)
{
    char text[TOKEN_SIZE_MAX] = "";
    const char *token = find_token(shared, text);
    if (token != NULL) {
        bytes_append_text(out, "Authorization: Bearer ");
        bytes_append_text(out, token);
        bytes_append_text(out, "\r\n");
    }
    if (shared->space != NULL) {
        bytes_append_text(out, shared->space);
        bytes_append_text(out, "\r\n");
    }
    explicit_bzero(text, sizeof text);
}

bool http_authorize(CURL *curl, const struct http_shared *shared)
{
    char text[TOKEN_SIZE_MAX] = "";
    const char *token = find_token(shared, text);
    bool taken =
        token == NULL || (curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) == CURLE_OK &&
                          curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token) == CURLE_OK);
    explicit_bzero(text, sizeof text);
    return taken && prepare_tls(curl, shared);
}

bool http_prepare(CURL *curl, const char *server, const char *path, struct http_shared *shared)
{
    size_t size = strlen(server) + strlen(path) + 1;
    char *url = malloc(size);
    if (url == NULL) {
        return false;
    }
    (void)snprintf(url, size, "%s%s", server, path);
    bool taken = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK;
    free(url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "muster/" MUSTER_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    /* An id may be ".." and still is not the folder above. */
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    /* A proxy between would answer for a replica, and nobody could tell what was done. */
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, shared);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, shared);
    return taken;
}

const char *http_header(CURL *curl, const char *name)
{
    struct curl_header *header;
    return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK ? header->value
                                                                                   : NULL;
}

static int64_t number_header(CURL *curl, const char *name, uint64_t max)
{
    const char *text = http_header(curl, name);
    uint64_t value;
    return text != NULL && text_parse_u64(text, max, &value) ? (int64_t)value : -1;
}

int64_t http_retry_after_ms(CURL *curl)
{
    int64_t seconds = number_header(curl, "Retry-After", RETRY_AFTER_SECONDS_MAX);
    return seconds < 0 ? -1 : seconds * 1000;
}

static size_t collect(char *data, size_t size, size_t count, void *ctx)
{
    struct bytes *answer = ctx;
    bytes_append(answer, data, size * count);
    return answer->failed ? 0 : size * count;
}

static struct curl_slist *make_headers(void)
{
    /* Without the last two curl would ask for permission to send, and mark a body as a form. */
    static const char *const lines[] = {"Accept: application/json",
                                        "Expect:", "Content-Type: application/json"};
    struct curl_slist *headers = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct curl_slist *longer = curl_slist_append(headers, lines[i]);
        if (longer == NULL) {
            curl_slist_free_all(headers);
            return NULL;
        }
        headers = longer;
    }
    return headers;
}

bool http_begin(struct http_exchange *exchange, const char *server,
                const struct http_request *request, const char *body, struct http_shared *shared)
{
    *exchange = (struct http_exchange){.curl = curl_easy_init(),
                                       .headers = http_add_headers(make_headers(), shared),
                                       .request = request};
    bytes_init(&exchange->answer, HTTP_ANSWER_BYTES_MAX);
    CURL *curl = exchange->curl;
    if (curl == NULL || exchange->headers == NULL ||
        !http_prepare(curl, server, request->path, shared) || !http_authorize(curl, shared)) {
        http_done(exchange);
        return false;
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, exchange->headers);
    /* curl repeats by itself a request whose reused connection turns out closed. */
    bool harmless = request->read || request->repeatable;
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, harmless ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange->answer);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
    }
    return true;
}

void http_limit(struct http_exchange *exchange, uint64_t connect_ms, uint64_t timeout_ms)
{
    curl_easy_setopt(exchange->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(exchange->curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
}

static bool is_https(CURL *curl)
{
    const char *url = NULL;
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    return url != NULL && strncasecmp(url, "https:", 6) == 0;
}

/* After a failure: could the request have left? */
static bool may_be_sent(CURL *curl, CURLcode code)
{
    curl_off_t connected_us = 0;
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return false;
    case CURLE_OPERATION_TIMEDOUT:
        curl_easy_getinfo(curl,
                          is_https(curl) ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T,
                          &connected_us);
        return connected_us > 0;
    default:
        return true;
    }
}

static void read_headers(CURL *curl, struct http_answer *answer)
{
    const char *leader = http_header(curl, "X-Muster-Leader");
    (void)snprintf(answer->leader, sizeof answer->leader, "%s", leader != NULL ? leader : "");
    answer->index = number_header(curl, "X-Muster-Applied-Index", INT64_MAX);
    if (answer->index < 0) {
        answer->index = number_header(curl, "X-Muster-Index", INT64_MAX); /* an older replica */
    }
    answer->staleness_ms = number_header(curl, "X-Muster-Staleness-Ms", INT64_MAX);
    answer->retry_after_ms = http_retry_after_ms(curl);
}

/* False when it is none that a replica would give: what was read must be there, and be JSON. */
static bool read_answer(const struct http_exchange *exchange, struct http_answer *ret_answer,
                        char why[HTTP_WHY_SIZE])
{
    const struct bytes *body = &exchange->answer;
    struct http_answer answer = {.body = NULL};
    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &answer.status);
    if (body->len > 0) {
        answer.body = json_loadb(body->data, body->len, 0, NULL);
    }
    if (answer.body == NULL && answer.status < 300 && (exchange->request->read || body->len > 0)) {
        (void)snprintf(why, HTTP_WHY_SIZE, "status %ld, but not the JSON of a replica",
                       answer.status);
        return false;
    }
    read_headers(exchange->curl, &answer);
    *ret_answer = answer;
    return true;
}

enum http_outcome http_end(struct http_exchange *exchange, CURLcode code,
                           struct http_answer *ret_answer, char why[HTTP_WHY_SIZE])
{
    if (code != CURLE_OK) {
        (void)snprintf(why, HTTP_WHY_SIZE, "%s",
                       exchange->answer.failed ? "the answer is too long"
                                               : curl_easy_strerror(code));
        return may_be_sent(exchange->curl, code) ? HTTP_BROKEN : HTTP_NOT_SENT;
    }
    return read_answer(exchange, ret_answer, why) ? HTTP_ANSWERED : HTTP_BROKEN;
}

void http_done(struct http_exchange *exchange)
{
    curl_easy_cleanup(exchange->curl);
    curl_slist_free_all(exchange->headers);
    bytes_done(&exchange->answer);
    *exchange = (struct http_exchange){.curl = NULL};
}

void http_answer_done(struct http_answer *answer)
{
    json_decref(answer->body);
    answer->body = NULL;
}

static const char *member_text(const struct http_answer *answer, const char *name)
{
    return json_string_value(json_object_get(answer->body, name));
}

const char *http_answer_code(const struct http_answer *answer)
{
    const char *code = member_text(answer, "error");
    return code != NULL ? code : "";
}

const char *http_answer_message(const struct http_answer *answer)
{
    return member_text(answer, "message");
}
