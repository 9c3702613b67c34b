#include "server/base/snapshot_scan.h"

#include <string.h>

#include "server/base/buffer.h"

void snapshot_scan_init(struct snapshot_scan *s)
{
    memset(s, 0, offsetof(struct snapshot_scan, block));
}

static const char *take_head(struct snapshot_scan *s, const uint8_t *body, size_t len)
{
    return snapshot_meta_decode(body, len, &s->meta) ? NULL : "its first block is wrong";
}

static const char *take_info(struct snapshot_scan *s, const uint8_t *body)
{
    s->has_info = true;
    return snapshot_info_decode(body, &s->info) ? NULL : "its second block is wrong";
}

static const char *take_chunk(struct snapshot_scan *s, const uint8_t *body, size_t len)
{
    s->chunks++;
    s->state_bytes += len;
    return s->state != NULL ? s->state(s->ctx, body, len) : NULL;
}

static const char *take_foot(struct snapshot_scan *s, const uint8_t *body)
{
    s->ended = true;
    return load_u64(body) == s->chunks && load_u64(body + 8) == s->state_bytes
               ? NULL
               : "the totals in its last block are wrong";
}

/* The head names the cluster; all that follows must match. */
static const char *take_header(struct snapshot_scan *s)
{
    if (s->chain.number == 0) {
        s->chain.cluster = snapshot_block_cluster(s->block);
    }
    s->has_header = true;
    return snapshot_block_check(&s->chain, s->block, &s->kind, &s->body);
}

static const char *take_block(struct snapshot_scan *s)
{
    const uint8_t *body = s->block + SNAPSHOT_BLOCK_HEADER;
    s->has_header = false;
    if (!snapshot_block_accept(&s->chain, s->block, s->body)) {
        return "wrong checksum of a block";
    }
    if (s->kind != SNAPSHOT_HEAD && s->kind != SNAPSHOT_INFO && !s->has_info) {
        return "it is a snapshot of a data directory, not a backup";
    }
    switch (s->kind) {
    case SNAPSHOT_HEAD:
        return take_head(s, body, s->body);
    case SNAPSHOT_INFO:
        return take_info(s, body);
    case SNAPSHOT_CHUNK:
        return take_chunk(s, body, s->body);
    case SNAPSHOT_FOOT:
        return take_foot(s, body);
    }
    return "a block is of an unknown kind"; /* not reached */
}

/* Consumes what belongs to the header, or to the body after it. */
static const char *add(struct snapshot_scan *s, const uint8_t **data, size_t *len)
{
    size_t wanted = SNAPSHOT_BLOCK_HEADER + (s->has_header ? s->body : 0);
    size_t part = wanted - s->len < *len ? wanted - s->len : *len;
    if (s->ended) {
        return "there is data after its last block";
    }
    memcpy(s->block + s->len, *data, part);
    s->len += part;
    *data += part;
    *len -= part;
    if (s->len < wanted) {
        return NULL;
    }
    if (!s->has_header) {
        return take_header(s);
    }
    const char *wrong = take_block(s);
    if (wrong == NULL) {
        s->at += s->len;
        s->len = 0;
    }
    return wrong;
}

const char *snapshot_scan_add(struct snapshot_scan *s, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0 && s->wrong == NULL) {
        s->wrong = add(s, &at, &len);
    }
    return s->wrong;
}

const char *snapshot_scan_end(struct snapshot_scan *s)
{
    if (s->wrong == NULL && !s->ended) {
        s->wrong = s->at + s->len == 0 ? "it is empty" : "it is cut short";
    }
    return s->wrong;
}
