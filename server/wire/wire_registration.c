#include "server/wire/wire_registration.h"

static void pack_slice(struct buffer *out, struct slice s)
{
    pack_text(out, s.data, s.len);
}

void wire_registration_encode(const struct registration *g, struct buffer *out)
{
    pack_slice(out, g->id);
    pack_slice(out, g->name);
    pack_slice(out, g->type);
    pack_slice(out, g->host);
    pack_slice(out, g->zone);
    pack_uint(out, g->port);
    pack_uint(out, g->weight);
    pack_uint(out, g->ttl_ms);
    pack_uint(out, g->reap_after_ms);
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
    g->id = unpack_text(in, limits->name_bytes);
    g->name = unpack_text(in, limits->name_bytes);
    g->type = unpack_text(in, limits->name_bytes);
    g->host = unpack_text(in, limits->host_bytes);
    g->zone = unpack_text(in, limits->name_bytes);
    g->port = (uint16_t)unpack_uint(in, UINT16_MAX);
    g->weight = (uint16_t)unpack_uint(in, limits->weight);
    g->ttl_ms = (uint32_t)unpack_uint(in, limits->ttl_ms);
    g->reap_after_ms = (uint32_t)unpack_uint(in, limits->reap_after_ms);
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
