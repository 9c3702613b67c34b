/* The head of an HTTP/1 request: request line and header fields, read strictly (RFC 9112). What two
 * readers could take for two different requests is refused: bare CR or LF, folded lines, white
 * space before a colon, two lengths, a length beside chunks, no Host or several.
 *
 * Thread: any. Owns: nothing; a parsed head points into the text that it was parsed from. */
#ifndef MUSTER_API_HTTP_HEAD_H
#define MUSTER_API_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

enum head_scan { HEAD_MORE, HEAD_COMPLETE, HEAD_BAD };

/* Looks for the end of a head in `bytes`. *at is how far earlier calls have looked, 0 at first;
 * when complete it is the length of the head with its empty line. Bad as soon as a byte is seen
 * that no head has. Empty lines before the request line are the caller's to skip. */
enum head_scan head_scan(const char *bytes, size_t len, size_t *at);

/* Why a head is refused. */
struct head_refusal {
    int status;       /* HTTP */
    const char *code; /* static, as the others */
    const char *field;
    const char *message;
};

struct head {
    const char *method;
    const char *target; /* in origin form, or "*" */
    const char *fields; /* name NUL value NUL ..., without white space around values */
    size_t fields_count;
    const char *host; /* of the target where that names one, else of the field; NULL: none */
    bool is_http_1_0;
    bool keep_alive; /* the client wants the connection to stay */
    bool chunked;    /* a body follows in chunks, */
    bool has_length; /* or of this length */
    uint64_t length;
    bool expects_continue; /* the client waits to be asked for the body */
};

/* Parses a complete head of `len` bytes, in place. False: `refusal` says why; of `head` only the
 * method is sure to be set, to "" when there is none. */
MUST_USE bool head_parse(struct head *head, char *text, size_t len, struct head_refusal *refusal);

/* The same where another protocol has taken the head apart: of `head` the method, the fields, the
 * host (NULL: that of the field) and, where a body follows, `chunked` are set. The target is
 * changed. */
MUST_USE bool head_settle(struct head *head, char *target, struct head_refusal *refusal);

/* The value of a field, whatever the case of its name; of several the first. NULL: not there. */
const char *head_find(const struct head *head, const char *name);

/* The refusal of a head that head_scan calls bad. */
struct head_refusal head_bad(void);

#endif
