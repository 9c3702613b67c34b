/* How far each sink of events has come. Positions only rise, so a replica that was the leader and
 * does not know yet that it is not cannot set one back. */
#include <string.h>

#include "server/base/naming.h"
#include "server/registry/internal.h"
#include "server/registry/mix.h"
#include "server/registry/size.h"

bool sink_is_name(const char *name, size_t len)
{
    return len <= SINK_NAME_BYTES_MAX && naming_is_namespace(name, len);
}

const struct sink_position *sinks_find(const struct sinks *sinks, const char *name)
{
    for (uint32_t i = 0; i < sinks->count; i++) {
        if (strcmp(sinks->rows[i].name, name) == 0) {
            return &sinks->rows[i];
        }
    }
    return NULL;
}

uint64_t sinks_hash(const struct sinks *sinks)
{
    uint64_t h = sinks->count;
    for (uint32_t i = 0; i < sinks->count; i++) {
        const struct sink_position *row = &sinks->rows[i];
        h = mix64(h ^ mix_bytes(row->name, strlen(row->name)));
        h = mix64(h ^ row->index);
        h = mix64(h ^ row->position);
    }
    return h;
}

/* Where it is, or belongs. */
static uint32_t place_of(const struct sinks *sinks, const char *name)
{
    uint32_t i = 0;
    while (i < sinks->count && strcmp(sinks->rows[i].name, name) < 0) {
        i++;
    }
    return i;
}

static bool is_before(const struct sink_position *a, const struct sink_position *b)
{
    return a->index < b->index || (a->index == b->index && a->position < b->position);
}

void sinks_apply_confirm(struct registry *r, const struct command *command,
                         struct result *ret_result)
{
    struct sinks *sinks = &r->work.sinks;
    const struct slice *name = &command->sink_confirm.name;
    struct sink_position row = {.index = command->sink_confirm.index,
                                .position = command->sink_confirm.position};
    if (!sink_is_name(name->data, name->len) || row.index > r->work.index) {
        ret_result->status = ST_INVALID;
        return;
    }
    memcpy(row.name, name->data, name->len);
    uint32_t place = place_of(sinks, row.name);
    if (place < sinks->count && strcmp(sinks->rows[place].name, row.name) == 0) {
        if (is_before(&row, &sinks->rows[place])) {
            ret_result->status = ST_CONFLICT;
            return;
        }
        sinks->rows[place] = row;
        return;
    }
    if (sinks->count == SINKS_MAX || !registry_has_room(r, size_sink(&row))) {
        ret_result->status = ST_FULL;
        return;
    }
    memmove(&sinks->rows[place + 1], &sinks->rows[place],
            (sinks->count - place) * sizeof sinks->rows[0]);
    sinks->rows[place] = row;
    sinks->count++;
    ret_result->created = true;
}

enum status sinks_restore(struct registry *r, const struct sinks *sinks)
{
    for (uint32_t i = 0; i < sinks->count; i++) {
        const struct sink_position *row = &sinks->rows[i];
        if (!sink_is_name(row->name, strlen(row->name)) || row->index > r->work.index ||
            (i > 0 && strcmp(sinks->rows[i - 1].name, row->name) >= 0)) {
            return ST_CORRUPT;
        }
    }
    r->work.sinks = *sinks;
    return ST_OK;
}
