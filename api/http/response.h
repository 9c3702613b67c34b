/* One HTTP answer as the handlers make it.
 *
 * Thread: one owner at a time. Owns: its body. */
#ifndef MUSTER_API_HTTP_RESPONSE_H
#define MUSTER_API_HTTP_RESPONSE_H

#include <stdint.h>

#include "api/http/json_out.h"
#include "server/base/buffer.h"
#include "server/base/problem.h"
#include "server/base/status.h"

/* A listing of more is refused with a hint at pages. */
#define RESPONSE_BYTES_MAX (512u * 1024 * 1024)

#define RESPONSE_HEADERS_MAX      12
#define RESPONSE_HEADER_TEXT_SIZE 512

struct response;

/* Puts an error in place of whatever was there. `field` is "" when it is no single field. */
typedef void response_error_fn(struct response *response, int status, const char *code,
                               const char *field, const char *message);

struct response {
    int status;               /* HTTP */
    const char *content_type; /* static */
    uint64_t index;           /* of the view that the body was made from; 0: of none */
    response_error_fn *error; /* the site's */
    struct buffer body;
    size_t headers_count;
    struct {
        const char *name; /* static */
        const char *value;
    } headers[RESPONSE_HEADERS_MAX];
    size_t header_text_len;
    char header_text[RESPONSE_HEADER_TEXT_SIZE]; /* the values */
};

void response_init(struct response *response, response_error_fn *error);
void response_done(struct response *response);

/* Adds a header; both texts are ours, and bounded: there is room. The name is static. */
void response_header(struct response *response, const char *name, const char *value);
void response_header_u64(struct response *response, const char *name, uint64_t value);

/* Starts a JSON body over, with status 200. */
struct json_out response_json(struct response *response);
/* An error in the site's shape, in place of whatever was there. */
void response_error(struct response *response, int status, const char *code, const char *field,
                    const char *message);
void response_status(struct response *response, enum status status);
/* 400 for what the problem says. */
void response_problem(struct response *response, const struct problem *problem);

#endif
