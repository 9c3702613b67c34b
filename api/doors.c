#include "api/core/door.h"

#include <stdlib.h>

#include "server/base/log.h"
#include "server/base/mem.h"

#define DOORS_MAX 16

struct doors {
    size_t count;
    struct door *doors[DOORS_MAX];
};

#define DOOR(row) extern const struct door_kind row;
#include "api/doors.def"
#undef DOOR

static const struct door_kind *const all_kinds[] = {
#define DOOR(row) &(row),
#include "api/doors.def"
#undef DOOR
    NULL};

static_assert(ARRAY_LENGTH(all_kinds) <= DOORS_MAX + 1, "there is room for all");

struct doors *doors_open_kinds(const struct door_kind *const *kinds,
                               const struct door_options *options, char *error, size_t error_size)
{
    struct doors *doors = mem_zalloc(1, sizeof *doors);
    for (; *kinds != NULL && doors->count < DOORS_MAX; kinds++) {
        struct door *door = NULL;
        if (!(*kinds)->open(options, &door, error, error_size)) {
            doors_stop(doors);
            return NULL;
        }
        if (door != NULL) {
            doors->doors[doors->count++] = door;
        }
    }
    return doors;
}

struct doors *doors_open(const struct door_options *options, char *error, size_t error_size)
{
    return doors_open_kinds(all_kinds, options, error, error_size);
}

bool doors_start(struct doors *doors, struct node *node, char *error, size_t error_size)
{
    for (size_t i = 0; i < doors->count; i++) {
        if (!doors->doors[i]->kind->start(doors->doors[i], node, error, error_size)) {
            return false;
        }
    }
    return true;
}

void doors_reload(struct doors *doors)
{
    char error[512];
    for (size_t i = 0; i < doors->count; i++) {
        struct door *door = doors->doors[i];
        if (door->kind->reload != NULL && !door->kind->reload(door, error, sizeof error)) {
            log_write(LOG_ERROR, door->kind->name,
                      "a file cannot be read again; what was read before goes on to count",
                      "error=\"%s\"", error);
        }
    }
}

void doors_drain(struct doors *doors)
{
    for (size_t i = 0; i < doors->count; i++) {
        doors->doors[i]->kind->drain(doors->doors[i]);
    }
}

void doors_stop(struct doors *doors)
{
    while (doors->count > 0) {
        struct door *door = doors->doors[--doors->count];
        door->kind->stop(door);
    }
    free(doors);
}
