/* Who asks, and whether he may: decided here and nowhere else, for all doors and sites.
 *
 * A call says what it needs (its permission). Who asks is a principal: the holder of a token, the
 * holder of a certificate, or nobody. A token allows what it says, and a certificate what the
 * policy for its name says (server/registry/policy.h). Nobody has rights, too (--anonymous); what
 * nobody is allowed to do, everybody is.
 *
 * What is about services and instances is asked in a namespace: the one that the call names, else
 * the one that the token or policy is bound to, else `default`.
 *
 * Reads are decided with the view that they read. Writes are let in or refused with it, and then
 * carry a guard (server/registry/command.h), with which they are decided once more where they are
 * applied.
 *
 * Thread: any. Where a view is given: within its critical section. */
#ifndef MUSTER_API_CORE_ACCESS_H
#define MUSTER_API_CORE_ACCESS_H

#include "api/core/token_text.h"
#include "server/base/status.h"
#include "server/registry/view.h"

/* What a call needs. There is none that is 0: a route that says nothing is closed. */
enum permission {
    PERMISSION_OPEN = 1,       /* nothing */
    PERMISSION_READ,           /* some service; shows only what may be read */
    PERMISSION_READ_SERVICE,   /* the service that it names */
    PERMISSION_EVENTS,         /* of some service; shows only what may be followed */
    PERMISSION_WRITE,          /* some service: which one the guard finds */
    PERMISSION_METRICS,        /* numbers about the replica */
    PERMISSION_STATUS,         /* how the cluster stands, and who its members are */
    PERMISSION_OPERATOR_READ,  /* all that is stored: backups, tokens */
    PERMISSION_OPERATOR_WRITE, /* members, limits, tokens */
};

/* What those may do who have neither a token nor a certificate with a policy. */
enum anonymous {
    ANONYMOUS_DEFAULT, /* everything until the first token ever, then as READ */
    ANONYMOUS_NONE,    /* ask whether the replica is healthy */
    ANONYMOUS_READ,    /* services, events, metrics and status */
    ANONYMOUS_WRITE,   /* the same, and write services */
};

#define PRINCIPAL_CERTIFICATE "cert:"

struct principal {
    enum anonymous anonymous;
    char token[TOKEN_ID_SIZE]; /* the id of his token; "": none */
    /* PRINCIPAL_CERTIFICATE and the name of his certificate, when he has no token; "": none */
    char certificate[sizeof PRINCIPAL_CERTIFICATE + CERTIFICATE_NAME_BYTES_MAX];
    char space[NAMESPACE_SIZE]; /* in which he asks; "": `default` */
    /* Only for the audit log: credentials came that are not good, and the id of the token in them,
     * if that could be read. */
    bool is_unknown;
    char claimed[TOKEN_ID_SIZE];
};

/* What is to be the text of a token in the header Authorization (NULL: none). NULL: nothing is. */
const char *principal_credentials(const char *authorization, const struct view *view);
/* From the header Authorization (NULL: none), the name of the client's certificate, verified ("":
 * none), which counts only if there is no token, and the namespace that the call names ("":
 * `default`; NULL: none). ST_UNAUTHENTICATED: it names a token that is not there, or has another
 * secret. ST_FORBIDDEN: the token or policy is bound to another namespace. Schemes other than
 * Bearer are not ours. Before the first token ever none can be meant, and nobody is let in for what
 * he is.
 */
MUST_USE enum status principal_find(struct principal *ret_principal, enum anonymous anonymous,
                                    const char *authorization, const char *certificate,
                                    const char *space, const struct view *view);
/* The id of his token, or PRINCIPAL_CERTIFICATE and the name of his certificate; "": nobody. */
static inline const char *principal_name(const struct principal *p)
{
    return p->token[0] != '\0' ? p->token : p->certificate;
}
/* ST_OK; ST_UNAUTHENTICATED: he is nobody, or his token is gone; ST_FORBIDDEN: his token does not
 * allow it, or no policy for his certificate does. `service`: for PERMISSION_READ_SERVICE,
 * as it is stored. */
MUST_USE enum status principal_may(const struct principal *p, const struct view *view,
                                   enum permission needed, const char *service);
/* His token, or the policy for his certificate; borrowed from the view. NULL: he has none. */
const struct token *principal_token(const struct principal *p, const struct view *view);
/* Whether nobody may write, and so everybody. */
bool principal_anybody_writes(enum anonymous anonymous, const struct view *view);
/* What a write of his is to carry; borrows from the principal. */
struct guard principal_guard(const struct principal *p, const struct view *view,
                             enum permission needed);
/* Whether such a call is in a namespace. */
bool permission_has_namespace(enum permission needed);
/* Which services of the namespace he may read, or with PERMISSION_EVENTS follow; borrows from the
 * view. */
struct viewer principal_viewer(const struct principal *p, const struct view *view,
                               enum permission needed);

#endif
