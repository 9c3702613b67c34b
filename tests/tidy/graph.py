"""Finds include cycles: between files, between modules, between folders. tidy.py runs it.

A module is a header and its source. A header shared by the files of one folder only (SHARED) is the
folder's internals: a source that includes it does not make a cycle with the headers included there.
"""
import collections
import os
import re

PRODUCT = ("server/", "consensus/", "api/", "client/")
SHARED = re.compile(r"internal\.h$")
# Other headers that are a folder's internals, and why.
INSIDES = {
    "consensus/engine.h": "the engine is made of its parts, and each part steps the engine",
    "consensus/loop.h": "consensus.h is its face",
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)


def circles(edges):
    """The strongly connected parts of more than one node, sorted (Tarjan, without recursion)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges[root])))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(edges.get(target, ())))))
                    break
                if target in on_stack:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while not part or part[-1] != node:
                        part.append(stack.pop())
                        on_stack.discard(part[-1])
                    if len(part) > 1:
                        found.append(sorted(part))
    return sorted(found)


def module_of(path):
    return re.sub(r"\.[ch]$", "", path)


def is_inside(path):
    return SHARED.search(path) is not None or path in INSIDES


def check(root, paths):
    """All violations as (path, line, message)."""
    files, modules, rooms = (collections.defaultdict(set) for _ in range(3))
    for path in paths:
        if not path.startswith(PRODUCT) or not path.endswith((".c", ".h", ".def")):
            continue
        with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
            targets = INCLUDE.findall(file.read())
        for target in targets:
            files[path].add(target)
            if module_of(target) != module_of(path) and not \
                    (path.endswith(".c") and is_inside(target)):
                modules[module_of(path)].add(module_of(target))
            if os.path.dirname(target) != os.path.dirname(path):
                rooms[os.path.dirname(path)].add(os.path.dirname(target))
    found = []
    for what, edges in (("files", files), ("modules", modules), ("rooms", rooms)):
        for circle in circles(edges):
            found.append((circle[0], 0, "%s in a circle: %s" % (what, ", ".join(circle))))
    return found
