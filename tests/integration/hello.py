"""The handshake between members (consensus/peer/handshake.h), spoken by a test."""
import collections
import hashlib
import hmac
import os
import socket
import struct

VERSION = 2
TLS_RECORD = b"\x16"  # the first byte of a session of TLS
HELLO_BYTES, CHALLENGE_BYTES, PROOF_BYTES, FACTS_BYTES, VERDICT_BYTES = 92, 28, 44, 108, 44
(ACCEPTED, GARBAGE, WRONG_VERSION, WRONG_SECRET, OURSELVES, REFUSED, WRONG_CLUSTER, WRONG_MEMBER,
 WRONG_LIST, NO_LEVEL, EARLIER_LIFE, EARLIER_BOOT, WAITS) = range(13)

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


# The facts of a member.
Facts = collections.namedtuple("Facts", "cluster member life boot level_min level_max list_hash")


def encode_facts(facts, to):
    return struct.pack("<16sQQQQHHIQ", facts.cluster, facts.member, to, facts.life, facts.boot,
                       facts.level_min, facts.level_max, 0, facts.list_hash)


def decode_facts(data):
    cluster, member, _, life, boot, level_min, level_max, zero, list_hash = struct.unpack(
        "<16sQQQQHHIQ", data)
    assert zero == 0
    return Facts(cluster, member, life, boot, level_min, level_max, list_hash)


def prefix(magic, verdict=ACCEPTED, version=VERSION):
    return magic + struct.pack("<HH", version, verdict)


def seal(message):
    return message + struct.pack("<I", crc32c(message))


def encode_hello(facts, to, nonce, version=VERSION, magic=b"MSTh"):
    return seal(prefix(magic, version=version) + encode_facts(facts, to) + nonce)


def proof(label, secret, *said):
    """Over the transcript, the last message up to its proof."""
    text = label.ljust(32, b"\0") + b"".join(said)
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()


def receive(connection, size):
    """Exactly `size` bytes, or fewer if the other side has closed."""
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


def listen(port, within_s=20):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(8)
    listener.settimeout(within_s)
    return listener


def accept_plain(listener, within_s=20):
    """The next connection that does not begin with TLS, which members try first: (connection, its
    hello)."""
    while True:
        connection, _ = listener.accept()
        connection.settimeout(within_s)
        if connection.recv(1, socket.MSG_PEEK) != TLS_RECORD:
            return connection, receive(connection, HELLO_BYTES)
        connection.close()


def capture_facts(port, members, within_s=20):
    """Listens at a member's address until all `members` have dialled, and reads the facts of each:
    {member: Facts}."""
    found = {}
    with listen(port, within_s) as listener:
        while not set(members) <= set(found):
            connection, got = accept_plain(listener, within_s)
            connection.close()
            assert len(got) == HELLO_BYTES and got[:8] == prefix(b"MSTh"), got
            assert struct.unpack("<I", got[-4:])[0] == crc32c(got[:-4])
            facts = decode_facts(got[8:72])
            found[facts.member] = facts
    return found


class Stranger:
    """Dials a member's peer port as a member, and runs the handshake as far as possible."""

    def __init__(self, port, facts, to, secret=""):
        self.facts = facts
        self.to = to
        self.secret = secret
        self.nonce = os.urandom(16)
        self.said = []
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=10)
        # Frames after the handshake must not wait: the real member dials again, and the newer connection counts.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def say(self, message):
        self.said.append(message)
        self.connection.sendall(message)

    def say_hello(self, **changes):
        """Returns whether a challenge came back; nothing else is allowed."""
        self.say(encode_hello(self.facts, self.to, self.nonce, **changes))
        challenge = receive(self.connection, CHALLENGE_BYTES)
        if not challenge:
            return False
        assert len(challenge) == CHALLENGE_BYTES, challenge
        assert challenge[:8] == prefix(b"MSTc")
        assert challenge == seal(challenge[:-4])
        self.said.append(challenge)
        return True

    def prove(self, secret=None):
        """Returns the verdict, or None if the other side just closed. A verdict counts only with its
        proof."""
        secret = self.secret if secret is None else secret
        head = prefix(b"MSTp")
        self.say(seal(head + proof(b"muster connector proof", secret, *self.said, head)))
        answer = receive(self.connection, FACTS_BYTES)
        if not answer:
            return None
        assert len(answer) == FACTS_BYTES and answer == seal(answer[:-4])
        verdict = struct.unpack("<H", answer[6:8])[0]
        assert answer[:8] == prefix(b"MSTf", verdict)
        self.theirs = decode_facts(answer[8:72])
        self.genuine = hmac.compare_digest(answer[72:104], proof(
            b"muster acceptor facts", self.secret, *self.said, answer[:72]))
        self.said.append(answer)
        return verdict

    def accept(self, verdict=ACCEPTED):
        """The last message of the handshake."""
        head = prefix(b"MSTv", verdict)
        self.say(seal(head + proof(b"muster connector verdict", self.secret, *self.said, head)))

    def come_in(self):
        assert self.say_hello()
        assert self.prove() == ACCEPTED
        assert self.genuine
        self.accept()

    def send(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            pass

    def is_closed_within(self, seconds):
        """Whether the other side closes the connection; ignores what it sends before."""
        return self.rest_within(seconds) is not None

    def rest_within(self, seconds):
        """What the other side sends until it closes the connection; None: it does not."""
        got = b""
        self.connection.settimeout(seconds)
        try:
            while True:
                piece = self.connection.recv(65536)
                if not piece:
                    return got
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            return got
        except (socket.timeout, TimeoutError):
            return None
