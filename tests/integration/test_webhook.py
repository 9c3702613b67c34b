"""The sink that posts events to a URL, with a receiver that fails in every way; and what holds for every
sink: one replica sends, the next goes on where it had come, a past that is gone is one reset."""
import hashlib
import hmac
import http.server
import json
import shutil
import threading
import time

import pytest

from cluster import await_true
from ports import free_ports
from sinks import Writer, await_complete
from test_access import bearer, bootstrap, create

SECRET = "0123456789abcdef-of-the-test"


class Receiver:
    """An HTTP server that keeps what it is sent. `mood`: takes the request's number and returns the status
    to answer with, or None to close the connection without one."""

    def __init__(self):
        self.port = free_ports(1)[0]
        self.requests = []  # (headers, body)
        self.events = []    # of requests answered with 200
        self.mood = lambda number: 200
        self.server = None

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body))
                status = receiver.mood(len(receiver.requests))
                if status is None:
                    self.close_connection = True
                    return
                if status == 200:
                    receiver.events += json.loads(body)["events"]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def ids(self):
        return [e["id"] for e in self.events]


@pytest.fixture(name="receiver")
def _receiver():
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


@pytest.fixture(name="make")
def _make(make_cluster, receiver, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n", encoding="utf-8")

    def make(size, *options):
        return make_cluster(size, "--webhook-url", "http://127.0.0.1:%d/hook?x=1" % receiver.port,
                            "--webhook-secret-file", str(secret), *options)
    return make


def begun(cluster):
    """The position that a new sink begins with is in the log."""
    await_true("the sink has begun",
               lambda: any("this replica sends the events" in r.log() for r in cluster if r.alive()))


def test_every_event_is_posted_once_signed_and_in_order(make, receiver):
    cluster = make(3).start()
    begun(cluster)
    replica = cluster[1]
    replica.register("web", "web-1")
    replica.register("web", "web-1", port=81)
    assert replica.request("DELETE", "/instances/web-1").status == 200
    assert await_complete(receiver.ids, replica) == 0
    assert [e["event"] for e in receiver.events] == ["registered", "updated", "deregistered"]
    assert receiver.events[:3] == replica.events()
    for headers, body in receiver.requests:
        signature = dict(part.split("=") for part in headers["X-Muster-Signature"].split(","))
        assert abs(int(signature["t"]) - time.time()) < 60
        expected = hmac.new(SECRET.encode(), signature["t"].encode() + b"." + body, hashlib.sha256)
        assert signature["v1"] == expected.hexdigest()
        events = json.loads(body)["events"]
        assert headers["X-Muster-First-Event"] == events[0]["id"]
        assert headers["X-Muster-Last-Event"] == events[-1]["id"]
    senders = [r for r in cluster if r.metric("webhook_sent_total") > 0]
    assert senders == [cluster.leader()]


def test_a_receiver_that_fails_and_is_away_misses_nothing(make, receiver):
    cluster = make(1).start()
    begun(cluster)
    receiver.mood = lambda number: {1: 500, 2: None, 3: 302, 4: 404}.get(number, 200)
    for number in range(20):
        cluster[0].register("web", "web-%d" % number)
    await_complete(receiver.ids, cluster[0])
    receiver.stop()
    for number in range(600):
        cluster[0].register("db", "db-%d" % number)
    await_true("all wait", lambda: cluster[0].metric("webhook_waiting_events") == 600)
    receiver.start()
    await_complete(receiver.ids, cluster[0])
    await_true("all is confirmed", lambda: cluster[0].metric("webhook_waiting_events") == 0)
    log = cluster[0].log()
    assert log.count("cannot send events: trying again") <= cluster[0].metric("webhook_failures_total")
    assert "sending events again" in log and "the receiver answers 500" in log
    assert max(len(json.loads(body)["events"]) for _, body in receiver.requests) > 1


def test_the_next_leader_goes_on_where_the_last_had_come(make, receiver):
    cluster = make(3).start()
    begun(cluster)
    repeated = 0
    with Writer(cluster) as writer:
        for _ in range(2):
            leader = cluster.leader()
            before = writer.done
            await_true("writes", lambda: writer.done > before + 50)
            leader.kill()
            await_true("writes go on", lambda: writer.done > before + 100, 20)
            leader.start().wait_ready()
    repeated = await_complete(receiver.ids, cluster.leader())
    print("events", len(set(receiver.ids())), "repeated", repeated)


def test_a_leader_that_is_emptied_takes_neither_events_nor_tokens_with_it(make, receiver):
    cluster = make(3, "--cluster-secret", "a secret of enough bytes", "--anonymous", "write").start()
    begun(cluster)
    everything = bootstrap(cluster[0])
    held, revoked = (create(cluster[0], everything, operator="read") for _ in range(2))
    assert cluster[0].request("DELETE", "/tokens/" + revoked["id"], headers=bearer(everything)).status == 200
    with Writer(cluster) as writer:
        leader = cluster.leader()
        await_true("writes", lambda: writer.done > 50)
        leader.kill()
        shutil.rmtree(leader.data)
        before = writer.done
        leader.start().wait_ready(60)
        await_true("writes go on", lambda: writer.done > before + 50, 20)
    await_complete(receiver.ids, leader)
    assert leader.request("GET", "/cluster", headers=bearer(held["token"])).status == 200
    assert leader.request("GET", "/tokens", headers=bearer(revoked["token"])).status == 401
    assert leader.request("GET", "/ui/", headers={"Accept": "text/html"}).status == 200


def test_stopped_in_order_nothing_comes_twice(make, receiver):
    cluster = make(3).start()
    begun(cluster)
    with Writer(cluster) as writer:
        for replica in cluster:
            before = writer.done
            await_true("writes", lambda: writer.done > before + 30)
            assert replica.stop() == 0
            replica.start().wait_ready()
    assert await_complete(receiver.ids, cluster.leader()) == 0


def test_a_past_that_is_gone_is_one_reset(make, receiver):
    cluster = make(1, "--events-kept", "16").start()
    begun(cluster)
    cluster[0].register("web", "web-0")
    await_true("the first", lambda: len(receiver.events) == 1)
    await_true("confirmed", lambda: cluster[0].metric("webhook_waiting_events") == 0)
    receiver.stop()
    for number in range(100):
        cluster[0].register("db", "db-%d" % number)
    receiver.start()
    await_true("the reset", lambda: len(receiver.events) == 2)
    cluster[0].register("web", "web-1")
    await_true("and it goes on", lambda: len(receiver.events) == 3)
    assert [e["event"] for e in receiver.events] == ["registered", "reset", "registered"]
    assert receiver.events[1]["index"] >= 100
    assert cluster[0].metric("webhook_resets_total") >= 1  # one that failed was sent again
    assert receiver.events[2]["instance"]["id"] == "web-1"


def test_a_receiver_that_hangs_holds_nothing_up(make, receiver):
    cluster = make(1).start()
    begun(cluster)
    blocked = threading.Event()
    receiver.mood = lambda number: blocked.wait(30) and 200 if number == 1 else 200
    cluster[0].register("web", "web-0")
    await_true("it hangs", lambda: len(receiver.requests) == 1)
    began = time.monotonic()
    for number in range(100):
        cluster[0].register("db", "db-%d" % number)
    assert cluster[0].stop() == 0
    assert time.monotonic() - began < 15
    blocked.set()


def test_other_namespaces_are_told_apart(make, receiver):
    cluster = make(1).start()
    begun(cluster)
    cluster[0].request("POST", "/register", {"name": "web", "id": "a", "host": "10.0.0.1", "port": 1},
                       headers={"X-Muster-Namespace": "shop"})
    await_true("it comes", lambda: len(receiver.events) == 1)
    assert receiver.events[0]["instance"]["namespace"] == "shop"
