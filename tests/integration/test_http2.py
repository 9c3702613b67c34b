"""HTTP/2 on the port of HTTP/1.1: the same answers, many on one connection, and what peers must not do."""
import json
import shutil
import ssl
import subprocess
import threading
import time

import httpx
import pytest

from cluster import BIN, await_true, clean_environment, request, sanitized
from h2wire import (ACK, CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM,
                    FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GOAWAY, HEADERS, INTERNAL_ERROR, NO_ERROR, PING, PREFACE,
                    PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED,
                    WINDOW_UPDATE, Wire, field, frame, head)
from test_tls import certificates, context, options  # noqa: F401 (fixture)

with open(BIN + "/CMakeCache.txt", encoding="utf-8") as file:
    pytestmark = pytest.mark.skipif("MUSTER_H2:BOOL=OFF" in file.read(), reason="built without HTTP/2")


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "-m", "10", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=clean_environment(), timeout=20, check=False)


def client(replica, **more):
    return httpx.Client(http1=False, http2=True, base_url=replica.url, timeout=15, trust_env=False, **more)


# --- the same as HTTP/1.1 ---


def test_curl_gets_the_same_by_both_versions(shared, name):
    shared[0].register(name, name + "-1")
    for path in ("/services/" + name, "/nothing", "/instances/" + name + "-1", "/services/%zz"):
        got = [curl("--path-as-is", version, "-w", "\n%{http_version} %{http_code}", shared[0].url + path)
               for version in ("--http1.1", "--http2-prior-knowledge")]
        (one, one_end), (two, two_end) = (g.stdout.decode().rsplit("\n", 1) for g in got)
        assert one == two and one != ""
        assert one_end.split()[0] == "1.1" and two_end.split()[0] == "2"
        assert one_end.split()[1] == two_end.split()[1]


def test_every_kind_of_call_works_by_httpx(shared, name):
    with client(shared[1]) as c:
        made = c.post("/register", json={"name": name, "id": name, "host": "h", "port": 1})
        assert made.status_code == 201 and made.http_version == "HTTP/2"
        listed = c.get("/services/" + name)
        assert [i["id"] for i in listed.json()["instances"]] == [name]
        assert c.get("/services/" + name, headers={"If-None-Match": listed.headers["etag"]}).status_code == 304
        head = c.head("/services/" + name)
        assert head.content == b"" and int(head.headers["content-length"]) > 0
        assert c.post("/heartbeat", json={"id": name}).status_code == 200
        assert c.post("/register", content=b"{").status_code == 400
        assert c.post("/register", content=b"x" * 70000).status_code == 413
        assert c.options("/register").status_code == 204
        assert c.put("/register").status_code == 405
        assert c.delete("/instances/" + name).status_code == 200
        waited = c.get("/services/%s?index=%s&wait=200ms" % (name, listed.headers["x-muster-index"]))
        assert waited.status_code == 200 and waited.json()["instances"] == []
        assert c.get("/metrics").status_code == 200
        for linearizable in ("", "?consistency=linearizable"):
            assert c.get("/instances" + linearizable).status_code == 200


def test_a_large_answer_comes_whole_and_a_backup_is_the_same(shared, name):
    ids = ["%s-%d" % (name, n) for n in range(40)]
    fields = {"k%d" % k: "v" * 500 for k in range(12)}
    with client(shared[0]) as c:
        for id in ids:
            assert c.post("/register", json={"name": name, "id": id, "host": "h", "port": 1,
                                             "metadata": fields}).status_code == 201
        got = c.get("/services/" + name, headers={"Accept-Encoding": "identity"})
        assert len(got.content) > 200000 and len(got.json()["instances"]) == 40
        assert c.get("/services/" + name).json() == got.json()
        two = c.get("/backup").content
        assert len(two) == int(request(shared[0].http_port, "GET", "/backup").headers["Content-Length"])


@pytest.mark.skipif(shutil.which("h2load") is None, reason="no nghttp2-client")
def test_h2load_and_nghttp_are_served(shared, name):
    shared[0].register(name, name)
    load = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "50", shared[0].url + "/services/" + name],
                          stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode()
    assert "2000 succeeded, 0 failed, 0 errored" in load
    got = subprocess.run(["nghttp", shared[0].url + "/services/" + name], stdout=subprocess.PIPE, timeout=20,
                         check=True).stdout
    assert json.loads(got)["name"] == name


def test_tls_agrees_on_h2_and_still_speaks_1_1(make_cluster, certificates):  # noqa: F811
    replica = make_cluster(1, *options(certificates), tls=context(certificates)).start()[0]
    ca = "%s/ca.pem" % certificates
    for version, expected in (("--http2", "2"), ("--http1.1", "1.1")):
        got = curl(version, "--cacert", ca, "-w", "%{http_version}", "-o", "/dev/null", replica.url + "/health")
        assert got.stdout.decode() == expected, got.stderr
    with client(replica, verify=context(certificates)) as c:
        for n in range(10):
            assert c.post("/register", json={"name": "a", "id": "a%d" % n, "host": "h", "port": 1, "metadata":
                                             {"k%d" % k: "v" * 500 for k in range(12)}}).status_code == 201
        assert len(c.get("/services/a").json()["instances"]) == 10
    assert not httpx.get(replica.url + "/health", verify=context(certificates)).http_version == "HTTP/2"


def test_bytes_may_come_one_by_one(shared):
    with Wire(shared[0].http_port, hello=False) as wire:
        for byte in PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS | END_STREAM, 1, head()):
            wire.send(bytes((byte,)))
        assert wire.status(1) == 200


# --- many at once ---


def test_a_hundred_event_streams_on_one_connection_get_every_event(shared, name):
    count = 100
    events = {"path": "/events?service=" + name, "fields": (("accept", "text/event-stream"),)}
    with Wire(shared[1].http_port) as wire:
        for n in range(count):
            wire.ask(2 * n + 1, **events)
        got = {2 * n + 1: b"" for n in range(count)}

        def read_until(done):
            while not all(done(text) for text in got.values()):
                kind, _, stream, payload = wire.frame()
                if kind == DATA and payload:
                    got[stream] += payload
                    wire.send(frame(WINDOW_UPDATE, 0, 0, len(payload).to_bytes(4, "big")))

        read_until(lambda text: b"id: " in text)
        for n in range(3):
            shared[0].register(name, "%s-%d" % (name, n))
        read_until(lambda text: text.count(b"event: registered") == 3)
        assert all(text.count(b"event: ") == 3 for text in got.values())
        wire.ask(2 * count + 1)
        assert wire.status(2 * count + 1) == 200


def test_a_stream_that_is_not_read_holds_up_no_other(shared, name):
    """Its window is used up; that of the connection is not."""
    with Wire(shared[0].http_port) as wire:
        wire.send(frame(WINDOW_UPDATE, 0, 0, (1 << 24).to_bytes(4, "big")))
        wire.ask(1, path="/events?service=" + name, fields=(("accept", "text/event-stream"),))
        assert wire.status(1) == 200
        for n in range(60):
            shared[0].register(name, "%s-%d" % (name, n), metadata={"k%d" % k: "v" * 500 for k in range(4)})
        wire.ask(3, path="/services/" + name)
        assert wire.status(3) == 200


def test_more_streams_than_are_allowed_are_refused_and_the_others_served(shared, name):
    index = shared[0].register(name, name)["index"]
    with Wire(shared[0].http_port) as wire:
        wire.until(lambda kind, flags, *_: kind == SETTINGS and flags & ACK)
        for n in range(300):
            wire.ask(2 * n + 1, path="/services/%s?index=%d&wait=60s" % (name, index))
        refused = set()
        while len(refused) < 44:
            kind, _, stream, payload = wire.frame()
            assert kind == RST_STREAM and int.from_bytes(payload, "big") == REFUSED_STREAM
            refused.add(stream)
        shared[0].register(name, name + "-2")
        served = set()
        while len(served) < 256:
            kind, _, stream, payload = wire.frame()
            if kind == HEADERS:
                served.add(stream)
        assert not served & refused


def test_what_is_taken_back_is_forgotten(shared, name):
    index = shared[0].register(name, name)["index"]
    before = shared[0].metric("http2_streams")
    with Wire(shared[0].http_port) as wire:
        for n in range(50):
            wire.ask(2 * n + 1, path="/services/%s?index=%d&wait=60s" % (name, index))
        wire.send(b"".join(frame(RST_STREAM, 0, 2 * n + 1, CANCEL.to_bytes(4, "big")) for n in range(50)))
        wire.ask(101)
        assert wire.status(101) == 200
    await_true("no streams are left", lambda: shared[0].metric("http2_streams") <= before)


# --- violations ---

REQUEST = frame(HEADERS, END_HEADERS | END_STREAM, 1, head())
OPEN = frame(HEADERS, END_HEADERS, 1, head(method="POST", path="/register"))

VIOLATIONS = [
    ("data on stream 0", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
    ("data on an idle stream", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
    ("headers on stream 0", frame(HEADERS, END_HEADERS, 0, head()), PROTOCOL_ERROR),
    ("an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, head()), PROTOCOL_ERROR),
    ("a stream that goes back", frame(HEADERS, END_HEADERS | END_STREAM, 5, head())
     + frame(HEADERS, END_HEADERS | END_STREAM, 3, head()), (PROTOCOL_ERROR, STREAM_CLOSED)),
    ("bad compression", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff\xff\xff\xff\xff\xff"), COMPRESSION_ERROR),
    ("an index that is not there", frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xfe"), COMPRESSION_ERROR),
    ("a frame within a head", frame(HEADERS, 0, 1, head()) + frame(PING, 0, 0, bytes(8)), PROTOCOL_ERROR),
    ("another stream within a head", frame(HEADERS, 0, 1, head()) + frame(CONTINUATION, END_HEADERS, 3, b""),
     PROTOCOL_ERROR),
    ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, head()), PROTOCOL_ERROR),
    ("padding longer than the frame", frame(HEADERS, END_HEADERS | 0x8, 1, b"\xff" + head()), PROTOCOL_ERROR),
    ("a reset of stream 0", frame(RST_STREAM, 0, 0, bytes(4)), PROTOCOL_ERROR),
    ("a reset of an idle stream", frame(RST_STREAM, 0, 1, bytes(4)), PROTOCOL_ERROR),
    ("a reset of three bytes", OPEN + frame(RST_STREAM, 0, 1, bytes(3)), FRAME_SIZE_ERROR),
    ("settings on a stream", frame(SETTINGS, 0, 1), PROTOCOL_ERROR),
    ("settings of five bytes", frame(SETTINGS, 0, 0, bytes(5)), FRAME_SIZE_ERROR),
    ("an answer to settings with content", frame(SETTINGS, ACK, 0, bytes(6)), FRAME_SIZE_ERROR),
    ("a push enabled by 2", frame(SETTINGS, 0, 0, b"\x00\x02\x00\x00\x00\x02"), PROTOCOL_ERROR),
    ("a window of 2^31", frame(SETTINGS, 0, 0, b"\x00\x04\x80\x00\x00\x00"), FLOW_CONTROL_ERROR),
    ("frames of 1 byte at most", frame(SETTINGS, 0, 0, b"\x00\x05\x00\x00\x00\x01"), PROTOCOL_ERROR),
    ("a push promise of a client", frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4) + head()), PROTOCOL_ERROR),
    ("a ping on a stream", frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
    ("a ping of seven bytes", frame(PING, 0, 0, bytes(7)), FRAME_SIZE_ERROR),
    ("a goodbye on a stream", frame(GOAWAY, 0, 1, bytes(8)), PROTOCOL_ERROR),
    ("a window that grows by nothing", frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL_ERROR),
    ("a window that grows over 2^31", frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), FLOW_CONTROL_ERROR),
    ("a window of three bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), FRAME_SIZE_ERROR),
    ("a frame longer than allowed", frame(DATA, 0, 1, bytes(16385)), FRAME_SIZE_ERROR),
    ("more data than the window", OPEN + frame(DATA, 0, 1, bytes(16384)) * 70, (FLOW_CONTROL_ERROR, NO_ERROR)),
    ("data after the end", REQUEST + frame(DATA, 0, 1, b"x") * 2, (STREAM_CLOSED, PROTOCOL_ERROR)),
]


@pytest.mark.parametrize("what, sent, code", VIOLATIONS, ids=[v[0] for v in VIOLATIONS])
def test_a_violation_of_the_protocol_ends_its_connection_and_no_other(shared, what, sent, code):
    with Wire(shared[0].http_port) as other, Wire(shared[0].http_port) as wire:
        wire.send(sent)
        wire.send(frame(PING, 0, 0, b"the-last"))
        codes = code if isinstance(code, tuple) else (code,)
        got = wire.until(lambda kind, flags, stream, payload: kind in (GOAWAY, RST_STREAM) or payload == b"the-last")
        assert got is not None, what
        if got[0] == GOAWAY:
            assert int.from_bytes(got[3][4:8], "big") in codes
        elif got[0] == RST_STREAM:
            assert int.from_bytes(got[3], "big") in (*codes, NO_ERROR, STREAM_CLOSED)
        else:
            assert NO_ERROR in codes or STREAM_CLOSED in codes, what
        other.ask(1)
        assert other.status(1) == 200


BAD_HEADS = {
    "upper case": head(fields=(("X-A", "b"),)),
    "a connection field": head(fields=(("connection", "keep-alive"),)),
    "chunks": head(fields=(("transfer-encoding", "chunked"),)),
    "te that is not trailers": head(fields=(("te", "gzip"),)),
    "no path": head(path=None),
    "an empty path": head(path=""),
    "no method": head(method=None),
    "no scheme": head(scheme=None),
    "a second path": head(fields=((":path", "/"),)),
    "a pseudo field behind others": field("a", "b") + head(),
    "an unknown pseudo field": field(":x", "y") + head(),
    "a field with a line's end": head(fields=(("a", "b\r\nc: d"),)),
    "a field with a NUL": head(fields=(("a", "b\0c"),)),
    "a name with a colon": head(fields=(("a:b", "c"),)),
    "a name with a space": head(fields=(("a b", "c"),)),
    "two lengths": head(method="POST", fields=(("content-length", "1"), ("content-length", "2"))),
    "a length without a body": head(fields=(("content-length", "5"),)),
}


@pytest.mark.parametrize("what", BAD_HEADS)
def test_a_head_that_is_malformed_is_refused_and_the_connection_goes_on(shared, what):
    with Wire(shared[0].http_port) as wire:
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, BAD_HEADS[what]))
        got = wire.status(1)
        assert got in (400, ("reset", PROTOCOL_ERROR), ("reset", INTERNAL_ERROR)), got
        wire.ask(3)
        assert wire.status(3) == 200


@pytest.mark.parametrize("kept, status", [
    ({"path": "/health#x"}, 400), ({"path": "/" + "x" * 40000}, 414), ({"authority": None}, None),
    ({"authority": "a b"}, None), ({"fields": (("host", "another"),)}, 400), ({"method": "CONNECT"}, None),
    ({"fields": tuple(("f%d" % n, "v") for n in range(200))}, 431),
    ({"fields": tuple(("f%d" % n, "v" * 15000) for n in range(6))}, 431), ({"method": "BREW"}, 405)])
def test_a_head_that_is_refused_is_told_why(shared, kept, status):
    with Wire(shared[0].http_port) as wire:
        block = head(**kept)
        parts = [block[at:at + 16384] for at in range(0, len(block), 16384)]
        for n, part in enumerate(parts):
            wire.send(frame(CONTINUATION if n else HEADERS,
                            (END_HEADERS if n == len(parts) - 1 else 0) | (0 if n else END_STREAM), 1, part))
        got = wire.status(1)
        assert got == status if status else isinstance(got, tuple)


def test_lengths_that_are_not_true_are_refused(shared):
    with Wire(shared[0].http_port) as wire:
        wire.ask(1, END_HEADERS, method="POST", path="/register", fields=(("content-length", "2"),))
        wire.send(frame(DATA, END_STREAM, 1, b"{}}"))
        assert wire.status(1) == ("reset", PROTOCOL_ERROR)


# --- floods ---

FLOODS = {
    "requests taken back": lambda n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, head(path="/services/x?wait=60s&index=1"))
                           + frame(RST_STREAM, 0, 2 * n + 1, bytes(4)),
    "pings": lambda n: frame(PING, 0, 0, bytes(8)),
    "settings": lambda n: frame(SETTINGS, 0, 0),
    "empty data": lambda n: (OPEN if n == 0 else b"") + frame(DATA, 0, 1),
    "padding alone": lambda n: (OPEN if n == 0 else b"") + frame(DATA, 0x8, 1, b"\x00"),
    "priorities": lambda n: frame(PRIORITY, 0, 2 * n + 1, bytes(5)),
    "windows": lambda n: frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "unknown frames": lambda n: frame(0xbb, 0, 0, b"x"),
    "requests that are malformed": lambda n: frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, field("A", "b")),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_is_cut_off_and_others_are_served(shared, what):
    with Wire(shared[0].http_port) as other, Wire(shared[0].http_port) as wire:
        ended = []

        def read():
            ended.append(wire.outcome())

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for start in range(0, 100000, 100):
                wire.send(b"".join(FLOODS[what](n) for n in range(start, start + 100)))
        except OSError:
            pass
        reader.join(30)
        assert not reader.is_alive() and ended[0] in (ENHANCE_YOUR_CALM, INTERNAL_ERROR, "closed"), ended
        other.ask(1)
        assert other.status(1) == 200


def test_a_head_without_an_end_is_cut_off(shared):
    with Wire(shared[0].http_port) as wire:
        wire.send(frame(HEADERS, END_STREAM, 1, head()))
        try:
            for n in range(1000):
                wire.send(frame(CONTINUATION, 0, 1, field("f%d" % n, "v" * 100)))
        except OSError:
            pass
        assert wire.outcome() in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, INTERNAL_ERROR, "closed")


def test_a_few_bytes_that_stand_for_many_are_cut_off(shared):
    """A field of 3,900 bytes in the table, named by one byte each, ten thousand times."""
    large = b"\x40" + b"\x01a" + b"\x7f" + bytes((0xbd, 0x1d)) + b"v" * 3900
    with Wire(shared[0].http_port) as wire:
        wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, head() + large + b"\xbe" * 10000))
        assert wire.status(1) in (("goaway", ENHANCE_YOUR_CALM), "closed")


# --- its end ---


def test_a_replica_that_stops_says_goodbye_and_answers_what_it_has(make_cluster, name):
    replica = make_cluster(1).start()[0]
    index = replica.register(name, name)["index"]
    with Wire(replica.http_port) as wire:
        wire.ask(1, path="/services/%s?index=%d&wait=60s" % (name, index))
        wire.ask(3, path="/events?service=" + name, fields=(("accept", "text/event-stream"),))
        assert wire.status(3) == 200
        stopped = threading.Thread(target=replica.stop)
        stopped.start()
        kinds = []
        while (got := wire.frame()) is not None:
            kinds.append((got[0], got[2]))
        stopped.join(30)
    assert (GOAWAY, 0) in kinds and (HEADERS, 1) in kinds, kinds


def test_writes_go_on_when_the_leader_dies_and_none_that_was_confirmed_is_lost(make_cluster, name):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    kept, failed = [], []
    stop = threading.Event()

    def write(replica, number):
        with client(replica) as c:
            n = 0
            while not stop.is_set():
                id = "%s-%d-%d" % (name, number, n)
                n += 1
                got = c.post("/register", json={"name": name, "id": id, "host": "h", "port": 1, "ttl": "1h"})
                (kept if got.status_code == 201 else failed).append((id, got.status_code))

    writers = [threading.Thread(target=write, args=(r, n)) for n, r in enumerate(cluster.followers())]
    for writer in writers:
        writer.start()
    await_true("some are confirmed", lambda: len(kept) > 50, 30)
    leader.kill()
    before = len(kept)
    await_true("more are confirmed", lambda: len(kept) > before + 50, 60)
    stop.set()
    for writer in writers:
        writer.join(30)
    assert all(status in (503, 504) for _, status in failed), failed
    there = cluster.leader().instances()
    assert [id for id, _ in kept if id not in there] == []


@pytest.mark.long
@pytest.mark.skipif(sanitized(), reason="speed")
def test_a_client_that_reads_nothing_costs_little_and_is_cut_off(make_cluster, name):
    replica = make_cluster(1).start()[0]
    for n in range(20):
        replica.register(name, "%s-%d" % (name, n), metadata={"k%d" % k: "v" * 500 for k in range(12)})
    with Wire(replica.http_port) as wire:
        wire.send(frame(SETTINGS, 0, 0, b"\x00\x04\x7f\xff\xff\xff") +
                  frame(WINDOW_UPDATE, 0, 0, (2**31 - 65536).to_bytes(4, "big")))
        for n in range(250):
            wire.ask(2 * n + 1, path="/services/" + name)
        began = time.monotonic()
        await_true("it is cut off", lambda: replica.metric("http_readers_cut_total") >= 1, 40, 0.5)
        assert time.monotonic() - began > 5
        assert replica.metric("http_answers_bytes") < 1 << 20


@pytest.mark.long
def test_a_client_that_is_gone_without_a_word_is_found_by_pings(make_cluster, name):
    replica = make_cluster(1).start()[0]
    index = replica.register(name, name)["index"]
    with Wire(replica.http_port, timeout=60) as wire:
        wire.ask(1, path="/services/%s?index=%d&wait=5m" % (name, index))
        assert wire.until(lambda kind, flags, *_: kind == PING and not flags & ACK) is not None
        assert wire.frame() is None
    assert replica.metric("http2_streams") == 0
