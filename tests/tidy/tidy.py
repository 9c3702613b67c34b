#!/usr/bin/env python3
"""The house rules that no compiler checks. Prints one line per violation; exits 1 if there is one.

    tests/tidy/tidy.py [ROOT]
"""
import os
import re
import sys

import graph
import limits
import tables

SOURCE_FOLDERS = ("server", "consensus", "api", "client", "tests", "jepsen", "docker")
TOP_LEVEL = set(SOURCE_FOLDERS)
LINES_MAX = 600
README_LINES_MAX = 120

BANNED_CALLS = {
    "strcpy": "memcpy with a checked length, or text_* of server/base/text.h",
    "strcat": "buffer_append of server/base/buffer.h",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "strtok": "strchr and lengths",
    "atoi": "text_parse_* of server/base/text.h",
    "atol": "text_parse_* of server/base/text.h",
    "gets": "fgets",
}
# Assembled here, so that this file obeys its own rule.
BANNED_WORDS = ("TO" + "DO", "FIX" + "ME", "X" * 3)

# (folder, floor): the longest folder that matches a path counts.
FLOORS = {
    "server/base": 1,
    "server/net": 2,
    "server/registry": 2,
    "server/wire": 3,
    "consensus/disk": 3,
    "consensus/peer": 3,
    "consensus": 4,
    "server/node": 5,
    "api/core": 6,
    "api/http": 7,
    "api/http/h2": 7,
    "api/native": 8,
    "api/tbfs": 8,
    "api/dns": 7,
    "api/prober": 8,
    "api/ui": 8,
    "api/consul": 8,
    "api/grpc": 8,
    "api/zmq": 7,
    "api/sink": 7,
    "api/swarm": 8,
    "api/amqp": 8,
    "api/webhook": 8,
    "api": 9,
    "client": 10,
    "server": 10,
}
# Folders that may include less than their floor allows.
NARROWED = {
    "consensus": ("consensus", "server/base", "server/net"),
    "client": ("client", "server/base"),
    # Sites do not know each other.
    "api/native": ("api/core", "api/http", "api/native", "server"),
    "api/tbfs": ("api/core", "api/http", "api/tbfs", "server"),
    "api/ui": ("api/core", "api/http", "api/ui", "server"),
    "api/consul": ("api/core", "api/http", "api/consul", "server"),
    "api/grpc": ("api/core", "api/http", "api/grpc", "server"),
    # Nor do doors.
    "api/http": ("api/core", "api/http", "server"),
    "api/dns": ("api/core", "api/dns", "server"),
    "api/prober": ("api/core", "api/http", "api/prober", "server"),
    "api/zmq": ("api/core", "api/zmq", "server"),
    "api/sink": ("api/core", "api/sink", "server"),
    "api/swarm": ("api/core", "api/http", "api/swarm", "server"),
    "api/amqp": ("api/core", "api/sink", "api/amqp", "server"),
    "api/webhook": ("api/core", "api/sink", "api/webhook", "server"),
}
# A header and the places that may include it.
FENCED_HEADERS = {
    "raft.h": ("consensus/",),
    "raft/": ("consensus/",),
    "uv.h": ("consensus/",),
    "msgpack.h": ("server/wire/",),
    "msgpack/": ("server/wire/",),
    "microhttpd.h": ("tests/bench/",),
    "zlib.h": ("api/http/",),
    "sodium.h": ("api/zmq/",),
    "nghttp2/": ("api/http/h2/", "api/prober/"),
    "protobuf-c/": ("api/grpc/",),
    "gnutls/": ("api/core/", "api/prober/", "api/webhook/", "server/net/", "consensus/peer/", "client/cli/"),
    "jansson.h": ("api/", "client/"),
    "curl/": ("client/", "api/webhook/", "api/swarm/"),
    "amqp": ("api/amqp/",),
    # Readers have views. A reader with the registry could keep it while a snapshot replaces it.
    "server/registry/registry.h": ("server/registry/", "server/wire/", "server/node/"),
}

COMMENT_OR_TEXT = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]+([<\"])([^>\"]+)[>\"]", re.MULTILINE)


def files_of(root):
    """Paths of our files below `root`, sorted; without build results, hidden files and data."""
    found = []
    for folder, folders, names in os.walk(root):
        at_top = folder == root
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__"
                            and not (at_top and re.match(r"build|muster-data", f))
                            and not (folder.endswith("tests/fuzz") and f in ("corpus", "findings")))
        for name in sorted(names):
            if not name.endswith(".pyc"):
                found.append(os.path.relpath(os.path.join(folder, name), root))
    return found


def blank(match):
    """Keeps the line breaks of a comment or text, so that line numbers stay correct."""
    return "\n" * match.group().count("\n") or " "


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def folder_rule(path, table):
    """The longest folder in `table` that contains `path`, or None."""
    folders = [f for f in table if path.startswith(f + "/")]
    return max(folders, key=len) if folders else None


def check_calls(path, text):
    code = COMMENT_OR_TEXT.sub(blank, text)
    for match in re.finditer(r"\b(%s)\s*\(" % "|".join(BANNED_CALLS), code):
        name = match.group(1)
        yield line_of(code, match.start()), "%s is banned: use %s" % (name, BANNED_CALLS[name])


def check_includes(path, text):
    if path.startswith("tests/"):
        return
    for match in INCLUDE.finditer(text):
        line, bracket, target = line_of(text, match.start()), match.group(1), match.group(2)
        for header, places in FENCED_HEADERS.items():
            fenced = target == header or (header.endswith("/") and target.startswith(header))
            if fenced and not path.startswith(places):
                yield line, "%s is seen only in %s" % (target, ", ".join(places))
        if bracket == '"':
            yield from check_direction(path, target, line)


def check_direction(path, target, line):
    if "/" not in target:
        yield line, 'include from the root: "folder/%s"' % target
        return
    narrowed = folder_rule(path, NARROWED)
    if narrowed and not target.startswith(tuple(f + "/" for f in NARROWED[narrowed])):
        yield line, "%s includes only %s" % (narrowed, ", ".join(NARROWED[narrowed]))
        return
    own, other = folder_rule(path, FLOORS), folder_rule(target, FLOORS)
    if own and not other:
        yield line, "%s is outside of the floors" % target
    elif own and FLOORS[other] > FLOORS[own]:
        yield line, "%s (floor %d) includes %s (floor %d)" % (own, FLOORS[own], other,
                                                             FLOORS[other])


def check_file(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        text = file.read()
    lines = text.count("\n")
    name = os.path.basename(path)
    if path.endswith((".c", ".h", ".py", ".sh", ".def")) and lines > LINES_MAX:
        yield lines, "more than %d lines: split it" % LINES_MAX
    if name == "README.md" and os.path.dirname(path) and lines > README_LINES_MAX:
        yield lines, "a README has at most %d lines" % README_LINES_MAX
    for match in re.finditer(r"\b(%s)\b" % "|".join(BANNED_WORDS), text):
        yield line_of(text, match.start()), "%s: finish it or open an issue" % match.group(1)
    if path.endswith((".c", ".h")):
        yield from check_calls(path, text)
        yield from check_includes(path, text)


def check_folders(paths):
    folders = {os.path.dirname(p) for p in paths if os.path.dirname(p)}
    for folder in sorted(folders):
        top = folder.split("/")[0]
        if top not in TOP_LEVEL:
            yield folder, "no such folder at the top level: %s" % ", ".join(sorted(TOP_LEVEL))
        elif folder + "/README.md" not in paths:
            yield folder, "has no README.md"


def check(root):
    """All violations as (path, line, message)."""
    paths = files_of(root)
    found = [(folder, 0, sentence) for folder, sentence in check_folders(set(paths))]
    for path in paths:
        found += [(path, line, sentence) for line, sentence in check_file(root, path)]
    found += limits.check(root, paths)
    found += graph.check(root, paths)
    found += tables.check(root)
    if not any(path.endswith(".c") for path in paths):
        found.append((".", 0, "no source file found: is this the project's root?"))
    return found


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))
    found = check(os.path.abspath(root))
    for path, line, sentence in found:
        print("%s:%d: %s" % (path, line, sentence))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
