"""Inputs of fuzz_zmq.c and fuzz_zmtp.c: what clients of ZeroMQ send. seeds.py writes them."""
import struct


def greeting(mechanism):
    return b"\xff" + bytes(7) + b"\1\x7f\3\1" + mechanism.ljust(20, b"\0") + bytes(32)


def frame(flags, body):
    long = len(body) > 255
    return bytes([flags | 2 * long]) + struct.pack(">Q" if long else ">B", len(body)) + body


def message(*frames):
    return b"".join(frame(i < len(frames) - 1, f) for i, f in enumerate(frames))


def metadata(kind):
    return b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind


def ready(kind):
    return frame(4, b"\5READY" + metadata(kind) + b"\x08Identity" + struct.pack(">I", 1) + b"i")


# What stands before the frames: changed bits of INITIATE, and its metadata.
def sealed(kind, at=0, bits=0):
    return struct.pack("<HBB", at, bits, len(metadata(kind))) + metadata(kind)


OPEN = greeting(b"NULL") + ready(b"DEALER")
REQUESTS = (
    message(b"REQ", b'{"action": "list"}') + message(b"", b"{}") + message(b"{}") +
    message(b"NO-REQ", b"{}") + message(b"", b"REQ", b"{}") + message(b"a", b"b", b"c", b"d", b"e") +
    frame(4, b"\4PING\0\0context") + frame(1, b"REQ") + frame(4, b"\4PONG") +
    frame(0, b"x" * 256) + frame(4, b"\5ERROR\0") + message(b"{}"))
TOPICS = (frame(4, b"\x09SUBSCRIBEreg") + message(b"\1expire") + message(b"\0expire") +
          frame(4, b"\6CANCELnone") + message(b"\1a\0b"))

WIRE = [
    b"\0\0" + OPEN + REQUESTS, b"\0\1" + OPEN + REQUESTS,
    b"\0\3" + OPEN + message(b"{}") * 70,  # more than are answered before they are read
    b"\1\7" + greeting(b"NULL") + ready(b"SUB") + TOPICS,
    b"\1\0" + greeting(b"NULL") + ready(b"XSUB") + message(b"\1") * 17,  # one too many
    b"\0\0" + OPEN + b"\2" + struct.pack(">Q", 65537),  # too long
    b"\0\0" + OPEN + frame(4, b"\4PING\0\0" + b"c" * 17),
    b"\0\0" + greeting(b"NULL") + ready(b"PULL"),
    b"\4\5" + sealed(b"DEALER") + REQUESTS, b"\5\0" + sealed(b"SUB") + TOPICS,
    b"\4\0" + sealed(b"DEALER", at=8, bits=1), b"\4\0" + sealed(b"PUB"),
    b"\4\0" + sealed(b"DEALER", at=9, bits=1), b"\4\0" + sealed(b"DEALER", at=104, bits=128),  # the cookie
    b"\2\0" + greeting(b"CURVE") + frame(4, b"\5HELLO\1" + bytes(193)),
]

DIALECT = [
    b'{"action": "register", "ttl": 30, "service_info": {"name": "Data Store", "host": "10.0.0.1", "port": '
    b'6001, "id": null, "type": "STORE", "tags": ["a", "a"], "metadata": {"a": 1, "b": null, "c": [true, {"d": '
    b'1.5}], "e": "json:1", "f": "\\n"}}}',
    b'{"action": "register", "service_info": {"name": "' + b"n" * 218 + b'", "host": "h", "port": 1}}',
    b'{"action": "register", "service_info": {"name": "' + b"n" * 219 + b'", "host": "h", "port": 1}}',
    b'{"action": "register", "service_info": {"name": "a", "host": "h", "port": 1, "metadata": {"k": "' +
    b"v" * 512 + b'"}}}',
    b'{"action": "list", "service_type": null}', b'{"action": "discover", "service_type": "STORE"}',
    b'{"action": "renew", "service_id": "' + b"i" * 255 + b'"}',
]
