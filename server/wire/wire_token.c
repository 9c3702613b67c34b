#include "server/wire/wire_token.h"

#include "server/registry/policy.h"

/* A token has an id and a hash; a policy has the key of a subject, and no hash. */
static bool is_one(const struct token_spec *spec)
{
    return spec->hash.len == 0 ? policy_key_is_valid(spec->id)
                               : spec->hash.len == TOKEN_HASH_BYTES && spec->id.len > 0 &&
                                     !policy_is_id(spec->id.data);
}

void wire_token_encode(const struct token_spec *spec, struct buffer *out)
{
    pack_text(out, spec->id.data, spec->id.len);
    pack_bytes(out, spec->hash.data, spec->hash.len);
    pack_text(out, spec->description.data, spec->description.len);
    pack_uint(out, spec->grants);
    pack_uint(out, spec->scopes_count);
    for (uint32_t i = 0; i < spec->scopes_count; i++) {
        pack_text(out, spec->scopes[i].name.data, spec->scopes[i].name.len);
        pack_bool(out, spec->scopes[i].prefix);
        pack_bool(out, spec->scopes[i].write);
    }
}

void wire_token_decode(struct unpack *in, const struct registry_limits *limits,
                       struct token_spec *ret_spec)
{
    ret_spec->id = unpack_text(in, limits->name_bytes);
    ret_spec->hash = unpack_bytes(in, TOKEN_HASH_BYTES);
    ret_spec->description = unpack_text(in, limits->name_bytes);
    ret_spec->space = (struct slice){"", 0}; /* of a snapshot: it stands behind the others */
    ret_spec->grants = (uint32_t)unpack_uint(in, TOKEN_GRANTS_ALL);
    ret_spec->scopes_count = (uint32_t)unpack_uint(in, limits->token_scopes);
    if (!in->bad && !is_one(ret_spec)) {
        in->bad = true;
    }
    for (uint32_t i = 0; i < ret_spec->scopes_count && !in->bad; i++) {
        ret_spec->scopes[i].name = unpack_text(in, limits->name_bytes);
        ret_spec->scopes[i].prefix = unpack_bool(in);
        ret_spec->scopes[i].write = unpack_bool(in);
    }
}
