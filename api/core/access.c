#include "api/core/access.h"

#include <string.h>
#include <strings.h>

#include "server/base/check.h"

#define SCHEME     "Bearer"
#define SCHEME_LEN 6
#define PREFIX_LEN (sizeof PRINCIPAL_CERTIFICATE - 1)

/* What everybody may. */
struct rights {
    bool read, write, operate;
};

static struct rights rights_of_all(enum anonymous anonymous, const struct view *view)
{
    bool open = anonymous == ANONYMOUS_DEFAULT && view->tokens_begun == 0;
    return (struct rights){
        .read = anonymous != ANONYMOUS_NONE,
        .write = open || anonymous == ANONYMOUS_WRITE,
        .operate = open,
    };
}

/* What follows the scheme; NULL when it is another one. */
static const char *credentials_of(const char *authorization)
{
    if (strncasecmp(authorization, SCHEME, SCHEME_LEN) != 0 ||
        (authorization[SCHEME_LEN] != ' ' && authorization[SCHEME_LEN] != '\0')) {
        return NULL;
    }
    authorization += SCHEME_LEN;
    return authorization + strspn(authorization, " ");
}

const char *principal_credentials(const char *authorization, const struct view *view)
{
    return authorization != NULL && view->tokens_begun != 0 ? credentials_of(authorization) : NULL;
}

static void set_space(struct principal *p, const char *space)
{
    size_t len = strlen(space);
    CHECK(len < sizeof p->space);
    memcpy(p->space, space, len + 1);
}

static struct slice space_of(const struct principal *p)
{
    return slice_of(p->space);
}

static void set_certificate(struct principal *p, const char *name)
{
    size_t len = strlen(name);
    CHECK(len <= CERTIFICATE_NAME_BYTES_MAX);
    if (len > 0) {
        memcpy(p->certificate, PRINCIPAL_CERTIFICATE, PREFIX_LEN);
        memcpy(p->certificate + PREFIX_LEN, name, len + 1);
    }
}

const struct token *principal_token(const struct principal *p, const struct view *view)
{
    if (p->token[0] != '\0') {
        return view_token(view, p->token);
    }
    return p->certificate[0] != '\0' ? view_policy(view, p->certificate + PREFIX_LEN) : NULL;
}

/* Into the namespace that his token or policy is bound to. ST_FORBIDDEN: he has named another. */
static enum status enter_space(struct principal *p, const struct token *token, const char *space)
{
    const char *own = token_space(token);
    if (own[0] != '\0' && space != NULL && strcmp(own, space) != 0) {
        return ST_FORBIDDEN;
    }
    if (own[0] != '\0') {
        set_space(p, own);
    }
    return ST_OK;
}

enum status principal_find(struct principal *ret_principal, enum anonymous anonymous,
                           const char *authorization, const char *certificate, const char *space,
                           const struct view *view)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    static const uint8_t none[TOKEN_HASH_BYTES];
    ret_principal->anonymous = anonymous;
    ret_principal->token[0] = ret_principal->claimed[0] = ret_principal->certificate[0] = '\0';
    ret_principal->is_unknown = false;
    set_space(ret_principal, space != NULL ? space : "");
    const char *text = principal_credentials(authorization, view);
    if (text == NULL) {
        set_certificate(ret_principal, certificate);
        const struct token *policy = principal_token(ret_principal, view);
        return policy != NULL ? enter_space(ret_principal, policy, space) : ST_OK;
    }
    char id[TOKEN_ID_SIZE];
    size_t len = strlen(text);
    ret_principal->is_unknown = true;
    if (!token_text_parse(text, len, id)) {
        return ST_UNAUTHENTICATED;
    }
    memcpy(ret_principal->claimed, id, sizeof id);
    token_text_hash(text, len, hash);
    const struct token *token = view_token(view, id);
    bool is_same = token_text_hash_equal(hash, token != NULL ? token->hash : none);
    if (token == NULL || !is_same) {
        return ST_UNAUTHENTICATED;
    }
    memcpy(ret_principal->token, id, sizeof id);
    ret_principal->is_unknown = false;
    return enter_space(ret_principal, token, space);
}

static bool everybody_may(const struct rights *all, enum permission needed)
{
    switch (needed) {
    case PERMISSION_OPEN:
        return true;
    case PERMISSION_READ:
    case PERMISSION_READ_SERVICE:
    case PERMISSION_EVENTS:
    case PERMISSION_METRICS:
    case PERMISSION_STATUS:
        return all->read;
    case PERMISSION_WRITE:
        return all->write;
    case PERMISSION_OPERATOR_READ:
    case PERMISSION_OPERATOR_WRITE:
        return all->operate;
    }
    return false;
}

/* What it says of services is said of those of the namespace. */
static bool holder_reaches(const struct principal *p, const struct token *token, bool write)
{
    return token_reaches(token, space_of(p), write);
}

static bool holder_may(const struct principal *p, const struct token *token, enum permission needed,
                       const char *service)
{
    switch (needed) {
    case PERMISSION_OPEN:
        return true;
    case PERMISSION_READ:
        return holder_reaches(p, token, false) && token_may_some(token, false);
    case PERMISSION_READ_SERVICE:
        return service != NULL && token_may(token, service, false);
    case PERMISSION_EVENTS:
        return holder_reaches(p, token, false) &&
               (token_grants(token, TOKEN_EVENTS) || token_may_some(token, false));
    case PERMISSION_WRITE:
        return holder_reaches(p, token, true) && token_may_some(token, true);
    case PERMISSION_METRICS:
        return token_grants(token, TOKEN_METRICS) || token_grants(token, TOKEN_OPERATOR_READ);
    case PERMISSION_STATUS:
    case PERMISSION_OPERATOR_READ:
        return token_grants(token, TOKEN_OPERATOR_READ);
    case PERMISSION_OPERATOR_WRITE:
        return token_grants(token, TOKEN_OPERATOR_WRITE);
    }
    return false;
}

enum status principal_may(const struct principal *p, const struct view *view,
                          enum permission needed, const char *service)
{
    const struct rights all = rights_of_all(p->anonymous, view);
    const struct token *token = principal_token(p, view);
    if (needed == PERMISSION_OPEN) {
        return ST_OK;
    }
    if (p->token[0] != '\0' && token == NULL) {
        return ST_UNAUTHENTICATED; /* also for what everybody may: he would think it counts */
    }
    if (everybody_may(&all, needed) || (token != NULL && holder_may(p, token, needed, service))) {
        return ST_OK;
    }
    return principal_name(p)[0] != '\0' ? ST_FORBIDDEN : ST_UNAUTHENTICATED;
}

bool principal_anybody_writes(enum anonymous anonymous, const struct view *view)
{
    return rights_of_all(anonymous, view).write;
}

struct guard principal_guard(const struct principal *p, const struct view *view,
                             enum permission needed)
{
    if (view->level < LEVEL_TOKENS || needed == PERMISSION_OPEN ||
        (needed == PERMISSION_WRITE && p->anonymous == ANONYMOUS_WRITE)) {
        return (struct guard){.kind = GUARD_NONE};
    }
    if (p->token[0] != '\0') {
        return (struct guard){.kind = GUARD_TOKEN, .who = {p->token, strlen(p->token)}};
    }
    if (p->certificate[0] != '\0' && view->level >= LEVEL_POLICIES) {
        const char *name = p->certificate + PREFIX_LEN;
        return (struct guard){.kind = GUARD_CERTIFICATE, .who = {name, strlen(name)}};
    }
    return (struct guard){.kind = GUARD_UNTIL_FIRST};
}

bool permission_has_namespace(enum permission needed)
{
    return needed == PERMISSION_READ || needed == PERMISSION_READ_SERVICE ||
           needed == PERMISSION_EVENTS || needed == PERMISSION_WRITE;
}

struct viewer principal_viewer(const struct principal *p, const struct view *view,
                               enum permission needed)
{
    const struct token *token = principal_token(p, view);
    bool all = rights_of_all(p->anonymous, view).read ||
               (token != NULL && holder_reaches(p, token, false) &&
                (token_may_all(token, false) ||
                 (needed == PERMISSION_EVENTS && token_grants(token, TOKEN_EVENTS))));
    return (struct viewer){.all = all, .token = token};
}
