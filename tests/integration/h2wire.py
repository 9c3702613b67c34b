"""Frames of HTTP/2 by hand, for what no client library would send. Heads are literals without
compression; hpack reads those that come."""
import socket
import struct

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + payload


def length(number):
    """Of a text in HPACK: 7 bits, then the rest."""
    if number < 127:
        return bytes((number,))
    out, number = b"\x7f", number - 127
    while number >= 128:
        out, number = out + bytes((number % 128 + 128,)), number // 128
    return out + bytes((number,))


def field(name, value):
    name, value = (t if isinstance(t, bytes) else t.encode() for t in (name, value))
    return b"\x00" + length(len(name)) + name + length(len(value)) + value


def head(method="GET", path="/health", authority="127.0.0.1", scheme="http", fields=()):
    pseudo = ((":method", method), (":scheme", scheme), (":path", path), (":authority", authority))
    return b"".join(field(n, v) for n, v in (*pseudo, *fields) if v is not None)


class Wire:
    """One connection. Frames that come are kept in order; acknowledges nothing by itself."""

    def __init__(self, port, hello=True, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.head = {}  # the last one that came
        self.decoder = hpack.Decoder()
        if hello:
            self.send(PREFACE + frame(SETTINGS, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, stream, flags=END_HEADERS | END_STREAM, **kept):
        self.send(frame(HEADERS, flags, stream, head(**kept)))

    def _take(self, count):
        while len(self.rest) < count:
            got = self.socket.recv(65536)
            if not got:
                return None
            self.rest += got
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def frame(self):
        """The next one: (kind, flags, stream, payload). None at the end."""
        try:
            begin = self._take(9)
            if begin is None:
                return None
            size = int.from_bytes(begin[:3], "big")
            payload = self._take(size)
        except (ConnectionResetError, BrokenPipeError):
            return None
        if payload is None:
            return None
        if begin[3] == HEADERS:
            self.head = dict(self.decoder.decode(payload))  # each changes how the next is read
        return begin[3], begin[4], int.from_bytes(begin[5:], "big") & 0x7fffffff, payload

    def until(self, wanted):
        """The first frame for which `wanted` holds; None when the connection ends first."""
        while True:
            got = self.frame()
            if got is None or wanted(*got):
                return got

    def status(self, stream):
        """Of the answer; the code of a reset as ("reset", code), of a GOAWAY as ("goaway", code)."""
        while True:
            got = self.frame()
            if got is None:
                return "closed"
            kind, _, of, payload = got
            if kind == HEADERS:
                if of == stream and self.head[":status"] != "100":
                    return int(self.head[":status"])
            elif kind == RST_STREAM and of == stream:
                return "reset", int.from_bytes(payload, "big")
            elif kind == GOAWAY:
                return "goaway", int.from_bytes(payload[4:8], "big")

    def body(self, stream):
        """What comes until the stream ends."""
        got = b""
        while True:
            kind, flags, of, payload = self.frame()
            if of == stream and kind == DATA:
                got += payload
                if flags & END_STREAM:
                    return got
            assert not (of == stream and kind == RST_STREAM), "reset"

    def outcome(self):
        """How the connection ends: the code of its GOAWAY, or "closed"."""
        got = self.until(lambda kind, *_: kind == GOAWAY)
        return "closed" if got is None else int.from_bytes(got[3][4:8], "big")
