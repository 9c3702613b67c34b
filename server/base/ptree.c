#include "server/base/ptree.h"

#include <string.h>

#include "server/base/check.h"
#include "server/base/mem.h"

/* Maximum number of children or values of a node. Large nodes make reads fast and copies slow; 32
 * pointers are four cache lines. */
#define FANOUT 32
#define FEWEST (FANOUT / 2)
/* Room in the first leaf of a tree; it doubles. Many trees have one or two values. */
#define ROOM_FIRST 4

/* Leaves hold values, inner nodes hold children; all leaves are at the same depth. An inner node
 * keeps the smallest key of each child for searching. */
struct ptree_node {
    uint64_t epoch; /* when created; changed in place only while equal to the kind's */
    size_t count;   /* values below */
    uint16_t used;
    uint16_t room; /* FANOUT, except for a leaf that is the root */
    bool leaf;
    void *items[]; /* `room` of them; in inner nodes followed by as many smallest keys */
};

static struct ptree_node **children(const struct ptree_node *n)
{
    return (struct ptree_node **)(void *)n->items;
}

/* The smallest value below child i of an inner node: its key guides the search. */
static void **lows(const struct ptree_node *n)
{
    return (void **)n->items + FANOUT;
}

static size_t node_size(bool leaf, unsigned room)
{
    return sizeof(struct ptree_node) + (leaf ? 1 : 2) * room * sizeof(void *);
}

static struct ptree_node *node_create(const struct ptree_kind *kind, bool leaf, unsigned room)
{
    struct ptree_node *n = mem_alloc(node_size(leaf, room));
    n->epoch = kind->epoch;
    n->count = 0;
    n->used = 0;
    n->room = (uint16_t)room;
    n->leaf = leaf;
    return n;
}

static void retire(const struct ptree_kind *kind, struct ptree_node *n)
{
    kind->retire(kind->ctx, n, n->epoch);
}

/* The node itself if it is not published yet, otherwise a copy that replaces it. */
static struct ptree_node *own(const struct ptree_kind *kind, struct ptree_node *n)
{
    if (n->epoch == kind->epoch) {
        return n;
    }
    struct ptree_node *copy = mem_alloc(node_size(n->leaf, n->room));
    memcpy(copy, n, node_size(n->leaf, n->room));
    copy->epoch = kind->epoch;
    retire(kind, n);
    return copy;
}

static void *low_of(const struct ptree_node *n)
{
    return n->leaf ? n->items[0] : lows(n)[0];
}

/* Leaf: the first slot whose key is >= key. Inner: the last child whose smallest key is <= key,
 * or the first child. */
static unsigned position(const struct ptree_kind *kind, const struct ptree_node *n, const char *key,
                         bool *ret_equal)
{
    void **keys = n->leaf ? (void **)n->items : lows(n);
    unsigned low = 0;
    unsigned high = n->used;
    *ret_equal = false;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = strcmp(kind->key(keys[middle]), key);
        if (order == 0) {
            *ret_equal = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (n->leaf) {
        return low;
    }
    return low > 0 ? low - 1 : 0;
}

/* A full owned leaf, with more room: nobody else has seen it, so it may move. */
static struct ptree_node *with_room(struct ptree_node *n)
{
    if (n->used < n->room) {
        return n;
    }
    n->room *= 2;
    return mem_realloc(n, node_size(true, n->room));
}

static void insert_item(struct ptree_node *n, unsigned at, void *item, void *low)
{
    CHECK(n->used < n->room);
    memmove(&n->items[at + 1], &n->items[at], (n->used - at) * sizeof(void *));
    n->items[at] = item;
    if (!n->leaf) {
        memmove(&lows(n)[at + 1], &lows(n)[at], (n->used - at) * sizeof(void *));
        lows(n)[at] = low;
    }
    n->used++;
}

static void remove_item(struct ptree_node *n, unsigned at)
{
    n->used--;
    memmove(&n->items[at], &n->items[at + 1], (n->used - at) * sizeof(void *));
    if (!n->leaf) {
        memmove(&lows(n)[at], &lows(n)[at + 1], (n->used - at) * sizeof(void *));
    }
}

static void recount(struct ptree_node *n)
{
    if (n->leaf) {
        n->count = n->used;
        return;
    }
    n->count = 0;
    for (unsigned i = 0; i < n->used; i++) {
        n->count += children(n)[i]->count;
    }
}

/* Moves `n` items from the front of `from` to the end of `to`, or from the end to the front. */
static void move_items(struct ptree_node *from, unsigned first, unsigned n, struct ptree_node *to,
                       unsigned at)
{
    for (unsigned i = 0; i < n; i++) {
        insert_item(to, at + i, from->items[first], from->leaf ? NULL : lows(from)[first]);
        remove_item(from, first);
    }
}

/* Splits a full node; returns the new right half. */
static struct ptree_node *split(const struct ptree_kind *kind, struct ptree_node *n)
{
    struct ptree_node *right = node_create(kind, n->leaf, FANOUT);
    unsigned moved = n->used - FEWEST;
    memcpy(right->items, &n->items[FEWEST], moved * sizeof(void *));
    if (!n->leaf) {
        memcpy(lows(right), &lows(n)[FEWEST], moved * sizeof(void *));
    }
    right->used = (uint16_t)moved;
    n->used = FEWEST;
    recount(n);
    recount(right);
    return right;
}

/* Puts the value below *n (owned afterwards); returns the right half if *n was split. */
static void *put(const struct ptree_kind *kind, struct ptree_node **n, void *value, const char *key,
                 struct ptree_node **ret_right)
{
    void *replaced = NULL;
    bool equal;
    struct ptree_node *node = *n = own(kind, *n);
    unsigned at = position(kind, node, key, &equal);
    *ret_right = NULL;
    if (node->leaf) {
        if (equal) {
            replaced = node->items[at];
            node->items[at] = value;
            return replaced;
        }
        node = *n = with_room(node);
        insert_item(node, at, value, NULL);
    } else {
        struct ptree_node *right;
        replaced = put(kind, &children(node)[at], value, key, &right);
        lows(node)[at] = low_of(children(node)[at]);
        if (right != NULL) {
            insert_item(node, at + 1, right, low_of(right));
        }
    }
    if (replaced == NULL) {
        node->count++;
    }
    if (node->used == FANOUT) {
        *ret_right = split(kind, node);
    }
    return replaced;
}

static struct ptree_node *root_over(const struct ptree_kind *kind, struct ptree_node *left,
                                    struct ptree_node *right)
{
    struct ptree_node *root = node_create(kind, false, FANOUT);
    insert_item(root, 0, left, low_of(left));
    insert_item(root, 1, right, low_of(right));
    recount(root);
    return root;
}

void *ptree_put(struct ptree *t, const struct ptree_kind *kind, void *value)
{
    struct ptree_node *right;
    if (t->root == NULL) {
        t->root = node_create(kind, true, ROOM_FIRST);
    }
    void *replaced = put(kind, &t->root, value, kind->key(value), &right);
    if (right != NULL) {
        t->root = root_over(kind, t->root, right);
    }
    return replaced;
}

/* Child `at` of an owned node has too few items: borrow from a neighbour or merge with it. */
static void refill(const struct ptree_kind *kind, struct ptree_node *node, unsigned at)
{
    if (node->used < 2) {
        return;
    }
    unsigned left_at = at > 0 ? at - 1 : at;
    struct ptree_node *left = children(node)[left_at] = own(kind, children(node)[left_at]);
    struct ptree_node *right = children(node)[left_at + 1] = own(kind, children(node)[left_at + 1]);
    if (left->used + right->used < FANOUT) {
        move_items(right, 0, right->used, left, left->used);
        recount(left);
        remove_item(node, left_at + 1);
        retire(kind, right);
    } else {
        unsigned half = (left->used + right->used) / 2u;
        if (left->used < half) {
            move_items(right, 0, half - left->used, left, left->used);
        } else {
            move_items(left, half, left->used - half, right, 0);
        }
        recount(left);
        recount(right);
        lows(node)[left_at + 1] = low_of(right);
    }
    lows(node)[left_at] = low_of(left);
}

/* --- from sorted input --- */

/* A node to the right of a full one, with one item. */
static struct ptree_node *begin_right(const struct ptree_kind *kind, bool leaf, void *item)
{
    struct ptree_node *n = node_create(kind, leaf, FANOUT);
    insert_item(n, 0, item, leaf ? NULL : low_of(item));
    n->count = 1;
    return n;
}

/* Returns the right neighbour that had to be created, with the value in it. A node is left with one
 * item less than it has room for, as by ptree_put(). */
static struct ptree_node *append(const struct ptree_kind *kind, struct ptree_node **n, void *value)
{
    struct ptree_node *node = *n;
    CHECK(node->epoch == kind->epoch);
    if (node->leaf) {
        if (node->used == FANOUT - 1) {
            return begin_right(kind, true, value);
        }
        node = *n = with_room(node);
        insert_item(node, node->used, value, NULL);
        node->count++;
        return NULL;
    }
    struct ptree_node *right = append(kind, &children(node)[node->used - 1], value);
    if (right != NULL && node->used == FANOUT - 1) {
        return begin_right(kind, false, right);
    }
    if (right != NULL) {
        insert_item(node, node->used, right, low_of(right));
    }
    node->count++;
    return NULL;
}

void ptree_append(struct ptree *t, const struct ptree_kind *kind, void *value)
{
    if (t->root == NULL) {
        t->root = node_create(kind, true, ROOM_FIRST);
    }
    struct ptree_node *right = append(kind, &t->root, value);
    if (right != NULL) {
        t->root = root_over(kind, t->root, right);
    }
}

void ptree_settle(struct ptree *t, const struct ptree_kind *kind)
{
    for (struct ptree_node *n = t->root; n != NULL && !n->leaf; n = children(n)[n->used - 1]) {
        CHECK(n->used > 1);
        if (children(n)[n->used - 1]->used < FEWEST) {
            refill(kind, n, n->used - 1u); /* its left neighbour is full */
        }
    }
}

static void *take_out(const struct ptree_kind *kind, struct ptree_node **n, const char *key)
{
    bool equal;
    struct ptree_node *node = *n = own(kind, *n);
    unsigned at = position(kind, node, key, &equal);
    void *removed;
    if (node->leaf) {
        CHECK(equal);
        removed = node->items[at];
        remove_item(node, at);
        node->count--;
        return removed;
    }
    removed = take_out(kind, &children(node)[at], key);
    node->count--;
    if (children(node)[at]->used > 0) {
        lows(node)[at] = low_of(children(node)[at]);
    }
    if (children(node)[at]->used < FEWEST) {
        refill(kind, node, at);
    }
    return removed;
}

void *ptree_remove(struct ptree *t, const struct ptree_kind *kind, const char *key)
{
    if (ptree_find(t, kind, key) == NULL) {
        return NULL;
    }
    void *removed = take_out(kind, &t->root, key);
    while (t->root != NULL && (t->root->used == 0 || (!t->root->leaf && t->root->used == 1))) {
        struct ptree_node *old = t->root;
        t->root = old->used == 0 ? NULL : children(old)[0];
        retire(kind, old);
    }
    return removed;
}

static void clear(const struct ptree_kind *kind, struct ptree_node *n)
{
    if (!n->leaf) {
        for (unsigned i = 0; i < n->used; i++) {
            clear(kind, children(n)[i]);
        }
    }
    retire(kind, n);
}

void ptree_clear(struct ptree *t, const struct ptree_kind *kind)
{
    if (t->root != NULL) {
        clear(kind, t->root);
        t->root = NULL;
    }
}

void ptree_publish(struct ptree_kind *kind)
{
    kind->epoch++;
}

void *ptree_find(const struct ptree *t, const struct ptree_kind *kind, const char *key)
{
    const struct ptree_node *n = t->root;
    while (n != NULL) {
        bool equal;
        unsigned at = position(kind, n, key, &equal);
        if (n->leaf) {
            return equal ? n->items[at] : NULL;
        }
        if (equal) {
            return lows(n)[at];
        }
        n = children(n)[at];
    }
    return NULL;
}

size_t ptree_count(const struct ptree *t)
{
    return t->root != NULL ? t->root->count : 0;
}

size_t ptree_rank_after(const struct ptree *t, const struct ptree_kind *kind, const char *key)
{
    const struct ptree_node *n = t->root;
    size_t rank = 0;
    while (n != NULL) {
        bool equal;
        unsigned at = position(kind, n, key, &equal);
        if (n->leaf) {
            return rank + at + (equal ? 1 : 0);
        }
        for (unsigned i = 0; i < at; i++) {
            rank += children(n)[i]->count;
        }
        n = children(n)[at];
    }
    return rank;
}

void ptree_iterate(struct ptree_iterator *it, const struct ptree *t, size_t rank)
{
    const struct ptree_node *n = t->root;
    it->depth = -1;
    if (rank >= ptree_count(t)) {
        return;
    }
    for (;;) {
        CHECK(it->depth + 1 < PTREE_HEIGHT_MAX);
        it->depth++;
        it->node[it->depth] = n;
        if (n->leaf) {
            it->slot[it->depth] = (uint16_t)rank;
            return;
        }
        uint16_t at = 0;
        while (rank >= children(n)[at]->count) {
            rank -= children(n)[at]->count;
            at++;
        }
        it->slot[it->depth] = at;
        n = children(n)[at];
    }
}

void *ptree_next(struct ptree_iterator *it)
{
    if (it->depth < 0) {
        return NULL;
    }
    const struct ptree_node *leaf = it->node[it->depth];
    void *value = leaf->items[it->slot[it->depth]];
    /* Step: up while a node is exhausted, then down along the first children. */
    int depth = it->depth;
    while (depth >= 0 && ++it->slot[depth] == it->node[depth]->used) {
        depth--;
    }
    if (depth < 0) {
        it->depth = -1;
        return value;
    }
    while (depth < it->depth) {
        it->node[depth + 1] = children(it->node[depth])[it->slot[depth]];
        depth++;
        it->slot[depth] = 0;
    }
    return value;
}

void *ptree_at(const struct ptree *t, size_t rank)
{
    struct ptree_iterator it;
    ptree_iterate(&it, t, rank);
    return ptree_next(&it);
}
