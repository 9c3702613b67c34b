/* One HTTP exchange with one replica: the request as libcurl wants it, and what became of it.
 *
 * Thread: one owner at a time. Owns: an exchange its handle and what arrives; an answer its body.
 */
#ifndef MUSTER_LIB_HTTP_H
#define MUSTER_LIB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>
#include <jansson.h>

#include "client/lib/bytes.h"
#include "server/base/compiler.h"

#define HTTP_ANSWER_BYTES_MAX (256u * 1024 * 1024)
#define HTTP_WHY_SIZE         256

struct http_request {
    const char *method;
    const char *path;   /* with its query, encoded */
    const json_t *body; /* NULL: none */
    bool read;          /* changes nothing: may be asked anywhere, any number of times */
    bool repeatable;    /* a write whose second time changes nothing */
};

struct http_answer {
    long status;
    json_t *body;           /* NULL when there was none */
    int64_t index;          /* that the replica had applied, -1 when absent */
    int64_t staleness_ms;   /* X-Muster-Staleness-Ms, -1 when absent */
    char leader[24];        /* X-Muster-Leader, "" when absent */
    int64_t retry_after_ms; /* -1 when absent */
};

enum http_outcome {
    HTTP_ANSWERED, /* *ret_answer is filled, whatever its status */
    HTTP_NOT_SENT, /* the replica surely has not seen the request */
    HTTP_BROKEN,   /* it may have; there is no answer that can be understood */
};

/* What all handles of a client have in common. */
#define HTTP_SOCKETS_MAX 512
struct http_shared {
    /* Sockets that are open, so that the child of a fork can close its copies of them: descriptor
     * + 1; 0: free. */
    _Atomic int fds[HTTP_SOCKETS_MAX];
    /* PEM files for https, of the environment. NULL: the CAs of the system; no certificate. */
    char *cacert; /* MUSTER_CACERT: whose certificates of replicas count */
    char *cert;   /* MUSTER_CERT: to show to replicas */
    char *key;    /* MUSTER_KEY: of it; NULL: it is in the same file */
    /* Of a replica's key, for curl: it proves to have it, and no CA or name counts. NULL: they do.
     */
    char *pin;
    /* Who asks, of the environment. NULL: nobody. */
    char *token;      /* MUSTER_TOKEN */
    char *token_file; /* MUSTER_TOKEN_FILE: read for each request, as it may be replaced */
    char *space;      /* the header that names the namespace; NULL: none */
};

/* NULL without memory. Reads the environment; the files are read when there is a connection. */
struct http_shared *http_shared_new(void);
/* Of all requests to replicas from now on; "": none is named. False without memory. */
MUST_USE bool http_set_namespace(struct http_shared *shared, const char *name);
/* Adds what all requests to replicas say. NULL, and everything freed, without memory. */
struct curl_slist *http_add_headers(struct curl_slist *headers, const struct http_shared *shared);
/* Appends the lines of a request's head that say who asks, and where: for requests that curl does
 * not make. `out` then holds a secret. */
void http_append_identity(struct bytes *out, const struct http_shared *shared);
/* No handle is left. NULL is allowed. */
void http_shared_free(struct http_shared *shared);
/* In the child of a fork: closes its copies, and tells nobody. */
void http_close_sockets(struct http_shared *shared);

/* What every handle of Muster has in common. False without memory. */
MUST_USE bool http_prepare(CURL *curl, const char *server, const char *path,
                           struct http_shared *shared);
/* Says who asks, and whom to trust. For replicas alone: no other server is to see the token or the
 * certificate, or is of their CA. False without memory. */
MUST_USE bool http_authorize(CURL *curl, const struct http_shared *shared);
/* A header of the answer, NULL when absent. curl's, until the handle goes. */
const char *http_header(CURL *curl, const char *name);
/* The header Retry-After of an answer; -1 when absent or no number of seconds. */
int64_t http_retry_after_ms(CURL *curl);

struct http_exchange {
    CURL *curl; /* NULL: none is under way */
    struct curl_slist *headers;
    struct bytes answer;
    const struct http_request *request;
};

/* Sets the handle up for curl_easy_perform() or a multi handle. False without memory. `body` is the
 * text of the request's body, borrowed until the end. */
MUST_USE bool http_begin(struct http_exchange *exchange, const char *server,
                         const struct http_request *request, const char *body,
                         struct http_shared *shared);
void http_limit(struct http_exchange *exchange, uint64_t connect_ms, uint64_t timeout_ms);
/* `why` is a few words when there is no answer. */
enum http_outcome http_end(struct http_exchange *exchange, CURLcode code,
                           struct http_answer *ret_answer, char why[HTTP_WHY_SIZE]);
/* Frees what an exchange holds, ended or not. */
void http_done(struct http_exchange *exchange);

void http_answer_done(struct http_answer *answer);
/* "no_leader" and the like of an error's body, "" when there is none. */
const char *http_answer_code(const struct http_answer *answer);
/* The sentence of an error's body, NULL when there is none. */
const char *http_answer_message(const struct http_answer *answer);

#endif
