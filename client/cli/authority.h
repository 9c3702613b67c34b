/* A certificate authority in a folder, for those who have none: ca.pem, ca-key.pem, and what it
 * signs, NAME.pem and NAME-key.pem (X.509 v3, RFC 5280; ECDSA on P-256).
 *
 * Thread: one. Owns: a file is there whole or not at all, and none is ever written over. Keys are
 * the owner's alone to read. */
#ifndef MUSTER_CLI_AUTHORITY_H
#define MUSTER_CLI_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/base/compiler.h"

#define AUTHORITY_DAYS_MAX  36500
#define AUTHORITY_HOSTS_MAX 32

struct authority;

/* Takes the one of the folder, or makes folder and authority; *ret_made says which. NULL with a
 * sentence in `error`. */
struct authority *authority_open(const char *folder, unsigned days, bool *ret_made, char *error,
                                 size_t error_size);
void authority_close(struct authority *authority);

/* How the URI of a member's certificate begins; its id follows (server/net/link_tls.h). */
#define MEMBER_URI "muster:member:"

struct authority_subject {
    const char *name;                       /* common name, and of the files */
    const char *hosts[AUTHORITY_HOSTS_MAX]; /* names and addresses that it is reached by */
    size_t hosts_count;                     /* none: a client */
    const char *uri;                        /* of a client; NULL: none */
    uint64_t member;                        /* id of the member that it is for; 0: not said */
};
/* The certificate ends after `days`, or with the authority's own. False with a sentence. */
MUST_USE bool authority_sign(const struct authority *authority,
                             const struct authority_subject *subject, unsigned days, char *error,
                             size_t error_size);

/* What stands for the key of the first certificate of a PEM file, as curl's CURLOPT_PINNEDPUBLICKEY
 * wants it; the caller's to free. NULL with a sentence in `error`. */
char *authority_pin(const char *path, char *error, size_t error_size);

#endif
