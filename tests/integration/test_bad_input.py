"""Any invalid input: a 4xx that names the field, no effect, no leak, and the next request works."""
import json
import random
import re
import socket
import time

import pytest

from cluster import request, sanitized

KIB = 1024


def good(**changes):
    return {"name": "bad", "host": "10.0.0.1", "port": 8080, **changes}


def without(field):
    body = good()
    del body[field]
    return body


def state_of(replica):
    """Everything that a bad request must not change. The services of other tests come and go."""
    services = replica.get("/services").json["services"]
    return [s for s in services if not re.match("t[0-9a-f]{12}", s["name"])]


def refused(shared, method, path, body, status, field=None, headers=None):
    before = state_of(shared[0])
    got = shared[0].request(method, path, body, headers)
    assert got.status == status, got
    assert got.headers["Content-Type"].startswith("application/json")
    error = got.json
    assert error["error"] and error["message"], error
    if field is not None:
        assert error.get("field") == field or field in error["message"], error
    assert state_of(shared[0]) == before
    return error


# --- register: types, limits, both sides ---

@pytest.mark.parametrize("body, field", [
    (without("name"), "name"),
    (good(name=""), "name"),
    (good(name=7), "name"),
    (good(name=None), "name"),
    (good(name=["x"]), "name"),
    (good(name="n" * 256), "name"),
    (good(name="a\nb"), "name"),
    (good(name="a\u0000b"), None),
    (good(name="a\u007f"), "name"),
    (good(id="i" * 256), "id"),
    (good(id=""), "id"),
    (good(id=1), "id"),
    (good(id="a\tb"), "id"),
    (good(id="."), "id"),
    (good(id=".."), "id"),
    (good(type="t" * 256), "type"),
    (good(type=1), "type"),
    (good(host="h" * 256), "host"),
    (good(host="0.0.0.0"), "host"),
    (good(host="::"), "host"),
    (good(host="[::]"), "host"),
    (good(host="0"), "host"),
    (good(host="http://10.0.0.5"), "host"),
    (good(host="10.0.0.5:8080"), "host"),
    (good(host="[::1]:8080"), "host"),
    (good(host="a/b"), "host"),
    (good(host=" a"), "host"),
    (good(host="a b"), "host"),
    (good(name=" "), "name"),
    (good(name="a\u202eb"), "name"),
    (good(name="a\u2028b"), "name"),
    (good(name="a\u0085b"), "name"),
    (good(name="a\u200bb"), "name"),
    (good(id="\u00a0"), "id"),
    (good(id="\ufeffa"), "id"),
    (good(type="\u200b"), "type"),
    (good(tags=["\u2066"]), "tags"),
    (good(tags=[None]), "tags"),
    (good(metadata={"a": "\u2029"}), "metadata.a"),
    (good(port=None), "port"),
    (good(host=1), "host"),
    (without("port"), "port"),
    (good(port=0), "port"),
    (good(port=65536), "port"),
    (good(port=-1), "port"),
    (good(port=80.5), "port"),
    (good(port="80"), "port"),
    (good(port=True), "port"),
    (good(port=10 ** 30), None),
    (good(ttl=0), "ttl"),
    (good(ttl=-1), "ttl"),
    (good(ttl=0.999), "ttl"),
    (good(ttl=86400.001), "ttl"),
    (good(ttl=1e300), "ttl"),
    (good(ttl="soon"), "ttl"),
    (good(ttl="-5s"), "ttl"),
    (good(ttl="25h"), "ttl"),
    (good(ttl=[]), "ttl"),
    (good(reap_after=-1), "reap_after"),
    (good(reap_after="x"), "reap_after"),
    (good(reap_after="169h"), "reap_after"),
    (good(tags="a"), "tags"),
    (good(tags=[1]), "tags"),
    (good(tags=["t%d" % n for n in range(65)]), "tags"),
    (good(tags=["t" * 256]), "tags"),
    (good(tags=["a\nb"]), "tags"),
    (good(tags=["a", "a"]), "tags"),
    (good(metadata=[]), "metadata"),
    (good(metadata={"k": 1}), "metadata"),
    (good(metadata={"k%d" % n: "v" for n in range(65)}), "metadata"),
    (good(metadata={"": "v"}), "metadata"),
    (good(metadata={"k" * 129: "v"}), "metadata"),
    (good(metadata={"k": "v" * 513}), "metadata"),
    (good(metadata={"k": "a\u0001"}), "metadata"),
    (good(weight=-1), "weight"),
    (good(weight=65536), "weight"),
    (good(weight="1"), "weight"),
    (good(zone="z" * 256), "zone"),
    (good(zone=1), "zone"),
    (good(health="well"), "health"),
    (good(health=1), "health"),
    (good(health="maintenance"), "health"),
    (good(incarnation=-1), "incarnation"),
    (good(incarnation="1"), "incarnation"),
    (good(incarnation=1.5), "incarnation"),
    (good(ports=1), "ports"),
    (good(Name="x"), "Name"),
    ([], None),
    ([good()], None),
    ("text", None),
    (17, None),
    (None, None),
], ids=lambda value: json.dumps(value)[:60])
def test_register_refuses_a_bad_body_and_names_the_field(shared, body, field):
    sent = json.dumps(body).encode("utf-8")
    refused(shared, "POST", "/register", sent, 400, field)


@pytest.mark.parametrize("changes", [
    {"name": "n" * 255}, {"id": "i" * 255}, {"type": "t" * 255}, {"host": "h" * 255},
    {"zone": "z" * 255}, {"port": 1}, {"port": 65535}, {"ttl": 1}, {"ttl": 86400}, {"ttl": "24h"},
    {"reap_after": 0}, {"weight": 65535}, {"tags": ["t%d" % n for n in range(64)]},
    {"tags": ["t" * 255]}, {"tags": []}, {"metadata": {}},
    {"metadata": {"k%d" % n: "v" for n in range(64)}}, {"metadata": {"k" * 128: "v" * 512}},
    {"metadata": {"%0128d" % n: "v" * 512 for n in range(64)}},
    {"host": "2001:db8::1"}, {"host": "web-1.example.org"}, {"host": "my_service_1"},
    {"metadata": {"k": "a\u200db"}}, {"name": "caf\u00e9 \U0001f600"},
], ids=lambda value: json.dumps(value)[:40])
def test_register_takes_what_is_just_within_the_limits(shared, changes, name):
    body = {"id": name, **good(**changes)}
    got = shared[0].post("/register", body)
    assert got.status == 201, got
    seen = shared[0].get("/instances/" + body["id"]).json
    for field in ("name", "type", "host", "zone", "port", "weight", "tags", "metadata"):
        if field in changes:
            assert seen[field] == changes[field]
    assert shared[0].request("DELETE", "/instances/" + body["id"]).status == 200


def test_null_is_as_if_the_field_were_not_there(shared, name):
    nulls = dict.fromkeys(("host", "type", "zone", "tags", "metadata", "ttl", "reap_after", "weight",
                           "health", "incarnation"))
    got = shared[0].post("/register", {"name": name, "port": 1, "id": None, **nulls})
    assert got.status == 201, got
    seen = shared[0].get("/instances/" + got.json["id"]).json
    assert (seen["host"], seen["weight"], seen["tags"]) == ("127.0.0.1", 1, []), seen
    beat = {"id": seen["id"], "ids": None, "status": None, "note": None, "incarnation": None}
    assert shared[0].post("/heartbeat", beat).status == 200
    rest = {"enabled": True, "reason": None}
    assert shared[0].request("PUT", "/instances/%s/maintenance" % seen["id"], rest).status == 200


def test_brackets_of_an_ipv6_host_are_taken_off(shared, name):
    assert shared[0].post("/register", good(name=name, id=name, host="[::1]")).status == 201
    assert shared[0].get("/instances/" + name).json["host"] == "::1"


@pytest.mark.parametrize("given, seen", [(0, 0), (0.0001, 0.001), ("0.5ms", 0.001), (0.0004, 0.001)])
def test_only_a_reap_after_of_0_is_for_good(shared, name, given, seen):
    assert shared[0].post("/register", good(name=name, id=name, reap_after=given)).status == 201
    assert shared[0].get("/instances/" + name).json["reap_after"] == seen


# --- other bodies ---

@pytest.mark.parametrize("body, field", [
    ({}, None),
    ({"id": 1}, "id"),
    ({"id": ""}, "id"),
    ({"id": "x" * 256}, "id"),
    ({"id": "x", "ids": ["y"]}, None),
    ({"ids": "x"}, "ids"),
    ({"ids": []}, "ids"),
    ({"ids": [1]}, "ids"),
    ({"ids": [""]}, "ids"),
    ({"ids": ["x"] * 10001}, "ids"),
    ({"ids": ["x"], "status": "passing"}, None),
    ({"id": "x", "status": "well"}, "status"),
    ({"id": "x", "status": 1}, "status"),
    ({"id": "x", "note": 1}, "note"),
    ({"id": "x", "note": "n" * 513}, "note"),
    ({"id": "x", "note": "a\u0007"}, "note"),
    ({"id": "x", "incarnation": "1"}, "incarnation"),
    ({"id": "x", "other": 1}, "other"),
], ids=lambda value: json.dumps(value)[:60])
def test_heartbeat_refuses_a_bad_body_and_names_the_field(shared, body, field):
    refused(shared, "POST", "/heartbeat", body, 400, field)


def test_a_note_of_512_bytes_is_kept(shared, name):
    shared[0].register(name, id=name)
    assert shared[0].post("/heartbeat", {"id": name, "note": "n" * 512}).status == 200
    assert shared[0].get("/instances/" + name).json["note"] == "n" * 512


@pytest.mark.parametrize("body, field", [
    ({}, "enabled"),
    ({"enabled": 1}, "enabled"),
    ({"enabled": "true"}, "enabled"),
    ({"enabled": True, "reason": 1}, "reason"),
    ({"enabled": True, "reason": "r" * 513}, "reason"),
    ({"enabled": True, "why": "x"}, "why"),
], ids=lambda value: json.dumps(value)[:60])
def test_maintenance_refuses_a_bad_body_and_names_the_field(shared, body, field):
    refused(shared, "PUT", "/instances/x/maintenance", body, 400, field)


@pytest.mark.parametrize("raw", [
    b"", b"{", b"}", b"{\"name\"", b"{'name': 1}", b"nonsense", b"\x00", b"{\"name\": \"\xff\"}",
    b"{\"name\": \"\xc3\x28\"}", b"{\"name\": \"\xed\xa0\x80\"}", b"{\"name\": \"\xf5\x80\x80\x80\"}",
    b"{\"name\": \"\xc0\xaf\"}", b"{\"name\": \"\\ud800\"}", b"\xff\xfe{\x00}\x00",
    b"{\"name\": \"a\", \"name\": \"b\", \"port\": 1}", b"{} {}", b"[" * 60000, b"{\"a\":" * 10000,
    b"{\"name\": \"x\", \"port\": 1e999}", b"{\"name\": \"x\", \"port\": NaN}",
], ids=lambda raw: repr(raw[:24]))
@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
def test_what_is_not_json_in_utf8_is_refused(shared, path, raw):
    refused(shared, "POST", path, raw, 400)


@pytest.mark.parametrize("type", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_content_type_is_415(shared, type):
    refused(shared, "POST", "/register", json.dumps(good()).encode(), 415,
            headers={"Content-Type": type})


# --- parameters of reads ---

@pytest.mark.parametrize("path, field", [
    ("/services?colour=red", "colour"),
    ("/services/x?colour=red", "colour"),
    ("/instances/x?limit=1", "limit"),
    ("/health?x=1", "x"),
    ("/services?consistency=strong", "consistency"),
    ("/services?consistency=", "consistency"),
    ("/services?min_index=-1", "min_index"),
    ("/services?min_index=x", "min_index"),
    ("/services?min_index=18446744073709551616", "min_index"),
    ("/services?index=x", "index"),
    ("/services?index=1&wait=soon", "wait"),
    ("/services?index=1&wait=-1s", "wait"),
    ("/services?index=1&wait=11m", "wait"),
    ("/services/x?health=well", "health"),
    ("/services/x/discover?strategy=best", "strategy"),
    ("/instances?limit=0", "limit"),
    ("/instances?limit=10001", "limit"),
    ("/instances?limit=x", "limit"),
    ("/discover", "type"),
    ("/services?index=1&index=2", "index"),
    ("/services?min_index=%zz", None),
    ("/services/%ff", None),
    ("/services/%00", None),
])
def test_a_read_refuses_bad_parameters_and_names_them(shared, path, field):
    refused(shared, "GET", path, None, 400, field)


@pytest.mark.parametrize("incarnation", ["x", "-1", "1.5", "", "99999999999999999999999"])
def test_deregister_refuses_a_bad_incarnation(shared, incarnation):
    refused(shared, "DELETE", "/instances/x?incarnation=" + incarnation, None, 400, "incarnation")


@pytest.mark.parametrize("method, path, allowed", [
    ("GET", "/register", "POST"),
    ("PUT", "/register", "POST"),
    ("DELETE", "/services", "GET"),
    ("POST", "/services/x", "GET"),
    ("POST", "/instances/x", "DELETE"),
    ("GET", "/instances/x/maintenance", "PUT"),
    ("PATCH", "/instances/x", "DELETE"),
    ("BREW", "/health", "GET"),
])
def test_a_wrong_method_is_405_with_the_right_ones(shared, method, path, allowed):
    got = shared[0].request(method, path)
    assert got.status == 405, got
    assert allowed in got.headers["Allow"]


@pytest.mark.parametrize("path", ["/nowhere", "/services/x/y", "/v2/catalog/services",
                                  "/instances/x/y/z", "/nowhere//", "/../etc/passwd"])
def test_an_unknown_path_is_404(shared, path):
    assert shared[0].get(path).status == 404


# --- size ---

def send_raw(replica, data, timeout=10):
    """Sends raw bytes and returns everything received until the server is done."""
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=timeout) as s:
        s.settimeout(timeout)
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    return got
                got += piece
                if got.startswith(b"HTTP/1.1 4") and b"\r\n\r\n" in got:
                    return got
        except OSError:
            return got


def post_head(path, *headers):
    return ("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n" % (
        path, "".join(h + "\r\n" for h in headers))).encode()


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
def test_a_body_of_10_mb_is_413(shared, path):
    size = 10 * 1000 * 1000
    before = state_of(shared[0])
    got = send_raw(shared[0], post_head(path, "Content-Length: %d" % size) + b" " * size)
    assert got.startswith(b"HTTP/1.1 413"), got[:200]
    assert state_of(shared[0]) == before


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
def test_a_chunked_body_of_10_mb_is_413(shared, path):
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    got = send_raw(shared[0], post_head(path, "Transfer-Encoding: chunked") +
                   chunk * 153 + b"0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 413"), got[:200]


@pytest.mark.parametrize("path, limit, put", [
    ("/register", 64 * KIB, good),
    ("/heartbeat", 1024 * KIB, lambda: {"ids": ["nobody"]}),
])
def test_the_limit_of_a_body_is_exact(shared, path, limit, put):
    body = json.dumps(put()).encode("utf-8")
    fits = shared[0].request("POST", path, body + b" " * (limit - len(body)))
    assert fits.status in (200, 201), fits
    got = shared[0].request("POST", path, body + b" " * (limit + 1 - len(body)))
    assert got.status == 413 and got.json["error"] == "too_large", got


@pytest.mark.parametrize("body", [b"{}", b" {\n}\r\n", b"null", b"[]", b'""', b"  "])
@pytest.mark.parametrize("method, path, status", [
    ("GET", "/health/live", 200), ("GET", "/services", 200), ("DELETE", "/instances/nobody", 404),
    ("POST", "/cluster/transfer?dry_run=true", 200)])
def test_json_without_content_is_ignored_where_no_body_belongs(shared, method, path, status, body):
    for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
        assert shared[0].request(method, path, body, headers).status == status


@pytest.mark.parametrize("body", [b"x" * 100, b"{\"a\": 1}", b"{", b"\x00", b"{}{}", b" " * 65, b"0"])
@pytest.mark.parametrize("method, path", [("GET", "/services"), ("DELETE", "/instances/nobody")])
def test_another_body_where_none_belongs_is_refused(shared, method, path, body):
    refused(shared, method, path, body, 400)
    assert shared[0].get("/health/live").status == 200


@pytest.mark.parametrize("raw", [
    b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X-Y: " + b"z" * 100000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    b"POST /register HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /register HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"name\"",
    random.Random(1).randbytes(4096),
], ids=lambda raw: repr(raw[:20]))
def test_what_is_not_http_disturbs_nobody(shared, raw):
    before = state_of(shared[0])
    got = send_raw(shared[0], raw, timeout=5)
    assert not got.startswith(b"HTTP/1.1 5") or got.startswith(b"HTTP/1.1 505"), got[:200]
    assert state_of(shared[0]) == before
    assert shared[0].get("/health/live").status == 200


def test_clients_that_leave_half_way_disturb_nobody(shared, name):
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", shared[0].http_port)) as s:
            s.sendall(post_head("/register", "Content-Length: 5000") + b"{\"name\": \"")
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", shared[0].http_port)) as s:
            s.sendall(b"GET /services/%s?index=1&wait=20s HTTP/1.1\r\nHost: x\r\n\r\n"
                      % name.encode())
    assert shared[0].get("/health/live").status == 200
    shared[0].register(name, id=name)


def resident_kib(replica):
    with open("/proc/%d/status" % replica.process.pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_bad_requests_leak_nothing(shared):
    """Far more bytes than may stay allocated; LeakSanitizer is more exact in the asan build."""
    def round_of_bad_requests():
        for n in range(30):
            request(shared[0].http_port, "POST", "/register", b"{\"name\": \"" + b"x" * 60000)
            request(shared[0].http_port, "POST", "/register", good(metadata={"k": "v" * 60000}))
            request(shared[0].http_port, "POST", "/heartbeat", {"ids": ["x" * 250] * 4001 + [n]})
    round_of_bad_requests()
    before = resident_kib(shared[0])
    began = time.monotonic()
    for _ in range(3):
        round_of_bad_requests()
    grown = resident_kib(shared[0]) - before
    print("grew by %d KiB in %.1f s" % (grown, time.monotonic() - began))
    if not sanitized():  # its quarantine keeps freed memory
        assert grown < 16 * 1024
