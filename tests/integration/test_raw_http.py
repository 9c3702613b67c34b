"""Raw bytes from clients: every response is the replica's own JSON with its headers, or a clean close,
and nothing can be parsed as two different requests.

A row of CASES: name, bytes, expected status (CLOSED: no answer), and OPEN or SHUT: whether the connection
stays. To add one, add a row.
"""
import json
import socket
import struct
import time

import pytest

from cluster import await_true

TIMEOUT_S = 10
OPEN, SHUT = "open", "shut"
CLOSED = 0
H = b"Host: x\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + H
BODY = b'{"name":"t000000000000","id":"t000000000000","host":"h","port":1}'
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def post(*fields, body=b"", path=b"/register", version=b"1.1"):
    lines = b"".join(f + b"\r\n" for f in fields)
    return b"POST %s HTTP/%s\r\n%s%s\r\n%s" % (path, version, H, lines, body)


LENGTH = b"Content-Length: %d" % len(BODY)
TE = b"Transfer-Encoding: chunked"

CASES = [
    # Accepted.
    ("a plain GET", LIVE + b"\r\n", 200, OPEN),
    ("one that asks for a close", LIVE + b"Connection: close\r\n\r\n", 200, SHUT),
    ("HTTP/1.0", b"GET /health/live HTTP/1.0\r\n\r\n", 200, SHUT),
    ("HTTP/1.0 that stays", b"GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, OPEN),
    ("a later HTTP/1", b"GET /health/live HTTP/1.2\r\n" + H + b"\r\n", 200, OPEN),
    ("an empty line before it", b"\r\n\r\n" + LIVE + b"\r\n", 200, OPEN),
    ("an absolute target", b"GET http://127.0.0.1:9000/health/live HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("an absolute target of https", b"GET HTTPS://a/health/live HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("escaped plain characters", b"GET /%68ealth/liv%65 HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("a slash too many", b"GET //health/live HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("a slash in the middle", b"GET /health//live HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("a slash at the end", b"GET /health/live/ HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("a cookie of 8,000 bytes", LIVE + b"Cookie: s=" + b"c" * 8000 + b"\r\n\r\n", 200, OPEN),
    ("a field of 20 KB", LIVE + b"X: " + b"a" * 20000 + b"\r\n\r\n", 200, OPEN),
    ("56 tags of 255 bytes", b"GET /services/web?" + b"&".join([b"tag=" + b"t" * 255] * 56) + b" HTTP/1.1\r\n"
     + H + b"\r\n", 200, OPEN),
    ("hundreds of parameters", b"GET /services/web?" + b"&".join(b"p%d=1" % n for n in range(500))
     + b" HTTP/1.1\r\n" + H + b"\r\n", 400, OPEN),
    ("an empty Host", b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n", 200, OPEN),
    ("chunks", post(TE, body=CHUNKS), (200, 201), OPEN),
    ("chunks with extension and trailer", post(TE, body=CHUNKS.replace(b"\r\n", b";a=b\r\n", 1)[:-2]
                                               + b"X: 1\r\n\r\n"), (200, 201), OPEN),
    ("a length", post(LENGTH, body=BODY), (200, 201), OPEN),
    ("white space around a value", post(b"Content-Length: \t%d \t" % len(BODY), body=BODY), (200, 201), OPEN),
    ("an encoding that is none", post(LENGTH, b"Content-Encoding: identity", body=BODY), (200, 201), OPEN),
    ("a body on a GET", LIVE + b"Content-Length: 5\r\n\r\nhello", 400, OPEN),
    # Our own error responses.
    ("a path that is not there", b"GET /none HTTP/1.1\r\n" + H + b"\r\n", 404, OPEN),
    ("a method that is not there", b"BREW /register HTTP/1.1\r\n" + H + b"\r\n", 405, OPEN),
    ("a method in small letters", b"get /services HTTP/1.1\r\n" + H + b"\r\n", 405, OPEN),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\n" + H + b"\r\n", 501, SHUT),
    ("a body over the limit", post(b"Content-Length: 70000", body=b"x" * 70000), 413, OPEN),
    ("a body far over the limit", post(b"Content-Length: 99999999999"), 413, SHUT),
    ("a length that no number holds", post(b"Content-Length: 99999999999999999999999"), 413, SHUT),
    ("a large body that waits to be asked for", post(b"Content-Length: 70000", b"Expect: 100-continue"), 413,
     SHUT),
    ("chunks over the limit", post(TE, body=b"11170\r\n" + b"x" * 70000 + b"\r\n0\r\n\r\n"), 413, OPEN),
    ("a target of 40 KB", b"GET /services?x=" + b"a" * 40000 + b" HTTP/1.1\r\n" + H + b"\r\n", 414, SHUT),
    ("a target without an end", b"GET /" + b"a" * 100000, 414, SHUT),
    ("a field of 70 KB", LIVE + b"X: " + b"a" * 70000 + b"\r\n\r\n", 431, SHUT),
    ("5,000 fields", LIVE + b"".join(b"X%d: 1\r\n" % n for n in range(5000)) + b"\r\n", 431, SHUT),
    ("200 fields", LIVE + b"X: 1\r\n" * 200 + b"\r\n", 431, SHUT),
    ("HTTP/2", b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505, SHUT),
    ("a preface of HTTP/2 that goes wrong", b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505, SHUT),
    ("HTTP/0.9 with a version", b"GET / HTTP/0.9\r\n\r\n", 505, SHUT),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400, SHUT),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 5 + b"\r\n\r\n", 400, SHUT),
    ("another expectation", post(LENGTH, b"Expect: 200-ok", body=BODY), 417, SHUT),
    ("another transfer encoding", post(b"Transfer-Encoding: xchunked", body=CHUNKS), 501, SHUT),
    ("two transfer encodings", post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), 501, SHUT),
    ("identity", post(b"Transfer-Encoding: identity", LENGTH, body=BODY), 501, SHUT),
    ("a compressed body", post(LENGTH, b"Content-Encoding: gzip", body=BODY), 415, SHUT),
    # Ambiguous framing.
    ("two lengths that differ", post(LENGTH, b"Content-Length: 3", body=BODY), 400, SHUT),
    ("two equal lengths", post(LENGTH, LENGTH, body=BODY), 400, SHUT),
    ("a list of lengths", post(LENGTH + b", %d" % len(BODY), body=BODY), 400, SHUT),
    ("a negative length", post(b"Content-Length: -5"), 400, SHUT),
    ("a length with a sign", post(b"Content-Length: +%d" % len(BODY), body=BODY), 400, SHUT),
    ("a hexadecimal length", post(b"Content-Length: 0x24", body=BODY), 400, SHUT),
    ("an empty length", post(b"Content-Length:", body=BODY), 400, SHUT),
    ("length and chunks", post(b"Content-Length: 4", TE, body=b"0\r\n\r\n" + LIVE + b"\r\n"), 400, SHUT),
    ("chunks and length", post(TE, b"Content-Length: 4", body=CHUNKS), 400, SHUT),
    ("chunks twice", post(TE, TE, body=CHUNKS), 400, SHUT),
    ("chunks in HTTP/1.0", post(TE, body=CHUNKS, version=b"1.0"), 400, SHUT),
    ("white space before the colon", post(b"Transfer-Encoding : chunked", body=CHUNKS), 400, SHUT),
    ("a tab before the colon", post(b"Content-Length\t: 5", body=BODY), 400, SHUT),
    ("a folded field", LIVE + b"X: a\r\n b\r\n\r\n", 400, SHUT),
    ("a folded length", post(b"Content-Length:\r\n 5", body=BODY), 400, SHUT),
    ("white space before the first field", b"GET /health/live HTTP/1.1\r\n " + H + b"\r\n", 400, SHUT),
    ("a field without a colon", LIVE + b"foo\r\n\r\n", 400, SHUT),
    ("a field without a name", LIVE + b": foo\r\n\r\n", 400, SHUT),
    ("bare LF", b"GET /health/live HTTP/1.1\nHost: x\n\n", 400, SHUT),
    ("bare LF at the end", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\n", 400, SHUT),
    ("bare LF in a field", LIVE + b"X: a\nY: b\r\n\r\n", 400, SHUT),
    ("bare CR in a field", LIVE + b"X: a\rY: b\r\n\r\n", 400, SHUT),
    ("bare CR in the request line", b"GET /health/live\r HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("NUL in a field", LIVE + b"X: a\x00b\r\n\r\n", 400, SHUT),
    ("NUL in a name", LIVE + b"X\x00: a\r\n\r\n", 400, SHUT),
    ("NUL in the target", b"GET /health\x00/live HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("NUL in the method", b"GE\x00T /health/live HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("an escaped NUL", b"GET /services/a%00b HTTP/1.1\r\n" + H + b"\r\n", 400, OPEN),
    ("no Host", b"GET /health/live HTTP/1.1\r\n\r\n", 400, SHUT),
    ("two Hosts", b"GET /health/live HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, SHUT),
    ("two equal Hosts", LIVE + H + b"\r\n", 400, SHUT),
    ("a list of Hosts", b"GET /health/live HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, SHUT),
    ("a Host with a path", b"GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, SHUT),
    ("an absolute target without Host", b"GET http://a/health/live HTTP/1.1\r\n\r\n", 400, SHUT),
    ("an absolute target of another scheme", b"GET ftp://a/health/live HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("a target that is no path", b"GET health HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("a space in the target", b"GET /services/a b HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("two spaces", b"GET  /health/live HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("a space at the end", b"GET /health/live HTTP/1.1 \r\n" + H + b"\r\n", 400, SHUT),
    ("a fragment", b"GET /health/live#x HTTP/1.1\r\n" + H + b"\r\n", 400, SHUT),
    ("a chunk's size that is none", post(TE, body=b"zz\r\n" + BODY), 400, SHUT),
    ("a chunk's size with a space", post(TE, body=CHUNKS.replace(b"\r\n", b" \r\n", 1)), 400, SHUT),
    ("a chunk's size with a prefix", post(TE, body=b"0x" + CHUNKS), 400, SHUT),
    ("a chunk's size that no number holds", post(TE, body=b"f" * 18 + b"\r\n" + BODY), 400, SHUT),
    ("bare LF after a chunk's size", post(TE, body=CHUNKS.replace(b"\r\n", b"\n", 1)), 400, SHUT),
    ("bare LF after a chunk", post(TE, body=CHUNKS.replace(b"}\r\n", b"}\n")), 400, SHUT),
    ("bytes behind a chunk", post(TE, body=CHUNKS.replace(b"}\r\n", b"}X\r\n")), 400, SHUT),
    # HEAD has no body, whatever the response.
    ("HEAD", b"HEAD /services HTTP/1.1\r\n" + H + b"\r\n", 200, OPEN),
    ("HEAD of a stream", b"HEAD /events HTTP/1.1\r\n" + H + b"Accept: text/event-stream\r\n\r\n", 200, OPEN),
    ("HEAD of nothing", b"HEAD /none HTTP/1.1\r\n" + H + b"\r\n", 404, OPEN),
    ("HEAD without Host", b"HEAD / HTTP/1.1\r\n\r\n", 400, SHUT),
    ("HEAD with bare LF", b"HEAD / HTTP/1.1\nHost: x\n\n", 400, SHUT),
    # No response.
    ("nothing but an end", b"", CLOSED, SHUT),
]


class Raw:
    """A connection, and raw responses."""

    def __init__(self, port, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))
        self.bytes = b""

    def send(self, data):
        self.socket.sendall(data)
        return self

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def more(self):
        got = self.socket.recv(65536)
        self.bytes += got
        return got != b""

    def answer(self, to_head=False):
        """Status (CLOSED: none), field names in lower case, body."""
        while b"\r\n\r\n" not in self.bytes:
            if not self.more():
                assert self.bytes == b""
                return CLOSED, {}, b""
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        lines = head.decode("ascii").split("\r\n")
        fields = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        status = int(lines[0].split()[1])
        length = 0 if to_head or status == 100 else int(fields.get("content-length", 0))
        while len(self.bytes) < length:
            assert self.more(), "the body is cut off"
        body, self.bytes = self.bytes[:length], self.bytes[length:]
        return status, fields, body

    def is_shut(self):
        assert self.bytes == b""
        try:
            return not self.more()
        except ConnectionResetError:
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.mark.parametrize("data, status, after", [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_every_request_is_answered_as_the_table_says(shared, data, status, after):
    replica = shared[0]
    to_head = data.startswith(b"HEAD")
    with Raw(replica.http_port).send(data) as raw:
        if status == CLOSED:
            raw.end()
        got, fields, body = raw.answer(to_head)
        assert got in (status if isinstance(status, tuple) else (status,)), (got, fields, body)
        if got != CLOSED:
            assert "x-muster-index" in fields and "date" in fields
        if got >= 400:
            assert fields["content-type"] == "application/json"
            if not to_head:
                assert {"error", "message"} == set(json.loads(body)) - {"field"}
        if after == OPEN:
            assert fields.get("connection") in (None, "keep-alive")
            assert raw.send(LIVE + b"\r\n").answer()[0] == 200
        else:
            assert status == CLOSED or fields["connection"] == "close"
            assert raw.is_shut()


# --- one after the other ---


def test_requests_that_were_sent_ahead_are_answered_in_their_order(shared):
    with Raw(shared[0].http_port) as raw:
        raw.send((LIVE + b"\r\n" + post(LENGTH, body=BODY) + b"GET /none HTTP/1.1\r\n" + H + b"\r\n"
                  + post(TE, body=CHUNKS)) * 20)
        for _ in range(20):
            assert [raw.answer()[0] for _ in range(4)] in ([200, 201, 404, 200], [200, 200, 404, 200])


def test_a_request_may_come_byte_by_byte(shared):
    with Raw(shared[0].http_port) as raw:
        for byte in post(TE, b"X: y", body=CHUNKS) + LIVE + b"\r\n":
            raw.send(bytes([byte]))
        assert raw.answer()[0] in (200, 201)
        assert raw.answer()[0] == 200


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(shared):
    with Raw(shared[0].http_port).send(post(LENGTH, b"Expect: 100-continue")) as raw:
        assert raw.answer()[0] == 100
        assert raw.send(BODY).answer()[0] in (200, 201)
        assert raw.send(LIVE + b"\r\n").answer()[0] == 200


def test_a_client_that_has_closed_its_half_gets_its_answers(shared):
    with Raw(shared[0].http_port).send(LIVE + b"\r\n" + post(LENGTH, body=BODY)).end() as raw:
        assert raw.answer()[0] == 200
        assert raw.answer()[0] in (200, 201)
        assert raw.is_shut()


@pytest.mark.parametrize("data", [LIVE[:10], LIVE, post(LENGTH), post(LENGTH, body=BODY[:-1]),
                                  post(TE, body=CHUNKS[:-1])],
                         ids=["line", "head", "no body", "body", "chunks"])
def test_half_a_request_is_closed_as_soon_as_its_client_is_gone(shared, data):
    with Raw(shared[0].http_port).send(data).end() as raw:
        assert raw.answer()[0] == CLOSED


def test_a_large_body_that_is_refused_does_not_keep_its_client_from_the_answer(shared):
    with Raw(shared[0].http_port) as raw:
        raw.send(post(b"Content-Length: 300000", path=b"/none") + b"x" * 300000)
        assert raw.answer()[0] == 404
        raw.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 300000)
        assert raw.answer()[0] == 400


# --- clients that are slow or gone ---

LONG_POLL = b"GET /services/%s?index=18446744073709551615&wait=10m HTTP/1.1\r\n" + H + b"\r\n"
WAITS = {"service": LONG_POLL % b"gone",
         "list": LONG_POLL.replace(b"/services/%s", b"/services"),
         "all": LONG_POLL.replace(b"/services/%s", b"/instances"),
         "index": b"GET /instances?min_index=999999999 HTTP/1.1\r\n" + H + b"\r\n"}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_read_whose_client_is_gone_waits_no_more(make_cluster, wait, how):
    cluster = make_cluster(1, "--write-timeout", "5m").start()
    replica = cluster[0]
    raws = [Raw(replica.http_port).send(WAITS[wait]) for _ in range(50)]
    await_true("50 wait", lambda: replica.metric("waiters") == 50)
    for raw in raws:
        if how == "reset":
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.socket.close()
    await_true("none waits", lambda: replica.metric("waiters") == 0)
    await_true("one connection", lambda: replica.metric("http_connections") == 1)


def test_a_proof_that_nobody_waits_for_any_more_is_given_up(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "5m").start()
    replica = cluster.leader()
    for other in cluster:
        if other is not replica:
            other.kill()
    read = b"GET /instances?consistency=linearizable HTTP/1.1\r\n" + H + b"\r\n"
    raws = [Raw(replica.http_port).send(read) for _ in range(20)]
    await_true("20 wait", lambda: replica.metric("waiters") == 20)
    for raw in raws:
        raw.socket.close()
    await_true("none waits", lambda: replica.metric("waiters") == 0)


def test_a_head_or_body_that_does_not_come_is_over_in_seconds(shared):
    slow = {"head": LIVE, "body": post(LENGTH, body=BODY[:5]), "chunks": post(TE, body=CHUNKS[:5])}
    raws = {name: Raw(shared[0].http_port).send(data) for name, data in slow.items()}
    for raw in raws.values():
        raw.socket.settimeout(30)
    for name, raw in raws.items():
        status, fields, _ = raw.answer()
        assert (name, status, fields["connection"]) == (name, 408, "close")
        assert raw.is_shut()


def test_a_body_that_trickles_in_is_no_better(shared):
    with Raw(shared[0].http_port).send(post(b"Content-Length: 60000")) as raw:
        began = time.monotonic()
        raw.socket.settimeout(0.2)
        while time.monotonic() - began < 30:
            raw.send(b" ")
            try:
                raw.more()
                break
            except TimeoutError:
                pass
        raw.socket.settimeout(TIMEOUT_S)
        assert raw.answer()[0] == 408


def fill(replica):
    """A listing larger than any socket buffer."""
    filler = {"k%d" % n: "v" * 500 for n in range(60)}
    for n in range(400):
        replica.register("web", "web-%03d" % n, metadata=filler)


def test_the_reader_of_a_long_answer_who_stands_still_is_cut_off(make_cluster):
    replica = make_cluster(1).start()[0]
    fill(replica)
    listing = b"GET /instances HTTP/1.1\r\n" + H + b"\r\n"
    raws = [Raw(replica.http_port, receive_bytes=4096).send(listing) for _ in range(5)]
    trickle = raws[0]
    began = time.monotonic()
    while replica.metric("http_readers_cut_total") < 5 and time.monotonic() - began < 60:
        try:
            trickle.socket.recv(1)
        except ConnectionResetError:
            pass
        time.sleep(0.1)
    assert replica.metric("http_readers_cut_total") == 5
    await_true("one connection", lambda: replica.metric("http_connections") == 1)
    for raw in raws:
        raw.socket.close()
    with Raw(replica.http_port).send(listing) as raw:  # one that reads gets it all
        status, _, body = raw.answer()
        assert status == 200 and len(json.loads(body)["instances"]) == 400


# --- too many ---


def crowd_up_to(replica, count):
    """`count` connections that have their place. One that comes while the server still counts an
    earlier one, which the test has closed, is turned away and comes again."""
    raws = []

    def one_more():
        raw = Raw(replica.http_port).send(b"GET /services HTTP/1.1\r\n" + H + b"\r\n")
        if raw.answer()[0] == 200:
            raws.append(raw)
        else:
            raw.socket.close()
        return len(raws) == count

    await_true("%d connections" % count, one_more)
    return raws


def test_an_address_has_its_share_of_connections_and_health_is_answered_beyond_it(make_cluster):
    replica = make_cluster(1, "--http-connections", "40", "--http-connections-per-address", "10",
                           "--http-threads", "2").start()[0]
    raws = crowd_up_to(replica, 10)
    got = replica.get("/services")
    assert (got.status, got.json["error"]) == (503, "overloaded")
    assert got.headers["Connection"] == "close"
    assert replica.get("/health").status == 200
    crowd = [Raw(replica.http_port) for _ in range(500)]
    # A client at another address does not notice.
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=TIMEOUT_S,
                                  source_address=("127.0.0.2", 0)) as other:
        other.sendall(b"GET /services HTTP/1.1\r\n" + H + b"\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200")
        other.sendall(b"GET /metrics HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        text = b""
        while True:
            got = other.recv(65536)
            if not got:
                break
            text += got
        counts = dict(line.rsplit(b" ", 1) for line in text.split(b"\n") if line.startswith(b"muster_http"))
        assert int(counts[b"muster_http_connections_closed_total"]) > 0
        assert int(counts[b"muster_http_connections"]) <= 10 + 1 + 2 * 32
    for raw in crowd + raws:
        raw.socket.close()
    await_true("room", lambda: replica.get("/services").status == 200)
    assert "too many connections of one address" in replica.log()
    assert replica.log().count("too many connections of one address") < 20


def test_all_connections_together_have_a_limit(make_cluster):
    replica = make_cluster(1, "--http-connections", "10", "--http-connections-per-address",
                           "100").start()[0]
    raws = crowd_up_to(replica, 10)
    assert replica.get("/services").status == 503
    assert replica.get("/health").status == 200
    assert replica.metric("http_connections_max") == 10
    for raw in raws:
        raw.socket.close()
    await_true("room", lambda: replica.get("/services").status == 200)
