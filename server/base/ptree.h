/* A persistent (copy-on-write) ordered map from strings to values: a B+ tree whose published nodes
 * never change. A version is a root pointer; taking one is O(1), a change copies the O(log n) nodes
 * on its path and leaves all older versions whole. (Path copying: Driscoll, Sarnak, Sleator,
 * Tarjan, "Making data structures persistent", 1989.) Nodes know how many values stand below them,
 * so a value can be found by rank.
 *
 * Values are not copied: the tree keeps pointers and asks the caller for the key of a value.
 *
 * Thread: one writer. Readers may walk any version that was handed to them by release/acquire
 * (e.g. rcu_assign_pointer) for as long as the writer's `retire` does not free its nodes.
 * Owns: its nodes, never the values. */
#ifndef MUSTER_BASE_PTREE_H
#define MUSTER_BASE_PTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ptree_node;

/* What all versions of one or more trees share. */
struct ptree_kind {
    const char *(*key)(const void *value); /* NUL-terminated, constant for the value's life */
    /* Takes memory that versions older than the current one may still reach, but none that was
     * published before `epoch` began. */
    void (*retire)(void *ctx, void *memory, uint64_t epoch);
    void *ctx;
    uint64_t epoch; /* begins at 0; ptree_publish() begins the next */
};

struct ptree {
    struct ptree_node *root; /* NULL when empty */
};

/* Says that every version so far may have readers from now on: nodes made since the last call are
 * still the writer's own and are changed in place. Call it whenever versions have been published;
 * one call serves all trees of the kind. */
void ptree_publish(struct ptree_kind *kind);

/* Puts a value, in place of the one with the same key. Returns the one replaced or NULL. */
void *ptree_put(struct ptree *t, const struct ptree_kind *kind, void *value);
/* Building from sorted input, in O(n): puts a value whose key is above all others. Since the last
 * ptree_settle(), or in a new tree, nothing else may be called. */
void ptree_append(struct ptree *t, const struct ptree_kind *kind, void *value);
/* After the last of these: from now on it is a tree like any other. */
void ptree_settle(struct ptree *t, const struct ptree_kind *kind);
/* Takes the value of that key out. Returns it, or NULL when there was none. */
void *ptree_remove(struct ptree *t, const struct ptree_kind *kind, const char *key);
/* Retires all nodes of this version. */
void ptree_clear(struct ptree *t, const struct ptree_kind *kind);

void *ptree_find(const struct ptree *t, const struct ptree_kind *kind, const char *key);
size_t ptree_count(const struct ptree *t);
/* The value at 0-based rank, NULL when rank >= count. */
void *ptree_at(const struct ptree *t, size_t rank);
/* How many keys are smaller than or equal to `key`: the rank to continue at after it. */
size_t ptree_rank_after(const struct ptree *t, const struct ptree_kind *kind, const char *key);

/* In-order walk from a rank on. Holds no memory; valid as long as the version. */
#define PTREE_HEIGHT_MAX 12
struct ptree_iterator {
    const struct ptree_node *node[PTREE_HEIGHT_MAX];
    uint16_t slot[PTREE_HEIGHT_MAX];
    int depth; /* of the leaf; -1 at the end */
};
void ptree_iterate(struct ptree_iterator *it, const struct ptree *t, size_t rank);
/* The next value, NULL at the end. */
void *ptree_next(struct ptree_iterator *it);

#endif
