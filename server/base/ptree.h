/* A persistent (copy-on-write) ordered map from strings to values: a B+ tree whose published nodes
 * never change. A version is a root pointer; taking one is O(1), a change copies the O(log n) nodes
 * on its path and leaves all older versions intact. (Path copying: Driscoll, Sarnak, Sleator,
 * Tarjan, "Making data structures persistent", 1989.) Nodes know the number of values below them,
 * so values can be found by rank.
 *
 * Values are not copied: the tree keeps pointers and asks the caller for a value's key.
 *
 * Thread: one writer. Readers may walk any version handed to them by release/acquire (e.g.
 * rcu_assign_pointer) as long as the writer's `retire` does not free its nodes. Owns: its nodes,
 * never the values. */
#ifndef MUSTER_BASE_PTREE_H
#define MUSTER_BASE_PTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ptree_node;

/* Shared by all versions of one or more trees. */
struct ptree_kind {
    const char *(*key)(const void *value); /* NUL-terminated, constant while the value exists */
    /* Takes memory that older versions may still reach, but none that was published before `epoch`
     * began. */
    void (*retire)(void *ctx, void *memory, uint64_t epoch);
    void *ctx;
    uint64_t epoch; /* starts at 0; ptree_publish() starts the next one */
};

struct ptree {
    struct ptree_node *root; /* NULL: empty */
};

/* All versions so far may have readers from now on: nodes created since the last call belong to the
 * writer and are changed in place. Call it whenever versions have been published; one call covers
 * all trees of the kind. */
void ptree_publish(struct ptree_kind *kind);

/* Puts a value, replacing one with the same key. Returns the replaced one, or NULL. */
void *ptree_put(struct ptree *t, const struct ptree_kind *kind, void *value);
/* Building from sorted input, in O(n): puts a value whose key is above all others. Since the last
 * ptree_settle(), or in a new tree, nothing else may be called. */
void ptree_append(struct ptree *t, const struct ptree_kind *kind, void *value);
/* After the last append: makes it an ordinary tree. */
void ptree_settle(struct ptree *t, const struct ptree_kind *kind);
/* Removes and returns the value with that key; NULL if there is none. */
void *ptree_remove(struct ptree *t, const struct ptree_kind *kind, const char *key);
/* Retires all nodes of this version. */
void ptree_clear(struct ptree *t, const struct ptree_kind *kind);

void *ptree_find(const struct ptree *t, const struct ptree_kind *kind, const char *key);
size_t ptree_count(const struct ptree *t);
/* The value at the 0-based rank; NULL if rank >= count. */
void *ptree_at(const struct ptree *t, size_t rank);
/* The number of keys smaller than or equal to `key`: the rank to continue at after it. */
size_t ptree_rank_after(const struct ptree *t, const struct ptree_kind *kind, const char *key);

/* In-order walk from a rank on. Holds no memory; valid as long as the version. */
#define PTREE_HEIGHT_MAX 12
struct ptree_iterator {
    const struct ptree_node *node[PTREE_HEIGHT_MAX];
    uint16_t slot[PTREE_HEIGHT_MAX];
    int depth; /* of the leaf; -1 at the end */
};
void ptree_iterate(struct ptree_iterator *it, const struct ptree *t, size_t rank);
/* The next value; NULL at the end. */
void *ptree_next(struct ptree_iterator *it);

#endif
