/* How many instances of each type are alive, that is, have not expired: for the condition of a
 * registration that is to be the only one of its type in its namespace. Derived from the instances,
 * so neither snapshots nor hashes have it. */
#include <stdlib.h>
#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"
#include "server/registry/internal.h"

/* A namespace, which has no such byte, this separator, and a type. */
#define SEPARATOR '\x1f'
#define KEY_SIZE  (NAMESPACE_SIZE + 1 + NAME_BYTES_MAX + 1)

static void make_key(const char *stored_name, struct slice type, char ret_key[KEY_SIZE])
{
    struct slice space = namespace_of(stored_name);
    CHECK(space.len < NAMESPACE_SIZE && type.len <= NAME_BYTES_MAX);
    if (space.len > 0) {
        memcpy(ret_key, space.data, space.len);
    }
    ret_key[space.len] = SEPARATOR;
    memcpy(ret_key + space.len + 1, type.data, type.len);
    ret_key[space.len + 1 + type.len] = '\0';
}

static void change(struct registry *r, const struct record *record, int by)
{
    char key[KEY_SIZE];
    struct slice type = {record_type(record), strlen(record_type(record))};
    if (record->expired || type.len == 0) {
        return;
    }
    make_key(record_name(record), type, key);
    /* No view has these, so they may change in place. */
    struct tally *tally = ptree_find(&r->alive_types, &r->tallies_kind, key);
    if (tally == NULL) {
        tally = mem_zalloc(1, sizeof *tally + strlen(key) + 1);
        memcpy(tally->text, key, strlen(key) + 1);
        ptree_put(&r->alive_types, &r->tallies_kind, tally);
    }
    CHECK(by > 0 || tally->count > 0);
    tally->count += (uint32_t)by;
    if (tally->count == 0) {
        ptree_remove(&r->alive_types, &r->tallies_kind, key);
        free(tally);
    }
}

void types_add(struct registry *r, const struct record *record)
{
    change(r, record, 1);
}

void types_remove(struct registry *r, const struct record *record)
{
    change(r, record, -1);
}

bool types_is_taken(const struct registry *r, const struct registration *registration,
                    const struct record *own)
{
    char key[KEY_SIZE], name[STORED_NAME_SIZE];
    CHECK(registration->name.len < sizeof name);
    memcpy(name, registration->name.data, registration->name.len);
    name[registration->name.len] = '\0';
    make_key(name, registration->type, key);
    const struct tally *tally = ptree_find(&r->alive_types, &r->tallies_kind, key);
    uint32_t count = tally != NULL ? tally->count : 0;
    bool has_it = own != NULL && !own->expired &&
                  strlen(record_type(own)) == registration->type.len &&
                  memcmp(record_type(own), registration->type.data, registration->type.len) == 0;
    return count > (has_it ? 1 : 0);
}

void types_destroy(struct registry *r)
{
    struct ptree_iterator it;
    ptree_iterate(&it, &r->alive_types, 0);
    for (struct tally *tally; (tally = ptree_next(&it)) != NULL;) {
        free(tally);
    }
    ptree_clear(&r->alive_types, &r->tallies_kind);
}
