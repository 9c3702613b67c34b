#include "server/wire/wire_registration.h"

static void pack_slice(struct buffer *out, struct slice s)
{
    pack_text(out, s.data, s.len);
}

void wire_registration_encode(const struct registration *g, struct buffer *out)
{
#define TEXT(field, name, limit)        pack_slice(out, g->field);
#define NUMBER(field, name, type, most) pack_uint(out, g->field);
#include "server/registry/fields.def"
    pack_uint(out, g->tags_count);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        pack_slice(out, g->tags[i]);
    }
    pack_uint(out, g->metadata_count);
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        pack_slice(out, g->metadata[i].key);
        pack_slice(out, g->metadata[i].value);
    }
}

void wire_registration_decode(struct unpack *in, const struct registry_limits *limits,
                              struct registration *ret_registration)
{
    struct registration *g = ret_registration;
#define TEXT(field, name, limit)        g->field = unpack_text(in, limits->limit);
#define NUMBER(field, name, type, most) g->field = (type)unpack_uint(in, most);
#include "server/registry/fields.def"
    g->extra = (struct slice){"", 0};
    g->active = false;
    g->tags_count = (uint32_t)unpack_uint(in, limits->tags);
    for (uint32_t i = 0; i < g->tags_count; i++) {
        g->tags[i] = unpack_text(in, limits->tag_bytes);
    }
    g->metadata_count = (uint32_t)unpack_uint(in, limits->metadata);
    for (uint32_t i = 0; i < g->metadata_count; i++) {
        g->metadata[i].key = unpack_text(in, limits->metadata_key_bytes);
        g->metadata[i].value = unpack_text(in, limits->metadata_value_bytes);
    }
}
