/* What the members tell each other about themselves now and then: for GET /cluster, and so that a
 * leader knows whose disk is full. */
#include <string.h>

#include "consensus/engine.h"
#include "server/base/buffer.h"
#include "server/base/text.h"

#define INFO_INTERVAL_MS 300
#define INFO_BYTES_MAX   1024

static void append_text(struct buffer *out, const char *text)
{
    size_t len = strlen(text);
    buffer_append_u16(out, (uint16_t)len);
    buffer_append(out, text, len);
}

static void encode(struct engine *e, struct buffer *out)
{
    buffer_append_u64(out, raft_last_applied(&e->raft));
    buffer_append_byte(out, e->disk_full ? 0 : 1);
    append_text(out, e->options.name);
    append_text(out, e->options.http_address);
    append_text(out, e->options.version);
}

/* Takes a text into `field`; false when there is none that fits and can be shown. */
static bool take_text(const uint8_t **at, const uint8_t *end, char *field, size_t size)
{
    if (end - *at < 2) {
        return false;
    }
    size_t len = load_u16(*at);
    if (len >= size || len > (size_t)(end - *at - 2) ||
        !text_is_printable((const char *)*at + 2, len)) {
        return false;
    }
    memcpy(field, *at + 2, len);
    field[len] = '\0';
    *at += 2 + len;
    return true;
}

void directory_receive(struct engine *e, uint64_t from, const uint8_t *data, size_t len)
{
    size_t place = engine_place(e, from);
    if (place == MEMBERS_MAX || len < 9) {
        return;
    }
    struct consensus_member_info info = e->directory[place].info;
    const uint8_t *at = data + 9;
    const uint8_t *end = data + len;
    info.applied_index = load_u64(data);
    info.has_space = data[8] != 0;
    if (take_text(&at, end, info.name, sizeof info.name) &&
        take_text(&at, end, info.http_address, sizeof info.http_address) &&
        take_text(&at, end, info.version, sizeof info.version)) {
        e->directory[place].info = info;
        e->directory[place].heard_ms = engine_now_ms(e);
    }
}

void directory_tick(struct engine *e)
{
    uint64_t now_ms = engine_now_ms(e);
    if (now_ms - e->info_sent_ms < INFO_INTERVAL_MS) {
        return;
    }
    struct buffer out;
    e->info_sent_ms = now_ms;
    buffer_init(&out, INFO_BYTES_MAX);
    encode(e, &out);
    for (size_t i = 0; i < e->members; i++) {
        uint64_t id = e->directory[i].info.id;
        if (id != e->options.id && e->env.is_up(e->env.ctx, id)) {
            enum status status UNUSED = e->env.send(e->env.ctx, id, FRAME_INFO, false, out.data,
                                                    out.len, NULL, 0, NULL, NULL);
        }
    }
    buffer_done(&out);
}

bool directory_quorum_has_space(const struct engine *e)
{
    size_t with_space = 0;
    for (size_t i = 0; i < e->members; i++) {
        const struct consensus_member_info *info = &e->directory[i].info;
        with_space += info->id == e->options.id ? !e->disk_full : info->has_space;
    }
    return with_space > e->members / 2;
}
