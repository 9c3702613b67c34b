#include "server/registry/policy.h"

#include <assert.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/naming.h"

static_assert(POLICY_SUBJECT_BYTES_MAX < NAME_BYTES_MAX, "a key is an id");

bool policy_key(struct slice subject, char ret_key[POLICY_KEY_SIZE])
{
    bool prefix = subject.len > 0 && subject.data[subject.len - 1] == '*';
    size_t len = prefix ? subject.len - 1 : subject.len;
    bool all = prefix && len == 0;
    if (subject.len > POLICY_SUBJECT_BYTES_MAX ||
        !(all || naming_is_certificate(subject.data, len))) {
        return false;
    }
    ret_key[0] = prefix ? POLICY_PREFIX : POLICY_EXACT;
    memcpy(ret_key + 1, subject.data, len);
    ret_key[len + 1] = '\0';
    return true;
}

void policy_subject(struct slice key, char ret_subject[POLICY_KEY_SIZE])
{
    size_t len = key.len - 1;
    CHECK(policy_key_is_valid(key));
    memcpy(ret_subject, key.data + 1, len);
    if (key.data[0] == POLICY_PREFIX) {
        ret_subject[len++] = '*';
    }
    ret_subject[len] = '\0';
}

bool policy_key_is_valid(struct slice key)
{
    bool prefix = key.len > 0 && key.data[0] == POLICY_PREFIX;
    if (key.len == 0 || !(prefix || key.data[0] == POLICY_EXACT)) {
        return false;
    }
    size_t most = prefix ? POLICY_SUBJECT_BYTES_MAX - 1 : POLICY_SUBJECT_BYTES_MAX;
    return (prefix && key.len == 1) ||
           (key.len - 1 <= most && naming_is_certificate(key.data + 1, key.len - 1));
}

/* The longest beginning: the key before `key` begins with it, as all keys between a text and a
 * beginning of it do. So it is that key, or a beginning of what the two have in common. */
static const struct token *match_prefix(const struct ptree *tokens, const struct ptree_kind *kind,
                                        char *key)
{
    for (;;) {
        size_t rank = ptree_rank_after(tokens, kind, key);
        const struct token *before = rank > 0 ? ptree_at(tokens, rank - 1) : NULL;
        size_t same = 0;
        while (before != NULL && key[same] != '\0' && key[same] == token_id(before)[same]) {
            same++;
        }
        if (same == 0) {
            return NULL;
        }
        if (token_id(before)[same] == '\0') {
            return before;
        }
        key[same] = '\0';
    }
}

const struct token *policy_match(const struct ptree *tokens, const struct ptree_kind *kind,
                                 const char *name)
{
    char key[POLICY_KEY_SIZE];
    size_t len = strlen(name);
    if (len == 0 || len > CERTIFICATE_NAME_BYTES_MAX) {
        return NULL;
    }
    key[0] = POLICY_EXACT;
    memcpy(key + 1, name, len + 1);
    const struct token *exact = ptree_find(tokens, kind, key);
    if (exact != NULL) {
        return exact;
    }
    key[0] = POLICY_PREFIX;
    return match_prefix(tokens, kind, key);
}
