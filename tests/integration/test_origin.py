"""Web pages are not trusted: they may change nothing, and read only what --cors allows; the same holds for
DNS rebinding. Programs are not affected."""
import re
import subprocess

import pytest

from test_openapi import BODIES, OPERATIONS

WRITES = [o for o in OPERATIONS if o[0] != "get"] + [("get", "/backup"), ("head", "/backup")]
# There are none of that name; how one answers, test_access.py says.
NOT_THERE = ("/tokens/{id}", "/namespaces/{namespace}", "/policies/{subject}")
READS = [o for o in OPERATIONS if o[0] == "get" and o[1] != "/backup" and o[1] not in NOT_THERE]
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://localhost"},
    {"Origin": "file://"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Origin": "http://evil.example"},
]


def ask(replica, method, path, name, headers, query=""):
    body = BODIES[path](name) if path in BODIES and method in ("post", "put") else None
    if path.startswith("/cluster/") and method not in ("get", "head"):
        query = "?dry_run=true&peer=127.0.0.1:1" if path == "/cluster/members" else "?dry_run=true"
    if path == "/discover":
        query = "?type=" + name
    target = re.sub(r"{\w+}", "2" if path.startswith("/cluster/") else name, path) + query
    return replica.request(method.upper(), target, body, headers)


@pytest.mark.parametrize("headers", FOREIGN, ids=repr)
@pytest.mark.parametrize("method, path", WRITES)
def test_a_web_page_can_change_nothing(shared, name, method, path, headers):
    shared[1].register(name, id=name)
    before = shared[1].get("/instances/" + name).json
    got = ask(shared[1], method, path, name, headers)
    assert got.status == 403, got
    assert method == "head" or got.json["error"] == "forbidden" and got.json["field"] == "Origin"
    after = shared[1].get("/instances/" + name).json
    assert after["index"] == before["index"] and after["last_heartbeat"] == before["last_heartbeat"]


@pytest.mark.parametrize("type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_form_of_a_web_page_registers_nothing(shared, name, type):
    headers = {"Origin": "http://evil.example", "Content-Type": type or "application/json"}
    got = shared[0].request("POST", "/register", b'{"name": "%s", "port": 1}' % name.encode(), headers)
    assert got.status == 403, got
    assert shared[0].get("/services/%s?consistency=linearizable" % name).json["instances"] == []


@pytest.mark.parametrize("method, path", [o for o in WRITES if o[0] != "head"])
def test_a_name_that_is_not_the_replicas_changes_nothing(shared, name, method, path):
    for host in ("evil.example:9000", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example"):
        for headers in ({}, {"Origin": "http://" + host}, {"Sec-Fetch-Site": "same-origin"}):
            got = ask(shared[0], method, path, name, {"Host": host, **headers})
            assert got.status == 421 and got.json["error"] == "wrong_host", got
            assert got.json["field"] == "Host" and "--allow-host" in got.json["message"]


@pytest.mark.parametrize("host", [
    "127.0.0.1:9000", "localhost:9000", "LOCALHOST", "localhost.", "[::1]:9000", "[::1]", "10.1.2.3:80",
    "muster-1:9000", "x", "muster", "muster-1.project_default:9000", "muster.default.svc.cluster.local",
    "muster.prod.svc:9000", "registry.internal", "box.lan:9000", "app.localhost:9000"])
def test_names_that_no_page_can_bring_here_are_taken(shared, name, host):
    for headers in ({}, {"Origin": "http://" + host}, {"Accept-Language": "en"}):
        got = ask(shared[0], "post", "/register", name, {"Host": host, **headers})
        assert got.status in (200, 201), got
        assert ask(shared[0], "get", "/services", name, {"Host": host, **headers}).status == 200


@pytest.mark.parametrize("host, origin, status", [
    ("localhost:9000", "http://localhost:9000", 201),
    ("localhost:9000", "https://localhost:9000", 201),  # a proxy before it speaks TLS
    ("localhost", "http://localhost:80", 201),
    ("localhost", "http://localhost", 201),
    ("localhost:443", "https://localhost", 201),
    ("[::1]:9000", "http://[::1]:9000", 201),
    ("localhost:9000", "http://localhost:9001", 403),
    ("localhost:9000", "http://localhost", 403),
    ("localhost:9000", "http://127.0.0.1:9000", 403),
    ("localhost:9000", "http://localhost:9000.evil.example", 403),
    ("localhost:9000", "ftp://localhost:9000", 403),
    ("localhost:9000", "", 403),
])
def test_only_a_page_of_the_replica_itself_may_write(shared, name, host, origin, status):
    got = ask(shared[0], "post", "/register", name, {"Host": host, "Origin": origin})
    assert got.status == status, got


@pytest.mark.parametrize("method, path", READS)
def test_pages_of_others_cannot_read_an_answer(shared, name, method, path):
    shared[0].register(name, id=name, type=name)
    got = ask(shared[0], method, path, name, {"Origin": "http://evil.example"})
    assert got.status == 200
    assert not [h for h in got.headers if h.lower().startswith("access-control-")]


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example:9000"}, {"Accept-Language": "de"}, {"Sec-Fetch-Site": "same-origin"},
    {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}], ids=repr)
@pytest.mark.parametrize("path", ["/services", "/", "/events", "/metrics", "/health", "/cluster"])
def test_a_browser_gets_nothing_by_a_name_that_is_not_the_replicas(shared, path, headers):
    got = shared[0].request("GET", path, headers={"Host": "evil.example:9000", **headers})
    assert got.status == 421 and got.json["error"] == "wrong_host", got


def test_a_program_reads_by_any_name(shared):
    assert shared[0].request("GET", "/services", headers={"Host": "registry.example.com"}).status == 200


def test_curl_with_d_registers(shared, name):
    body = '{"name": "%s", "host": "10.0.0.5", "port": 1}' % name
    url = "http://127.0.0.1:%d/register" % shared[0].http_port
    got = subprocess.run(["curl", "-sS", url, "-d", body], capture_output=True, encoding="utf-8",
                         timeout=20)
    assert '"incarnation"' in got.stdout, got


# --- what --cors allows ---

@pytest.fixture(scope="module")
def opened(module_cluster):
    cluster = module_cluster(1, "--allow-host", "registry.example.com,other.example.com",
                             "--cors", "https://dash.example,http://localhost:3000",
                             "--advertise-http", "a.example.org:9000")
    cluster.start()
    return cluster[0]


@pytest.mark.parametrize("host", ["registry.example.com:9000", "Other.Example.Com.", "a.example.org"])
def test_an_allowed_and_an_advertised_name_are_taken(opened, name, host):
    assert ask(opened, "post", "/register", name, {"Host": host}).status == 201
    headers = {"Host": host, "Origin": "http://" + host.rstrip(".")}
    assert ask(opened, "post", "/register", name, headers).status == 200


def test_other_names_are_not(opened, name):
    for host in ("example.com", "x.registry.example.com", "registry.example.com.evil.example"):
        assert ask(opened, "post", "/register", name, {"Host": host}).status == 421


@pytest.mark.parametrize("origin", ["https://dash.example", "http://localhost:3000"])
@pytest.mark.parametrize("method, path", READS)
def test_a_page_that_cors_lets_in_can_read(opened, name, method, path, origin):
    opened.register(name, id=name, type=name)
    got = ask(opened, method, path, name, {"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    if path != "/events":
        assert got.status == 200, got
    assert got.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in ",".join(got.headers.get_all("Vary"))
    assert "X-Muster-Index" in got.headers["Access-Control-Expose-Headers"]


def test_another_page_cannot_and_caches_know_the_difference(opened):
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "https://dash.example.evil"}, {}):
        got = opened.request("GET", "/services", headers=headers)
        assert got.status == 200 and "Access-Control-Allow-Origin" not in got.headers
        assert "Origin" in ",".join(got.headers.get_all("Vary"))


@pytest.mark.parametrize("method, path", WRITES)
def test_nor_does_cors_let_a_page_write(opened, name, method, path):
    got = ask(opened, method, path, name, {"Origin": "https://dash.example"})
    assert got.status == 403
    if path != "/backup":
        assert "Access-Control-Allow-Origin" not in got.headers


def test_a_preflight_of_a_page_that_is_let_in_is_for_reading(opened):
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "if-none-match"}
    got = opened.request("OPTIONS", "/services", headers={"Origin": "https://dash.example", **asks})
    assert got.status == 204 and got.body == b"", got
    assert got.headers["Access-Control-Allow-Origin"] == "https://dash.example"
    assert got.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "If-None-Match" in got.headers["Access-Control-Allow-Headers"]
    got = opened.request("OPTIONS", "/services", headers={"Origin": "https://evil.example", **asks})
    assert got.status == 204 and "Access-Control-Allow-Origin" not in got.headers
    assert "Access-Control-Allow-Methods" not in got.headers


def test_all_may_be_let_in_to_read_and_none_to_write(make_cluster, name):
    cluster = make_cluster(1, "--cors", "*", "--allow-host", "*")
    cluster.start()
    got = cluster[0].request("GET", "/services", headers={"Origin": "https://any.example"})
    assert got.headers["Access-Control-Allow-Origin"] == "*"
    got = ask(cluster[0], "post", "/register", name, {"Origin": "https://any.example"})
    assert got.status == 403 and "Access-Control-Allow-Origin" not in got.headers
    assert ask(cluster[0], "post", "/register", name, {"Host": "any.example"}).status == 201


# --- OPTIONS ---

@pytest.mark.parametrize("path, allow", [
    ("/register", {"POST"}), ("/services", {"GET", "HEAD"}),
    ("/instances/x", {"GET", "HEAD", "DELETE"}), ("/cluster/members", {"GET", "HEAD", "POST"}),
    ("*", {"GET", "HEAD", "POST", "PUT", "DELETE"})])
def test_options_answers_with_the_methods_of_a_path(shared, path, allow):
    got = shared[0].request("OPTIONS", path)
    assert got.status == 204 and got.body == b"", got
    assert set(got.headers["Allow"].split(", ")) == allow | {"OPTIONS"}
    assert got.headers["Content-Type"] is None and got.headers["X-Muster-Index"]


def test_options_of_an_unknown_path_is_404(shared):
    assert shared[0].request("OPTIONS", "/nowhere").status == 404
