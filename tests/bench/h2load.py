"""Load over HTTP/2: nghttp2's h2load for requests, and streams of heartbeats by hand."""
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time

from cluster import clean_environment

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BEATS_A_FRAME = 200


def h2load(url, seconds, clients, streams, body=None, fields=(), version="h2c"):
    """Clients that ask one request after the other on each of their streams, for some seconds. Without a time to warm up, as
    those requests would count in the servers' CPU time and not among the requests."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(body or b"")
        file.flush()
        command = ["h2load", "-D", str(seconds), "-c", str(clients), "-m", str(streams), "-t", "1"]
        command += ["--h1"] if version == "1.1" else []
        command += ["-d", file.name] if body is not None else []
        for name, value in fields:
            command += ["-H", "%s: %s" % (name, value)]
        done = subprocess.run([*command, url], stdout=subprocess.PIPE, encoding="utf-8", timeout=seconds + 60,
                              env=clean_environment(), check=True).stdout
    rate = float(re.search(r"finished in [^,]*, ([\d.]+) req/s", done).group(1))
    counts = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done)
    good = re.search(r"status codes: (\d+) 2xx", done)
    return {"requests": int(counts.group(1)), "per_second": rate,
            "failed": int(counts.group(2)) + int(counts.group(3)) + int(counts.group(1)) - int(good.group(1))}


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def field(name, value):
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def message(body):
    return struct.pack("!BI", 0, len(body)) + body


def beat(id):
    """A HeartbeatRequest of one id."""
    return message(b"\x0a" + bytes((len(id),)) + id.encode())


class Keeper:
    """One connection with one KeepAlive. Sends what the windows let it, and counts the answers."""

    def __init__(self, port, ids):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        beats = [beat(id) for id in ids]
        self.piece = b"".join(beats[n % len(beats)] for n in range(BEATS_A_FRAME))
        head = b"".join(field(n, v) for n, v in (
            (":method", "POST"), (":scheme", "http"), (":path", "/muster.v1.Registry/KeepAlive"), (":authority", "127.0.0.1"),
            ("content-type", "application/grpc"), ("te", "trailers")))
        # A window for answers that is never used up.
        self.out = (PREFACE + frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(8, 0, 0, (2**31 - 65536).to_bytes(4, "big")) +
                    frame(1, 4, 1, head))
        self.windows = {0: 65535, 1: 65535}
        self.rest, self.messages, self.answers, self.sent = b"", b"", 0, 0
        self.socket.setblocking(False)

    def fill(self):
        size = len(self.piece)
        while len(self.out) < 65536 and min(self.windows.values()) >= size:
            self.out += frame(0, 0, 1, self.piece)
            self.windows[0] -= size
            self.windows[1] -= size
            self.sent += BEATS_A_FRAME

    def write(self):
        self.fill()
        if self.out:
            try:
                self.out = self.out[self.socket.send(self.out):]
            except BlockingIOError:
                pass

    def read(self):
        got = self.rest + self.socket.recv(1 << 20)
        at = 0
        while len(got) - at >= 9:
            size = int.from_bytes(got[at:at + 3], "big")
            if len(got) - at < 9 + size:
                break
            kind, stream = got[at + 3], int.from_bytes(got[at + 5:at + 9], "big")
            payload = got[at + 9:at + 9 + size]
            at += 9 + size
            if kind == 0:
                self.messages += payload
            elif kind == 8:
                self.windows[stream] += int.from_bytes(payload, "big")
            elif kind == 4 and not got[at - 9 - size + 4] & 1:
                self.out += frame(4, 1, 0)
            elif kind in (3, 7):
                raise RuntimeError("the stream was ended: %r" % payload)
        self.rest = got[at:]
        self.count()

    def count(self):
        at, data = 0, self.messages
        while len(data) - at >= 5:
            size = int.from_bytes(data[at + 1:at + 5], "big")
            if len(data) - at < 5 + size:
                break
            at += 5 + size
            self.answers += 1
        self.messages = data[at:]


def keep_alive(port, ids, streams, seconds):
    """Heartbeats of one id each, as many as are answered, on so many streams."""
    keepers = [Keeper(port, ids[n::streams]) for n in range(streams)]
    by_socket = {k.socket: k for k in keepers}
    began, seen = time.monotonic(), None
    while time.monotonic() - began < seconds + 1:
        if seen is None and time.monotonic() - began >= 1:
            seen, at = sum(k.answers for k in keepers), time.monotonic()
        writable = [k.socket for k in keepers if k.out or min(k.windows.values()) >= len(k.piece)]
        readable, writable, _ = select.select(list(by_socket), writable, [], 0.5)
        for s in readable:
            by_socket[s].read()
        for s in writable:
            by_socket[s].write()
    done = sum(k.answers for k in keepers) - seen
    taken = time.monotonic() - at
    for keeper in keepers:
        keeper.socket.close()
    return {"requests": done, "per_second": done / taken, "failed": 0}


if __name__ == "__main__":
    print(json.dumps(keep_alive(int(sys.argv[1]), sys.argv[4:], int(sys.argv[2]), float(sys.argv[3]))))
    sys.exit(os.EX_OK)
