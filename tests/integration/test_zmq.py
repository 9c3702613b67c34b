"""The ZeroMQ door: every form of request, every action, events, hostile and vanished clients; and
the real client of the older registry (cgse-core), in several releases, while leaders die."""
import json
import os
import random
import socket
import struct
import subprocess
import time

import pytest

from cluster import ROOT, await_true, clean_environment, read_line, request

zmq = pytest.importorskip("zmq", reason="python3-zmq is not installed")

from ports import free_ports  # noqa: E402
from zmq_ports import GREETING, Subscriber, Talker, alone, ready, with_ports  # noqa: E402

ALL = {"a": 1, "b": None, "c": True, "d": 1.5, "e": "text", "f": [1, {"g": "h"}], "g": {"x": []},
       "h": "json:7", "i": "two\nlines", "j": "", "k": "7", "l": -2**53}
RELEASES = {"0.9.2": None, "0.14.1": "REP", "0.16.9": None, "0.25.11": None}


@pytest.fixture(scope="module")
def three(module_cluster):
    """Three healthy replicas with ZeroMQ, for tests that leave them so."""
    return with_ports(module_cluster(3)).start()


@pytest.fixture
def talker(three):
    with Talker(three[0].zmq.requests) as t:
        yield t


def listed(talker, type):
    return {s["id"]: s for s in talker.ask("list", service_type=type)["services"]}


def everywhere(cluster, id):
    for replica in cluster:
        await_true("%s at replica %d" % (id, replica.id),
                   lambda r=replica: r.get("/instances/" + id).status == 200)


# --- forms ---

@pytest.mark.parametrize("form, frames", [
    ("req", 1), ("typed", 2), ("plain", 1), ("delimited", 2)])
@pytest.mark.parametrize("port", ["requests", "heartbeats"])
def test_each_form_is_answered_in_kind(three, form, frames, port):
    with Talker(getattr(three[0].zmq, port), form) as t:
        t.send(action="health")
        got = t.frames()
        assert len(got) == frames
        assert json.loads(got[-1])["success"] is True
        assert got[:-1] == {"typed": [b"RESPONSE"], "delimited": [b""]}.get(form, [])


def test_the_word_before_an_answer_can_be_the_old_one(make_cluster):
    replica = alone(make_cluster, reply="REP")
    with Talker(replica.zmq.requests) as t:
        t.send(action="health")
        assert t.frames()[0] == b"REP"


@pytest.mark.parametrize("word", [b"REQ_NO_REPLY", b"NO-REQ"])
def test_a_request_without_reply_is_done_and_not_answered(three, talker, word, name):
    info = {"name": name, "host": "10.0.0.1", "port": 1, "id": name}
    talker.socket.send_multipart([word, json.dumps(
        {"action": "register", "service_info": info}).encode()])
    await_true("it is there", lambda: three[0].get("/instances/" + name).status == 200)
    assert talker.ask("health")["status"] == "ok"  # and not the answer to the first
    talker.ask("deregister", service_id=name)


def test_many_requests_on_their_way_are_answered_in_order(talker):
    for _ in range(500):
        talker.send(action="list", service_type="none")
        talker.send(action="health")
    for _ in range(500):
        assert "services" in talker.receive()
        assert "timestamp" in talker.receive()


# --- actions ---

def test_a_service_comes_is_found_renewed_and_goes_at_any_replica(three, name):
    talkers = [Talker(r.zmq.requests) for r in three]
    id = talkers[0].register("My " + name, type=name, tags=["x"], metadata={"n": 7})
    assert id.startswith("my-%s-" % name) and len(id) == len("my-%s-" % name) + 36
    everywhere(three, id)
    for t in talkers:
        got = t.ask("get", service_id=id)["service"]
        assert isinstance(got.pop("last_heartbeat"), int)
        assert got == {"id": id, "name": "My " + name, "host": "10.0.0.1", "port": 8080, "type": name,
                       "tags": ["x", name], "metadata": {"n": 7, "type": name}, "ttl": 30,
                       "health": "passing"}
        assert t.ask("discover", service_type=name)["service"]["id"] == id
        assert list(listed(t, name)) == [id] and list(listed(t, "x")) >= [id]
        assert id in listed(t, None)
        assert t.ask("renew", service_id=id) == {"success": True,
                                                 "message": "Service renewed successfully"}
    with Talker(three[1].zmq.heartbeats, "req") as old:
        assert old.ask("renew", service_id=id)["success"]
    assert talkers[2].ask("deregister", service_id=id)["success"]
    await_true("it is gone", lambda: not talkers[0].ask("get", service_id=id)["success"])
    for t in talkers:
        t.socket.close()


def test_metadata_of_any_type_come_back_and_are_texts_elsewhere(three, talker, name):
    id = talker.register(name, metadata=ALL)
    everywhere(three, id)
    with Talker(three[1].zmq.requests) as other:
        got = other.ask("get", service_id=id)["service"]["metadata"]
    assert got == ALL and all(type(got[k]) is type(v) for k, v in ALL.items())
    native = three[2].get("/instances/" + id).json["metadata"]
    assert native["e"] == "text" and native["a"] == "json:1" and native["h"] == 'json:"json:7"'
    talker.ask("deregister", service_id=id)


def test_instances_of_the_native_api_are_found_by_type_and_tag(three, talker, name):
    three[0].register(name, name, type="T" + name, tags=["G" + name], metadata={"k": "json:no"})
    for type in ("T" + name, "G" + name):
        got = talker.ask("discover", service_type=type)["service"]
        assert got["id"] == name and got["metadata"] == {"k": "json:no", "type": "T" + name}
    three[0].request("DELETE", "/instances/" + name)


@pytest.mark.parametrize("request_, error", [
    ({}, "Missing required field: action"),
    ({"action": "fly"}, "Unknown action: fly"),
    ({"action": "register"}, "Missing required field: service_info"),
    ({"action": "register", "service_info": {"name": "a", "host": "b"}},
     "Missing required field in service_info: port"),
    ({"action": "get"}, "Missing required field: service_id"),
    ({"action": "get", "service_id": "no"}, "Service not found"),
    ({"action": "renew", "service_id": "no"}, "Service not found or could not be renewed"),
    ({"action": "deregister", "service_id": "no"}, "Service not found or could not be deregistered"),
    ({"action": "discover", "service_type": "no"}, "No healthy service of type no found"),
    ({"action": "terminate"}, "this replica is one of a cluster, and is not ended by its clients; "
                              "nothing was done")])
def test_what_is_refused_is_said(talker, request_, error):
    talker.send(**request_)
    assert talker.receive() == {"success": False, "error": error}


@pytest.mark.parametrize("info, error", [
    ({"port": 0}, "port: must be a whole number from 1 to 65535"),
    ({"host": "0.0.0.0"}, "host: must be a host name"),
    ({"metadata": {"x": "y" * 513}}, "metadata.x: "),
    ({"singleton": True}, "singleton: needs a type"),
    ({"id": ".."}, "id: must not be")])
def test_a_registration_that_cannot_be_is_refused_with_its_field(talker, info, error):
    got = talker.ask("register", service_info={"name": "a", "host": "10.0.0.1", "port": 1, **info})
    assert got["success"] is False and got["error"].startswith(error)


def test_info_has_ports_and_services(three, talker):
    got = talker.ask("info")
    ports = three[0].zmq
    assert (got["req_port"], got["pub_port"], got["hb_port"]) == (
        ports.requests, ports.events, ports.heartbeats)
    assert got["enforce_unique_service_types"] is False and isinstance(got["services"], list)


def test_other_namespaces_are_neither_seen_nor_touched(three, talker, name):
    body = {"name": name, "id": name, "host": "10.0.0.1", "port": 1, "type": name}
    assert three[0].request("POST", "/register?ns=team", body).status == 201
    stored = "\x1fteam\x1f" + name
    for id in (name, stored):
        assert talker.ask("get", service_id=id)["error"] == "Service not found"
        for action in ("renew", "deregister"):
            assert talker.ask(action, service_id=id)["success"] is False
    assert listed(talker, name) == {} and not talker.ask("discover", service_type=name)["success"]
    assert name not in listed(talker, None) and stored not in listed(talker, None)
    got = talker.ask("register", service_info={**body, "id": stored})
    assert got["success"] is False and got["error"].startswith("id: ")
    assert three[0].request("DELETE", "/instances/%s?ns=team" % name).status == 200


def test_discovery_chooses_each_of_them(talker, name):
    ids = {talker.register(name, id="%s-%d" % (name, n), type=name) for n in range(3)}
    found = {talker.ask("discover", service_type=name)["service"]["id"] for _ in range(200)}
    assert found == ids
    for id in ids:
        talker.ask("deregister", service_id=id)


def test_an_expired_service_is_gone_until_it_is_renewed(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t:
        id = t.register("short", ttl=1, type="T")
        await_true("it has expired", lambda: not t.ask("get", service_id=id)["success"])
        assert listed(t, None) == {}
        assert not t.ask("discover", service_type="T")["success"]
        if t.ask("renew", service_id=id)["success"]:  # unless it was reaped on a slow machine
            assert t.ask("get", service_id=id)["service"]["health"] == "passing"


# --- events ---

def test_events_are_published_by_every_replica_in_order(three, talker, name):
    subscribers = [Subscriber(r.zmq.events).until_heard(talker) for r in three]
    ids = [talker.register(name, id="%s-%d" % (name, n), metadata={"n": n}) for n in range(50)]
    for id in ids:
        assert talker.ask("deregister", service_id=id)["success"]
    for s in subscribers:
        for topic in ("register", "deregister"):
            for n, id in enumerate(ids):
                got, data = s.next_of(name)
                assert (got, data["service_id"]) == (topic, id)
                assert data["service_info"]["metadata"] == {"n": n}
        s.socket.close()


def test_a_topic_can_be_subscribed_alone(three, talker, name):
    with Subscriber(three[0].zmq.events, b"deregister") as s:
        s.until_heard(talker)
        talker.ask("deregister", service_id=talker.register(name, id=name))
        assert s.next()[0] == "deregister"


def test_one_that_comes_back_after_it_expired_is_published_as_registered(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t, Subscriber(replica.zmq.events) as s:
        s.until_heard(t)
        id = t.register("short", ttl=1, id="short")
        assert s.next()[0] == "register"
        topic, data = s.next()
        assert (topic, data) == ("expire", {"service_id": id})
        t.register("short", ttl=60, id="short")
        topic, data = s.next()
        assert (topic, data["service_info"]["ttl"]) == ("register", 60)


def test_a_restarted_replica_does_not_publish_the_past_again(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t:
        for n in range(20):
            t.register("old", id="old-%d" % n)
    with Subscriber(replica.zmq.events) as s:
        replica.kill()
        replica.start().wait_ready()
        with Talker(replica.zmq.requests) as t:
            for n in range(1000):
                t.register("new", id="new-%d" % n)
                s.socket.rcvtimeo = 50
                try:
                    topic, data = s.next()
                    break
                except zmq.Again:
                    continue
        assert data["service_id"].startswith("new-")


# --- time ---

def test_without_a_majority_a_write_is_answered_in_time_and_honestly(make_cluster):
    cluster = with_ports(make_cluster(3, "--write-timeout", "5s")).start()
    leader = cluster.leader()
    others = [r for r in cluster if r is not leader]
    with Talker(leader.zmq.requests) as t:
        id = t.register("web", id="web-1", ttl=600)
        for r in others:
            r.kill()
        for action, fields in (("register", {"service_info": {"name": "late", "host": "h", "port": 1}}),
                               ("renew", {"service_id": id}), ("deregister", {"service_id": id})):
            got = t.ask(action, **fields)
            assert got["success"] is False
            assert got["error"] == "no answer from the cluster in time; it may or may not happen"
            # What comes next is the answer to what is asked next, and no late one.
            assert "timestamp" in t.ask("health")
        assert list(listed(t, None)) == [id]
        assert leader.metric("zmq_late_total") == 3
        for r in others:
            r.start()
        cluster.wait_ready()
        await_true("writes are taken again", lambda: t.ask(
            "register", service_info={"name": "x", "host": "h", "port": 1, "id": "x"})["success"])
        # The 5 s of the writes before are over; nothing of them has come here.
        for _ in range(100):
            assert "timestamp" in t.ask("health")


# --- strangers ---

def raw(port, data, wait_s=3):
    """Sends bytes, and reads until the connection ends or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as s:
        s.settimeout(wait_s)
        try:
            s.sendall(data)
            while s.recv(4096):
                pass
        except OSError:
            pass


READY = ready(b"DEALER")


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 1000, b"\xff" * 100000, GREETING[:10],
    GREETING + b"\x04\x00", GREETING + b"\x02" + struct.pack(">Q", 2**63) + b"x",
    GREETING + READY + b"\x02" + struct.pack(">Q", 2**40) + b"x" * 1000,
    random.Random(7).randbytes(50000)], ids=range(8))
def test_bytes_that_are_no_zeromq_harm_nobody(three, talker, data):
    for port in (three[0].zmq.requests, three[0].zmq.heartbeats, three[0].zmq.events):
        raw(port, data, wait_s=0.2)
    assert talker.ask("health")["success"]


@pytest.mark.parametrize("frames", [
    [b""], [b"", b""], [b"{"], [b"REQ", b""], [b"REQ", b"\xff\xfe"], [b"REQ", b"[" * 60000],
    [b"REQ", b"[]"], [b"REQ", b'"action"'], [b"REQ", b'{"action": "get", "service_id": "\\u0000"}'],
    [b"REQ", b"{}", b"x"], [b"", b"REQ", b"{}", b"x"], [b"REQ"] * 50, [b"x" * 60000, b"{}"],
    [b"REQ", b'{"action": "register", "service_info": {"name": "a", "host": "b", "port": 1e999}}'],
    [b"REQ", b'{"action": "register", "service_info": {"name": "a", "host": "b", "port": 1, '
             b'"metadata": {"x": ' + b"[" * 1000 + b"]" * 1000 + b"}}}"]],
    ids=range(15))
def test_every_message_has_an_answer(talker, frames):
    talker.socket.send_multipart(frames)
    got = talker.receive()
    assert got["success"] is False and got["error"]
    assert talker.ask("health")["success"]


def test_a_frame_over_the_limit_ends_its_connection_alone(three, talker):
    with Talker(three[0].zmq.requests, "plain") as big:
        big.socket.send(b"x" * 200000)
        big.socket.rcvtimeo = 300
        with pytest.raises(zmq.Again):
            big.frames()
    assert talker.ask("health")["success"]


def test_one_who_comes_back_under_his_name_gets_his_answers(three):
    port = three[0].zmq.requests
    with Talker(port, identity=b"same") as first:
        assert first.ask("health")["success"]
        with Talker(port, identity=b"same") as second:  # the first connection is still there
            assert second.ask("health")["success"]


def test_a_client_that_never_reads_keeps_nobody_waiting(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t, Talker(replica.zmq.requests) as deaf:
        deaf.socket.setsockopt(zmq.RCVHWM, 1)
        for n in range(200):
            t.register("many", id="many-%d" % n, metadata={"k%d" % i: "v" * 500 for i in range(20)})
        for _ in range(300):
            deaf.send(action="list")
        for _ in range(100):
            assert t.ask("health")["success"]
        assert replica.metric("zmq_requests_total") < 600  # it is not read from, either
        assert replica.metric("zmq_waiting_bytes") <= 65 << 20  # errors find room over it
    await_true("its memory is free again", lambda: replica.metric("zmq_waiting_bytes") == 0)


def test_a_subscriber_that_never_reads_costs_bounded_memory(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t, Subscriber(replica.zmq.events) as slow, \
            Subscriber(replica.zmq.events) as quick:
        slow.until_heard(t)
        quick.until_heard(t)
        slow.socket.setsockopt(zmq.RCVHWM, 1)
        large = {"k%d" % i: "v" * 500 for i in range(40)}
        for n in range(300):
            t.register("large", id="large", metadata={**large, "n": n})
        for n in range(300):
            _, data = quick.next_of("large")
            assert data["service_info"]["metadata"]["n"] == n
        assert replica.metric("zmq_waiting_bytes") <= 64 << 20


# --- limits and rights ---

def test_rates_are_limited_like_those_of_http(make_cluster):
    replica = alone(make_cluster, "--rate-requests", "10", "--rate-local")
    with Talker(replica.zmq.requests) as t:
        got = [t.ask("list") for _ in range(150)]
        refused = [a for a in got if not a["success"]]
        assert refused and "more than is allowed in a second" in refused[0]["error"]
        assert t.ask("health")["success"]
    await_true("metrics can be asked for again", lambda: replica.get("/metrics").status == 200)


def test_those_without_rights_are_told_so(make_cluster):
    replica = alone(make_cluster, "--anonymous", "none")
    with Talker(replica.zmq.requests) as t:
        for action in ("register", "list", "info"):
            assert "--anonymous" in t.ask(action)["error"]
        assert t.ask("health")["success"]


def test_a_token_ends_writes_without_one(make_cluster):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t:
        id = t.register("web")
        assert replica.post("/tokens/bootstrap", {}).status == 201
        for action, fields in (("deregister", {"service_id": id}), ("renew", {"service_id": id})):
            assert "--anonymous" in t.ask(action, **fields)["error"]
        assert t.ask("get", service_id=id)["success"]


def test_changes_are_in_the_audit_log(make_cluster, tmp_path):
    replica = alone(make_cluster, "--audit-log", str(tmp_path / "audit"))
    with Talker(replica.zmq.requests) as t:
        id = t.register("web", id="web-1")
        t.ask("renew", service_id=id)
        t.ask("list")
        t.ask("deregister", service_id=id)

    def lines():
        return [json.loads(line) for line in (tmp_path / "audit").read_text(encoding="utf-8").splitlines()]
    await_true("two lines", lambda: len(lines()) == 2)
    assert [(a["door"], a["action"], a["service"], a["id"], a["address"], a["outcome"])
            for a in lines()] == [("zmq", "register", "web", "web-1", "127.0.0.1", "ok"),
                                  ("zmq", "deregister", "web", "web-1", "127.0.0.1", "ok")]
    assert all("status" not in a and a["index"] > 0 for a in lines())


def test_a_port_in_use_is_named_with_its_option(make_cluster):
    cluster = with_ports(make_cluster(1))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cluster[0].zmq.events))
        taken.listen()
        cluster[0].start()
        assert cluster[0].wait_exit() == 1
    assert "choose another --zmq-events" in cluster[0].log()


# --- the real client ---

class Client:
    """A process with the client of a release."""

    def __init__(self, python, ports):
        folder = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(
            [python, os.path.join(folder, "cgse_client.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", env=clean_environment())
        self.say({"requests": ports.requests, "events": ports.events,
                  "heartbeats": ports.heartbeats})

    def say(self, line):
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return json.loads(read_line(self.process, 60))["result"]

    def call(self, name, /, **arguments):
        return self.say({"call": name, "arguments": arguments})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module", params=RELEASES)
def release(request):
    """A release, and a Python that has it."""
    got = subprocess.run([os.path.join(ROOT, "tests/integration/cgse.sh"), request.param],
                         capture_output=True, encoding="utf-8", timeout=600, env=clean_environment())
    if got.returncode != 0:
        pytest.skip("cgse-core %s cannot be installed from the Python package index: %s"
                    % (request.param, got.stderr.strip()[-200:]))
    return request.param, got.stdout.strip()


@pytest.mark.timeout(900, method="signal")  # installing may take minutes
def test_the_real_client_works_while_the_leader_dies(make_cluster, release):
    version, python = release
    cluster = with_ports(make_cluster(3), RELEASES[version]).start()
    leader = cluster.leader()
    follower = next(r for r in cluster if r is not leader)
    with Client(python, follower.zmq) as c, Talker(follower.zmq.requests) as t:
        assert c.call("health_check") is True
        host = c.call("own_host")  # with another it registers again and again
        id = c.call("register", name="Data Store", host=host, port=6001, service_type="STORE",
                    metadata={"n": 7, "on": None}, ttl=3)
        assert id.startswith("data-store-")
        found = c.call("discover_service", service_type="STORE")
        assert found["id"] == id and found["metadata"]["n"] == 7 and found["metadata"]["on"] is None
        assert [s["id"] for s in c.call("list_services", service_type="STORE")] == [id]
        assert c.call("get_endpoint", service_type="STORE") == "tcp://%s:6001" % host
        c.call("start_heartbeat")
        leader.kill()
        await_true("writes are taken again", lambda: t.ask(
            "register", service_info={"name": "x", "host": "h", "port": 1, "id": "x"})["success"])
        # It outlives its ttl, twice over: the client goes on renewing, or registers again. Two of its
        # threads share a socket then, so it is not asked meanwhile.
        until = time.monotonic() + 7
        while time.monotonic() < until:
            await_true("it is found", lambda: t.ask("discover", service_type="STORE")["success"])
        leader.start().wait_ready()
        c.call("stop_heartbeat")
        await_true("deregistered", lambda: c.call("deregister") is True)


def test_the_real_client_can_lose_its_replica_and_find_it_again(make_cluster, release):
    version, python = release
    replica = alone(make_cluster, reply=RELEASES[version])
    # Without events: after the first one, these clients wait for answers without a limit.
    replica.zmq.events, = free_ports(1)
    with Client(python, replica.zmq) as c:
        id = c.call("register", name="web", host="10.0.0.1", port=80, service_type="WEB", ttl=60)
        replica.kill()
        assert not c.call("health_check")
        replica.start().wait_ready()
        await_true("it is found", lambda: (
            c.call("discover_service", service_type="WEB") or {}).get("id") == id)
        assert c.call("deregister") is True
