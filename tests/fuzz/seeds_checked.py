"""What servers answer: to the load generator, and to whom checks them."""
import struct

# The size of the pieces, and bytes.
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


def h2_frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def h2_field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def health_called(message, status=b"0"):
    return (h2_frame(4, 0, 0, b"") + h2_frame(1, 4, 1, b"\x88" + h2_field(b"content-type", b"application/grpc")) +
            h2_frame(0, 0, 1, struct.pack(">BI", 0, len(message)) + message) +
            h2_frame(1, 5, 1, h2_field(b"grpc-status", status) + h2_field(b"grpc-message", b"why")))


# The protocol, the size of the pieces, and bytes.
CHECKED = [b"\0\x07" + a[1:] for a in ANSWERS] + [
    b"\0\x01HTTP/1.1 302 Found\r\nLocation: http://b.example/\r\nContent-Length: 0\r\n\r\n",
    b"\0\x03HTTP/1.0 200 OK\r\n\r\n" + b"body\xff\x00" * 900,
    b"\1\x03HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"\2\x05" + health_called(b"\x08\x01"),
    b"\2\0" + health_called(b"\x08\x02"), b"\2\0" + health_called(b"", b"12"), b"\2\x08" + h2_frame(7, 0, 0, bytes(8)),
    b"\2\x08" + h2_frame(4, 0, 0, b"") + h2_frame(3, 0, 1, struct.pack(">I", 7)),
]
