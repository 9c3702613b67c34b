"""First inputs of HTTP/2 and gRPC, for seeds.py."""
import struct


def h2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


# GET / by http, with the host x; a POST; a field named "a".
H2_GET, H2_POST, H2_A = b"\x82\x86\x84\x41\x01x", b"\x83\x86\x84\x41\x01x", b"\x40\x01a\x01b"
H2 = [b"\x00" + h2_frame(4, 0, 0) + h2_frame(1, 5, 1, H2_GET + H2_A) + h2_frame(1, 5, 3, H2_GET),
      b"\x07" + h2_frame(4, 0, 0) + h2_frame(1, 4, 1, H2_POST) + h2_frame(0, 0, 1, b"{") + h2_frame(0, 1, 1, b"}"),
      b"\x40" + h2_frame(1, 4, 1, H2_POST) + h2_frame(3, 0, 1, bytes(4)) + h2_frame(6, 0, 0, bytes(8)),
      b"\x00" + h2_frame(1, 1, 1, H2_GET[:3]) + h2_frame(9, 4, 1, H2_GET[3:]) + h2_frame(7, 0, 0, bytes(8)),
      b"\x00" + h2_frame(1, 5, 1, H2_GET + b"\x40\x01A\x01b") + h2_frame(8, 0, 0, b"\0\0\1\0") + h2_frame(0xbb, 0, 0),
      b"\x00" + h2_frame(1, 0x2d, 1, b"\x02" + bytes(5) + H2_GET + bytes(2)) + h2_frame(2, 0, 3, bytes(5)),
      b"\x20" + h2_frame(4, 0, 0, b"\0\4\0\0\0\1") + h2_frame(1, 5, 1, H2_GET) + h2_frame(8, 0, 1, b"\0\0\xff\xff"),
      b"\x00" + h2_frame(1, 5, 1, H2_GET + b"\x40\x01f\x7f\x21" + b"v" * 160 + b"\xbe" * 900)]


def field(number, value):
    """Of a protobuf message: a text, a message or a number below 128."""
    if isinstance(value, int):
        return bytes((number << 3, value))
    long = len(value) > 127
    return bytes((number << 3 | 2, *((len(value) & 127 | 128, len(value) >> 7) if long else (len(value),)))) + value


def message(kind, body):
    return bytes((kind, 0)) + struct.pack(">I", len(body)) + body


def checks(*each):
    """Field 17 of an instance."""
    body = b"".join(field(1, one) for one in each)
    return b"\x8a\x01" + bytes([len(body)]) + body


GRPC_INSTANCE = field(1, b"web-1") + field(2, b"web") + field(4, b"10.0.0.1") + field(5, 80)
GRPC = [message(0, field(1, body)) for body in (
    GRPC_INSTANCE, GRPC_INSTANCE[7:], GRPC_INSTANCE + field(6, b"a") * 65, GRPC_INSTANCE + field(8, 7) + field(9, b"z"),
    GRPC_INSTANCE + field(7, field(1, b"k") + field(2, b"v")) + field(7, field(1, b"a") + field(2, b"b")) + field(12, 2),
    GRPC_INSTANCE + field(7, field(1, b"k") + field(2, b"v")) * 2 + field(7, field(1, b"k")) + field(12, 9),
    field(2, b"n" * 255) + field(4, b"h") + field(5, 1), field(2, b"a\0b"), field(2, b"web") + field(5, 0),
    GRPC_INSTANCE + checks(field(5, b"https://h/p") + field(13, b"HEAD") + field(14, field(1, b"A") + field(2, b"b")) +
                           field(15, b"x") + field(10, 2) + field(12, 3), field(6, b"h:1") + field(4, 2)),
    GRPC_INSTANCE + checks(field(7, b"h:1/s")), GRPC_INSTANCE + checks(), GRPC_INSTANCE + checks(field(5, b"h")))] + [
    message(1, field(1, field(1, b"web") + field(3, b"t") + field(5, field(1, b"k") + field(2, b"v")) + field(6, 3)) +
            field(3, 5) + field(4, b"web-1")),
    message(1, field(1, field(3, b"t") * 65)), message(1, field(1, field(6, 9))),
    message(2, field(1, b"a") + field(1, b"b")), message(2, field(1, b"a") + field(3, 2) + field(4, b"note")),
    message(2, field(1, b"a") * 2 + field(2, 1)), message(2, b""), message(2, field(1, b"i" * 255)), b"\2\1\0\0\0\0"]
