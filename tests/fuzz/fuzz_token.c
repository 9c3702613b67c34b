/* Tokens as their holders send them, and the body of a call that makes one. What is taken as a
 * token has its form, byte for byte; what is taken as a body obeys all limits, and comes back from
 * the registry as it was, through the log's decoder.
 *
 * Input: a header Authorization, NUL, a body. */
#include "api/core/token_text.h"
#include "api/native/body_token.h"
#include "server/base/limits.h"
#include "server/wire/wire_token.h"
#include "tests/fuzz/fuzz.h"

static void try_text(const char *text, size_t len)
{
    char id[TOKEN_ID_SIZE];
    if (token_text_parse(text, len, id)) {
        CHECK(len == TOKEN_TEXT_SIZE - 1 && strlen(id) == TOKEN_ID_CHARS);
        CHECK(memcmp(text, "mst_", 4) == 0 && memcmp(text + 4, id, TOKEN_ID_CHARS) == 0);
        CHECK(strspn(id, "abcdefghijklmnopqrstuvwxyz234567") == TOKEN_ID_CHARS);
        CHECK(text[4 + TOKEN_ID_CHARS] == '_');
    }
}

static void check_same(const struct token_spec *a, const struct token_spec *b)
{
    CHECK(a->description.len == b->description.len && a->grants == b->grants);
    CHECK(a->description.len == 0 ||
          memcmp(a->description.data, b->description.data, a->description.len) == 0);
    CHECK(a->scopes_count == b->scopes_count);
    for (uint32_t i = 0; i < a->scopes_count; i++) {
        CHECK(a->scopes[i].name.len == b->scopes[i].name.len);
        CHECK(a->scopes[i].name.len == 0 ||
              memcmp(a->scopes[i].name.data, b->scopes[i].name.data, a->scopes[i].name.len) == 0);
        CHECK(a->scopes[i].prefix == b->scopes[i].prefix);
        CHECK(a->scopes[i].write == b->scopes[i].write);
    }
}

static void through_the_log(struct token_spec *spec)
{
    static const uint8_t hash[TOKEN_HASH_BYTES] = {1};
    struct buffer out;
    struct token_spec back, kept;
    spec->id = (struct slice){"aaaaaaaaaa", 10};
    spec->hash = (struct slice){(const char *)hash, sizeof hash};
    buffer_init(&out, OP_BYTES_MAX);
    wire_token_encode(spec, &out);
    struct unpack in = unpack_begin(out.data, out.len);
    wire_token_decode(&in, level_limits(LEVEL_TOKENS), &back);
    CHECK(unpack_finished(&in));
    check_same(spec, &back);
    back.space = spec->space; /* the command's */
    struct token *token = token_create(&back);
    token_spec_of(token, &kept);
    check_same(spec, &kept);
    CHECK(kept.space.len == spec->space.len);
    CHECK(kept.space.len == 0 || namespace_is_other(kept.space));
    CHECK(token_reaches(token, kept.space, true));
    for (uint32_t i = 0; i < kept.scopes_count; i++) {
        char stored[STORED_NAME_SIZE];
        namespace_store(token_space(token), kept.scopes[i].name.data, stored);
        CHECK(stored[0] == '\0' || token_may(token, stored, kept.scopes[i].write));
        CHECK(kept.space.len == 0 || !token_may(token, kept.scopes[i].name.data, false));
    }
    free(token);
    buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const uint8_t *nul = memchr(data, 0, len);
    size_t head = nul != NULL ? (size_t)(nul - data) : len;
    uint8_t *text = fuzz_copy(data, head);
    try_text((const char *)text, head);
    free(text);
    if (nul == NULL) {
        return 0;
    }
    struct buffer body;
    struct body_token token;
    struct token_spec spec;
    struct problem problem;
    buffer_init(&body, TOKEN_BODY_BYTES_MAX);
    buffer_append(&body, nul + 1, len - head - 1);
    if (body_token_parse(&token, &spec, &body, &problem)) {
        CHECK(spec.scopes_count <= TOKEN_SCOPES_MAX && token.ttl_s <= TOKEN_TTL_S_MAX);
        CHECK(spec.scopes_count > 0 || spec.grants != 0);
        through_the_log(&spec);
    } else {
        CHECK(problem.message[0] != '\0');
    }
    body_token_done(&token);
    buffer_done(&body);
    return 0;
}
