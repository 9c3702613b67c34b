#include "consensus/message.h"

#include <limits.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/limits.h"

/* Every message begins with its type and the version that the sender's libraft gave it; then its
 * fields, little endian, in the order of raft.h. */

#define ENTRY_HEADER_BYTES   13 /* term 8, type 1, length 4 */
#define CONFIGURATION_FORMAT 1  /* as raft_configuration_encode writes it */
#define ADDRESS_BYTES_MAX    (HOST_BYTES_MAX + 8)

enum flag {
    FLAG_DISRUPT_LEADER = 1,
    FLAG_PRE_VOTE = 2,
    FLAG_GRANTED = 4,
};

/* --- encoding --- */

static void encode_entries(const struct raft_append_entries *m, struct buffer *out)
{
    buffer_append_u32(out, m->n_entries);
    for (unsigned i = 0; i < m->n_entries; i++) {
        const struct raft_entry *entry = &m->entries[i];
        CHECK(entry->buf.len % 8 == 0 && entry->buf.len <= UINT32_MAX);
        buffer_append_u64(out, entry->term);
        buffer_append_byte(out, (uint8_t)entry->type);
        buffer_append_u32(out, (uint32_t)entry->buf.len);
    }
    for (unsigned i = 0; i < m->n_entries; i++) {
        buffer_append(out, m->entries[i].buf.base, m->entries[i].buf.len);
    }
}

static void encode_configuration(const struct raft_configuration *conf, struct buffer *out)
{
    buffer_append_byte(out, CONFIGURATION_FORMAT);
    buffer_append_u64(out, conf->n);
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        buffer_append_u64(out, server->id);
        buffer_append(out, server->address, strlen(server->address) + 1);
        buffer_append_byte(out, (uint8_t)server->role);
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

static void encode_append_entries(const struct raft_append_entries *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->prev_log_index);
    buffer_append_u64(out, m->prev_log_term);
    buffer_append_u64(out, m->leader_commit);
    encode_entries(m, out);
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

static void encode_install_snapshot(const struct raft_install_snapshot *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->last_index);
    buffer_append_u64(out, m->last_term);
    buffer_append_u64(out, m->conf_index);
    encode_configuration(&m->conf, out);
    buffer_append_u64(out, m->data.len);
}

static void encode_timeout_now(const struct raft_timeout_now *m, struct buffer *out)
{
    buffer_append_byte(out, m->version);
    buffer_append_u64(out, m->term);
    buffer_append_u64(out, m->last_log_index);
    buffer_append_u64(out, m->last_log_term);
}

void message_encode(const struct raft_message *message, struct buffer *out)
{
    buffer_append_byte(out, (uint8_t)message->type);
    switch (message->type) {
    case RAFT_APPEND_ENTRIES:
        encode_append_entries(&message->append_entries, out);
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
    case RAFT_INSTALL_SNAPSHOT:
        encode_install_snapshot(&message->install_snapshot, out);
        break;
    case RAFT_TIMEOUT_NOW:
        encode_timeout_now(&message->timeout_now, out);
        break;
    default:
        CHECK(!"a type of message that libraft 0.22 has");
    }
}

/* --- decoding --- */

/* What is left to read. Reading past the end gives zeros and turns it `bad`. */
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

static uint8_t reader_flags(struct reader *r, int allowed)
{
    uint8_t flags = reader_u8(r);
    r->bad = r->bad || (flags & ~allowed) != 0;
    return flags;
}

/* A NUL-terminated address, in place. */
static const char *reader_address(struct reader *r)
{
    size_t len = strnlen((const char *)r->at, r->left);
    if (len == 0 || len > ADDRESS_BYTES_MAX) {
        r->bad = true;
        return NULL;
    }
    return (const char *)reader_take(r, len + 1);
}

/* Leaves an empty configuration when the reader turns bad. */
static void decode_configuration(struct reader *r, struct raft_configuration *ret_conf)
{
    raft_configuration_init(ret_conf);
    uint8_t format = reader_u8(r);
    uint64_t count = reader_u64(r);
    if (format != CONFIGURATION_FORMAT || count < 1 || count > MEMBERS_MAX) {
        r->bad = true;
    }
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        uint64_t id = reader_u64(r);
        const char *address = reader_address(r);
        uint8_t role = reader_u8(r);
        if (r->bad || id == 0) {
            r->bad = true;
            break;
        }
        int rv = raft_configuration_add(ret_conf, id, address, role);
        CHECK(rv != RAFT_NOMEM);
        r->bad = rv != 0;
    }
    if (r->bad) {
        raft_configuration_close(ret_conf);
        raft_configuration_init(ret_conf);
    }
}

/* libraft decodes the configuration in an entry without looking where it ends; so look here. */
static bool change_is_sound(const uint8_t *data, size_t len)
{
    struct reader r = {.at = data, .left = len};
    struct raft_configuration conf;
    decode_configuration(&r, &conf);
    raft_configuration_close(&conf);
    return !r.bad && r.left < 8;
}

/* Reads the entries' headers; gives how many bytes their data takes. */
static size_t decode_entry_headers(struct reader *r, struct raft_entry *entries, unsigned count)
{
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        struct raft_entry *entry = &entries[i];
        entry->term = reader_u64(r);
        uint8_t type = reader_u8(r);
        entry->buf.len = reader_u32(r);
        if (type < RAFT_COMMAND || type > RAFT_CHANGE || entry->buf.len % 8 != 0) {
            r->bad = true;
            break;
        }
        entry->type = type;
        total += entry->buf.len;
    }
    return total;
}

/* Points the entries into the batch; false when one holds a malformed configuration. */
static bool place_entries(struct raft_entry *entries, unsigned count, uint8_t *batch)
{
    uint8_t *at = batch;
    for (unsigned i = 0; i < count; i++) {
        struct raft_entry *entry = &entries[i];
        entry->batch = batch;
        entry->buf.base = entry->buf.len > 0 ? at : NULL;
        at += entry->buf.len;
        if (entry->type == RAFT_CHANGE && !change_is_sound(entry->buf.base, entry->buf.len)) {
            return false;
        }
    }
    return true;
}

static void decode_entries(struct reader *r, struct raft_append_entries *m)
{
    uint32_t count = reader_u32(r);
    if (r->bad || count > r->left / ENTRY_HEADER_BYTES) {
        r->bad = true;
        return;
    }
    if (count == 0) {
        return;
    }
    struct raft_entry *entries = raft_calloc(count, sizeof *entries);
    CHECK(entries != NULL);
    size_t total = decode_entry_headers(r, entries, count);
    const uint8_t *data = reader_take(r, total);
    if (data == NULL) {
        raft_free(entries);
        return;
    }
    /* Never NULL: libraft frees the batch of the first entry, and looks whether there is one. */
    uint8_t *batch = raft_malloc(total > 0 ? total : 8);
    CHECK(batch != NULL);
    memcpy(batch, data, total);
    if (r->left > 0 || !place_entries(entries, count, batch)) {
        r->bad = true;
        raft_free(batch);
        raft_free(entries);
        return;
    }
    m->entries = entries;
    m->n_entries = count;
}

static void decode_append_entries(struct reader *r, struct raft_append_entries *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    m->prev_log_index = reader_u64(r);
    m->prev_log_term = reader_u64(r);
    m->leader_commit = reader_u64(r);
    decode_entries(r, m);
}

static void decode_append_entries_result(struct reader *r, struct raft_append_entries_result *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    m->rejected = reader_u64(r);
    m->last_log_index = reader_u64(r);
    m->features = reader_u16(r);
    m->capacity = reader_u16(r);
}

static void decode_request_vote(struct reader *r, struct raft_request_vote *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    m->candidate_id = reader_u64(r);
    m->last_log_index = reader_u64(r);
    m->last_log_term = reader_u64(r);
    uint8_t flags = reader_flags(r, FLAG_DISRUPT_LEADER | FLAG_PRE_VOTE);
    m->disrupt_leader = (flags & FLAG_DISRUPT_LEADER) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
}

static void decode_request_vote_result(struct reader *r, struct raft_request_vote_result *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    uint8_t flags = reader_flags(r, FLAG_GRANTED | FLAG_PRE_VOTE);
    m->vote_granted = (flags & FLAG_GRANTED) != 0;
    m->pre_vote = (flags & FLAG_PRE_VOTE) != 0;
    m->features = reader_u16(r);
    m->capacity = reader_u16(r);
}

static void decode_install_snapshot(struct reader *r, struct raft_install_snapshot *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    m->last_index = reader_u64(r);
    m->last_term = reader_u64(r);
    m->conf_index = reader_u64(r);
    decode_configuration(r, &m->conf);
    uint64_t len = reader_u64(r);
    if (r->bad || len != r->left) {
        r->bad = true;
        raft_configuration_close(&m->conf);
        return;
    }
    m->data.len = (size_t)len;
    if (len > 0) {
        m->data.base = raft_malloc(m->data.len);
        CHECK(m->data.base != NULL);
        memcpy(m->data.base, reader_take(r, m->data.len), m->data.len);
    }
}

static void decode_timeout_now(struct reader *r, struct raft_timeout_now *m)
{
    m->version = reader_u8(r);
    m->term = reader_u64(r);
    m->last_log_index = reader_u64(r);
    m->last_log_term = reader_u64(r);
}

enum status message_decode(const uint8_t *data, size_t len, struct raft_message *ret_message)
{
    struct reader r = {.at = data, .left = len};
    struct raft_message message;
    memset(&message, 0, sizeof message);
    uint8_t type = reader_u8(&r);
    switch (type) {
    case RAFT_APPEND_ENTRIES:
        decode_append_entries(&r, &message.append_entries);
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        decode_append_entries_result(&r, &message.append_entries_result);
        break;
    case RAFT_REQUEST_VOTE:
        decode_request_vote(&r, &message.request_vote);
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        decode_request_vote_result(&r, &message.request_vote_result);
        break;
    case RAFT_INSTALL_SNAPSHOT:
        decode_install_snapshot(&r, &message.install_snapshot);
        break;
    case RAFT_TIMEOUT_NOW:
        decode_timeout_now(&r, &message.timeout_now);
        break;
    default:
        return ST_CORRUPT;
    }
    message.type = type;
    /* The two kinds that own memory use up all bytes or turn bad by themselves, but for an
     * AppendEntries without entries, which owns none. */
    if (r.bad || r.left > 0) {
        return ST_CORRUPT;
    }
    *ret_message = message;
    return ST_OK;
}

void message_done(struct raft_message *message)
{
    if (message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries > 0) {
        raft_free(message->append_entries.entries[0].batch);
        raft_free(message->append_entries.entries);
        message->append_entries.entries = NULL;
        message->append_entries.n_entries = 0;
    } else if (message->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&message->install_snapshot.conf);
        raft_configuration_init(&message->install_snapshot.conf);
        raft_free(message->install_snapshot.data.base);
        message->install_snapshot.data = (struct raft_buffer){0};
    }
}
