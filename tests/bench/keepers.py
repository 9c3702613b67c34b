"""Programs that keep leases, each on one connection: by heartbeats over HTTP/1.1, and by one KeepAlive of gRPC. What they
send is made once, and answers are only counted, so that their own CPU time is the kernel's for the most part."""
import json
import os
import select
import socket
import struct
import sys
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES = 16384
ANSWER_BYTES_MAX = 100  # it names those that are unknown
PIECE_BYTES = 8192


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def field(name, value):
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def beat(ids):
    """A HeartbeatRequest in its frame."""
    body = b"".join(b"\x0a" + bytes((len(id),)) + id.encode() for id in ids)
    return struct.pack("!BI", 0, len(body)) + body


def pieces(beats):
    """Short ones joined, with their number, so that they are not handled one by one."""
    size = sum(map(len, beats))
    beats = beats * max(1, PIECE_BYTES // size)
    count = max(1, PIECE_BYTES // max(map(len, beats)))
    return [(b"".join(beats[at:at + count]), len(beats[at:at + count])) for at in range(0, len(beats), count)]


class Keeper:
    """Sends its heartbeats again and again, `ahead` of them before they are answered."""

    def __init__(self, port, beats, ahead):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.pieces, self.ahead = pieces(beats), ahead
        self.out, self.rest = b"", b""
        self.next = self.given = self.answers = 0

    def wants(self):
        return bool(self.out) or self.given - self.answers < self.ahead

    def piece(self):
        got, count = self.pieces[self.next % len(self.pieces)]
        self.next += 1
        self.given += count
        return got

    def write(self):
        self.fill()
        if self.out:
            try:
                self.out = self.out[self.socket.send(self.out):]
            except BlockingIOError:
                pass

    def read(self):
        got = self.socket.recv(1 << 20)
        if not got:
            raise RuntimeError("the connection was closed")
        self.rest = self.take(self.rest + got)

    def answered(self, size):
        if size > ANSWER_BYTES_MAX:
            raise RuntimeError("leases are unknown")
        self.answers += 1


class Poster(Keeper):
    """By HTTP/1.1: its heartbeats are the bodies."""

    def fill(self):
        while self.given - self.answers < self.ahead and len(self.out) < 65536:
            self.out += self.piece()

    def take(self, got):
        """Counts the answers in it; returns the rest."""
        while (end := got.find(b"\r\n\r\n")) >= 0:
            head = got[:end].lower()
            if not head.startswith(b"http/1.1 200"):
                raise RuntimeError("it failed: %r" % head)
            size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(got) < end + 4 + size:
                break
            got = got[end + 4 + size:]
            self.answered(size)
        return got


class Streamer(Keeper):
    """One KeepAlive. Sends what the windows let it."""

    def __init__(self, port, beats, ahead):
        super().__init__(port, beats, ahead)
        head = b"".join(field(n, v) for n, v in (
            (":method", "POST"), (":scheme", "http"), (":path", "/muster.v1.Registry/KeepAlive"), (":authority", "127.0.0.1"),
            ("content-type", "application/grpc"), ("te", "trailers")))
        # A window for answers that is never used up.
        self.out = (PREFACE + frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff") + frame(8, 0, 0, (2**31 - 65536).to_bytes(4, "big")) +
                    frame(1, 4, 1, head))
        self.windows = {0: 65535, 1: 65535}
        self.waiting, self.messages = b"", b""

    def wants(self):
        return bool(self.out) or (min(self.windows.values()) > 0 and (bool(self.waiting) or super().wants()))

    def fill(self):
        while len(self.out) < 65536:
            while self.given - self.answers < self.ahead and len(self.waiting) < FRAME_BYTES:
                self.waiting += self.piece()
            size = min(len(self.waiting), FRAME_BYTES, *self.windows.values())
            if size <= 0:
                return
            self.out += frame(0, 0, 1, self.waiting[:size])
            self.waiting = self.waiting[size:]
            for stream in self.windows:
                self.windows[stream] -= size

    def take(self, got):
        at = 0
        while len(got) - at >= 9:
            size = int.from_bytes(got[at:at + 3], "big")
            if len(got) - at < 9 + size:
                break
            kind, flags, stream = got[at + 3], got[at + 4], got[at + 8]
            payload = got[at + 9:at + 9 + size]
            at += 9 + size
            if kind == 0:
                self.count(payload)
            elif kind == 8:
                self.windows[stream] += int.from_bytes(payload, "big")
            elif kind == 4 and not flags & 1:
                self.out += frame(4, 1, 0)
            elif kind in (3, 7):
                raise RuntimeError("the stream was ended: %r" % payload)
        return got[at:]

    def count(self, payload):
        at, data = 0, self.messages + payload
        while len(data) - at >= 5:
            size = int.from_bytes(data[at + 1:at + 5], "big")
            if len(data) - at < 5 + size:
                break
            at += 5 + size
            self.answered(size)
        self.messages = data[at:]


def run(keepers, seconds):
    """Answers in that time, and how long it was."""
    by_socket = {k.socket: k for k in keepers}
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        writable = [k.socket for k in keepers if k.wants()]
        readable, writable, _ = select.select(list(by_socket), writable, [], 0.5)
        for s in readable:
            by_socket[s].read()
        for s in writable:
            by_socket[s].write()
    return sum(k.answers for k in keepers), time.monotonic() - began


def post(ids):
    body = json.dumps({"ids": ids}).encode()
    return (b"POST /heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" %
            len(body)) + body


def main():
    kind, port, keepers, leases, batch, ahead, seconds = sys.argv[1], *map(int, sys.argv[2:8])
    prefix = sys.argv[8]
    made, make, encode = [], *((Poster, post) if kind == "post" else (Streamer, beat))
    for k in range(keepers):
        ids = ["%s%d" % (prefix, n) for n in range(k * leases, (k + 1) * leases)]
        made.append(make(port, [encode(ids[at:at + batch]) for at in range(0, leases, batch)], ahead))
    before = time.process_time()
    answers, took = run(made, seconds)
    requests = answers * batch
    print(json.dumps({"requests": requests, "per_second": requests / took, "failed": 0,
                      "client_cpu_us": (time.process_time() - before) * 1e6 / max(requests, 1)}))


if __name__ == "__main__":
    main()
    sys.exit(os.EX_OK)
