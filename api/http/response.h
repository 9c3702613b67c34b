/* One HTTP answer as the handlers make it.
 *
 * Thread: one owner at a time. Owns: its body, and a reference to a shared one. */
#ifndef MUSTER_API_HTTP_RESPONSE_H
#define MUSTER_API_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/core/json_out.h"
#include "server/base/buffer.h"
#include "server/base/limits.h"
#include "server/base/problem.h"
#include "server/base/rendered.h"
#include "server/base/status.h"

/* A listing of more is refused with a hint at pages. */
#define RESPONSE_BYTES_MAX HTTP_ANSWERS_BYTES_MAX

#define RESPONSE_HEADERS_MAX      24
#define RESPONSE_HEADER_TEXT_SIZE 512

struct response;

/* Puts an error in place of whatever was there. `field` is "" when it is no single field. */
typedef void response_error_fn(struct response *response, int status, const char *code,
                               const char *field, const char *message);

struct response {
    int status;               /* HTTP */
    const char *code;         /* of an error; static. NULL: it is none */
    const char *content_type; /* static */
    uint64_t index;           /* of the view that the body was made from; 0: of none */
    uint64_t asked_index;     /* of what was asked, which index=N waits to pass */
    bool has_asked_index;
    bool is_secret;           /* the body is wiped when it was sent */
    bool is_tagged;           /* the body depends on nothing but the target and asked_index */
    response_error_fn *error; /* the site's */
    struct buffer body;
    struct rendered *shared; /* the body is this text, in place of `body`; NULL: it is not */
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
/* The same with a value that stays there until the response is sent. */
void response_header_static(struct response *response, const char *name, const char *value);
void response_header_u64(struct response *response, const char *name, uint64_t value);

/* The body is `text`, which is shared with others: takes a reference of rendered_send(). The text
 * may be borrowed. When there is no memory for it to wait in, the body counts as starved. */
void response_share(struct response *response, struct rendered *text);
/* Sets asked_index. */
void response_asked(struct response *response, uint64_t index);
/* Starts a JSON body over, with status 200. */
struct json_out response_json(struct response *response);
/* The shape that the native API gives them: an object of these members. */
void response_error_object(struct response *response, int status, const char *code,
                           const char *field, const char *message);
/* The members that an error has at every site: error, message, and field if there is one. */
void response_error_members(struct json_out *json, const char *code, const char *field,
                            const char *message);
/* An error in the site's shape, in place of whatever was there. The code is static. */
void response_error(struct response *response, int status, const char *code, const char *field,
                    const char *message);
void response_status(struct response *response, enum status status);
/* 503: all the memory that may be on its way is used up. */
void response_refuse_memory(struct response *response);
/* 400 for what the problem says. */
void response_problem(struct response *response, const struct problem *problem);

#endif
