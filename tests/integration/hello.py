"""The handshake between members (consensus/hello.h), spoken by a test."""
import hashlib
import hmac
import os
import socket
import struct

HELLO_BYTES = 56
ANSWER_BYTES = 64
ACCEPTED, GARBAGE, WRONG_VERSION, WRONG_CLUSTER, WRONG_MEMBER, WRONG_SECRET = range(6)

_TABLE = []
for _n in range(256):
    for _ in range(8):
        _n = (_n >> 1) ^ (0x82F63B78 if _n & 1 else 0)
    _TABLE.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def encode(cluster_id, sender, receiver, nonce, version=1, magic=b"MSTh"):
    head = magic + struct.pack("<HHQQQ", version, 0, cluster_id, sender, receiver) + nonce
    return head + struct.pack("<II", crc32c(head), 0)


def proof(label, cluster_id, sender, receiver, nonce, answer_nonce, secret):
    text = nonce + answer_nonce + struct.pack("<QQQ", cluster_id, sender, receiver) + label
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()


def receive(connection, size):
    """Exactly `size` bytes, or less when the other side closed."""
    got = b""
    while len(got) < size:
        try:
            piece = connection.recv(size - len(got))
        except ConnectionResetError:
            break
        if not piece:
            break
        got += piece
    return got


def capture_cluster_id(port, within_s=20):
    """Listens where a member is expected and reads the cluster's id from who dials it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(8)
        listener.settimeout(within_s)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(within_s)
            got = receive(connection, HELLO_BYTES)
    assert len(got) == HELLO_BYTES and got[:4] == b"MSTh", got
    assert struct.unpack("<I", got[48:52])[0] == crc32c(got[:48])
    return struct.unpack("<Q", got[8:16])[0]


class Stranger:
    """Dials a member's peer port and goes through the handshake as far as it gets."""

    def __init__(self, port, cluster_id, sender, receiver, secret=""):
        self.known = (cluster_id, sender, receiver)
        self.secret = secret
        self.nonce = os.urandom(16)
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        # What follows the proof must not wait: the real member dials again, and the newer counts.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def say_hello(self, **changes):
        """Returns the verdict, or None when the other side just closed."""
        self.connection.sendall(encode(*self.known, self.nonce, **changes))
        answer = receive(self.connection, ANSWER_BYTES)
        if len(answer) < ANSWER_BYTES:
            return None
        assert answer[:4] == b"MSTa"
        self.answer_nonce = answer[8:24]
        self.answer_proof = answer[24:56]
        return struct.unpack("<H", answer[6:8])[0]

    def acceptor_is_genuine(self):
        return hmac.compare_digest(self.answer_proof, proof(
            b"muster acceptor", *self.known, self.nonce, self.answer_nonce, self.secret))

    def prove(self, secret=None):
        self.connection.sendall(proof(b"muster connector", *self.known, self.nonce,
                                      self.answer_nonce, self.secret if secret is None else secret))

    def send(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            pass

    def is_closed_within(self, seconds):
        """Whether the other side ends the connection; what it sends before is ignored."""
        self.connection.settimeout(seconds)
        try:
            while self.connection.recv(65536):
                pass
            return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except (socket.timeout, TimeoutError):
            return False
