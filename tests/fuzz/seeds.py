#!/usr/bin/env python3
"""First inputs for the fuzz targets: one valid input of every kind, and some at a limit or just
above it, from the descriptions in the headers and not from the code. For a new target, or a format
that has changed.

    tests/fuzz/seeds.py FOLDER      writes FOLDER/<what>/<number>, as tests/fuzz/corpus has them
"""
import os
import struct
import sys

import seeds_checked
import seeds_zmq
from seeds_http import GRPC, H2


# --- MessagePack, as far as Muster writes it ---

def uint(n):
    if n < 0x80:
        return bytes([n])
    for head, form in ((0xcc, ">B"), (0xcd, ">H"), (0xce, ">I"), (0xcf, ">Q")):
        if n < 1 << 8 * struct.calcsize(form):
            return bytes([head]) + struct.pack(form, n)
    raise ValueError(n)


def sint(n):
    return uint(n) if n >= 0 else b"\xd3" + struct.pack(">q", n)


def truth(value):
    return b"\xc3" if value else b"\xc2"


def text(s):
    raw = s.encode()
    return (bytes([0xa0 | len(raw)]) if len(raw) < 32 else b"\xd9" + bytes([len(raw)])) + raw


def raw(b):
    return b"\xc4" + bytes([len(b)]) + b


# --- server/wire ---

def registration(name_id, name, tags=(), metadata=()):
    out = text(name_id) + text(name) + text("http") + text("10.0.0.1") + text("north")
    out += uint(8080) + uint(1) + uint(30000) + uint(60000)
    out += uint(len(tags)) + b"".join(text(t) for t in tags)
    return out + uint(len(metadata)) + b"".join(text(k) + text(v) for k, v in metadata)


COMMANDS = [
    b"\x01" + registration("web-1", "web", ["v1", "grün"], [("version", "2.1")]) + uint(0) +
    uint(2),
    b"\x01" + registration("db-1", "db") + uint(7 << 16) + uint(0),
    b"\x02" + raw(struct.pack("<IIII", 0, 17, 1, 1 << 31)),
    b"\x03" + uint(1) + text("web-1") + uint(1 << 16) + uint(3) + truth(True) + text("slow disk"),
    b"\x03" + uint(2) + text("web-1") + text("db-1") + uint(0) + uint(0) + truth(False),
    b"\x04" + text("web-1") + uint(0),
    b"\x05" + text("web-1") + truth(True) + text("upgrade"),
    b"\x06" + uint(31000) + uint(1000),
    b"\x07" + uint(100),
    b"\x08" + uint(1 << 33),
    b"\x09" + text("aaaaaaaaaa") + raw(bytes(range(32))) + text("web's own") + uint(5) + uint(2) +
    text("web") + truth(True) + truth(True) + text("db") + truth(False) + truth(False) +
    uint(86400) + uint(1),
    b"\x0a" + text("aaaaaaaaaa"),
    b"\x0b" + uint(2) + text("aaaaaaaaaa") + b"\x04" + text("web-1") + uint(0),
    b"\x0b" + uint(1) + text("") + b"\x06" + uint(31000) + uint(1000),
    b"\x0c" + text("shop") + b"\x01" + registration("web-1", "web") + uint(0) + uint(0),
    b"\x0b" + uint(1) + text("") + b"\x0c" + text("shop-2") + b"\x04" + text("web-1") + uint(0),
    b"\x0d" + text("shop") + uint(5) + uint(1 << 20) + uint(10),
    b"\x0e" + text("shop"),
    b"\x0f" + text("*spiffe://prod/") + raw(b"") + text("the mesh") + uint(5) + uint(1) + text("web") + truth(True) +
    truth(True) + uint(86400),
    b"\x10" + text("=web"),
    b"\x11" + text("amqp") + uint(1 << 40) + uint(77),
    b"\x12" + registration("web-1", "web") + text("o=10.0.0.1") + truth(True) + uint(1) +
    text(":") + text("n=alive") + text("fine") + uint(30000) + uint(60000) + uint(2) + truth(False),
    b"\x13" + text("web-1") + text(":") + text("") + text("") + uint(0) + uint(0) + uint(0) + truth(True),
    b"\x15" + uint(3) + uint(1) + uint(2) + uint(1 << 40),
    b"\x16" + text("web-1\x1e:") + uint(1 << 50) + uint(2) + uint(77) + uint(2) + text("HTTP 500"),
    b"\x0b" + uint(3) + text("spiffe://prod/web") + b"\x04" + text("web-1") + uint(0),
]


def record(name_id, name, index, slot, expired=False, maintenance=False):
    return (registration(name_id, name, ["v1"], [("version", "2.1")]) + text("note") + text("why") +
            uint(index << 16) + uint(index) + sint(1790000000000) + uint(slot) + uint(1) +
            truth(expired) + truth(maintenance))


def wide_text(s):
    """Not in the shortest form: two bytes of length, so that one changed bit makes it too long."""
    return b"\xda" + struct.pack(">H", len(s)) + s.encode()


LIMITS = [1 << 24, 10000, 255, 255, 64, 255, 64, 128, 512, 512, 65535, 86400000, 604800000, 16, 262144,
          8192, 1024, 128]


TOKEN_LIMITS = [4096, 32, 3153600000]


def token(name_id, index, expires, scopes, space=None, secret=bytes(range(32))):
    out = text(name_id) + raw(secret) + text("why") + uint(9) + uint(len(scopes))
    out += b"".join(text(s) + truth(p) + truth(w) for s, p, w in scopes)
    return out + uint(index) + sint(1790000000000) + uint(expires) + (text(space) if space else b"")


NAMESPACE_LIMITS = [4096]
CHECK_LIMITS = [16, 4096]


def quota(name, instances, size, writes):
    return text(name) + uint(instances) + uint(size) + uint(writes)


def snapshot(instances, services, events, limits=LIMITS, tokens=None, quotas=None, sinks=None, checks=(),
             probers=()):
    level = 5 if sinks is not None else 4 if quotas is not None else 1 if tokens is None else 3
    head = text("MUSR") + uint(3) + uint(level) + b"".join(uint(n) for n in limits)
    head += uint(9) + uint(5000) + sint(1790000000000)
    head += uint(9) + uint(8) + uint(0) + uint(len(events) + 3) + uint(8192)
    head += uint(len(instances)) + uint(len(services)) + uint(len(events))
    tokens = [] if quotas is not None and tokens is None else tokens
    if tokens is not None:
        head += uint(1 << 30) + b"".join(uint(n) for n in TOKEN_LIMITS)
        head += uint(2 if tokens else 0) + uint(len(tokens))
    if quotas is not None:
        head += b"".join(uint(n) for n in NAMESPACE_LIMITS) + uint(len(quotas))
    if sinks is not None:
        head += uint(len(sinks)) + b"".join(text(n) + uint(i) + uint(p) for n, i, p in sinks)
        head += b"".join(uint(n) for n in CHECK_LIMITS) + uint(8) + uint(len(checks))
        head += uint(7) + uint(8 if probers else 0) + uint(3 if probers else 0) + uint(len(probers))
        head += b"".join(uint(n) for row in probers for n in row)
    items = [head]
    for rec, generation, renewed, deadline in instances:
        items.append(rec + uint(generation) + uint(renewed) + uint(deadline))
    for name, index in services:
        items.append(wide_text(name) + uint(index))
    for index, kind, rec in events:
        items.append(uint(index) + uint(0) + uint(kind) + sint(-1) + rec)
    items += (tokens or []) + (quotas or [])
    for rec, generation, renewed, deadline, *extra in checks:
        items.append(rec + uint(generation) + uint(renewed) + uint(deadline) + b"".join(extra))
    return bytes([len(items)]) + b"\xc1".join(items)


LONG = "n" * 255
SNAPSHOTS = [
    snapshot([], [], []),
    snapshot([(record("i", LONG, 2, 0), 11, 4000, 34000)], [(LONG, 2)],
             [(2, 0, record("i", LONG, 2, 0))]),
    snapshot([(record("i", LONG, 2, 0), 11, 4000, 34000)], [(LONG + "n", 2)], []),
    snapshot([], [], [], [n + 1 for n in LIMITS]),
    snapshot([(record("db-1", "db", 2, 0), 11, 4000, 34000),
              (record("web-1", "web", 8, 2, expired=True), 12, 100, (1 << 64) - 1),
              (record("web-2", "web", 9, 1, maintenance=True), 13, 5000, 6000)],
             [("db", 2), ("web", 9)],
             [(2, 0, record("db-1", "db", 2, 0)), (8, 3, record("web-1", "web", 8, 2, True))]),
    snapshot([], [], [], tokens=[]),
    snapshot([], [], [], tokens=[token("a", 2, 5001, [("web", True, True), (LONG, False, False)]),
                                 token("b", 9, (1 << 64) - 1, [("", True, False)] * 32)]),
    snapshot([], [], [], tokens=[token("a", 2, 5000, [])]),
    snapshot([], [], [], quotas=[], tokens=[token("*a/", 3, 5001, [("web", True, True)], "shop", b""),
                                            token("=a/b", 2, (1 << 64) - 1, [], secret=b""), token("a", 2, 5001, [])]),
    snapshot([], [], [], tokens=[token("*a/", 3, 5001, [("web", True, True)], secret=b"")]),
    snapshot([], [], [], tokens=[token("a", 2, 5001, [("", True, False)] * 33)]),
    snapshot([], [], [], quotas=[]),
    snapshot([(record("\x1fshop\x1fweb-1", "\x1fshop\x1fweb", 2, 0), 11, 4000, 34000),
              (record("web-1", "web", 8, 1), 12, 4000, 34000)],
             [("\x1fshop\x1fweb", 2), ("web", 8)],
             [(2, 0, record("\x1fshop\x1fweb-1", "\x1fshop\x1fweb", 2, 0))],
             tokens=[token("a", 2, 5001, [("web", True, True)], "shop")],
             quotas=[quota("default", 0, 1 << 20, 0), quota("shop", 500, 0, 10)]),
    snapshot([(record("\x1fshop\x1fweb-1", "web", 2, 0), 11, 4000, 34000)], [("web", 2)], [], quotas=[]),
    snapshot([], [], [], quotas=[quota("b", 1, 1, 1), quota("a", 1, 1, 1)]),
    snapshot([], [], [], quotas=[], sinks=[("amqp", 9, 3), ("webhook", 4, 0)]),
    snapshot([], [], [], quotas=[], sinks=[("webhook", 9, 3), ("amqp", 4, 0)]),
    snapshot([(record("web-1", "web", 2, 0), 11, 4000, 34000)], [("web", 2)], [], quotas=[], sinks=[],
             checks=[(record("\x1enode", "", 2, 2), 11, 4000, (1 << 64) - 1),
                     (record("web-1\x1e:", "", 2, 1), 11, 4000, 34000)]),
    snapshot([], [], [], quotas=[], sinks=[], probers=[(1, 4, 0), (2, 4, 7), (5, 8, 0)],
             checks=[(record("\x1enode", "", 2, 2), 11, 4000, (1 << 64) - 1),
                     (record("\x1enode\x1e:", "", 2, 1), 11, 4000, (1 << 64) - 1, text("{}"), truth(True))]),
    snapshot([], [], [], quotas=[], sinks=[], probers=[(2, 4, 0), (1, 4, 0)]),
]


# --- consensus ---

def batch(ops, origin=1, boot=3, serial=5):
    out = struct.pack("<QQQII", origin, boot, serial, len(ops), 0)
    return out + b"".join(struct.pack("<I", len(op)) + op for op in ops)


CLUSTER = bytes(range(1, 17))


def entry(batches, index=9, level=1):
    stamp = struct.pack("<Qq", 5000, 1790000000000)
    body = stamp + b"".join(struct.pack("<I", len(b)) + b for b in batches)
    length = 64 + len(body)
    # The checksum is put right by the target.
    head = struct.pack("<4sIIHHQQ16sQHH4x", b"MSTE", 0, length, 2, len(batches), index, 2, CLUSTER,
                       1001, len(stamp), level)
    return head + body + bytes(-length % 8)


def sessions(rows):
    return struct.pack("<I", len(rows)) + b"".join(struct.pack("<QQQQ", *row) for row in rows)


def configuration(members):
    out = struct.pack("<BQ", 1, len(members))
    out += b"".join(struct.pack("<Q", life) + a + b"\0" + bytes([r]) for life, a, r in members)
    return out + bytes(-len(out) % 8)


def first_members(count):
    return [(1000 + i, b"%d@host-%d:9100" % (i, i), 1) for i in range(1, count + 1)]


LONGEST = [((1 << 63) - i, b"%d@" % ((1 << 63) - i) + b"a" * 263, i % 3) for i in range(1, 10)]
CONFIGURATIONS = [
    configuration(first_members(1)),
    configuration([(1, b"1@127.0.0.1:9100", 1), (2, b"2@[::1]:9100", 0), (3, b"3@c:1", 2)]),
    configuration(LONGEST),
    configuration(first_members(10)),
    configuration(first_members(2) + [(1002, b"3@c:1", 1)]),
    configuration(first_members(2) + [(1003, b"2@c:1", 1)]),
    configuration(first_members(1) + [(1 << 63, b"2@b:1", 1)]),
    configuration(first_members(1) + [(2, b"2@" + b"a" * 264, 1)]),
    configuration(first_members(1) + [(2, b"2@b\n:1", 1)]),
    configuration(first_members(1) + [(2, b"2@b:1", 3)]),
]
CHANGE = CONFIGURATIONS[1]


def append_entries(entries, term=9, prev=(41, 4)):
    out = struct.pack("<BBQQQQII", 1, 0, term, *prev, 40, 0xfeedbeef, len(entries))
    out += b"".join(struct.pack("<QBII", t, kind, len(data), 1) for t, kind, data in entries)
    return out + b"".join(data for _, _, data in entries)


MESSAGES = [
    append_entries([]),
    append_entries([], prev=(0, 0)),
    append_entries([(4, 1, b"abcdefgh"), (5, 3, CHANGE), (5, 1, b""), (6, 2, bytes(8))]),
    append_entries([(4, 1, b"")] * 12),
    append_entries([(4, 1, b"")] * 13),
    append_entries([(5, 1, b""), (4, 1, b"")]),
    append_entries([(10, 1, b"")]),
    append_entries([], term=(1 << 63)),
    struct.pack("<BBQQQHH", 2, 0, 9, 0, 42, 1, 0),
    struct.pack("<BBQQQQB", 3, 2, 9, 3, 42, 8, 3),
    struct.pack("<BBQBHH", 4, 2, 9, 6, 1, 0),
    struct.pack("<BBQQQ", 6, 0, 9, 42, 8),
]

# Steps of fuzz_frame: who, in whose name and what is one byte: receiver + 3 * sender + 9 * kind.
TIME, WRITE, ENTRIES, FRAME = (9 * kind for kind in (0, 1, 2, 4))


def frame(kind, content, to=0):
    length = len(content)
    said = length if length < 200 else (length + 7) // 8
    return bytes([FRAME + to, kind, said]) + content + bytes((said * 8 - length) if length >= 200 else 0)


def numbers(*values):
    return struct.pack("<%dQ" % len(values), *values)


FRAMES = [
    bytes([WRITE, TIME, 20, WRITE + 1, WRITE + 2, TIME, 63]),
    # Back, how many, term, commit, then a byte for each entry: new ones, a fork, a configuration.
    bytes([ENTRIES, 0, 2, 1, 3, 0, 0, TIME, 9, ENTRIES, 0, 1, 0, 4, 12]),
    bytes([ENTRIES, 3, 2, 1, 7, 0, 1, TIME, 9]),
    bytes([ENTRIES + 1, 0, 3, 2, 1, 0, 12, 0, TIME, 63, ENTRIES + 1, 2, 1, 2, 7, 1]),
    bytes([ENTRIES, 0, 1, 1, 3, 10, TIME, 20]),
    b"".join(frame(1, m) for m in MESSAGES if len(m) < 150),
    frame(2, batch([b"1op"], origin=1002)) + frame(2, batch([b"1op"], origin=1001), to=1),
    frame(3, numbers(3, 1) + b"\x03\0\0\0") + frame(4, numbers(7, 0)) + frame(5, numbers(7, 5)),
    frame(6, numbers(2, 9)) + frame(7, numbers(2, 9)) + frame(12, numbers(2, 4)),
    # A write under way (nothing settles from 192 on), and refusals of its boot that end there.
    bytes([198, 199, 200]) + b"".join(frame(3, numbers(2 << 32 | 2), to=225 - FRAME + k) for k in range(9)),
    frame(10, numbers(1, 2, 0, 8) + b"a piece.") + frame(11, numbers(1, 8)),
]


def told(s):
    return struct.pack("<H", len(s)) + s


def facts(cluster, member, to, levels=(1, 2), list_hash=7):
    return struct.pack("<16sQQQQHHIQ", cluster, member, to, 1000 + member, 3, *levels, 0, list_hash)


def meeting(one, two, message, bit):
    return one + two + struct.pack("<QBBB8s", 5, message, bit >> 8, bit & 255, b"secret")


OURS = (facts(b"c" * 16, 1, 2), facts(b"c" * 16, 2, 1))
NEW = (facts(bytes(16), 1, 2), facts(bytes(16), 2, 1))
MEETINGS = [meeting(*OURS, message, bit) for message, bit in (
    (0, 600), (1, 100), (2, 200), (3, 50), (3, 700), (4, 50))] + [
    meeting(*NEW, 0, 0),
    meeting(OURS[0], NEW[1], 0, 0),
    meeting(OURS[0], facts(b"d" * 16, 2, 1), 0, 0),
    meeting(OURS[0], facts(b"c" * 16, 2, 1, levels=(3, 65535)), 0, 0),
    meeting(NEW[0], facts(bytes(16), 2, 1, list_hash=8), 0, 0),
    # What a stranger says, behind two members: each kind of message.
    meeting(*OURS, 0, 0) + b"MSTh\2\0\0\0" + OURS[0] + b"0123456789abcdef" + bytes(4),
    meeting(*OURS, 0, 0) + b"MSTc\2\0\0\0" + b"fedcba9876543210" + bytes(4),
    meeting(*OURS, 0, 0) + b"MSTp\2\0\0\0" + b"p" * 32 + bytes(4),
    meeting(*OURS, 0, 0) + b"MSTf\2\0\7\0" + OURS[1] + b"p" * 32 + bytes(4),
    meeting(*OURS, 0, 0) + b"MSTv\2\0\xff\xff" + b"p" * 32 + bytes(4),
]

# --- consensus/disk ---

def state_record(what, rest=b""):
    return bytes([0, what]) + rest


def entry_record(data, term=0, kind=1):
    return bytes([1 | term << 6, kind, len(data)]) + data


def frame(*records):
    return bytes([0, len(records)]) + b"".join(records) + b"\0"


def block(kind, body):
    return kind + struct.pack("<H", len(body)) + body


NEXT_SEGMENT, ZERO_LAST, SKIP, GAP = b"\x0c", b"\x0e\x01\0", b"\x0e\x03\0", b"\x0e\x04\0"
WALS = [
    b"\0\0",
    b"\0\0" + frame(state_record(5, b"\x09"), entry_record(b"hello", 1), entry_record(b"")),
    b"\0\0" + frame(entry_record(b"a"), entry_record(b"b")) + frame(b"\2\1", entry_record(b"c", 2)) +
    NEXT_SEGMENT + frame(entry_record(bytes(255)), entry_record(bytes(255)), entry_record(bytes(255))) +
    NEXT_SEGMENT + frame(state_record(8, b"\2")),
    b"\x40\3" + frame(entry_record(b"a")) + frame(b"\3\x20\1\2\3\4", entry_record(b"b")),
    b"\0\0" + frame(entry_record(b"x" * 200), entry_record(b"y" * 255), entry_record(b"z" * 255)) +
    ZERO_LAST,
    b"\0\0" + frame(entry_record(b"x")) + SKIP + frame(entry_record(b"y")),
    b"\0\0" + frame(entry_record(b"x")) + GAP + frame(entry_record(b"y")),
    b"\0\0" + frame(state_record(8, b"\7")),
]

META = struct.pack("<QQIHHQII", 77, 5, 0xabcdef01, 1, 0, 70, 4, 0) + b"conf"
SNAPSHOT_FILES = [
    block(b"H", META) + block(b"F", struct.pack("<QQ", 0, 0)),
    block(b"H", META) + block(b"C", b"state") + block(b"C", b"more") +
    block(b"F", struct.pack("<QQ", 2, 9)),
    block(b"H", META) + block(b"C", b"state") + block(b"F", struct.pack("<QQ", 1, 6)),
    block(b"C", b"state"),
]

# The state of tests/unit/engine_app.c: no sessions, no operations; its hash is 0.
EMPTY_STATE = struct.pack("<IIQ", 4, 0, 0)
BACKUP_META = struct.pack("<QQIHHQII", 9, 3, 7, 1, 0, 2, 0, 0)
BACKUP_INFO = struct.pack("<QQQQQ", 0, 0, 1764000000000, 2, 0)
BACKUP = block(b"H", BACKUP_META) + block(b"I", BACKUP_INFO)
BACKUPS = [
    BACKUP + block(b"C", EMPTY_STATE) + block(b"F", struct.pack("<QQ", 1, 16)),
    BACKUP + block(b"C", EMPTY_STATE[:5]) + block(b"C", EMPTY_STATE[5:]) +
    block(b"F", struct.pack("<QQ", 2, 16)),
    BACKUP + block(b"F", struct.pack("<QQ", 0, 0)),
    block(b"H", BACKUP_META) + block(b"C", EMPTY_STATE) + block(b"F", struct.pack("<QQ", 1, 16)),
    block(b"H", struct.pack("<QQIHHQII", 2 ** 63 - 1, 2 ** 64 - 1, 7, 1, 0, 2, 0, 0)) +
    block(b"I", BACKUP_INFO) + block(b"C", EMPTY_STATE) + block(b"F", struct.pack("<QQ", 1, 16)),
]

IDENTITIES = [
    b"member=1\nlife=7\ncluster=" + b"0" * 32 + b"\nmembers=1=a:9100,2=b:9100\n",
    b"member=18446744073709551615\nlife=9223372036854775807\ncluster=" + b"0123456789abcdef" * 2 +
    b"\nmembers=" + b"m" * 2582 + b"\n",
    b"member=1\nlife=7\ncluster=" + b"0" * 32 + b"\nmembers=" + b"m" * 2583 + b"\n",
    b"muster identity 1\nmember=1\ncluster=1\nmembers=\ncrc32c=00000000\n",
]

# --- texts ---

REGISTER = b"""{"id": "web-1", "name": "web", "type": "http", "host": "10.0.0.1", "port": 8080,
 "zone": "north", "tags": ["v1", "gr\\u00fcn"], "metadata": {"version": "2.1", "": "x"},
 "ttl": "30s", "reap_after": 90.5, "weight": 3, "health": "warning", "incarnation": 65536}"""

# Just as much as a registration may have.
CROWDED = b'\0{"name": "%s", "id": "%s", "port": 1, "tags": [%s], "metadata": {%s}}' % (
    b"n" * 255, b"i" * 255, b", ".join(b'"%d"' % i for i in range(64)),
    b", ".join(b'"%s": "%s"' % (b"k" * (65 + i), b"v" * (512 if i == 63 else 1))
               for i in range(64)))

TARGETS = [
    b"\0/services/gr%C3%BCn/discover?health=any&tag=v1&tag=v2&meta.version=2.1&strategy=random\n"
    b"text/html,application/json\napplication/json; charset=utf-8",
    b"\0/instances?limit=10&after=web-1&health=passing,warning&type=http&zone=north&index=5",
    b"\0/events?after=12.3&limit=5&event=expired&event=registered&service=web\ntext/event-stream",
    b"\3/instances/web%2D1/maintenance",
    b"\4/servers/web-1?incarnation=65536",
    b"\2/register\n*/*\napplication/x-www-form-urlencoded",
    b"\5/",
]

CONFIGS = [
    b"# Muster\nid = 2\nname = beta\ndata = /var/lib/muster\nhttp = :9000\npeer = 10.0.0.2:9100\n"
    b"advertise-http = b.example:9000\nadvertise-peer = b.example:9100\nttl = 1.5s\n"
    b"cluster = 3=[::1]:9100,1=a.example:9100,2=b.example:9100\ncluster-secret = x y 0123456789abc # z\n",
    b"write-timeout = 5s\nelection-timeout = 400ms\nheartbeat-interval = 40ms\nreap-after = 0\n"
    b"snapshot-log-bytes = 64KiB\nhttp-threads = 4\nlog-level = debug\nlog-format = json\n",
    b"id=1\r\n\x01--http=[::]:9000\x01--peer\x01:9100\x01--name=alpha\x01--ttl\x0130",
    b"config = other\n",
    b"cluster = " + b",".join(b"%d=a:%d" % (i, i) for i in range(1, 10)) + b"\n",
    b"join = http://a:9000\n",
]

# --- questions to the DNS door: flags, and a message ---


def question(name, kind, flags=0, opt=b"", opcode=0, klass=1):
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b".") if label)
    return (bytes([flags]) + struct.pack(">HHHHHH", 7, opcode << 11 | 0x100, 1, 0, 0, 1 if opt else 0) +
            labels + b"\0" + struct.pack(">HH", kind, klass) + opt)


def opt_record(size=4096, version=0, data=b""):
    return b"\0" + struct.pack(">HHBBHH", 41, size, 0, version, 0, len(data)) + data


QUESTIONS = [
    question(name, kind, flags, opt)
    for flags, opt in ((0, b""), (0, opt_record()), (1, b""), (2, opt_record(1232)), (4, b""))
    for name, kind in ((b"big.service.consul", 1), (b"big.service.consul", 33))
] + [
    question(b"web.service.dc1.consul", 255, 0, opt_record()), question(b"blue.WEB.service.consul", 28),
    question(b"_web._tcp.service.consul", 33), question(b"nAmed.service.consul", 1),
    question(b"named.service.consul", 33), question(b"a.b.service.consul", 1),
    question(b"web.service.shop.ns.default.ap.dc1.dc.consul", 1), question(b"10.0.0.1.node.consul", 1),
    question(b"0a000001.addr.consul", 1), question(b"20010db8" + b"0" * 24 + b".addr.consul", 28),
    question(b"1.0.0.10.in-addr.arpa", 12), question(b"1." + b"0." * 23 + b"8.b.d.0.1.0.0.2.ip6.arpa", 12),
    question(b"consul", 6), question(b"consul", 2), question(b"consul", 252), question(b"", 2),
    question(b"example.com", 1), question(b".".join([b"l" * 61] * 4), 1), question(b"consul", 1, 0, opt_record(1, 1)),
    question(b"consul", 1, 0, opt_record(data=b"\0\x0a\0\x08" + b"c" * 8)), question(b"consul", 1, klass=3),
    question(b"consul", 1, opcode=4), b"\x01" + question(b"consul", 1)[1:13] + b"\xc0\x0c\0\1\0\1",
]


SEEDS = {
    "consul": [b'\x00Service.Meta["x"] == "y" and (not Checks.Status == passing or `v` in Service.Tags)',
               b"\x00Service.Tags is not empty or Service.ID matches `^web-[0-9]+$`",
               b"\x00Node.Meta contains x and Service.Port != 81 and Service.EnableTagOverride == false",
               b"\x01ServiceTags contains v1 and NodeMeta.x not matches y", b'\x02Address is empty or "x" not in Meta',
               b"\x03Status == warning and ServiceTags not contains b", b"\x04Meta.none is empty",
               b"\x00" + b"not " * 40 + b"Service.ID == a", b"\x00" + b"(" * 40, b'\x00Service.Meta["x',
               b'\x05{"Name": "web", "ID": "web-1", "Address": "10.0.0.1", "Port": 80, "Tags": ["a", "a", ""], "Meta": {"a": "b"},'
               b'"Weights": {"Passing": 3}, "TaggedAddresses": {"lan": {"Address": "grpc://a:1", "Port": 1}}, "Check": {"TTL": "1m"},'
               b'"checks": [{"http": "http://a/", "interval": "10s", "timeout": 1000000, "deregister_critical_service_after": "5s"},'
               b'{"CheckID": "mine", "TTL": "30s", "Status": "passing", "Notes": "n"}, {}]}',
               b'\x05{"Name": "web", "Check": {"TTL": "60"}}', b'\x05{"Name": "w", "Port": "80"}', b"\x061h30m1.5s",
               b"\x06-5m", b"\x06120000ms"],
    "dns": QUESTIONS,
    "answer": seeds_checked.ANSWERS,
    "checked": seeds_checked.CHECKED,
    "command": COMMANDS + [struct.pack("<Qq", 5000, -1)],
    "snapshot": SNAPSHOTS,
    "batch": [batch([]), batch(COMMANDS)],
    "entry": [entry([]), entry([batch(COMMANDS[:3]), batch([], origin=0)]),
              entry([batch([])], level=65535)],
    "configuration": CONFIGURATIONS,
    "form": [CLUSTER + configuration(first_members(3)), bytes(16) + configuration(first_members(3)),
             CLUSTER + configuration(first_members(2)),
             CLUSTER + configuration([(1001, b"1@a:1", 1), (1003, b"2@b:1", 1), (1002, b"3@c:1", 1)])],
    "frame": FRAMES,
    # The whole file in pieces; with a bit turned; another transfer in between; answers.
    "snapshot_piece": [bytes([0, 0, 200] * 2), bytes([0, 0, 60] * 5 + [3, 20]),
                       bytes([0, 0, 60, 0, 6, 60, 5, 1, 0, 0, 0, 0, 60, 3, 127]),
                       bytes([0, 0, 100, 0, 3, 50, 1, 0, 1, 1]) + bytes([0, 0, 200] * 2),
                       bytes([2, 1, 1, 40, 2, 1, 0]) + b"\xff" * 8 + bytes([3, 90]),
                       bytes([0, 3, 10, 0, 1, 0]) + b"\xff" * 8 + bytes([3, 9]),
                       # More than the whole is said to be.
                       bytes([0, 3, 10, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 1, 3, 9]),
                       # All of it, in the last term that there is: transfer, offset, total, term.
                       bytes([0, 3, 255, 0, 0, 1, 0]) + b"\xff" * 8 + bytes([3, 127, 3, 127])],
    "sessions": [sessions([]) + bytes(range(1, 9)),
                      sessions([(1, 2, 3, 4), (2, 1, 9, 5)]) + b"\1\2\4\6\2\1\x09\6\7\1\1\1",
                      sessions([(i, 1, 1, i) for i in range(64)]) + b"\xff\1\1\1",
                      sessions([(i, 1, 1, i) for i in range(65)])],
    "message": MESSAGES,
    "hello": MEETINGS,
    "members": [b"1@a:9100", b"9223372036854775807@[::1]:9100", b"0@a:1", b"1@" + b"a" * 264,
                b"1=a:9100,2=[::1]:9100,3=10.0.0.3:9100", b"9223372036854775807=x:1",
                b",".join(b"%d=a:%d" % (i, i) for i in range(9))],
    "info": [b"\1" + struct.pack("<QQQHHB", 40, index, state_hash, 1, 2, 1) + told(b"beta") +
             told(b"b.example:9000") + told(b"0.1.0")
             for index, state_hash in ((0, 0), (7, 5), (7, 6), (40, 1))],
    "body": [b"\0" + REGISTER, b'\0{"name": "web", "port": 1}',
                  b'\1{"id": "web-1", "incarnation": 7, "status": "critical", "note": "disk"}',
                  b'\1{"ids": ["web-1", "web-2"]}', b'\2{"enabled": true, "reason": "upgrade"}',
             b'\2{"enabled": false, "reason": "' + b"r" * 512 + b'"}', CROWDED,
             b'\3{"server_id": "node-1", "url": "https://u@[::1]:8123/files", "port": "8000",'
             b' "ip": null, "x": 1}',
             b'\3{"server_id": "%s", "url": "%s"}' % (b"i" * 255, b"h" * 255),
             b'\4{"server_id": "node-1", "tags": ["x"]}',
             b'\5{"http": "https://[::1]:8443/a?b", "interval": "1500ms", "timeout": 0.25, "rise": 2, "warn": 3,'
             b' "fall": 4, "method": "POST", "body": "a\\tb", "headers": {"A": ["1", "2"], "a": "3"},'
             b' "disable_redirects": true, "tls": {"skip_verify": true, "server_name": "web.example"}}',
             b'\5{"grpc": "10.0.0.5:50051/orders.Orders", "tls": {"enabled": true}}',
             b'\5{"tcp": "%s:65535", "interval": 86400, "timeout": 60}' % (b"h" * 255),
             b'\5{"http": "http://h/", "body": "%s"}' % (b"b" * 2048)],
    "request": TARGETS,
    "head": [b"\x02GET / HTTP/1.1\r\nHost: x\r\n\r\n",
             b"\x05POST //register/?a=b HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
             b"\x01POST /register HTTP/1.1\r\nHost: [::1]:9000\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue"
             b"\r\n\r\n5;a=b\r\nhello\r\n0A\r\n0123456789\r\n0\r\nA: b\r\n\r\n",
             b"\x07GET http://a?b HTTP/1.1\r\nHost: c\r\nA:\t b \r\nConnection: a, close\r\n\r\n",
             b"\x03HEAD https://a:1/b HTTP/1.1\r\nHost: c\r\nContent-Encoding: identity\r\n\r\n",
             b"\x00OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"],
    "h2": H2,
    "grpc": GRPC,
    "config": CONFIGS,
    "wal": WALS,
    "snapshot_file": SNAPSHOT_FILES,
    "backup": BACKUPS,
    "identity": IDENTITIES,
    "instance": [b'{"id": "i", "name": "n", "health": "warning", "port": 80, "tags": ["a"], "metadata": '
                 b'{"k": "v"}, "ttl": 1.5, "weight": 7, "incarnation": 9, "index": 9, "note": "x"}',
                 b'{"id": "i", "health": "maintenance", "reason": "kernel", "ttl": 86400}',
                 b'{"id": "i", "health": "passing", "tags": [' + b",".join([b'"t"'] * 64) + b"]}",
                 b'{"id": "i", "health": "passing", "tags": [' + b",".join([b'"t"'] * 65) + b"]}",
                 b'{"id": "' + b"i" * 255 + b'", "health": "critical", "note": "' + b"n" * 512 + b'"}'],
    "policy": [b"spiffe://prod/ns/web/sa/web\0spiffe://prod/*\0spiffe://prod/ns/web/*\0web\0*\0" + body for body in (
        b'{"subject": "spiffe://prod/*", "ttl": 86400, "services": [{"prefix": "web", "access": "write"}]}',
        b'{"subject": "web", "operator": "write", "description": "of the mesh"}',
        b'{"subject": "' + b"u" * 254 + b'", "metrics": true}', b'{"subject": "' + b"u" * 254 + b'*", "metrics": true}',
        b'{"subject": "*", "services": [{"name": "db", "access": "read"}], "events": true}',
        b'{"subject": "a*b", "metrics": true}', b'{"subject": "a\\u0000b", "metrics": true}', b'{"metrics": true}')],
    "sse": [b"\x00id: 17.0\nevent: registered\ndata: {}\n\n", b"\x02data: a\r\n\r\ndata: b\r\rdata\n\n",
            b"\x00\xef\xbb\xbfevent: present\ndata: 1\ndata:  2\n\nid: 9.65535\n\n: hello\n\nid: 1\0\n\n",
            b"\x06id:" + b"9" * 63 + b"\n\nid:" + b"9" * 64 + b"\n\n",
            b"\x06event:" + b"e" * 63 + b"\ndata:\n\nevent:" + b"e" * 64 + b"\n\n"],
    "swarm": [
        b'[{"ID":"s1","CreatedAt":"2026","UpdatedAt":"2026","Spec":{"Name":"web","Labels":{"e":"true","c":"62.5","l":"2",'
        b'"h":"9","m":"cpu","muster.port":"80"},"Mode":{"Replicated":{"Replicas":3}}},"UpdateStatus":{"State":"updating"},'
        b'"Endpoint":{"Ports":[{"TargetPort":80,"PublishedPort":8080,"PublishMode":"ingress"}]}}]\0'
        b'[{"ID":"t1","ServiceID":"s1","NodeID":"n1","Slot":3,"DesiredState":"running","Status":{"State":"running",'
        b'"ContainerStatus":{"ContainerID":"66e7"},"PortStatus":{"Ports":[{"PublishedPort":32768}]}},"NetworksAttachments":'
        b'[{"Network":{"Spec":{"Ingress":true}},"Addresses":["10.0.0.5/24"]},{"Network":{"Spec":{}},"Addresses":["10.0.1.9/24"]}]}]'
        b'\0[{"ID":"n1","Description":{"Hostname":"vm-1"},"Status":{"Addr":"192.168.0.7"}}]', b"[]\0[]\0[]",
        b'{"cpu_stats":{"cpu_usage":{"total_usage":9,"percpu_usage":[1]},"system_cpu_usage":9},"memory_stats":{"usage":9}}',
        b'{"Type":"container","Action":"die","Actor":{"Attributes":{"com.docker.swarm.task.id":"t"}}}', b"12.5 331776 3 1"],
    "text": [b"18446744073709551615", b"1.25h", b"250ms", b"30s", b"5m", b"[2001:db8::1]:9000",
                  b"host.example:65535", b" \t gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\xa6 \r\n"],
    "token": [b"mst_" + b"a" * 10 + b"_" + b"7" * 32 + b"\0" + body for body in (
        b'{"description": "web\'s own", "ttl": 86400, "services": [{"prefix": "web", "access": "write"}]}',
        b'{"services": [{"name": "db", "access": "read"}, {"prefix": "", "access": "read"}], "operator": "write"}',
        b'{"metrics": true, "events": true, "operator": "read", "services": null}',
        b'{"services": [' + b", ".join([b'{"name": "' + b"n" * 255 + b'", "access": "read"}'] * 32) + b"]}",
        b'{"services": [' + b", ".join([b'{"prefix": "p", "access": "read"}'] * 33) + b"]}",
        b'{"services": [{"name": "a", "prefix": "b", "access": "read"}]}',
        b'{"namespace": "shop", "events": true, "services": [{"prefix": "", "access": "write"}]}',
        b'{"namespace": "No", "events": true}', b'{"namespace": "shop", "operator": "read"}',
        b'{"metrics": true, "ttl": 3153600001}', b"{}")],
    "zmq": seeds_zmq.DIALECT,
    "zmtp": seeds_zmq.WIRE,
    "twin": [bytes(range(256)), b"\x0b" * 40 + b"\x00" + b"\x04" * 9 + b"\x08\x00\x02" * 9] +
                 [b"\x05" + bytes([len(c)]) + c + b"\x00" for c in COMMANDS],
}


def main():
    for what, inputs in SEEDS.items():
        folder = os.path.join(sys.argv[1], what)
        os.makedirs(folder, exist_ok=True)
        for number, data in enumerate(inputs):
            with open(os.path.join(folder, "%02d" % number), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
