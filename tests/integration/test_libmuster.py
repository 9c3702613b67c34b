"""libmuster against real replicas that are killed under it."""
import os
import signal
import subprocess
import time
import uuid

import pytest

from cluster import BIN, await_true, clean_environment, read_line
from driver import (ADDED, CRITICAL, DENIED, DOUBTFUL, FIRST, HEALTH, INVALID, MAINTENANCE,
                    NOT_FOUND, OK, PASSING, PENDING, PRESENT, REFUSED, REGISTERED, REMOVED,
                    ROUND_ROBIN, SYNCED, TIMED_OUT, UNREACHABLE, UPDATED, WARNING, Driver)

NOBODY = ["http://127.0.0.1:1", "http://127.0.0.1:2"]


@pytest.fixture
def client():
    made = []

    def start(servers, *arguments, **settings):
        servers = [s if isinstance(s, str) else s.url for s in servers]
        made.append(Driver(servers, *arguments, **settings))
        return made[-1]

    yield start
    for one in made:
        one.end()


def seen_health(replica, id):
    return replica.get("/instances/%s?consistency=linearizable" % id).json.get("health")


# --- registered ---

def test_the_life_of_a_registration(shared, client, name):
    c = client(shared)
    assert c("register", name, name, 8080, 10000, 1) == [OK, name]
    assert c("wait", 10000) == [OK]
    got = shared[0].get("/instances/%s?consistency=linearizable" % name).json
    assert (got["host"], got["port"], got["ttl"], got["tags"], got["metadata"], got["health"]) == (
        "10.0.0.1", 8080, 10, ["a", "b"], {"rack": "7"}, "passing")
    assert c("state", name) == [OK, str(REGISTERED)]
    await_true("it being told", lambda: c.states == [(name, REGISTERED, "")])
    assert c("health", name, WARNING, "hot", 5000) == [OK]
    got = shared[0].get("/instances/%s?consistency=linearizable" % name).json
    assert (got["health"], got["note"]) == ("warning", "hot")
    assert c("maintenance", name, 1, 5000) == [OK]
    assert seen_health(shared[0], name) == "maintenance"
    assert c("maintenance", name, 0, 5000) == [OK]
    assert seen_health(shared[0], name) == "warning"
    assert c("deregister", name, 5000) == [OK]
    assert shared[0].get("/instances/%s?consistency=linearizable" % name).status == 404
    c.close()


def test_closing_deregisters(shared, client, name):
    c = client(shared)
    assert c("register", name, name, 80, 10000, 40)[0] == OK
    assert c("wait", 10000) == [OK]
    c.close()
    assert shared[0].get("/services/%s?health=any&consistency=linearizable" % name).json[
        "instances"] == []


def test_an_instance_without_an_id_gets_one(shared, client, name):
    c = client(shared)
    error, made = c("register", name, "-", 80, 10000, 1)
    assert error == OK and made.startswith(name + "-")
    assert uuid.UUID(made[len(name) + 1:]).version == 4
    c.close()


def test_what_is_lost_is_registered_again_with_its_health_and_maintenance(shared, client, name):
    c = client(shared)
    assert c("register", name, name, 80, 3000, 1)[0] == OK
    assert c("health", name, WARNING, "hot", 5000) == [OK]
    assert c("maintenance", name, 1, 5000) == [OK]
    before = shared[0].get("/instances/%s?consistency=linearizable" % name).json
    assert shared[1].request("DELETE", "/instances/" + name).status == 200

    def again():
        got = shared[0].get("/instances/%s?consistency=linearizable" % name).json
        return got if got.get("health") == "maintenance" and got["note"] == "hot" else None
    assert await_true("registered again", again)["incarnation"] > before["incarnation"]
    await_true("it being told", lambda: [s[1] for s in c.states] == [REGISTERED, PENDING,
                                                                      REGISTERED])
    c.close()


def test_a_registration_that_is_refused_says_so(shared, client, name):
    c = client(shared)
    assert c("register", name, "..", 80, 10000, 1)[0] == OK
    assert c("wait", 10000) == [REFUSED]
    assert c("state", "..") == [OK, str(DENIED)]
    await_true("it being told", lambda: c.states)
    assert c.states[0][1] == DENIED and "id" in c.states[0][2]
    assert c("health", "..", WARNING, "-", 1000) == [REFUSED]
    assert c("deregister", "..", 5000)[0] in (OK, REFUSED)
    c.close()


def test_nobody_there_is_surely_not_done(client, name):
    c = client(NOBODY)
    assert c("register", name, name, 80, 10000, 1)[0] == OK
    assert c("wait", 700) == [UNREACHABLE]
    assert c("health", name, WARNING, "-", 300) == [UNREACHABLE]
    assert c("deregister", name, 300) == [UNREACHABLE]
    c.close(timeout_ms=300)


def test_a_successor_is_left_alone(shared, client, name):
    c = client(shared)
    assert c("register", name, name, 80, 60000, 1)[0] == OK
    assert c("wait", 10000) == [OK]
    shared[0].register(name, id=name, port=99)
    assert c("deregister", name, 5000) == [OK]
    assert shared[0].get("/instances/%s?consistency=linearizable" % name).json["port"] == 99
    c.close()


def test_the_environment_of_older_registries_is_adopted_when_asked_for(shared, client, name):
    environment = {"SERVER_ID": name + "-env", "SERVER_PORT": "4711", "HEARTBEAT_INTERVAL": "0.2",
                   "MUSTER_SERVER": shared[0].url}
    c = client(shared, environment=environment, options=["adopt"])
    assert c("register", name, "-", 0, 3000, 1) == [OK, name + "-env"]
    assert c("wait", 10000) == [OK]
    first = shared[0].get("/instances/%s-env?consistency=linearizable" % name).json
    assert first["port"] == 4711
    await_true("heartbeats faster than a third of the ttl", lambda: shared[0].get(
        "/instances/%s-env" % name).json["last_heartbeat"] > first["last_heartbeat"])
    # The id is valid, and was accepted.
    assert c("register", name, "-", 0, 3000, 1)[1] != name + "-env"
    c.close()


OF_OTHERS = {"SERVER_ID": "of-others", "SERVER_PORT": "4711", "HEARTBEAT_INTERVAL": "often",
             "REGISTRY_URL": "http://127.0.0.1:1", "API_URL": "no URL"}


def test_variables_of_others_are_not_looked_at(shared, client, name):
    c = client([], environment={**OF_OTHERS, "MUSTER_SERVER": shared[0].url})
    assert c("register", name, "-", 0, 3000, 1) == [INVALID]
    assert " ".join(c("invalid")[1:]) == "spec->port is 0"
    error, id = c("register", name, "-", 80, 3000, 1)
    assert error == OK and id.startswith(name + "-")
    assert c("wait", 10000) == [OK]
    c.close()


def test_variables_of_others_that_are_adopted_and_unusable_are_named(shared, client, name):
    environment = {"SERVER_PORT": "tcp://10.96.3.4:80", "HEARTBEAT_INTERVAL": "often"}
    c = client(shared, environment=environment, options=["adopt"])
    for port, word in ((0, "SERVER_PORT"), (80, "HEARTBEAT_INTERVAL")):
        assert c("register", name, name, port, 3000, 1) == [INVALID]
        assert word in " ".join(c("invalid")[1:])
    c.close()


# --- reasons ---

def test_the_reason_of_a_refusal_is_readable_at_the_handle(shared, client, name):
    c = client(shared)
    assert c("register", name, "..", 80, 10000, 1)[0] == OK
    assert c("wait", 10000) == [REFUSED]
    why = " ".join(c("why", "..")[1:])
    assert "id" in why.split() or "id:" in why.split(), why
    await_true("a line of the log", lambda: [line for line in c.log if line[0] == "error"])
    assert c("register", name, name, 80, 10000, 1)[0] == OK
    await_true("the other one", lambda: c("state", name) == [OK, str(REGISTERED)])
    assert c("why", name) == [OK]
    c.close()


def test_the_reason_why_nobody_is_reached_names_the_replicas(client, name):
    c = client(NOBODY)
    assert c("register", name, name, 80, 10000, 1)[0] == OK
    assert c("wait", 700) == [UNREACHABLE]
    assert NOBODY[0] in " ".join(c("why", name)[1:])
    assert any(level == "warning" and NOBODY[0] in line for level, line in c.log)
    c.close(timeout_ms=0)


@pytest.mark.parametrize("words, argument", [
    (["register", "", "i", 80, 3000, 1], "spec->name"),
    (["register", "n" * 256, "i", 80, 3000, 1], "spec->name"),
    (["register", "n", "i" * 256, 80, 3000, 1], "spec->id"),
    (["register", "n", "\udcff", 80, 3000, 1], "spec->id"),
    (["register", "n", "i", 0, 3000, 1], "spec->port"),
    (["register", "n", "i", 80, 999, 1], "spec->ttl_ms"),
    (["discover", "", 0, 100], "service"),
    (["discover", "n", 7, 100], "query->strategy"),
    (["query", "n", 100, "health=16"], "query->health"),
    (["query", "n", 0, "linearizable=1"], "timeout_ms"),
    (["list", "", 100], "service"),
    (["follow", ""], "service"),
], ids=lambda value: value if isinstance(value, str) else value[0])
def test_an_invalid_argument_is_named(client, words, argument):
    c = client(NOBODY)
    assert c("invalid") == [OK]
    assert c(*words)[0] == INVALID
    assert argument in " ".join(c("invalid")[1:])
    c.close(0)


def test_many_instances_share_a_heartbeat(make_cluster, client):
    with make_cluster(1) as cluster:
        cluster.start()
        c = client(cluster)
        assert c("register", "many", "m", 80, 6000, 1000)[0] == OK
        assert c("wait", 60000) == [OK]

        before, began = cluster[0].metric("http_requests_total"), time.monotonic()
        time.sleep(7)  # more than the ttl: every lease has to be renewed in it
        rounds = (time.monotonic() - began) / 1.5  # at least the interval less a quarter
        assert {i["health"] for i in cluster[0].instances().values()} == {"passing"}
        assert cluster[0].metric("http_requests_total") - before < 20 * rounds
        c.close()


# --- found ---

def test_discovery_follows_the_registry(shared, client, name):
    c = client(shared)
    assert c.discover(name, timeout_ms=10000) == (NOT_FOUND,)
    shared[0].register(name, id=name + "-a")
    shared[1].register(name, id=name + "-b")
    await_true("both in the copy", lambda: len(c.list(name)) == 2)
    assert [c.discover(name, ROUND_ROBIN)[1][-1] for _ in range(4)] in (list("abab"), list("baba"))
    assert {c.discover(name, FIRST)[1] for _ in range(4)} == {name + "-a"}
    assert {c.discover(name)[1] for _ in range(40)} == {name + "-a", name + "-b"}
    shared[2].post("/heartbeat", {"id": name + "-a", "status": "critical"})
    await_true("the ill one out of discovery", lambda: c.discover(name, FIRST)[1] == name + "-b")
    assert c.list(name) == {name + "-a": CRITICAL, name + "-b": PASSING}
    shared[2].request("DELETE", "/instances/%s-b" % name)
    await_true("none", lambda: c.discover(name) == (NOT_FOUND,))
    c.close()


FILTERS = [({"type": "db"}, "-a"), ({"type": "none"}, None), ({"meta": "rack:7"}, "-b"),
           ({"meta": "rack:9"}, None), ({"meta": "row:7"}, None), ({"tag": "blue"}, "-b"),
           ({"health": 1 << CRITICAL}, "-c"), ({"health": 1 << PASSING | 1 << CRITICAL}, "-a"),
           ({"zone": "east"}, "-b"), ({}, "-a")]


@pytest.mark.parametrize("linearizable", [False, True])
def test_a_query_chooses_by_type_metadata_health_and_tag(shared, client, name, linearizable):
    shared[0].register(name, id=name + "-a", type="db")
    shared[0].register(name, id=name + "-b", metadata={"rack": "7"}, tags=["blue"], zone="east")
    shared[0].register(name, id=name + "-c", health="critical")
    c = client(shared)
    await_true("all in the copy", lambda: len(c.list(name)) == 3)
    more = {"linearizable": 1} if linearizable else {}
    for filters, expected in FILTERS:
        assert c.query(name, **filters, **more) == (expected and name + expected), filters
    c.close()


def test_a_linearizable_query_sees_what_was_just_acknowledged(shared, client, name):
    c = client(shared)
    for i in range(20):
        id = "%s-%d" % (name, i)
        shared[i % 3].register(name, id=id)
        assert c.query(name, linearizable=1) == id
        assert shared[(i + 1) % 3].request("DELETE", "/instances/" + id).status == 200
        assert c.query(name, linearizable=1) is None
    c.close()


def test_a_linearizable_query_uses_neither_copy_nor_fallback(client, name):
    c = client(NOBODY, "http://api.example:8000")
    assert c("query", name, 1000, "linearizable=1")[0] in (UNREACHABLE, TIMED_OUT)
    c.close(0)


# --- event loops ---

def dispatch_until(c, what, condition):
    def step():
        assert c("dispatch", 100)[0] == OK
        return condition()
    await_true(what, step, every_s=0)


def test_with_an_event_loop_callbacks_come_from_dispatch_alone(shared, client, name):
    c = client(shared, options=["dispatch"])
    assert c("register", name, name, 80, 10000, 1)[0] == OK
    assert c("wait", 10000) == [OK]
    assert c("follow", name) == [OK]
    await_true("it in the copy", lambda: name in c.list(name))
    assert (c.states, c.changes) == ([], [])
    dispatch_until(c, "the state and the start", lambda: c.states and len(c.changes) >= 2)
    assert c.states == [(name, REGISTERED, "")]
    assert c.changes == [(PRESENT, name, PASSING), (SYNCED, "-", -1)]
    await_true("nothing more to dispatch", lambda: c("dispatch", 100) == [OK, "idle"])
    assert len(c.changes) == 2

    shared[0].register(name, id=name + "-b")
    dispatch_until(c, "it added", lambda: len(c.changes) >= 3)
    shared[0].post("/heartbeat", {"id": name + "-b", "status": "critical"})
    dispatch_until(c, "its health", lambda: len(c.changes) >= 4)
    shared[0].request("DELETE", "/instances/%s-b" % name)
    dispatch_until(c, "it removed", lambda: len(c.changes) >= 5)
    assert c.changes[2:] == [(ADDED, name + "-b", PASSING), (HEALTH, name + "-b", CRITICAL),
                             (REMOVED, name + "-b", CRITICAL)]
    assert c("unfollow") == [OK]
    assert c("deregister", name, 5000) == [OK]
    c.close()


def test_with_an_event_loop_many_changes_of_one_instance_come_as_one(shared, client, name):
    shared[0].register(name, id=name)
    shared.wait_same_state()
    c = client(shared, options=["dispatch"])
    assert c("follow", name) == [OK]
    dispatch_until(c, "the start", lambda: len(c.changes) >= 2)
    for i in range(30):
        shared[0].register(name, id=name, weight=i + 1)
    shared[0].register(name, id=name + "-last")
    await_true("all in the copy", lambda: name + "-last" in c.list(name))
    dispatch_until(c, "the changes", lambda: len(c.changes) >= 4)
    assert [change[:2] for change in c.changes[2:]] == [(UPDATED, name), (ADDED, name + "-last")]
    c.close()


def test_dispatch_needs_a_client_that_was_opened_for_it(client):
    c = client(NOBODY)
    assert c("dispatch", 0) == [OK, "idle"]
    c.close(0)


# --- followers ---

def test_a_follower_hears_each_change(shared, client, name):
    shared[0].register(name, id=name + "-a")
    shared.wait_same_state()
    c = client(shared)
    assert c("follow", name) == [OK]
    await_true("the start", lambda: len(c.changes) >= 2)
    shared[0].register(name, id=name + "-b")
    shared[0].request("PUT", "/instances/%s-b/maintenance" % name, {"enabled": True})
    shared[0].request("DELETE", "/instances/%s-b" % name)
    await_true("the changes", lambda: len(c.changes) >= 5)
    assert c.changes == [(PRESENT, name + "-a", PASSING), (SYNCED, "-", -1),
                         (ADDED, name + "-b", PASSING), (HEALTH, name + "-b", MAINTENANCE),
                         (REMOVED, name + "-b", MAINTENANCE)]
    assert c("unfollow") == [OK]
    shared[0].register(name, id=name + "-c")
    await_true("it in the copy", lambda: name + "-c" in c.list(name))
    assert len(c.changes) == 5
    c.close()


def test_the_fallback_is_given_when_there_is_nothing_else(client, name):
    c = client(NOBODY, "http://api.example:8000/v1")
    assert c("discover", name, FIRST, 5000) == [OK, "fallback", "api.example", "8000", "0", "1"]
    c.close(0)
    c = client(NOBODY)
    assert c.discover(name, timeout_ms=500) == (UNREACHABLE,)
    c.close(0)


def test_a_fork_shares_nothing(shared, client, name):
    c = client(shared)
    assert c("register", name, name, 80, 10000, 1)[0] == OK
    assert c("wait", 10000) == [OK]
    shared.wait_same_state()
    assert c.discover(name)[0] == OK
    assert c("fork") == [OK]
    assert c("state", name) == [OK, str(REGISTERED)]
    assert c("health", name, WARNING, "-", 5000) == [OK]
    c.close()


def test_many_threads_may_ask(shared, client, name):
    shared[0].register(name, id=name)
    shared.wait_same_state()
    c = client(shared)
    assert c.discover(name)[0] == OK
    c.send("hammer", name, 1000)
    for i in range(20):
        shared[0].post("/heartbeat", {"id": name, "status": ("passing", "warning")[i % 2]})
    assert c.receive() == [OK, "0"]
    c.close()


# --- when replicas go away ---

def test_killing_replicas_one_by_one_makes_nobody_critical(make_cluster, client):
    """30 s: each replica is killed for longer than a lease, while a client may be using it."""
    with make_cluster(3) as cluster:
        cluster.start()
        watcher, c = client(cluster), client(cluster)
        assert c("register", "web", "w", 80, 4000, 50)[0] == OK
        assert c("wait", 30000) == [OK]
        assert watcher("follow", "web") == [OK]
        await_true("all in the copy", lambda: len(watcher.list("web")) == 50)
        for replica in cluster:
            replica.kill()
            end = time.monotonic() + 5
            while time.monotonic() < end:
                assert watcher.discover("web", timeout_ms=0)[0] == OK
                time.sleep(0.05)
            replica.start().wait_ready()
        assert set(watcher.list("web").values()) == {PASSING}
        told = watcher.changes[51:]
        assert [t for t in told if t[0] not in (SYNCED, PRESENT)] == []
        assert [t for t in told if t[2] > PASSING] == []
        c.close()
        watcher.close()


def test_a_replica_that_hangs_makes_nobody_critical(make_cluster, client):
    """30 s: each replica hangs for longer than a lease."""
    with make_cluster(3) as cluster:
        cluster.start()
        c = client(cluster)
        assert c("register", "web", "w", 80, 4000, 20)[0] == OK
        assert c("wait", 30000) == [OK]
        for replica in cluster:
            replica.pause()
            end = time.monotonic() + 6
            while time.monotonic() < end:
                other = next(r for r in cluster if r is not replica)
                health = {i["health"] for i in other.instances().values()}
                assert health == {"passing"}
                time.sleep(0.2)
            replica.resume()
        c.close()


def test_without_any_replica_discovery_goes_on_and_says_how_old(make_cluster, client):
    with make_cluster(3) as cluster:
        cluster.start()
        c = client(cluster, "http://fallback.example:1")
        assert c("register", "web", "w", 80, 3000, 3)[0] == OK
        assert c("wait", 30000) == [OK]
        await_true("all in the copy", lambda: len(c.list("web")) == 3)
        assert c.discover("web")[2] == 0
        for replica in cluster:
            replica.kill()
        age = await_true("an age", lambda: c.discover("web", timeout_ms=0)[2])
        time.sleep(1)
        error, id, later, fallback = c.discover("web", timeout_ms=0)
        assert error == OK and id.startswith("w-") and not fallback
        assert later >= age + 900
        await_true("doubt", lambda: c("state", "w-0") == [OK, str(DOUBTFUL)])
        cluster.start()
        await_true("a current copy", lambda: c.discover("web", timeout_ms=0)[2] == 0, 30)
        assert set(c.list("web").values()) == {PASSING}
        await_true("no doubt", lambda: c("state", "w-0") == [OK, str(REGISTERED)])
        c.close()


def test_a_registry_that_comes_back_empty_is_filled_again(make_cluster, client):
    with make_cluster(3) as cluster:
        cluster.start()
        c = client(cluster)
        assert c("register", "web", "w", 80, 3000, 200)[0] == OK
        assert c("wait", 30000) == [OK]
        assert len(await_true("the copy", lambda: c.list("web"))) > 0
        for replica in cluster:
            replica.kill()
            subprocess.run(["rm", "-r", replica.data], timeout=30, check=True)
        cluster.start()
        await_true("all there again", lambda: len(cluster[0].instances()) == 200, 30)
        await_true("and in the copy", lambda: c.list("web") == {
            "w-%d" % i: PASSING for i in range(200)}, 30)
        c.close()
        assert cluster[0].get("/instances?consistency=linearizable").json["instances"] == []


# --- the examples ---

def example(program, *arguments, servers, **settings):
    environment = {"MUSTER_SERVER": ",".join(r.url for r in servers)}
    return subprocess.Popen([os.path.join(BIN, "example_" + program), *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                            env=clean_environment(environment), **settings)


def test_the_examples_do_what_they_say(shared, name):
    follow = example("follow", name, servers=shared)
    assert read_line(follow) == "synced\n"
    serve = example("serve", name, "8123", servers=shared)
    added = read_line(follow).split()
    assert added[0] == "added" and added[2].endswith(":8123") and added[3] == "passing"
    find = example("find", name, "2", servers=shared)
    out, err = find.communicate(timeout=30)
    assert find.returncode == 0 and len(out.splitlines()) == 2, err
    assert all(line.endswith(":8123") for line in out.splitlines())
    serve.send_signal(signal.SIGTERM)
    _, err = serve.communicate(timeout=30)
    assert serve.returncode == 0 and ": registered\n" in err
    assert read_line(follow).startswith("removed")
    loop = example("loop", name + "-loop", "8124", name, servers=shared)
    assert read_line(loop).endswith(" is registered\n")
    shared[0].register(name, id=name)
    assert read_line(loop) == "added %s passing\n" % name
    loop.send_signal(signal.SIGTERM)
    assert loop.communicate(timeout=30)[1] == "" and loop.returncode == 0
    assert read_line(follow).startswith("added")
    follow.send_signal(signal.SIGINT)
    assert follow.communicate(timeout=30)[0] == "" and follow.returncode == 0
