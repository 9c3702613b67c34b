"""Namespaces: the same id in two of them, through every call; what a quota lets in, the same at all replicas,
after restarts and from snapshots; the tool and the library."""
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, await_true, clean_environment, read_line
from driver import OK, Driver
from streams import Ended, Stream
from test_cli import muster


def body(id, name="web", **fields):
    return {"id": id, "name": name, "host": "h", "port": 1, "ttl": 3600, **fields}


def register(replica, space, id, name="web", **fields):
    return replica.post("/register" + ("?ns=" + space if space else ""), body(id, name, **fields))


@pytest.fixture
def spaces(name):
    """Two namespaces that no other test uses."""
    return name + "-a", name + ".b"


def in_all(cluster, path, wanted):
    for replica in cluster:
        await_true("%s at replica %d" % (path, replica.id), lambda r=replica: wanted(r.get(path)))


def test_an_id_is_of_its_namespace_in_every_call(shared, name, spaces):
    a, b = spaces
    first, second = shared[0], shared[1]
    hosts = {"": "host-0", a: "host-a", b: "host-b"}
    made = {space: register(first, space, name, name, host=host, type=name) for space, host in hosts.items()}
    assert {got.status for got in made.values()} == {201}
    incarnations = {space: got.json["incarnation"] for space, got in made.items()}
    assert len(set(incarnations.values())) == 3
    index = max(got.json["index"] for got in made.values())
    for space, host in hosts.items():
        def get(path, space=space):
            ns = ("&" if "?" in path else "?") + "ns=" + (space or "default")
            got = second.get(path + ns + ("" if path.startswith("/servers") else "&min_index=%d" % index))
            assert got.status == 200, got
            # The header says the same.
            again = second.request("GET", path, headers={"X-Muster-Namespace": space or "default"})
            assert again.status == 200 and ("/instances/" in path or again.json == got.json or
                                            "index" in again.json or isinstance(again.json, list)), again
            return got.json
        one = get("/instances/" + name)
        assert one["host"] == host and one["name"] == name and one.get("namespace", "") == space
        listed = [i for i in get("/instances?type=" + name)["instances"]]
        assert [(i["id"], i["host"]) for i in listed] == [(name, host)]
        service = get("/services/" + name)
        assert service["name"] == name and [i["host"] for i in service["instances"]] == [host]
        assert get("/services/%s/discover" % name)["host"] == host
        assert get("/discover?type=%s&strategy=round_robin" % name)["host"] == host
        names = [s["name"] for s in get("/services")["services"]]
        assert names.count(name) == 1 and (space == "" or names == [name])
        events = get("/events?service=" + name)["events"]
        assert [e["instance"]["host"] for e in events] == [host]
        assert {e["instance"]["host"] for e in get("/events?id=" + name)["events"]} == {host}
        servers = [s for s in get("/servers") if s["server_id"] == name]
        assert [s["url"] for s in servers] == ["http://%s:1" % host]
        assert get("/servers/" + name)["url"] == "http://%s:1" % host
    # Changes in one are none in the others.
    assert second.request("PUT", "/instances/%s/maintenance?ns=%s" % (name, a), {"enabled": True}).status == 200
    assert second.post("/heartbeat?ns=" + a, {"id": name, "status": "critical"}).status == 200
    assert second.post("/heartbeat?ns=" + b, {"id": name, "incarnation": incarnations[a]}).status == 409
    assert second.post("/heartbeat?ns=" + b, {"ids": [name, "none"]}).json["unknown"] == ["none"]
    assert register(second, a, name, name, host="other").json["incarnation"] > incarnations[a]
    assert second.request("DELETE", "/instances/" + name).status == 200
    assert second.post("/heartbeat", {"id": name}).status == 404
    for space, status in (("", 404), (a, 200), (b, 200), (name + "-none", 404)):
        for path in ("/instances/", "/servers/"):
            assert second.get(path + name + ("?ns=" + space if space else "")).status == status
    untouched = second.get("/instances/%s?ns=%s" % (name, b)).json
    assert untouched["health"] == "passing" and untouched["incarnation"] == incarnations[b]
    assert untouched["index"] == made[b].json["index"]
    # The older dialect: a body with a server_id, by header.
    header = {"X-Muster-Namespace": a}
    got = first.request("POST", "/register", {"server_id": name + "-o", "url": "http://o", "port": 7}, header)
    assert got.status == 200, got
    assert first.request("POST", "/heartbeat", {"server_id": name + "-o"}, header).status == 200
    assert first.request("POST", "/heartbeat", {"server_id": name + "-o"}).status == 404
    assert [s["server_id"] for s in first.request("GET", "/servers/active", headers=header).json] \
        == [name + "-o"]
    assert first.request("DELETE", "/servers/" + name + "-o", headers=header).status == 200


def test_pages_go_on_within_their_namespace(shared, name, spaces):
    for space in ("", *spaces):
        for n in range(7):
            assert register(shared[0], space, "%s-%d" % (name, n), name, zone=name).status == 201
    for space in ("default", *spaces):
        seen, after = [], ""
        while after is not None:
            got = shared[0].get("/instances?zone=%s&limit=3&ns=%s%s" % (name, space, after)).json
            seen += [i["id"] for i in got["instances"]]
            after = "&after=" + got["next"] if "next" in got else None
        assert seen == ["%s-%d" % (name, n) for n in range(7)]
        for after, count in (("", 7), (name + "-3" + "x" * 400, 3), (name + "-6" + "x" * 190, 0)):
            got = shared[0].get("/services/%s?ns=%s&after=%s" % (name, space, after)).json
            assert len(got["instances"]) == count, (space, after, got)
            got = shared[0].get("/instances?zone=%s&ns=%s&after=%s" % (name, space, after)).json
            assert len(got["instances"]) == count, (space, after, got)


def test_what_is_no_namespace_is_refused_in_words(shared, name):
    for bad in ("A", "-a", "a%2Fb", "a%1Fb", "x" * 64, "", "%2A"):
        got = shared[0].get("/services?ns=" + bad)
        assert got.status == 400, (bad, got)
    assert shared[0].get("/services?ns=" + "x" * 63).status == 200
    got = shared[0].request("GET", "/services?ns=a", headers={"X-Muster-Namespace": "b"})
    assert got.status == 400 and got.json["field"] == "ns", got
    assert shared[0].request("GET", "/services?ns=a", headers={"X-Muster-Namespace": "a"}).status == 200
    for method, path, sent in (("POST", "/register", body(name)), ("POST", "/heartbeat", {"id": name}),
                               ("DELETE", "/instances/" + name, None)):
        got = shared[0].request(method, path, sent, {"X-Muster-Namespace": "No"})
        assert got.status == 400 and got.json["field"] == "X-Muster-Namespace" and "detail" not in got.json, got
    # The mark that stands between namespace and name comes in nowhere.
    for path in ("/instances/%1Fa%1Fx", "/instances?after=%1Fa%1Fx", "/events?service=%1Fa%1Fx"):
        assert shared[0].get(path).status == 400, path
    for id in ("\x1fa\x1fx", "x\x1f"):
        assert shared[0].post("/register", body(id)).status == 400
        assert shared[0].post("/heartbeat", {"id": id}).status == 400
        assert shared[0].post("/heartbeat", {"ids": [id]}).status == 400
    space, long = "x" * 63, "i" * 190
    assert register(shared[0], space, long, long).status == 201
    assert shared[0].get("/instances/%s?ns=%s" % (long, space)).json["id"] == long
    got = register(shared[0], space, long + "i")
    assert got.status == 413 and got.json["error"] == "too_large" and "namespace" in got.json["message"], got
    for path in ("/instances/%s?ns=%s" % (long + "i", space), "/services/%s?ns=%s" % (long + "i", space)):
        got = shared[0].get(path)
        assert got.status == 400 and got.json["field"] == "ns", got
    assert shared[0].request("DELETE", "/instances/%s?ns=%s" % (long, space)).status == 200


def test_who_waits_is_woken_by_his_namespace(shared, name, spaces):
    a, b = spaces
    register(shared[0], a, name, name)
    index = register(shared[0], b, name, name).json["index"]
    answers = {}

    def wait(space, path):
        answers[space, path] = shared[1].get("%s?ns=%s&index=%d&wait=20s" % (path, space, index), timeout=40)
    paths = ("/services/" + name, "/instances/" + name)
    waiting = [threading.Thread(target=wait, args=(a, path)) for path in paths]
    for one in waiting:
        one.start()
    await_true("both wait", lambda: shared[1].metric("waiters") >= 2)
    # The same names elsewhere are not theirs.
    register(shared[0], b, name, name, host="changed")
    register(shared[0], "", name, name)
    assert shared[1].get("/services/%s?ns=%s&index=%d&wait=20s" % (name, b, index)).json["index"] > index
    assert answers == {}
    register(shared[0], a, name, name, host="here")
    for one in waiting:
        one.join(40)
    assert answers[a, paths[0]].json["instances"][0]["host"] == "here"
    assert answers[a, paths[1]].json["host"] == "here"


def test_a_stream_tells_of_its_namespace_alone_and_is_resumed_there(shared, name, spaces):
    a, b = spaces
    register(shared[0], a, "present", name)
    register(shared[0], b, "other", name)
    await_true("replica 2 has it", lambda: shared[1].get("/instances/present?ns=" + a).status == 200)
    with Stream(shared[1].http_port, {"ns": a, "snapshot": "true"}, timeout=30) as stream:
        seen = stream.until("synced")
        assert [d["instance"]["id"] for _, e, d in seen if e == "present"] == ["present"]
        for space in (b, "", a):
            register(shared[0], space, "next", name)
        id, _, data = stream.until("registered")[-1]
        assert data["instance"]["namespace"] == a and data["instance"]["id"] == "next"
    for space in (b, a):
        register(shared[0], space, "last", name)
    with Stream(shared[2].http_port, {"ns": a, "service": name}, last_id=id, timeout=30) as stream:
        data = stream.until("registered")[-1][2]
        assert (data["instance"]["id"], data["instance"]["namespace"]) == ("last", a)
    with Stream(shared[2].http_port, {"service": name, "snapshot": "true"}, timeout=30) as stream:
        found = [d["instance"] for _, e, d in stream.until("synced") if e == "present"]
        assert [i["id"] for i in found] == ["next"] and "namespace" not in found[0]


def test_an_answer_of_one_namespace_is_not_given_for_another(shared, name, spaces):
    """Neither by what a worker shares among those who wait for the same, nor by an ETag."""
    a, b = spaces
    for n in range(300):
        register(shared[0], a, "%s-%d" % (name, n), name)
    tag = shared[0].get("/services").headers["ETag"]
    assert tag and "X-Muster-Namespace" in shared[0].get("/services").headers["Vary"]
    for space, count in ((a, 300), (b, 0)):
        headers = {"X-Muster-Namespace": space, "If-None-Match": tag}
        got = shared[0].request("GET", "/instances", headers=headers)
        assert got.status == 200 and len(got.json["instances"]) == count and got.headers["ETag"] is None
        assert shared[0].request("GET", "/services", headers=headers).status == 200


# --- quotas ---

def use(replica, space):
    got = replica.get("/namespaces/" + space)
    return got.json if got.status == 200 else None


def ids_of(replica, space):
    return [i["id"] for i in replica.get("/instances?consistency=linearizable&ns=" + space).json["instances"]]


def test_a_quota_counts_the_same_everywhere_and_outlives_restart_and_snapshot(make_cluster):
    cluster = make_cluster(3, "--snapshot-log-bytes", "64KiB").start()
    first, second = cluster.followers()
    got = first.request("PUT", "/namespaces/shop", {"instances_max": 3})
    assert got.status == 201, got
    # Many at once, at all replicas: so many are let in as there is room for.
    answers = []

    def come(replica, n):
        answers.append(register(replica, "shop", "i-%d" % n).status)
    coming = [threading.Thread(target=come, args=(cluster[n % 3], n)) for n in range(12)]
    for one in coming:
        one.start()
    for one in coming:
        one.join(60)
    assert sorted(answers) == [201] * 3 + [507] * 9
    got = register(second, "shop", "more")
    assert got.json["error"] == "quota" and "quota" in got.json["message"], got
    assert register(second, "other", "more").status == 201 and register(second, "", "more").status == 201
    there = ids_of(second, "shop")
    assert second.post("/heartbeat?ns=shop", {"ids": there}).json["renewed"] == 3
    assert register(second, "shop", there[0]).status == 200
    # One goes, one comes.
    assert first.request("DELETE", "/instances/%s?ns=shop" % there[0]).status == 200
    assert register(second, "shop", "next").status == 201
    cluster.wait_same_state()
    wanted = use(first, "shop")
    assert wanted["instances"] == 3 and wanted["services"] == 1 and wanted["instances_max"] == 3
    for _ in range(30):  # past a snapshot
        register(first, "", "large", metadata={"k%02d" % n: "v" * 500 for n in range(30)})
        register(first, "", "large")
    for replica in cluster:
        assert replica.stop() == 0
        replica.start().wait_ready()
    cluster.wait_same_state()
    for replica in cluster:
        assert use(replica, "shop") == wanted
        assert register(replica, "shop", "more").status == 507
    # Less than there is: nothing goes.
    assert first.request("PUT", "/namespaces/shop", {"bytes_max": 10}).status == 200
    assert use(first, "shop")["instances_max"] is None
    assert register(first, "shop", "more").status == 507
    assert first.request("DELETE", "/namespaces/shop").status == 200
    assert first.request("DELETE", "/namespaces/shop").status == 404
    assert register(second, "shop", "more").status == 201
    listed = {n["name"]: n["instances"] for n in second.get("/namespaces").json["namespaces"]}
    assert listed == {"default": 2, "other": 1, "shop": 4}
    for id in ids_of(first, "shop"):
        assert first.request("DELETE", "/instances/%s?ns=shop" % id).status == 200
    assert use(first, "shop") is None
    cluster.wait_same_state()
    assert {r.metric("namespaces") for r in cluster} == {2}


def test_writes_a_second_are_bounded_and_heartbeats_are_none(make_cluster):
    replica = make_cluster(1).start()[0]
    assert replica.request("PUT", "/namespaces/slow", {"writes_max": 1}).status == 201
    register(replica, "slow", "x")
    answers = [register(replica, "slow", "x", port=2 + n) for n in range(40)]
    refused = [got for got in answers if got.status == 429]
    assert refused and len(refused) < len(answers), answers
    assert refused[0].json["error"] == "rate_limited" and "namespace" in refused[0].json["message"]
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert all(replica.post("/heartbeat?ns=slow", {"id": "x"}).status == 200 for _ in range(40))
    assert all(register(replica, space, "x", port=2 + n).status in (200, 201)
               for n in range(40) for space in ("", "other"))


# --- the tool and the library ---

def test_the_tool_is_in_a_namespace_and_bounds_them(make_cluster):
    replica = make_cluster(1).start()[0]

    def tool(*arguments, **environment):
        return muster("--server", replica.url, *arguments, environment=environment)
    in_shop = {"MUSTER_NAMESPACE": "shop"}
    assert tool("register", "web", "--id", "x", "--port", "1", "--host", "a", **in_shop).returncode == 0
    assert tool("--namespace", "other", "register", "web", "--id", "x", "--port", "2", "--host", "b",
                **in_shop).returncode == 0
    assert "a:1" in tool("list", **in_shop).stdout and "b:2" not in tool("list", **in_shop).stdout
    assert "b:2" in tool("list", "--namespace", "other").stdout
    assert "web" not in tool("services").stdout
    assert tool("services", "--namespace", "default", **in_shop).stdout == tool("services").stdout
    assert tool("discover", "web", **in_shop).stdout.strip() == "a:1"
    assert tool("heartbeat", "x").returncode == 1
    assert tool("heartbeat", "x", **in_shop).returncode == 0
    assert tool("maintenance", "x", "on", **in_shop).returncode == 0
    with subprocess.Popen([MUSTER, "--server", replica.url, "--namespace", "shop", "watch", "--snapshot"],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, encoding="utf-8",
                          env=clean_environment()) as watched:
        try:
            assert "a:1" in read_line(watched) and "synced" in read_line(watched)
            tool("deregister", "x", "--namespace", "other")
            tool("deregister", "x", **in_shop)
            assert "deregistered" in read_line(watched)
        finally:
            watched.kill()
    for bad in ("Shop", "a/b", "-x"):
        got = tool("--namespace=" + bad, "services")
        assert got.returncode == 2 and "--namespace" in got.stderr, got
    done = tool("namespace", "set", "shop", "--instances", "1", "--bytes", "1MiB", "--writes", "50")
    assert done.returncode == 0, done
    tool("register", "web", "--id", "x", "--port", "1", "--host", "a", **in_shop)
    refused = tool("register", "web", "--id", "y", "--port", "1", "--host", "a", **in_shop)
    assert refused.returncode == 1 and "quota" in refused.stderr, refused
    row = [line.split() for line in tool("namespace", "list").stdout.splitlines() if line.startswith("shop")]
    assert row[0][:3] == ["shop", "1", "1"] and "1048576" in row[0] and "50" in row[0], row
    assert tool("namespace", "delete", "shop").returncode == 0
    assert tool("namespace", "delete", "shop").returncode == 1
    for wrong in (("set",), ("set", "No"), ("set", "a", "--instances", "0"), ("set", "a", "--bytes", "x"),
                  ("frobnicate",)):
        assert tool("namespace", *wrong).returncode == 2, wrong


def test_what_runs_and_what_is_linked_is_in_its_namespace(make_cluster):
    replica = make_cluster(1).start()[0]
    program = subprocess.Popen(
        [MUSTER, "--server", replica.url, "--namespace", "shop", "run", "--name", "web", "--id", "w", "--host",
         "h", "--port", "1", "--ttl", "3s", "--", "sleep", "60"], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
    try:
        await_true("registered in its namespace",
                   lambda: replica.get("/instances/w?ns=shop").status == 200, 30)
        assert replica.get("/instances/w").status == 404
        # It is renewed there: longer than its lease.
        time.sleep(4)
        assert replica.get("/instances/w?ns=shop").json["health"] == "passing"
        inside = Driver([replica.url], environment={"MUSTER_NAMESPACE": "shop"})
        outside = Driver([replica.url])
        try:
            assert inside.list("web") == {"w": 0}
            assert outside.list("web") == {}
            assert inside.discover("web")[:2] == (OK, "w")
            register(replica, "", "x", "web")
            await_true("what comes is followed", lambda: outside.list("web") == {"x": 0})
            assert inside.list("web") == {"w": 0}
        finally:
            inside.process.kill()
            outside.process.kill()
            inside.process.wait(30)
            outside.process.wait(30)
    finally:
        program.terminate()
        program.wait(30)
    await_true("deregistered there", lambda: replica.get("/instances/w?ns=shop").status == 404, 30)


def test_a_stream_with_a_bound_token_ends_with_it(make_cluster):
    replica = make_cluster(1, "--anonymous", "none").start()[0]
    operator = {"Authorization": "Bearer " + replica.request("POST", "/tokens/bootstrap").json["token"]}
    made = replica.request("POST", "/tokens", {"namespace": "shop", "events": True}, operator).json
    for space in ("shop", "other"):
        assert replica.request("POST", "/register?ns=" + space, body("x"), operator).status == 201
    bound = {"Authorization": "Bearer " + made["token"]}
    with Stream(replica.http_port, {"snapshot": "true"}, timeout=30, headers=bound) as stream:
        found = [d["instance"] for _, e, d in stream.until("synced") if e == "present"]
        assert [i["namespace"] for i in found] == ["shop"]
        assert replica.request("DELETE", "/tokens/" + made["id"], headers=operator).status == 200
        replica.request("POST", "/register?ns=shop", body("y"), operator)
        with pytest.raises(Ended, match="in order"):
            stream.until("registered")
