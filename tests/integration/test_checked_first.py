"""A request is fully checked before it waits for anything: a mistake is answered at once, even by a
replica without a leader and before the requested index."""
import json

import pytest

from cluster import await_true
from test_openapi import DOCUMENT, NATIVE, OPERATIONS, parameters_of

HUGE = "18446744073709551615"
TEXT = ["%00", "%ff", "%zz", "a%0Ab"]
# Invalid values of each query parameter. All others are texts.
BAD = {
    "consistency": ["strong", ""],
    "min_index": ["x", "-1", ""],
    "index": ["x", "18446744073709551616"],
    "wait": ["soon", "11m", "-1s"],
    "health": ["well", "passing,", ""],
    "limit": ["0", "10001", "x"],
    "strategy": ["best", ""],
    "incarnation": ["x", "-1"],
    "event": ["exploded", ""],
    "snapshot": ["yes", "true"],  # true is for streams
    "force": ["yes", ""],
    "dry_run": ["yes", ""],
    "peer": ["", "a", "0.0.0.0:9100", "[::]:9100"],
    "to": ["x", "0"],
    "bytes": ["x", "1", "2TiB"],
}
OF_ONE_CALL = {
    ("/events", "after"): ["x", "1", "1.x"],
    ("/cluster/members", "id"): ["x", "0"],
}
# What makes a valid read wait.
WAITING = {"consistency": "linearizable", "min_index": HUGE, "index": HUGE, "wait": "10m"}


@pytest.fixture(scope="module")
def alone(module_cluster):
    """One of three members, which waits a minute for a leader."""
    replica = module_cluster(3, "--write-timeout", "60s")[0]
    replica.start()
    await_true("it answers", replica.is_live, 10)
    return replica


def cases():
    for method, path in sorted(NATIVE):
        names = [p["name"] for p in parameters_of(method, path) if p["in"] == "query"]
        for name in names:
            for value in OF_ONE_CALL.get((path, name)) or BAD.get(name) or TEXT:
                yield method, path, names, name.replace("KEY", "k"), value
        yield method, path, names, "colour", "red"


def refused_at_once(replica, method, path, body=None, headers=None):
    got = replica.request(method.upper(), path.replace("{id}", "1").replace("{name}", "web"), body,
                          headers, timeout=10)
    assert got.status == 400, got
    return got.json


@pytest.mark.parametrize("method, path, names, name, value", cases())
def test_a_bad_parameter_is_refused_before_anything_is_waited_for(
        alone, method, path, names, name, value):
    query = {n: v for n, v in WAITING.items() if n in names}
    if path == "/discover":
        query["type"] = "x"
    if path == "/backup":
        query["consistency"] = "linearizable"
    if "peer" in names:
        query["peer"] = "127.0.0.1:1"
    if "bytes" in names:
        query["bytes"] = "8GiB"
    query[name] = value
    target = path + "?" + "&".join("%s=%s" % pair for pair in query.items())
    assert name in json.dumps(refused_at_once(alone, method, target))


@pytest.mark.parametrize("query, field", [
    ("wait=1s", "wait"),
    ("index=1&index=2", "index"),
    ("health=passing&health=well", "health"),
    ("&".join("tag=%d" % n for n in range(65)), "tag"),
    ("&".join("meta.%d=1" % n for n in range(65)), "meta"),
])
def test_parameters_that_do_not_fit_together_are_refused_before_waiting(alone, query, field):
    target = "/services/web?consistency=linearizable&min_index=%s&%s" % (HUGE, query)
    assert refused_at_once(alone, "GET", target)["field"] == field


@pytest.mark.parametrize("target, headers, field", [
    ("/events?limit=1", {"Accept": "text/event-stream"}, "limit"),
    ("/events?x=1", {"Accept": "text/event-stream"}, "x"),
    ("/events", {"Last-Event-ID": "x"}, "Last-Event-ID"),
])
def test_headers_are_checked_before_waiting_too(alone, target, headers, field):
    target += "%sconsistency=linearizable&min_index=%s" % ("&" if "?" in target else "?", HUGE)
    assert refused_at_once(alone, "GET", target, headers=headers)["field"] == field


@pytest.mark.parametrize("method, path", [o for o in OPERATIONS if o[1] in (
    "/register", "/heartbeat", "/instances/{id}/maintenance")])
def test_a_bad_body_is_refused_before_a_leader_is_waited_for(alone, method, path):
    for body in (b"", b"{", b"[]", b'{"colour": "red"}'):
        refused_at_once(alone, method, path, body)
