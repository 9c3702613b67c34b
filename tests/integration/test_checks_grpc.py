"""Checks over gRPC: each field and its bounds, and how they are shown."""
import re

import pytest

from cluster import BIN
from test_checks_clients import NOBODY, URL, checks_of

with open(BIN + "/CMakeCache.txt", encoding="utf-8") as cache:
    if re.search("MUSTER_(H2|GRPC):BOOL=OFF", cache.read()):
        pytest.skip("built without gRPC", allow_module_level=True)

pytest.importorskip("grpc")
from grpc_client import Client, code_of, m  # noqa: E402


@pytest.fixture
def stub(shared):
    with Client(shared[0].http_port) as made:
        yield made.registry


def instance(name, *checks, **fields):
    return m.Instance(id=name, name=name, host="10.0.0.1", port=80, checks=m.Checks(checks=checks), **fields)


def listed(stub, name, checks=True):
    got = stub.List(m.ListRequest(filter=m.Filter(service=name, health=[1, 2, 3, 4]), checks=checks))
    return got.instances[0]


def test_grpc_defines_and_shows_every_field(shared, stub, name):
    http = m.Check(id="web", name="the page", notes="n", http="https://10.0.0.1/h", interval_ms=90000, timeout_ms=1500, rise=2,
                   warn=3, fall=4, method="POST", body="a\nb", disable_redirects=True, skip_verify=True, server_name="s.example",
                   headers=[m.Header(name="A", value="1"), m.Header(name="A", value="2")], deregister_after_ms=3600000)
    made = stub.Register(m.RegisterRequest(instance=instance(
        name, http, m.Check(tcp=NOBODY, interval_ms=86400000, status=1), m.Check(grpc=NOBODY + "/x", tls=True, interval_ms=86400000))))
    assert made.ttl_ms == 0
    got = checks_of(shared[0], name)
    assert got["web"]["headers"] == {"A": ["1", "2"]} and got["web"]["tls"]["server_name"] == "s.example"
    shown = {c.id: c for c in listed(stub, name).checks.checks}
    for field in ("name", "notes", "http", "interval_ms", "timeout_ms", "rise", "warn", "fall", "method", "body",
                  "disable_redirects", "skip_verify", "server_name", "deregister_after_ms"):
        assert getattr(shown["web"], field) == getattr(http, field), field
    assert list(shown["web"].headers) == list(http.headers) and shown["web"].type == "http"
    assert shown["web"].index > 0 and shown["web"].changed_unix_ms > 0
    assert shown["tcp"].tcp == NOBODY and shown["grpc"].tls and shown["tcp"].timeout_ms == 10000
    assert not listed(stub, name, checks=False).HasField("checks")
    assert stub.Register(m.RegisterRequest(instance=instance(name, ttl_ms=60000))).ttl_ms == 60000
    assert checks_of(shared[0], name) == {}


@pytest.mark.parametrize("fields, says", [
    ({}, "must have one of"),
    ({"http": URL, "tcp": NOBODY}, "tcp"),
    ({"http": "nonsense"}, "checks[0].http"),
    ({"http": URL, "interval_ms": 999}, "checks[0].interval_ms"),
    ({"http": URL, "interval_ms": 86400001}, "checks[0].interval_ms"),
    ({"http": URL, "timeout_ms": 60001}, "checks[0].timeout_ms"),
    ({"http": URL, "timeout_ms": 10001}, "checks[0].timeout_ms"),
    ({"http": URL, "rise": 101}, "checks[0].rise"),
    ({"http": URL, "warn": 3, "fall": 2}, "checks[0].warn"),
    ({"http": URL, "method": "A B"}, "checks[0].method"),
    ({"http": URL, "body": "\x07"}, "checks[0].body"),
    ({"http": URL, "body": "a\0b"}, "checks[0].body"),
    ({"http": URL, "headers": [m.Header(name="Host", value="a b")]}, "checks[0].headers"),
    ({"http": URL, "headers": [m.Header(name="A", value="1")] * 17}, "checks[0].headers"),
    ({"tcp": NOBODY, "body": "a"}, "http alone"),
    ({"tcp": NOBODY, "skip_verify": True}, "checks[0].tls"),
    ({"http": URL, "tls": True}, "checks[0].tls"),
    ({"http": URL, "server_name": "a b"}, "checks[0].server_name"),
    ({"http": URL, "status": 4}, "checks[0].status"),
    ({"http": URL, "deregister_after_ms": 604800001}, "checks[0].deregister_after_ms"),
    ({"tcp": NOBODY, "ttl_ms": 1000}, "checks[0].ttl_ms"),
    ({"ttl_ms": 999}, "checks[0].ttl_ms"),
    ({"ttl_ms": 86400001}, "checks[0].ttl_ms"),
    ({"ttl_ms": 1000, "fall": 2}, "checks[0].ttl_ms"),
    ({"tcp": NOBODY, "id": ".."}, "checks[0].id"),
])
def test_grpc_names_the_bad_field(stub, name, fields, says):
    code, details = code_of(lambda: stub.Register(m.RegisterRequest(instance=instance(name, m.Check(**fields)))))
    assert code == "INVALID_ARGUMENT" and says in details, details


def test_grpc_bounds_the_list(shared, stub, name):
    many = [m.Check(tcp=NOBODY, id="c%d" % n, interval_ms=86400000) for n in range(17)]
    assert "at most 16" in code_of(lambda: stub.Register(m.RegisterRequest(instance=instance(name, *many))))[1]
    stub.Register(m.RegisterRequest(instance=instance(name, *many[:16])))
    assert len(checks_of(shared[0], name)) == 16
    bad = instance(name, many[0], health=1)
    assert code_of(lambda: stub.Register(m.RegisterRequest(instance=bad)))[0] == "INVALID_ARGUMENT"


def test_grpc_hears_from_checks_with_a_ttl(shared, stub, name):
    stub.Register(m.RegisterRequest(instance=instance(name, m.Check(id="mine", ttl_ms=3600000), m.Check(
        tcp=NOBODY, interval_ms=86400000, status=1))))
    assert listed(stub, name).checks.checks[0].ttl_ms == 3600000
    beat = m.HeartbeatRequest(ids=[name], check="mine", health=2, note="busy")
    assert stub.Heartbeat(beat).renewed == 1
    assert (checks_of(shared[0], name)["mine"]["status"], checks_of(shared[0], name)["mine"]["output"]) == ("warning", "busy")
    for check, code in (("tcp", "ABORTED"), ("", None), ("a\0b", "INVALID_ARGUMENT")):
        beat = m.HeartbeatRequest(ids=[name], check=check)
        assert code is None and stub.Heartbeat(beat).renewed == 1 or code_of(lambda: stub.Heartbeat(beat))[0] == code
    assert list(stub.Heartbeat(m.HeartbeatRequest(ids=[name], check="none")).unknown) == [name]
    assert code_of(lambda: list(stub.KeepAlive(iter([m.HeartbeatRequest(ids=[name], check="mine")]))))[0] == "INVALID_ARGUMENT"
    two = m.HeartbeatRequest(ids=[name, name], check="mine")
    assert code_of(lambda: stub.Heartbeat(two))[0] == "INVALID_ARGUMENT"
