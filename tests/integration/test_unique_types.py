"""Registrations that are to be the only one of their type: decided in the log, so one of many gets
it, whichever replicas they come to."""
import threading

import pytest

from cluster import await_true

zmq = pytest.importorskip("zmq", reason="python3-zmq is not installed")

from zmq_ports import Talker, with_ports  # noqa: E402


@pytest.fixture(scope="module")
def three(module_cluster):
    cluster = module_cluster(3)
    for replica in cluster:
        replica.environment["MUSTER_ZMQ_UNIQUE_TYPES"] = "yes"
    return with_ports(cluster).start()


def body(id, type, **more):
    return {"id": id, "name": "web", "type": type, "host": "10.0.0.1", "port": 1, **more}


def test_the_second_of_a_type_is_refused_until_the_first_is_gone(three, name):
    unique = {"unique_type": True}
    assert three[0].post("/register", body(name + "-a", name, **unique)).status == 201
    assert three[1].post("/register", body(name + "-a", name, **unique)).status == 200
    refused = three[2].post("/register", body(name + "-b", name, **unique))
    assert (refused.status, refused.json["error"]) == (409, "duplicate_type")
    assert three[1].post("/register", body(name + "-c", name)).status == 201  # it does not ask
    for id in ("-a", "-c"):
        assert three[0].request("DELETE", "/instances/" + name + id).status == 200
    assert three[2].post("/register", body(name + "-b", name, **unique)).status == 201


def test_one_without_a_type_cannot_ask_for_it(three):
    refused = three[0].post("/register", body("x", "", unique_type=True))
    assert (refused.status, refused.json["field"]) == (400, "unique_type")


def test_of_many_at_the_same_time_one_gets_it(three, name):
    got = []

    def ask(n):
        with Talker(three[n % 3].zmq.requests) as t:
            got.append(t.ask("register", service_info=body("%s-%d" % (name, n), name)))
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
    ids = [a["service_id"] for a in got if a["success"]]
    assert len(got) == 24 and len(ids) == 1
    refused = [a for a in got if not a["success"]]
    assert {a["error"] for a in refused} == {"duplicate_service_type"}
    assert {a["service_type"] for a in refused} == {name}
    assert {a["existing_service_id"] for a in refused} <= {ids[0], None}
    with Talker(three[0].zmq.requests) as t:
        await_true("the one is there", lambda: [
            s["id"] for s in t.ask("list", service_type=name)["services"]] == ids)
        assert t.ask("register", service_info=body(
            name, name, allow_duplicate_service_type=True))["success"]
        got = t.ask("register", service_info=body(
            name, name, allow_duplicate_service_type=True, singleton=True))
        assert got["error"].startswith("invalid_service_type_policy")
        assert t.ask("info")["enforce_unique_service_types"] is True


def test_one_that_has_expired_does_not_count(make_cluster):
    replica = with_ports(make_cluster(1)).start()[0]
    with Talker(replica.zmq.requests) as t:
        t.register("a", ttl=1, id="a", type="T", singleton=True)
        got = t.ask("register", service_info=body("b", "T", singleton=True))
        assert (got["error"], got["existing_service_id"]) == ("duplicate_service_type", "a")
        await_true("it is taken over", lambda: t.ask(
            "register", service_info=body("b", "T", singleton=True))["success"])
        assert t.ask("info")["enforce_unique_service_types"] is False
