#!/usr/bin/env python3
"""First inputs for the fuzz targets: one valid input of every kind, and some at a limit or just
above it, from the descriptions in the headers and not from the code. For a new target, or a format
that has changed.

    tests/fuzz/seeds.py FOLDER      writes FOLDER/<what>/<number>, as tests/fuzz/corpus has them
"""
import os
import struct
import sys


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
]


def record(name_id, name, index, slot, lapsed=False, maintenance=False):
    return (registration(name_id, name, ["v1"], [("version", "2.1")]) + text("note") + text("why") +
            uint(index << 16) + uint(index) + sint(1790000000000) + uint(slot) + uint(1) +
            truth(lapsed) + truth(maintenance))


def wide_text(s):
    """Not in the shortest form: two bytes of length, so that one changed bit makes it too long."""
    return b"\xda" + struct.pack(">H", len(s)) + s.encode()


def snapshot(instances, services, events):
    out = text("MUSR") + uint(1) + uint(9) + uint(5000) + sint(1790000000000)
    out += uint(9) + uint(8) + uint(0) + uint(len(events) + 3)
    out += uint(len(instances)) + uint(len(services)) + uint(len(events))
    for rec, stamp, renewed, deadline in instances:
        out += rec + uint(stamp) + uint(renewed) + uint(deadline)
    for name, index in services:
        out += wide_text(name) + uint(index)
    for index, kind, rec in events:
        out += uint(index) + uint(0) + uint(kind) + sint(-1) + rec
    return out


LONG = "n" * 255
SNAPSHOTS = [
    snapshot([], [], []),
    snapshot([(record("i", LONG, 2, 0), 11, 4000, 34000)], [(LONG, 2)],
             [(2, 0, record("i", LONG, 2, 0))]),
    snapshot([(record("i", LONG, 2, 0), 11, 4000, 34000)], [(LONG + "n", 2)], []),
    snapshot([(record("db-1", "db", 2, 0), 11, 4000, 34000),
              (record("web-1", "web", 8, 2, lapsed=True), 12, 100, (1 << 64) - 1),
              (record("web-2", "web", 9, 1, maintenance=True), 13, 5000, 6000)],
             [("db", 2), ("web", 9)],
             [(2, 0, record("db-1", "db", 2, 0)), (8, 3, record("web-1", "web", 8, 2, True))]),
]


# --- consensus ---

def bundle(ops, origin=1, boot=3, sequence=5):
    out = struct.pack("<QQQII", origin, boot, sequence, len(ops), 0)
    return out + b"".join(struct.pack("<I", len(op)) + op for op in ops)


def entry(bundles):
    stamp = struct.pack("<Qq", 5000, 1790000000000)
    body = stamp + b"".join(struct.pack("<I", len(b)) + b for b in bundles)
    length = 64 + len(body)
    # The checksum is put right by the target.
    head = struct.pack("<4sIIHHQQQQH14x", b"MSTE", 0, length, 1, len(bundles), 9, 2, 77, 1,
                       len(stamp))
    return head + body + bytes(-length % 8)


def sessions(rows):
    return struct.pack("<I", len(rows)) + b"".join(struct.pack("<QQQQ", *row) for row in rows)


def configuration(members):
    out = struct.pack("<BQ", 1, len(members))
    return out + b"".join(struct.pack("<Q", i) + a + b"\0" + bytes([r]) for i, a, r in members)


MEMBERS = configuration([(1, b"127.0.0.1:9100", 1), (2, b"[::1]:9100", 0), (3, b"c:1", 2)])
CHANGE = MEMBERS + bytes(-len(MEMBERS) % 8)


def append_entries(entries):
    out = struct.pack("<BBQQQQI", 1, 0, 9, 41, 8, 40, len(entries))
    out += b"".join(struct.pack("<QBI", term, kind, len(data)) for term, kind, data in entries)
    return out + b"".join(data for _, _, data in entries)


MESSAGES = [
    append_entries([]),
    append_entries([(4, 1, b"abcdefgh"), (5, 3, CHANGE), (5, 1, b""), (6, 2, bytes(8))]),
    struct.pack("<BBQQQHH", 2, 0, 9, 0, 42, 1, 0),
    struct.pack("<BBQQQQB", 3, 2, 9, 3, 42, 8, 3),
    struct.pack("<BBQBHH", 4, 2, 9, 6, 1, 0),
    struct.pack("<BBQQQQ", 5, 0, 9, 42, 8, 1) + MEMBERS + struct.pack("<Q", 5) + b"state",
    struct.pack("<BBQQQ", 6, 0, 9, 42, 8),
]


def told(s):
    return struct.pack("<H", len(s)) + s


HELLO = struct.pack("<4sHHQQQ16sII", b"MSTh", 1, 0, 77, 1, 2, b"0123456789abcdef", 0, 0)
ANSWER = struct.pack("<4sHH16s32sII", b"MSTa", 1, 0, b"fedcba9876543210", bytes(32), 0, 0)
SITUATION = struct.pack("<QQQ16s16sBB7s", 77, 1, 2, b"n" * 16, b"m" * 16, 30, 3, b"secret")

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
    b"cluster = 3=[::1]:9100,1=a.example:9100,2=b.example:9100\ncluster-secret = x y # z\n",
    b"write-timeout = 5s\nelection-timeout = 400ms\nheartbeat-interval = 40ms\nreap-after = 0\n"
    b"snapshot-log-bytes = 64KiB\nhttp-threads = 4\nlog-level = debug\nlog-format = json\n",
    b"id=1\r\n\x01--http=[::]:9000\x01--peer\x01:9100\x01--name=alpha\x01--ttl\x0130",
    b"config = other\n",
    b"cluster = " + b",".join(b"%d=a:%d" % (i, i) for i in range(1, 10)) + b"\n",
    b"join = http://a:9000\n",
]

ANSWERS = [step + answer for step in (b"\0", b"\5") for answer in (
    b"HTTP/1.1 201 Created\r\nContent-Length: 14\r\n\r\n{\"index\":1234}",
    b"HTTP/1.0 404 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2c\r\nid: 17.0\nevent: registered\ndata: {\"a\": 1}\n\n\r\n"
    b"18\r\nevent: reset\ndata: {}\n\n:\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1021 + b"\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: 1234\r\n" * 2000,
)]

SEEDS = {
    "answer": ANSWERS,
    "command": COMMANDS + [struct.pack("<Qq", 5000, -1)],
    "snapshot": SNAPSHOTS,
    "bundle": [bundle([]), bundle(COMMANDS)],
    "entry": [entry([]), entry([bundle(COMMANDS[:3]), bundle([], origin=0)])],
    "sessions": [sessions([]) + bytes(range(1, 9)),
                      sessions([(1, 2, 3, 4), (2, 1, 9, 5)]) + b"\1\2\4\6\2\1\x09\6\7\1\1\1",
                      sessions([(i, 1, 1, i) for i in range(64)]) + b"\xff\1\1\1",
                      sessions([(i, 1, 1, i) for i in range(65)])],
    "message": MESSAGES,
    "hello": [SITUATION + HELLO, SITUATION + ANSWER],
    "members": [b"1=a:9100,2=[::1]:9100,3=10.0.0.3:9100", b"9223372036854775807=x:1",
                b",".join(b"%d=a:%d" % (i, i) for i in range(9))],
    "info": [b"\2" + struct.pack("<QB", 40, 1) + told(b"beta") + told(b"b.example:9000") +
                  told(b"0.1.0")],
    "body": [b"\0" + REGISTER, b'\0{"name": "web", "port": 1}',
                  b'\1{"id": "web-1", "incarnation": 7, "status": "critical", "note": "disk"}',
                  b'\1{"ids": ["web-1", "web-2"]}', b'\2{"enabled": true, "reason": "upgrade"}',
             b'\2{"enabled": false, "reason": "' + b"r" * 512 + b'"}', CROWDED],
    "request": TARGETS,
    "config": CONFIGS,
    "instance": [b'{"id": "i", "name": "n", "health": "warning", "port": 80, "tags": ["a"], "metadata": '
                 b'{"k": "v"}, "ttl": 1.5, "weight": 7, "incarnation": 9, "index": 9, "note": "x"}',
                 b'{"id": "i", "health": "maintenance", "reason": "kernel", "ttl": 86400}',
                 b'{"id": "i", "health": "passing", "tags": [' + b",".join([b'"t"'] * 64) + b"]}",
                 b'{"id": "i", "health": "passing", "tags": [' + b",".join([b'"t"'] * 65) + b"]}",
                 b'{"id": "' + b"i" * 255 + b'", "health": "critical", "note": "' + b"n" * 512 + b'"}'],
    "sse": [b"\x00id: 17.0\nevent: registered\ndata: {}\n\n", b"\x02data: a\r\n\r\ndata: b\r\rdata\n\n",
            b"\x00\xef\xbb\xbfevent: present\ndata: 1\ndata:  2\n\nid: 9.65535\n\n: hello\n\nid: 1\0\n\n",
            b"\x06id:" + b"9" * 63 + b"\n\nid:" + b"9" * 64 + b"\n\n",
            b"\x06event:" + b"e" * 63 + b"\ndata:\n\nevent:" + b"e" * 64 + b"\n\n"],
    "text": [b"18446744073709551615", b"1.25h", b"250ms", b"30s", b"5m", b"[2001:db8::1]:9000",
                  b"host.example:65535", b" \t gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x90\xa6 \r\n"],
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
