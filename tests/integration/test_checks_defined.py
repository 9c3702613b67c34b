"""How checks are defined and shown: each field and its bounds, through each door; what is registered
again, changed and removed; and that definitions survive whatever replicas do. Only the last test depends on a
check being run: what they ask refuses connections, and is asked once a day."""
import http.server
import json
import threading

import pytest

from cluster import await_true
from test_upgrade import older

NOBODY = "127.0.0.1:1"
URL = "http://%s/" % NOBODY
HTTP = {"http": URL, "interval": "24h"}


def register(replica, id, checks=None, expect=(200, 201), **fields):
    body = {"id": id, "name": id, "host": "10.0.0.1", "port": 80, **fields}
    if checks is not None:
        body["checks"] = checks
    got = replica.post("/register", body)
    assert got.status in expect, got
    return got


def seen(replica, id):
    return replica.get("/instances/" + id).json


def checks_of(replica, id):
    return seen(replica, id)["checks"]


def refused(replica, id, check, field):
    got = replica.post("/register", {"id": id, "name": id, "port": 80, "checks": [check]})
    assert (got.status, got.json["error"], got.json.get("field", "")) == (400, "invalid", field), got
    assert got.json["message"]


def consul(replica, method, path, body=None, expect=200):
    got = replica.request(method, "/v1" + path, body)
    assert got.status == expect, got
    return got


# --- definitions ---

def test_every_field_is_kept_and_shown(shared, name):
    given = [
        {"id": "web", "name": "the page", "notes": "of the shop", "http": "https://10.0.0.1:8443/h?a=b", "interval": "90s",
         "timeout": "1500ms", "rise": 2, "warn": 3, "fall": 4, "method": "POST", "body": "a\n\tb",
         "headers": {"Accept": ["text/plain", "text/html"], "X-A": "1"}, "disable_redirects": True,
         "tls": {"skip_verify": True, "server_name": "shop.example"}, "deregister_after": "1h"},
        {"tcp": "[::1]:1"},
        {"grpc": "10.0.0.1:50051/shop.Orders", "interval": 86400, "timeout": 60, "tls": {"enabled": True}},
        {"ttl": "30s", "status": "warning"},
    ]
    register(shared[0], name, given)
    http, grpc, tcp, ttl = sorted(checks_of(shared[0], name), key=lambda c: ["http", "grpc", "tcp", "ttl"].index(c["type"]))
    for key, value in {**given[0], "interval": 90, "timeout": 1.5, "deregister_after": 3600,
                       "headers": {"Accept": ["text/plain", "text/html"], "X-A": ["1"]}}.items():
        assert http[key] == value, key
    assert http["status"] == "critical" and http["changed_at"].endswith("Z") and http["index"] > 0
    assert (tcp["id"], tcp["name"], tcp["tcp"], tcp["interval"], tcp["timeout"]) == ("tcp", "tcp", "[::1]:1", 10, 10)
    assert (tcp["rise"], tcp["warn"], tcp["fall"], tcp["deregister_after"]) == (1, 1, 1, 0)
    assert grpc["grpc"] == "10.0.0.1:50051/shop.Orders"
    assert grpc["tls"] == {"enabled": True, "skip_verify": False, "server_name": ""}
    assert (ttl["id"], ttl["ttl"], ttl["status"]) == ("ttl", 30, "warning")
    assert "interval" not in ttl and "method" not in tcp and "tls" not in tcp


def test_what_is_shown_can_be_registered(shared, name):
    register(shared[0], name, [{**HTTP, "headers": {"A": "1"}, "fall": 3}, {"grpc": NOBODY, "interval": "24h"}, {"ttl": 60}])
    shown = seen(shared[0], name)
    again = [{k: v for k, v in c.items() if k not in ("type", "output", "changed_at", "index")} for c in shown["checks"]]
    register(shared[0], name, again, expect=(200,), ttl=shown["ttl"])
    assert seen(shared[0], name)["index"] == shown["index"]


@pytest.mark.parametrize("check, field", [
    ({}, "checks[0]"),
    ("http", "checks[0]"),
    ({**HTTP, "tcp": NOBODY}, "checks[0].tcp"),
    ({"http": "10.0.0.1:80"}, "checks[0].http"),
    ({"http": "http://u:p@10.0.0.1/"}, "checks[0].http"),
    ({"http": "http://10.0.0.1/" + "x" * 1009}, "checks[0].http"),
    ({"http": "http://10.0.0.1/\r\nX: y"}, "checks[0].http"),
    ({"tcp": "10.0.0.1"}, "checks[0].tcp"),
    ({"grpc": "10.0.0.1/x"}, "checks[0].grpc"),
    ({**HTTP, "interval": "999ms"}, "checks[0].interval"),
    ({**HTTP, "interval": 86401}, "checks[0].interval"),
    ({**HTTP, "timeout": 61}, "checks[0].timeout"),
    ({"http": URL, "interval": 1, "timeout": 1.1}, "checks[0].timeout"),
    ({**HTTP, "rise": 0}, "checks[0].rise"),
    ({**HTTP, "fall": 101}, "checks[0].fall"),
    ({**HTTP, "fall": 2, "warn": 3}, "checks[0].warn"),
    ({**HTTP, "method": "GET\r\n"}, "checks[0].method"),
    ({**HTTP, "headers": {"Host": ["a", "b"]}}, "checks[0].headers"),
    ({**HTTP, "headers": {"X": ["1"] * 17}}, "checks[0].headers"),
    ({**HTTP, "headers": {"X": "v" * 513}}, "checks[0].headers"),
    ({**HTTP, "body": "b" * 2049}, "checks[0].body"),
    ({**HTTP, "body": "a\x07"}, "checks[0].body"),
    ({"tcp": NOBODY, "body": "x"}, "checks[0].body"),
    ({**HTTP, "tls": {"enabled": True}}, "checks[0].tls.enabled"),
    ({**HTTP, "tls": {"verify": True}}, "checks[0].tls.verify"),
    ({**HTTP, "url": "x"}, "checks[0].url"),
    ({**HTTP, "id": ".."}, "checks[0].id"),
    ({**HTTP, "id": "a\x1eb"}, "checks[0].id"),
    ({**HTTP, "name": "n" * 256}, "checks[0].name"),
    ({**HTTP, "notes": "n" * 513}, "checks[0].notes"),
    ({**HTTP, "status": "maintenance"}, "checks[0].status"),
    ({**HTTP, "deregister_after": "8d"}, "checks[0].deregister_after"),
    ({"ttl": 0.5}, "checks[0].ttl"),
    ({"ttl": 30, "interval": 10}, "checks[0].interval"),
    ({**HTTP, "body": "\n" * 2048, "headers": {"X": ["\"" * 500]}}, "checks[0]"),
])
def test_a_bad_field_is_named(shared, name, check, field):
    refused(shared[0], name, check, field)
    assert shared[0].get("/instances/" + name).status == 404


def test_a_list_has_its_bounds(shared, name):
    many = [{**HTTP, "id": "c%d" % n} for n in range(17)]
    got = register(shared[0], name, many, expect=(400,))
    assert got.json["field"] == "checks"
    register(shared[0], name, many[:16])
    assert len(checks_of(shared[0], name)) == 16
    got = register(shared[0], name, [{**HTTP, "id": "c"}, {"tcp": NOBODY, "id": "c"}], expect=(400,))
    assert got.json["field"] == "checks[1].id"
    assert register(shared[0], name, {}, expect=(400,)).json["field"] == "checks"
    long = name.ljust(200, "x")
    assert register(shared[0], long, [{**HTTP, "id": "i" * 60}], expect=(413,)).json["field"] == "checks"
    for field, value in (("health", "passing"), ("unique_type", True)):
        got = register(shared[0], name, [HTTP], expect=(400,), type="t", **{field: value})
        assert got.json["field"] == field
    register(shared[0], name, [HTTP], type="t", health=None, unique_type=False)


def test_ids_are_made_of_the_kind(shared, name):
    register(shared[0], name, [HTTP, HTTP, {"tcp": NOBODY}, HTTP])
    assert sorted(c["id"] for c in checks_of(shared[0], name)) == ["http", "http-2", "http-3", "tcp"]


# --- the instance ---

def test_with_checks_there_is_no_lease_unless_it_is_asked_for(shared, name):
    assert register(shared[0], name, [HTTP]).json["ttl"] == 0
    got = seen(shared[0], name)
    assert (got["ttl"], got["expires_in"], got["health"]) == (0, None, "critical")
    assert register(shared[0], name, [HTTP], ttl=60).json["ttl"] == 60
    assert seen(shared[0], name)["expires_in"] > 0
    assert register(shared[0], name, [HTTP], ttl=0).json["ttl"] == 0
    assert register(shared[0], name, [], ttl=0, expect=(400,)).json["field"] == "ttl"
    assert register(shared[0], name, []).json["ttl"] > 0


def test_the_same_again_moves_nothing(shared, name):
    first = register(shared[0], name, [HTTP, {"ttl": "1h"}]).json
    beat(shared[0], name, "ttl", "passing", "well")
    before = seen(shared[0], name)
    again = register(shared[1], name, [HTTP, {"ttl": "1h"}], expect=(200,)).json
    assert again["incarnation"] == first["incarnation"]
    after = seen(shared[0], name)
    assert after["index"] == before["index"]
    assert [(c["id"], c["status"], c["index"], c["changed_at"]) for c in after["checks"]] == \
        [(c["id"], c["status"], c["index"], c["changed_at"]) for c in before["checks"]]


def test_another_definition_keeps_the_status(shared, name):
    register(shared[0], name, [{"id": "c", "ttl": "1h"}])
    beat(shared[0], name, "c", "passing", "well")
    before = seen(shared[0], name)
    register(shared[0], name, [{"id": "c", "ttl": "2h", "notes": "n"}])
    after = seen(shared[0], name)
    assert after["index"] > before["index"] and after["health"] == "passing"
    assert (after["checks"][0]["status"], after["checks"][0]["output"], after["checks"][0]["ttl"]) == ("passing", "well", 7200)


def test_checks_are_replaced_kept_and_removed(shared, name):
    register(shared[0], name, [HTTP, {"tcp": NOBODY, "interval": "24h"}])
    register(shared[0], name, [{"tcp": NOBODY, "interval": "24h"}])
    assert [c["id"] for c in checks_of(shared[0], name)] == ["tcp"]
    register(shared[0], name)  # says nothing of them
    assert [c["id"] for c in checks_of(shared[0], name)] == ["tcp"]
    assert seen(shared[0], name)["health"] == "critical"
    register(shared[0], name, [])
    got = seen(shared[0], name)
    assert (got["checks"], got["health"]) == ([], "passing")
    register(shared[0], name, [HTTP])
    assert shared[0].request("DELETE", "/instances/" + name).status == 200
    register(shared[0], name)
    assert checks_of(shared[0], name) == []


def test_an_incarnation_counts(shared, name):
    first = register(shared[0], name, [HTTP]).json["incarnation"]
    second = register(shared[0], name, [HTTP], port=81).json["incarnation"]
    assert second > first
    got = register(shared[0], name, [HTTP], port=82, incarnation=first, expect=(409,))
    assert got.json["field"] == "incarnation"
    assert register(shared[0], name, [HTTP], port=82, incarnation=second).json["incarnation"] == second


# --- heard from ---

def beat(replica, id, check, status=None, note=None, expect=200):
    body = {"id": id, "check": check}
    body.update({} if status is None else {"status": status})
    body.update({} if note is None else {"note": note})
    got = replica.post("/heartbeat", body)
    assert got.status == expect, got
    return got


def test_checks_with_a_ttl_are_heard_from(shared, name):
    register(shared[0], name, [{"id": "a", "ttl": "1h"}, {"id": "b", "ttl": "1h", "status": "passing"}])
    assert seen(shared[0], name)["health"] == "critical"
    beat(shared[1], name, "a", "passing", "12 requests")
    got = seen(shared[1], name)
    assert (got["health"], got["checks"][0]["output"]) == ("passing", "12 requests")
    beat(shared[1], name, "b", "warning")
    assert seen(shared[1], name)["health"] == "warning"
    assert any(e["event"] == "health" and e["instance"]["health"] == "warning" for e in shared[1].events()
               if e["instance"]["id"] == name)


def test_what_cannot_be_heard_from_is_refused(shared, name):
    register(shared[0], name, [HTTP])
    assert beat(shared[0], name, "http", "passing", expect=409).json["field"] == "check"
    beat(shared[0], name, "nothing", expect=404)
    beat(shared[0], name + "-x", "http", expect=404)
    beat(shared[0], name, "c" * 255, expect=404)
    for body in ({"ids": [name], "check": "a"}, {"id": name, "check": ""}, {"id": name, "check": "a", "incarnation": 1}):
        assert shared[0].post("/heartbeat", body).status == 400
    # The lease of the instance is another thing.
    assert shared[0].post("/heartbeat", {"id": name}).status == 200


# --- lists, and the other doors ---

def test_lists_show_checks_when_they_are_asked_to(shared, name):
    register(shared[0], name, [{"id": "a", "ttl": "1h", "status": "passing"}])
    for path in ("/services/" + name, "/instances"):
        got = shared[0].get(path)
        assert all("checks" not in one for one in got.json["instances"])
        got = shared[0].get(path + "?checks=true")
        assert "ETag" not in got.headers
        assert [one["checks"][0]["id"] for one in got.json["instances"] if one["id"] == name] == ["a"]
        assert shared[0].get(path + "?checks=yes").status == 400


def test_consul_shows_the_checks_of_another_door(shared, name):
    register(shared[0], name, [{**HTTP, "notes": "n", "headers": {"A": ["1", "2"]}}, {"id": "mine", "ttl": "1h"}])
    got = {c["CheckID"]: c for c in consul(shared[0], "GET", "/health/checks/" + name).json}
    assert sorted(got) == ["service:%s:http" % name, "service:%s:mine" % name]
    http = got["service:%s:http" % name]
    assert (http["Type"], http["Interval"], http["Timeout"], http["Notes"]) == ("http", "24h0m0s", "10s", "n")
    consul(shared[0], "PUT", "/agent/check/pass/service:%s:mine" % name)
    assert [c["status"] for c in checks_of(shared[0], name) if c["id"] == "mine"] == ["passing"]


def test_checks_of_consul_are_shown_natively(shared, name):
    consul(shared[0], "PUT", "/agent/service/register", {
        "Name": name, "ID": name, "Address": "10.0.0.1", "Port": 80, "Check": {
            "HTTP": URL, "Interval": "24h", "Timeout": "3s", "Method": "HEAD", "Header": {"A": ["1", "2"]}, "TLSSkipVerify": True,
            "SuccessBeforePassing": 2, "FailuresBeforeWarning": 1, "FailuresBeforeCritical": 3,
            "DeregisterCriticalServiceAfter": "1h"}})
    check, = checks_of(shared[0], name + "@10.0.0.1")
    assert {k: check[k] for k in ("type", "http", "interval", "timeout", "method", "headers", "rise", "warn", "fall")} == {
        "type": "http", "http": URL, "interval": 86400, "timeout": 3, "method": "HEAD", "headers": {"A": ["1", "2"]},
        "rise": 2, "warn": 1, "fall": 3}
    assert (check["tls"]["skip_verify"], check["deregister_after"], check["id"]) == (True, 3600, "default")
    whole = consul(shared[0], "GET", "/agent/health/service/id/" + name, expect=503).json["Checks"]
    definition = [c["Definition"] for c in whole if c["CheckID"] == "service:" + name][0]
    assert definition["HTTP"] == URL and definition["Header"] == {"A": ["1", "2"]} and definition["Method"] == "HEAD"
    assert (definition["Interval"], definition["Timeout"], definition["TLSSkipVerify"]) == ("24h0m0s", "3s", True)
    consul(shared[0], "PUT", "/agent/check/pass/service:" + name, expect=500)


@pytest.mark.parametrize("check, says", [
    ({"HTTP": URL}, "Interval must be > 0"),
    ({"HTTP": "nonsense", "Interval": "10s"}, "http must be a URL"),
    ({"TCP": NOBODY, "Interval": "10s", "FailuresBeforeCritical": 101}, "FailuresBeforeCritical must be from 0 to 100"),
    ({"TCP": NOBODY, "Interval": "10s", "FailuresBeforeWarning": 2}, "can't be higher"),
    ({"HTTP": URL, "Interval": "10s", "Header": {"Content-Length": ["1"]}}, "Content-Length must not be given"),
    ({"Args": ["true"], "Interval": "10s"}, "Scripts are disabled on this agent"),
    ({"UDP": NOBODY, "Interval": "10s"}, "UDP is not run here"),
    ({"H2PING": NOBODY, "Interval": "10s"}, "H2Ping is not run here"),
    ({"AliasService": "x"}, "AliasService is not run here"),
])
def test_consul_refuses_what_is_wrong_or_never_run(shared, name, check, says):
    got = consul(shared[0], "PUT", "/agent/service/register", {"Name": name, "Port": 80, "Check": check}, expect=400)
    assert says in got.body.decode()


def test_who_may_write_the_service_may_define_its_checks(make_cluster):
    replica = make_cluster(1).start()[0]
    operator = {"Authorization": "Bearer " + replica.post("/tokens/bootstrap", None).json["token"]}
    services = [{"name": "shop", "access": "write"}]
    made = replica.request("POST", "/tokens", {"services": services}, operator).json["token"]
    mine = {"Authorization": "Bearer " + made}
    body = {"id": "shop-1", "name": "shop", "port": 80, "checks": [HTTP]}
    assert replica.request("POST", "/register", body, mine).status == 201
    assert replica.request("POST", "/register", {**body, "id": "db-1", "name": "db"}, mine).status == 403
    reader = replica.request("POST", "/tokens", {"services": [{"name": "shop", "access": "read"}]}, operator).json["token"]
    assert replica.request("POST", "/register", {**body, "checks": []}, {"Authorization": "Bearer " + reader}).status == 403


# --- what replicas do ---

CHECKS = [{**HTTP, "headers": {"A": "1"}, "fall": 3}, {"id": "t", "ttl": "24h"}]


def definitions(replica, id):
    return [{k: v for k, v in c.items() if k not in ("output", "index", "changed_at")} for c in checks_of(replica, id)]


def test_definitions_survive_leaders_and_restarts(make_cluster):
    c = make_cluster(3).start()
    register(c[0], "web-1", CHECKS)
    register(c[0], "web-2", CHECKS)
    beat(c[0], "web-1", "t", "warning", "busy")
    before = definitions(c[0], "web-1")
    leader = c.leader()
    leader.kill()
    other = [r for r in c if r is not leader][0]
    c.leader()
    register(other, "web-1", CHECKS, expect=(200,))
    register(other, "web-2", [])
    leader.start()
    c.wait_ready()
    c.wait_same_state()
    for replica in c:
        assert definitions(replica, "web-1") == before
        assert checks_of(replica, "web-2") == []
    for replica in c:
        replica.stop()
    c.start()
    c.wait_ready()
    assert definitions(c[0], "web-1") == before


def test_a_backup_has_the_definitions(make_cluster, tmp_path):
    replica = make_cluster(1).start()[0]
    register(replica, "web-1", CHECKS)
    before = definitions(replica, "web-1")
    backup = tmp_path / "backup"
    backup.write_bytes(replica.get("/backup").body)
    other = make_cluster(1)[0]
    other.start("--restore", str(backup))
    other.wait_ready()
    assert definitions(other, "web-1") == before


def test_the_state_is_bounded_with_checks(make_cluster):
    replica = make_cluster(1, "--state-bytes", "1MiB").start()[0]
    statuses = [replica.post("/register", {"id": "w-%d" % n, "name": "w", "port": 80, "checks": [
        {"ttl": "24h", "id": "c%d" % k, "notes": "n" * 512} for k in range(16)]}).status for n in range(140)]
    assert statuses[0] == 201 and statuses[-1] == 507 and set(statuses) == {201, 507}
    assert json.loads(replica.get("/health").body)["state"]["bytes"] <= 1 << 20


def test_below_their_level_checks_are_refused_in_words(make_cluster):
    replica = make_cluster(1)[0]
    older(replica)
    replica.cluster.start()
    got = replica.post("/register", {"id": "web-1", "name": "web", "port": 80, "checks": [HTTP]})
    assert got.status == 503 and "upgrade them" in got.json["message"], got
    assert replica.get("/instances/web-1").status == 404


class Target:
    """Answers 200, and notes what it is asked."""

    def __init__(self):
        asked = self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                asked.append((self.path, self.headers.get_all("Host"), self.headers.get_all("X-A"), body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def test_what_is_defined_is_what_is_asked(shared, name):
    with Target() as target:
        url = "http://127.0.0.1:%d/h?a=b" % target.server.server_address[1]
        register(shared[0], name, [{"http": url, "interval": "24h", "method": "POST", "body": "a\nb",
                                    "headers": {"Host": "shop.example", "X-A": ["1", "2"]}}], host="127.0.0.1")
        await_true("it passes", lambda: seen(shared[0], name)["health"] == "passing", within_s=30)
        assert target.asked[0] == ("/h?a=b", ["shop.example"], ["1", "2"], "a\nb")
        changed = checks_of(shared[0], name)[0]
        assert changed["status"] == "passing" and changed["changed_at"] > seen(shared[0], name)["registered_at"]
        register(shared[0], name, [], expect=(200,), host="127.0.0.1")
        assert shared[0].get("/services/%s/discover" % name).status == 200
