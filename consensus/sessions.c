#include "consensus/sessions.h"

#define SESSION_BYTES 32

static struct session *find(struct sessions *s, uint64_t origin)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].origin == origin) {
            return &s->list[i];
        }
    }
    return NULL;
}

/* A slot for a new origin: a free one, or that of the origin silent for longest. */
static struct session *make_room(struct sessions *s)
{
    if (s->count < SESSIONS_MAX) {
        return &s->list[s->count++];
    }
    struct session *oldest = &s->list[0];
    for (uint32_t i = 1; i < s->count; i++) {
        if (s->list[i].index < oldest->index) {
            oldest = &s->list[i];
        }
    }
    return oldest;
}

static bool covers(const struct session *session, uint64_t boot, uint64_t serial)
{
    return session->boot > boot || (session->boot == boot && session->serial >= serial);
}

bool sessions_advance(struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial,
                      uint64_t index)
{
    struct session *session = find(s, origin);
    if (session != NULL && covers(session, boot, serial)) {
        return false;
    }
    if (session == NULL) {
        session = make_room(s);
    }
    *session = (struct session){.origin = origin, .boot = boot, .serial = serial, .index = index};
    return true;
}

bool sessions_has(const struct sessions *s, uint64_t origin, uint64_t boot, uint64_t serial)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].origin == origin) {
            return covers(&s->list[i], boot, serial);
        }
    }
    return false;
}

uint64_t sessions_boot(const struct sessions *s, uint64_t origin)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->list[i].origin == origin) {
            return s->list[i].boot;
        }
    }
    return 0;
}

void sessions_encode(const struct sessions *s, struct buffer *out)
{
    buffer_append_u32(out, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        buffer_append_u64(out, s->list[i].origin);
        buffer_append_u64(out, s->list[i].boot);
        buffer_append_u64(out, s->list[i].serial);
        buffer_append_u64(out, s->list[i].index);
    }
}

enum status sessions_decode(struct sessions *s, const uint8_t **data, size_t *len)
{
    if (*len < 4 || load_u32(*data) > SESSIONS_MAX ||
        (*len - 4) / SESSION_BYTES < load_u32(*data)) {
        return ST_CORRUPT;
    }
    s->count = load_u32(*data);
    const uint8_t *at = *data + 4;
    for (uint32_t i = 0; i < s->count; i++, at += SESSION_BYTES) {
        s->list[i] = (struct session){
            .origin = load_u64(at),
            .boot = load_u64(at + 8),
            .serial = load_u64(at + 16),
            .index = load_u64(at + 24),
        };
    }
    *len -= 4 + (size_t)s->count * SESSION_BYTES;
    *data = at;
    return ST_OK;
}
