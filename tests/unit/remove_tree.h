/* Removes a directory made by a test, with its contents.
 *
 * Thread: any. */
#ifndef MUSTER_TESTS_REMOVE_TREE_H
#define MUSTER_TESTS_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_one(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s, (void)type, (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
