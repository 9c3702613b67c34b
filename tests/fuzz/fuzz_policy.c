/* Policies: the body of a call that makes one, subjects, and which of them counts for the name of a
 * certificate. What is taken as a body obeys all limits, and comes back from the registry as it
 * was, through the log's decoder. The search among subjects finds what looking at all of them
 * finds.
 *
 * Input: a name, NUL, any number of subjects each with a NUL, a body. */
#include "api/native/body_token.h"
#include "server/base/limits.h"
#include "server/base/naming.h"
#include "server/wire/wire_token.h"
#include "tests/fuzz/fuzz.h"

#define POLICIES_MAX 32

static const char *key_of(const void *value)
{
    return token_id(value);
}

static void retire(void *ctx, void *memory, uint64_t epoch)
{
    (void)ctx;
    (void)epoch;
    free(memory);
}

static struct token *make(const char *key)
{
    const struct token_spec spec = {.id = {key, strlen(key)}, .description = {"", 0}};
    return token_create(&spec);
}

/* Takes it up; NULL: it is none, or there already. */
static struct token *add(struct ptree *tree, const struct ptree_kind *kind, struct slice subject)
{
    char key[POLICY_KEY_SIZE], back[POLICY_KEY_SIZE];
    if (!policy_key(subject, key)) {
        return NULL;
    }
    struct slice made = {key, strlen(key)};
    CHECK(policy_is_id(key) && policy_key_is_valid(made) && made.len <= NAME_BYTES_MAX);
    policy_subject(made, back);
    CHECK(strlen(back) == subject.len && memcmp(back, subject.data, subject.len) == 0);
    struct token *policy = make(key);
    struct token *before = ptree_put(tree, kind, policy);
    free(before);
    return policy;
}

static const struct token *match_slowly(const struct ptree *tree, const char *name)
{
    struct ptree_iterator it;
    const struct token *best = NULL;
    ptree_iterate(&it, tree, 0);
    for (const struct token *t; (t = ptree_next(&it)) != NULL;) {
        const char *id = token_id(t);
        bool exact = id[0] == POLICY_EXACT;
        bool fits = exact ? strcmp(id + 1, name) == 0 : strncmp(id + 1, name, strlen(id + 1)) == 0;
        bool better = best == NULL || exact ||
                      (token_id(best)[0] != POLICY_EXACT && strlen(id) > strlen(token_id(best)));
        best = fits && better ? t : best;
    }
    return best;
}

/* Returns what stands behind the subjects. */
static struct slice try_subjects(const char *name, struct slice rest)
{
    struct ptree tree = {NULL};
    const struct ptree_kind kind = {.key = key_of, .retire = retire};
    struct ptree_iterator it;
    for (unsigned i = 0; i < POLICIES_MAX; i++) {
        const char *nul = memchr(rest.data, 0, rest.len);
        if (nul == NULL) {
            break;
        }
        size_t len = (size_t)(nul - rest.data);
        (void)add(&tree, &kind, (struct slice){rest.data, len});
        rest = (struct slice){nul + 1, rest.len - len - 1};
    }
    if (naming_is_certificate(name, strlen(name))) {
        CHECK(policy_match(&tree, &kind, name) == match_slowly(&tree, name));
    } else {
        (void)policy_match(&tree, &kind, name);
    }
    ptree_iterate(&it, &tree, 0);
    for (struct token *t; (t = ptree_next(&it)) != NULL;) {
        free(t);
    }
    ptree_clear(&tree, &kind);
    return rest;
}

static void through_the_log(const struct token_spec *spec)
{
    struct buffer out;
    struct token_spec back;
    buffer_init(&out, OP_BYTES_MAX);
    wire_token_encode(spec, &out);
    struct unpack in = unpack_begin(out.data, out.len);
    wire_token_decode(&in, level_limits(LEVEL_POLICIES), &back);
    CHECK(unpack_finished(&in) && back.hash.len == 0);
    CHECK(back.id.len == spec->id.len && memcmp(back.id.data, spec->id.data, back.id.len) == 0);
    CHECK(back.grants == spec->grants && back.scopes_count == spec->scopes_count);
    struct token *policy = token_create(&back);
    CHECK(strcmp(token_id(policy), spec->id.data) == 0);
    free(policy);
    buffer_done(&out);
}

static void try_body(struct slice text)
{
    char key[POLICY_KEY_SIZE];
    struct buffer buffer;
    struct body_token body;
    struct token_spec spec;
    struct problem problem;
    buffer_init(&buffer, TOKEN_BODY_BYTES_MAX);
    buffer_append(&buffer, text.data, text.len);
    if (body_policy_parse(&body, key, &spec, &buffer, &problem)) {
        CHECK(spec.scopes_count <= TOKEN_SCOPES_MAX && body.ttl_s <= TOKEN_TTL_S_MAX);
        CHECK(spec.scopes_count > 0 || spec.grants != 0);
        CHECK(spec.id.data == key && policy_key_is_valid(spec.id));
        through_the_log(&spec);
    } else {
        CHECK(problem.message[0] != '\0');
    }
    body_token_done(&body);
    buffer_done(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *nul = memchr(data, 0, len);
    if (nul != NULL) {
        size_t head = (size_t)(nul - data) + 1;
        char *copy = fuzz_copy(data, len);
        try_body(try_subjects(copy, (struct slice){copy + head, len - head}));
        free(copy);
    }
    return 0;
}
