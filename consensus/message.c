#include "consensus/message.h"

#include <string.h>

#include "consensus/configuration.h"
#include "server/base/check.h"
#include "server/base/limits.h"

/* Every message starts with its type and the version that the sender's libraft gave it; then come
 * its fields, little endian, in the order of raft.h. */

#define ENTRY_HEADER_BYTES 17 /* term 8, type 1, length 4, checksum 4 */

enum flag {
    FLAG_DISRUPT_LEADER = 1,
    FLAG_PRE_VOTE = 2,
    FLAG_GRANTED = 4,
};

/* --- encoding --- */

static void encode_entries(const struct raft_append_entries *m, const struct log *log,
                           struct buffer *out)
{
    CHECK(m->n_entries <= APPEND_ENTRIES_MAX);
    buffer_append_u32(out, m->n_entries);
    for (unsigned i = 0; i < m->n_entries; i++) {
        const struct log_entry *entry = log_get(log, m->prev_log_index + 1 + i);
        CHECK(entry != NULL && entry->len <= UINT32_MAX);
        buffer_append_u64(out, entry->term);
        buffer_append_byte(out, entry->type);
        buffer_append_u32(out, (uint32_t)entry->len);
        buffer_append_u32(out, entry->checksum);
    }
    for (unsigned i = 0; i < m->n_entries; i++) {
        const struct log_entry *entry = log_get(log, m->prev_log_index + 1 + i);
        buffer_append(out, entry->data, entry->len);
    }
}

static void encode_request_vote(const struct raft_request_vote *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->candidate_id);
    buffer_append_u64(out, m->last_log_index);
    buffer_append_u64(out, m->last_log_term);
    buffer_append_byte(out, (uint8_t)((m->disrupt_leader ? FLAG_DISRUPT_LEADER : 0) |
                                      (m->pre_vote ? FLAG_PRE_VOTE : 0)));
}

static void encode_request_vote_result(const struct raft_request_vote_result *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_byte(
        out, (uint8_t)((m->vote_granted ? FLAG_GRANTED : 0) | (m->pre_vote ? FLAG_PRE_VOTE : 0)));
    buffer_append_u16(out, m->features);
    buffer_append_u16(out, m->capacity);
}

static void encode_append_entries(const struct raft_append_entries *m, const struct log *log,
                                  struct buffer *out)
{
    uint64_t term = 0;
    uint32_t parent = 0;
    CHECK(log_position(log, m->prev_log_index, &term, &parent) && term == m->prev_log_term);
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->prev_log_index);
    buffer_append_u64(out, m->prev_log_term);
    buffer_append_u64(out, m->leader_commit);
    buffer_append_u32(out, parent);
    encode_entries(m, log, out);
}

static void encode_append_entries_result(const struct raft_append_entries_result *m,
                                         struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->rejected);
    buffer_append_u64(out, m->last_log_index);
    buffer_append_u16(out, m->features);
    buffer_append_u16(out, m->capacity);
}

static void encode_timeout_now(const struct raft_timeout_now *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->last_log_index);
    buffer_append_u64(out, m->last_log_term);
}

void message_encode(const struct raft_message *message, const struct log *log, struct buffer *out)
{
    buffer_append_byte(out, (uint8_t)message->type);
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        encode_append_entries(&message->append_entries, log, out);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        encode_append_entries_result(&message->append_entries_result, out);
        break;
    case RAFT_REQUEST_VOTE:
        encode_request_vote(&message->request_vote, out);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        encode_request_vote_result(&message->request_vote_result, out);
        break;
    case RAFT_TIMEOUT_NOW:
        encode_timeout_now(&message->timeout_now, out);
        break;
    case RAFT_INSTALL_SNAPSHOT:
    default:
        check_failed(__FILE__, __LINE__, "a message of libraft 0.22 that goes as one frame");
    }
}

/* --- decoding --- */

/* The bytes left to read. Reading past the end yields zeros and sets `bad`. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static const uint8_t *reader_take(struct reader *r, size_t len)
{
    if (r->bad || len > r->left) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *at = r->at;
    r->at += len;
    r->left -= len;
    return at;
}

static uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = reader_take(r, sizeof(uint8_t));
    return p != NULL ? *p : 0;
}

static uint16_t reader_u16(struct reader *r)
{
    const uint8_t *p = reader_take(r, sizeof(uint16_t));
    return p != NULL ? load_u16(p) : 0;
}

static uint32_t reader_u32(struct reader *r)
{
    const uint8_t *p = reader_take(r, sizeof(uint32_t));
    return p != NULL ? load_u32(p) : 0;
}

static uint64_t reader_u64(struct reader *r)
{
    const uint8_t *p = reader_take(r, sizeof(uint64_t));
    return p != NULL ? load_u64(p) : 0;
}

/* A term or an index, small enough for libraft and this program to add to. */
static uint64_t reader_count(struct reader *r)
{
    uint64_t value = reader_u64(r);
    r->bad = r->bad || value > INT64_MAX;
    return value;
}

static uint8_t reader_flags(struct reader *r, int allowed)
{
    uint8_t flags = reader_u8(r);
    r->bad = r->bad || (flags & ~allowed) != 0;
    return flags;
}

static void decode_entry_headers(struct reader *r, struct message *m, unsigned count)
{
    uint64_t before = m->raft.append_entries.prev_log_term; /* terms never decrease along a log */
    for (unsigned i = 0; i < count; i++) {
        struct raft_entry *entry = &m->entries[i];
        *entry = (struct raft_entry){.term = reader_count(r)};
        uint8_t type = reader_u8(r);
        entry->buf.len = reader_u32(r);
        m->checksums[i] = reader_u32(r);
        if (entry->term == 0 || entry->term < before || entry->term > m->raft.append_entries.term ||
            type < RAFT_COMMAND || type > RAFT_CHANGE) {
            r->bad = true;
            return;
        }
        before = entry->term;
        entry->type = type;
    }
}

static void decode_entries(struct reader *r, struct message *m)
{
    uint32_t count = reader_u32(r);
    if (r->bad || count > APPEND_ENTRIES_MAX) {
        r->bad = true;
        return;
    }
    decode_entry_headers(r, m, count);
    for (uint32_t i = 0; i < count && !r->bad; i++) {
        /* libraft decodes the configuration in an entry without checking where it ends. */
        struct raft_entry *entry = &m->entries[i];
        entry->buf.base = (void *)(uintptr_t)reader_take(r, entry->buf.len);
        if (!r->bad && entry->type == RAFT_CHANGE) {
            struct raft_configuration conf;
            r->bad = !configuration_decode(entry->buf.base, entry->buf.len, &conf);
            raft_configuration_close(&conf);
        }
    }
    m->raft.append_entries.entries = count > 0 ? m->entries : NULL;
    m->raft.append_entries.n_entries = count;
}

static void decode_append_entries(struct reader *r, struct message *message)
{
    struct raft_append_entries *m = &message->raft.append_entries;
    m->version = reader_u8(r);
    m->term = reader_count(r);
    m->prev_log_index = reader_count(r);
    m->prev_log_term = reader_count(r);
    m->leader_commit = reader_count(r);
    message->parent = reader_u32(r);
    r->bad = r->bad || (m->prev_log_index == 0) != (m->prev_log_term == 0);
    decode_entries(r, message);
}

static void decode_append_entries_result(struct reader *r, struct raft_append_entries_result *m)
{
    m->version = reader_u8(r);
    m->term = reader_count(r);
    m->rejected = reader_count(r);
    m->last_log_index = reader_count(r);
    m->features = reader_u16(r);
    m->capacity = reader_u16(r);
}

static void decode_request_vote(struct reader *r, struct raft_request_vote *m)
{
    m->version = reader_u8(r);
    m->term = reader_count(r);
    m->candidate_id = reader_u64(r);
    m->last_log_index = reader_count(r);
    m->last_log_term = reader_count(r);
    uint8_t flags = reader_flags(r, FLAG_DISRUPT_LEADER | FLAG_PRE_VOTE);
    m->disrupt_leader = (flags & FLAG_DISRUPT_LEADER) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
}

static void decode_request_vote_result(struct reader *r, struct raft_request_vote_result *m)
{
    m->version = reader_u8(r);
    m->term = reader_count(r);
    uint8_t flags = reader_flags(r, FLAG_GRANTED | FLAG_PRE_VOTE);
    m->vote_granted = (flags & FLAG_GRANTED) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    m->features = reader_u16(r);
    m->capacity = reader_u16(r);
}

static void decode_timeout_now(struct reader *r, struct raft_timeout_now *m)
{
    m->version = reader_u8(r);
    m->term = reader_count(r);
    m->last_log_index = reader_count(r);
    m->last_log_term = reader_count(r);
}

enum status message_decode(const uint8_t *data, size_t len, struct message *ret_message)
{
    struct reader r = {.at = data, .left = len};
    memset(&ret_message->raft, 0, sizeof ret_message->raft);
    ret_message->parent = 0;
    uint8_t type = reader_u8(&r);
    switch (type) {
    case RAFT_APPEND_ENTRIES:
        decode_append_entries(&r, ret_message);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        decode_append_entries_result(&r, &ret_message->raft.append_entries_result);
        break;
    case RAFT_REQUEST_VOTE:
        decode_request_vote(&r, &ret_message->raft.request_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        decode_request_vote_result(&r, &ret_message->raft.request_vote_result);
        break;
    case RAFT_TIMEOUT_NOW:
        decode_timeout_now(&r, &ret_message->raft.timeout_now);
        break;
    default:
        return ST_CORRUPT;
    }
    ret_message->raft.type = type;
    return r.bad || r.left > 0 ? ST_CORRUPT : ST_OK;
}
