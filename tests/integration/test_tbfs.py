"""The dialect of the older HTTP registry on port 9000, call by call, and its programs while replicas
crash."""
import threading
import time

import pytest

from cluster import await_true, request
from tbfs import TIME, Client, Server

MESSAGE_KEYS = {"error", "message", "detail"}


def register(replica, server_id, **fields):
    return replica.post("/register", {"server_id": server_id, "url": "node-1", **fields})


def entry(replica, server_id):
    got = replica.get("/servers/" + server_id)
    return got.json if got.status == 200 else None


def listed(replica, path, server_id):
    return [e for e in replica.get(path).json if e["server_id"] == server_id]


def everywhere(cluster, server_id, path="/servers"):
    """Waits until all replicas list it there."""
    for replica in cluster:
        await_true("%s at replica %d" % (server_id, replica.id),
                   lambda r=replica: r.get(path).status == 200 and listed(r, path, server_id))


# --- GET / ---

@pytest.mark.parametrize("field, kind", [
    ("message", str), ("node_id", str), ("is_leader", bool), ("leader_id", str), ("term", int),
    ("total_servers", int), ("active_servers", int), ("inactive_servers", int)])
def test_the_root_has_the_field(shared, field, kind):
    got = shared[0].get("/")
    assert got.status == 200
    assert type(got.json[field]) is kind


def test_the_root_keeps_its_native_fields(shared):
    assert shared[0].get("/").json["role"] in ("leader", "follower")


def test_all_replicas_name_the_same_leader_and_only_that_one_is_it(shared):
    roots = [r.get("/").json for r in shared]
    assert len({r["leader_id"] for r in roots}) == 1
    assert [r["node_id"] for r in roots if r["is_leader"]] == [roots[0]["leader_id"]]
    assert len({r["node_id"] for r in roots}) == 3
    assert len({r["term"] for r in roots}) == 1


def test_the_counts_are_those_of_the_lists(make_cluster):
    replica = make_cluster(1).start()[0]
    for n in range(3):
        register(replica, "node-%d" % n)
    replica.post("/heartbeat", {"id": "node-0", "status": "critical"})
    replica.request("PUT", "/instances/node-1/maintenance", {"enabled": True})
    root = replica.get("/").json
    assert [root[k + "_servers"] for k in ("total", "active", "inactive")] == [3, 1, 2]
    assert len(replica.get("/servers?status=active").json) == 1
    assert len(replica.get("/servers?status=inactive").json) == 2


# --- POST /register ---

@pytest.mark.parametrize("field", ["success", "message", "server_id", "url"])
def test_the_answer_to_a_registration_has_the_field(shared, name, field):
    got = register(shared[0], name).json
    assert set(got) == {"success", "message", "server_id", "url"}
    assert got[field] == {"success": True, "server_id": name,
                          "url": "http://node-1:8000"}.get(field, got["message"])
    assert got["message"]


def test_a_registration_is_answered_with_200_whether_the_id_is_new_or_known(shared, name):
    assert register(shared[0], name).status == 200
    assert register(shared[1], name).status == 200
    assert register(shared[2], name, url="node-2").status == 200


@pytest.mark.parametrize("url, port, full", [
    ("node-1", 8000, "http://node-1:8000"),
    ("node-1", 80, "http://node-1"),
    ("node-1", 443, "http://node-1"),
    ("http://node-1", 8001, "http://node-1:8001"),
    ("https://node-1", 443, "https://node-1"),
    ("http://node-1/files", 8000, "http://node-1/files:8000")])
def test_the_url_is_joined_and_listed_as_it_is(shared, name, url, port, full):
    got = register(shared[0], name, url=url, port=port)
    assert got.status == 200 and got.json["url"] == full
    assert entry(shared[0], name)["url"] == full
    assert listed(shared[0], "/servers/active", name)[0]["url"] == full


def test_the_port_is_8000_when_it_is_not_said(shared, name):
    assert register(shared[0], name).json["url"] == "http://node-1:8000"
    assert register(shared[0], name, port=None).json["url"] == "http://node-1:8000"


@pytest.mark.parametrize("fields, ip", [({"ip": "10.0.0.7"}, "10.0.0.7"), ({"ip": None}, None),
                                        ({}, None)])
def test_the_ip_is_listed_or_null(shared, name, fields, ip):
    register(shared[0], name, **fields)
    assert entry(shared[0], name)["ip"] == ip


def test_unknown_fields_and_parameters_are_ignored(shared, name):
    body = {"server_id": name, "url": "node-1", "colour": "red", "tags": 7, "ttl": "x"}
    assert shared[0].post("/register?colour=red", body).status == 200
    assert shared[0].post("/heartbeat?colour=red", {"server_id": name, "x": 1}).status == 200
    assert shared[0].get("/servers?colour=red").status == 200
    assert shared[0].get("/servers/active?colour=red&index=x").status == 200
    assert shared[0].get("/servers/%s?colour=red" % name).status == 200


@pytest.mark.parametrize("method, path", [
    ("POST", "/register"), ("POST", "/heartbeat"), ("GET", "/servers"), ("GET", "/servers/active"),
    ("GET", "/servers/{}"), ("GET", "/"), ("DELETE", "/servers/{}")])
def test_a_token_is_not_refused(shared, name, method, path):
    register(shared[0], name)
    body = {"server_id": name, "url": "node-1"} if method == "POST" else None
    got = shared[0].request(method, path.format(name), body, {"Authorization": "Bearer a.b.c"})
    assert got.status == 200


def test_a_known_id_gets_the_new_url_and_keeps_the_time_of_its_registration(shared, name):
    register(shared[0], name, ip="10.0.0.1")
    first = entry(shared[0], name)
    # Each at another replica, which may not know the one before yet.
    for n in range(1, 10):
        assert register(shared[n % 3], name, url="node-%d" % n).status == 200
    last = entry(shared[0], name)
    assert last["url"] == "http://node-9:8000" and last["ip"] is None
    assert last["registered_at"] == first["registered_at"]


def test_two_that_register_the_same_id_at_once_are_both_taken(shared, name):
    answers = []

    def race(n):
        for turn in range(20):
            answers.append(register(shared[n], name, url="node-%d-%d" % (n, turn)).status)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 60
    assert len(listed(shared[0], "/servers", name)) == 1


@pytest.mark.parametrize("body, field", [
    ({"server_id": "a"}, "url"),
    ({"server_id": 7, "url": "node-1"}, "server_id"),
    ({"server_id": None, "url": "node-1"}, "server_id"),
    ({"server_id": "", "url": "node-1"}, "server_id"),
    ({"server_id": "a" * 256, "url": "node-1"}, "server_id"),
    ({"server_id": "a", "url": ["node-1"]}, "url"),
    ({"server_id": "a", "url": "http://"}, "url"),
    ({"server_id": "a", "url": "node-1", "port": "x"}, "port"),
    ({"server_id": "a", "url": "node-1", "port": 70000}, "port"),
    ({"server_id": "a", "url": "node-1", "ip": 7}, "ip")])
def test_a_bad_registration_is_422_and_says_where(shared, body, field):
    got = shared[0].post("/register", body)
    assert got.status == 422
    assert got.json["error"] == "invalid" and got.json["field"] == field
    assert got.json["message"].startswith(field + ": ")
    assert [(d["loc"], d["msg"]) for d in got.json["detail"]] == [
        (["body", field], got.json["message"])]


@pytest.mark.parametrize("path", ["/register", "/heartbeat"])
def test_a_body_that_breaks_off_is_422(shared, path):
    got = shared[0].post(path, b'{"server_id": "a"')
    assert got.status == 422
    assert isinstance(got.json["detail"], list) and got.json["detail"][0]["loc"] == ["body"]


# --- POST /heartbeat ---

def test_a_heartbeat_is_taken_by_any_replica(shared, name):
    register(shared[0], name)
    for replica in shared:
        got = replica.post("/heartbeat", {"server_id": name})
        assert got.status == 200
        assert set(got.json) == {"success", "message"} and got.json["success"] is True


def test_a_heartbeat_moves_the_time_of_the_last_one(shared, name):
    register(shared[0], name)
    first = entry(shared[0], name)["last_heartbeat"]

    def moved():
        assert shared[0].post("/heartbeat", {"server_id": name}).status == 200
        return entry(shared[0], name)["last_heartbeat"] > first

    await_true("a later time", moved)
    assert entry(shared[0], name)["registered_at"] <= first


def test_a_heartbeat_of_an_unknown_id_is_404_with_a_detail(shared, name):
    got = shared[0].post("/heartbeat", {"server_id": name})
    assert got.status == 404
    assert set(got.json) - {"field"} == MESSAGE_KEYS
    assert got.json["error"] == "not_found" and got.json["detail"] == got.json["message"]


@pytest.mark.parametrize("id", [7, None, "", "a" * 256, ["a"]])
def test_a_bad_heartbeat_is_422(shared, id):
    got = shared[0].post("/heartbeat", {"server_id": id})
    assert got.status == 422
    assert got.json["detail"][0]["loc"] == ["body", "server_id"]


# --- GET /servers ---

@pytest.mark.parametrize("path", ["/servers", "/servers?status=active", "/servers?status=",
                                  "/servers/active"])
def test_a_list_is_a_bare_array_of_entries(shared, name, path):
    register(shared[0], name, ip="10.0.0.1")
    got = shared[0].get(path)
    assert got.status == 200
    assert got.headers["Content-Type"].startswith("application/json")
    assert isinstance(got.json, list)
    found = [e for e in got.json if e["server_id"] == name]
    assert found == [entry(shared[0], name)] or abs(
        found[0]["uptime_seconds"] - entry(shared[0], name)["uptime_seconds"]) == 1


@pytest.mark.parametrize("field, kind", [
    ("server_id", str), ("url", str), ("ip", str), ("status", str), ("last_heartbeat", str),
    ("registered_at", str), ("uptime_seconds", int)])
def test_an_entry_has_the_field(shared, name, field, kind):
    register(shared[0], name, ip="10.0.0.1")
    got = entry(shared[0], name)
    assert len(got) == 7 and type(got[field]) is kind
    if field in ("last_heartbeat", "registered_at"):
        assert TIME.fullmatch(got[field])
    if field == "status":
        assert got[field] == "active"
    if field == "uptime_seconds":
        assert 0 <= got[field] < 60


def test_a_list_is_by_status(shared, name):
    register(shared[0], name)
    shared[0].post("/heartbeat", {"id": name, "status": "critical"})
    assert listed(shared[0], "/servers?status=inactive", name)
    assert listed(shared[0], "/servers", name)[0]["status"] == "inactive"
    assert not listed(shared[0], "/servers?status=active", name)
    assert not listed(shared[0], "/servers/active", name)
    assert shared[0].get("/servers?status=purple").json == []


def test_an_unknown_server_is_404_with_a_detail(shared, name):
    got = shared[0].get("/servers/" + name)
    assert got.status == 404
    assert set(got.json) == MESSAGE_KEYS and isinstance(got.json["detail"], str)


def test_a_server_is_removed(shared, name):
    register(shared[0], name)
    got = shared[1].request("DELETE", "/servers/" + name)
    assert got.status == 200 and got.json["success"] is True
    assert shared[1].request("DELETE", "/servers/" + name).status == 404
    assert entry(shared[1], name) is None


@pytest.mark.parametrize("method, path, status", [
    ("PUT", "/servers", 405), ("POST", "/servers/active", 405), ("PUT", "/servers/a", 405),
    ("GET", "/servers/%00", 400), ("GET", "/servers/" + "a" * 256, 400)])
def test_an_error_below_servers_has_both_shapes(shared, method, path, status):
    got = shared[0].request(method, path)
    assert got.status == status
    assert set(got.json) - {"field"} == MESSAGE_KEYS


def test_every_answer_says_how_the_replica_stands(shared, name):
    for got in (register(shared[0], name), shared[0].get("/servers"),
                shared[0].get("/servers/" + name + "x")):
        assert int(got.headers["X-Muster-Index"]) > 0
        assert int(got.headers["X-Muster-Leader"]) in (1, 2, 3)


# --- beside the native API ---

def test_a_server_is_an_instance_of_its_service(shared, name):
    register(shared[0], name, url="http://node-1/files", port=8123, ip="10.0.0.1")
    got = shared[0].get("/instances/" + name).json
    assert (got["name"], got["host"], got["port"]) == ("servers", "node-1", 8123)
    assert got["metadata"] == {"ip": "10.0.0.1", "url": "http://node-1/files:8123"}
    assert got["reap_after"] == 3600
    assert name in [i["id"] for i in shared[0].get("/services/servers").json["instances"]]


@pytest.mark.parametrize("host, url", [("10.0.0.1", "http://10.0.0.1:8080"),
                                       ("::1", "http://[::1]:8080")])
def test_a_native_instance_is_listed_with_a_url(shared, name, host, url):
    shared[0].register(name, id=name, host=host)
    got = entry(shared[0], name)
    assert (got["url"], got["ip"], got["status"]) == (url, None, "active")
    assert listed(shared[0], "/servers/active", name) != []


def test_a_native_instance_may_be_renewed_by_a_server_of_the_same_id(shared, name):
    shared[0].register(name, id=name)
    assert shared[0].post("/heartbeat", {"server_id": name}).status == 200
    assert register(shared[0], name).status == 200
    assert entry(shared[0], name)["url"] == "http://node-1:8000"


def test_native_calls_keep_their_shape(shared, name):
    """Even if the body has a server_id elsewhere."""
    body = {"name": name, "id": name, "port": 80, "host": "h", "metadata": {"server_id": "a"},
            "tags": ["server_id"]}
    got = shared[0].post("/register", body)
    assert got.status == 201 and set(got.json) == {"id", "incarnation", "ttl", "index"}
    got = shared[0].post("/heartbeat", {"id": name, "note": '"server_id"'})
    assert got.status == 200 and set(got.json) == {"renewed", "unknown", "index"}


@pytest.mark.parametrize("path, body, headers, status", [
    ("/register", {"url": "node-1"}, {}, 400),
    ("/register", b"{", {}, 400),
    ("/heartbeat", {"id": "nobody-has-this-id"}, {}, 404),
    ("/register", {"name": "a", "port": 1, "note": "x" * 70000}, {}, 413),
    ("/register", b'{"server_id": "a"}', {"Content-Type": "text/plain"}, 415)])
def test_native_errors_keep_their_shape(shared, path, body, headers, status):
    got = shared[0].request("POST", path, body, headers)
    assert got.status == status
    assert set(got.json) - {"field"} == {"error", "message"}


def test_paths_and_methods_that_are_not_there_are_refused_in_the_native_shape(shared):
    for method, path, status in (("GET", "/register", 405), ("GET", "/nothing", 404)):
        got = shared[0].request(method, path)
        assert got.status == status and set(got.json) == {"error", "message"}


# --- life ---

def test_a_silent_server_is_inactive_then_gone_and_any_word_of_it_revives_it(make_cluster):
    cluster = make_cluster(3, "--ttl", "1s", "--tbfs-reap-after", "4s").start()

    def turn_inactive():
        for replica in cluster:
            await_true("inactive", lambda r=replica: (entry(r, "a") or {}).get("status") ==
                       "inactive", 10)
            assert listed(replica, "/servers", "a") and listed(
                replica, "/servers?status=inactive", "a")
            assert not listed(replica, "/servers/active", "a")

    register(cluster[0], "a", url="node-1")
    registered_at = entry(cluster[0], "a")["registered_at"]
    turn_inactive()
    assert cluster[1].post("/heartbeat", {"server_id": "a"}).status == 200
    assert entry(cluster[1], "a")["status"] == "active"
    turn_inactive()
    # Another URL: replacing a silent server also renews it.
    assert register(cluster[2], "a", url="node-2").status == 200
    assert listed(cluster[2], "/servers/active", "a")[0]["url"] == "http://node-2:8000"
    assert entry(cluster[2], "a")["registered_at"] == registered_at
    turn_inactive()
    for replica in cluster:
        await_true("gone", lambda r=replica: entry(r, "a") is None, 15)
    assert cluster[0].post("/heartbeat", {"server_id": "a"}).status == 404
    assert register(cluster[0], "a").status == 200


def test_service_and_time_in_the_list_are_settings(make_cluster):
    replica = make_cluster(1, "--tbfs-service", "data nodes", "--tbfs-reap-after", "0",
                           "--reap-after", "7s").start()[0]
    register(replica, "a")
    got = replica.get("/services/data%20nodes").json["instances"]
    assert [(i["id"], i["reap_after"]) for i in got] == [("a", 0)]


def test_without_a_leader_writes_are_503_with_a_detail_and_lists_go_on(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    register(cluster[0], "a")
    everywhere(cluster, "a")
    survivor = cluster.followers()[0]
    for replica in list(cluster):
        if replica is not survivor:
            replica.kill()

    def refused():
        got = register(survivor, "b")
        return got if got.status == 503 else None

    got = await_true("503", refused, 20)
    assert set(got.json) == MESSAGE_KEYS and isinstance(got.json["detail"], str)
    got = survivor.post("/heartbeat", {"server_id": "a"})
    assert got.status == 503 and set(got.json) == MESSAGE_KEYS
    assert listed(survivor, "/servers/active", "a") and listed(survivor, "/servers", "a")
    await_true("no leader", lambda: survivor.get("/").json["leader_id"] is None)
    assert survivor.get("/").json["is_leader"] is False


def test_a_replica_that_has_not_caught_up_sends_clients_to_another(make_cluster):
    """It would list no servers, or only some."""
    cluster = make_cluster(3).start()
    register(cluster[0], "a")
    everywhere(cluster, "a")
    for replica in cluster:
        replica.stop()
    alone = cluster[0].start()
    await_true("it answers", alone.is_live)
    for path in ("/servers", "/servers/active", "/servers/a"):
        got = alone.get(path)
        assert got.status == 503 and set(got.json) == MESSAGE_KEYS, path
    cluster.start()
    everywhere(cluster, "a", "/servers/active")


def test_servers_and_clients_do_not_notice_that_the_leader_dies(make_cluster):
    cluster = make_cluster(3, "--ttl", "8s").start()
    servers = [Server(cluster, "%s-%d" % ("namenode" if n == 0 else "datanode", n),
                      url="node-%d" % n, ip=None if n == 1 else "10.0.0.%d" % n)
               for n in range(6)]
    client, wrong, over = Client(cluster), [], threading.Event()
    for server in servers:
        server.register()
    everywhere(cluster, "datanode-5")
    expected = {s.server_id: "http://node-%d:8000" % n for n, s in enumerate(servers)}

    def serve(server):
        while not over.wait(0.2):
            server.turn()

    def look():
        while not over.wait(0.05):
            try:
                for found in (client.active(), client.all()):
                    if {s["server_id"]: s["url"] for s in found} != expected:
                        wrong.append(found)
                for strategy in ("random", "first", "round_robin"):
                    if client.url(strategy) not in expected.values():
                        wrong.append(strategy)
                if client.namenodes() != ["http://node-0:8000"]:
                    wrong.append("namenode")
            except Exception as error:  # reported by the test's own thread
                wrong.append(error)

    threads = [threading.Thread(target=serve, args=(s,)) for s in servers]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            leader = cluster.leader()
            leader.kill()
            new = cluster.leader()
            # Longer than a lease: a server that could not renew would be missing.
            time.sleep(9)
            leader.start().wait_ready()
            assert new.alive()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert [s.failed for s in servers] == [[]] * 6
    assert all(s.registered for s in servers)
    # Never lost in between: nothing was ever removed, and nobody had to register again.
    kinds = {e["event"] for e in cluster[0].events()}
    assert kinds == {"registered"}


def test_a_server_registers_again_when_it_was_removed(make_cluster):
    cluster = make_cluster(1).start()
    server = Server(cluster, "a")
    server.register()
    assert cluster[0].request("DELETE", "/servers/a").status == 200
    assert Client(cluster).url() is None
    server.turn()
    assert server.registered and len(server.failed) == 1
    assert Client(cluster).url("first") == "http://node-1:8000"


def test_heads_are_answered_like_gets(shared):
    got = request(shared[0].http_port, "HEAD", "/servers/active")
    assert got.status == 200 and got.body == b""
