"""Listings, discovery, blocking queries and status over HTTP."""
import collections
import socket
import threading
import time

import pytest

from cluster import await_true


@pytest.fixture
def fleet(shared, name):
    """Four instances of one service that differ in everything a filter can select."""
    shared[0].register(name, id=name + "-1", tags=["a", "b"], zone="z1", type=name + "t",
                       metadata={"v": "1"}, weight=1)
    shared[0].register(name, id=name + "-2", tags=["a"], zone="z2", type=name + "t",
                       metadata={"v": "2"}, weight=9)
    shared[0].register(name, id=name + "-3", tags=["b"], zone="z2", type=name + "u",
                       metadata={"v": "1"}, health="warning")
    shared[0].register(name, id=name + "-4", zone="z1", type=name + "u", health="critical")
    return name


def numbers(answer, name):
    assert answer.status == 200, answer
    return sorted(int(i["id"][len(name) + 1:]) for i in answer.json["instances"])


@pytest.mark.parametrize("query, expected", [
    ("", [1, 2, 3]),
    ("?health=any", [1, 2, 3, 4]),
    ("?health=critical", [4]),
    ("?health=warning,critical", [3, 4]),
    ("?tag=a", [1, 2]),
    ("?tag=a&tag=b", [1]),
    ("?tag=none", []),
    ("?zone=z2", [2, 3]),
    ("?meta.v=1", [1, 3]),
    ("?meta.v=1&zone=z1", [1]),
    ("?meta.w=1", []),
    ("?zone=z1&health=any", [1, 4]),
])
def test_a_service_is_listed_with_filters(shared, fleet, query, expected):
    assert numbers(shared[0].get("/services/" + fleet + query), fleet) == expected


def test_a_service_is_listed_by_type(shared, fleet):
    assert numbers(shared[0].get("/services/%s?type=%su" % (fleet, fleet)), fleet) == [3]


def test_instances_take_the_same_filters(shared, fleet):
    path = "/instances?type=%s%s" % (fleet, "u&health=warning")
    assert numbers(shared[0].get(path), fleet) == [3]
    assert numbers(shared[0].get("/instances?type=%su" % fleet), fleet) == [3, 4]


def test_the_list_of_services_counts_by_health(shared, fleet):
    services = {s["name"]: s for s in shared[0].get("/services").json["services"]}
    mine = services[fleet]
    assert (mine["instances"], mine["passing"], mine["warning"], mine["critical"],
            mine["maintenance"]) == (4, 2, 1, 1, 0)
    assert sorted(mine["types"]) == [fleet + "t", fleet + "u"]
    assert sorted(mine["tags"]) == ["a", "b"]


def test_a_service_that_is_not_there_has_an_empty_list(shared, name):
    got = shared[0].get("/services/" + name)
    assert got.status == 200
    assert got.json["name"] == name and got.json["instances"] == []


def test_every_replica_lists_the_same(shared, fleet):
    shared.wait_same_state()
    answers = [r.get("/services/%s?health=any" % fleet).body for r in shared]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("strategy", ["random", "round_robin", "first", "weighted"])
def test_discover_gives_one_healthy_instance(shared, fleet, strategy):
    seen = {shared[0].get("/services/%s/discover?strategy=%s" % (fleet, strategy)).json["id"]
            for _ in range(60)}
    assert seen <= {fleet + "-1", fleet + "-2", fleet + "-3"}
    if strategy == "first":
        assert len(seen) == 1
    else:
        assert fleet + "-2" in seen and len(seen) >= 2


def test_round_robin_takes_turns(shared, fleet):
    seen = collections.Counter(
        shared[0].get("/services/%s/discover?strategy=round_robin&tag=a" % fleet).json["id"]
        for _ in range(40))
    # The server may have several workers, each with its own round robin.
    assert set(seen) == {fleet + "-1", fleet + "-2"} and min(seen.values()) >= 10


def test_weighted_follows_the_weights(shared, fleet):
    seen = collections.Counter(
        shared[0].get("/services/%s/discover?strategy=weighted&tag=a" % fleet).json["id"]
        for _ in range(200))
    assert seen[fleet + "-2"] > 130 and seen[fleet + "-1"] > 0


def test_near_prefers_a_zone_and_falls_back(shared, fleet):
    for _ in range(20):
        path = "/services/%s/discover?near=z1" % fleet
        assert shared[0].get(path).json["id"] == fleet + "-1"
    assert shared[0].get("/services/%s/discover?near=elsewhere" % fleet).status == 200


def test_discover_by_type_looks_over_all_services(shared, fleet):
    for _ in range(10):
        assert shared[0].get("/discover?type=%su" % fleet).json["id"] == fleet + "-3"


def test_discover_without_a_healthy_instance_is_503_and_says_so(shared, name):
    for path in ("/services/%s/discover" % name, "/discover?type=" + name):
        got = shared[0].get(path)
        assert got.status == 503 and got.json["error"] == "no_healthy_instance"


def test_one_instance_shows_its_lease(shared, name):
    shared[0].register(name, id=name, ttl=60)
    seen = shared[0].get("/instances/" + name).json
    assert 50 < seen["expires_in"] <= 60
    assert seen["last_heartbeat"].endswith("Z")
    assert seen["incarnation"] > 0


def test_an_unknown_instance_is_404(shared, name):
    got = shared[0].get("/instances/" + name)
    assert got.status == 404 and got.json["error"] == "not_found" and got.json["message"]


def test_pages_list_every_instance_once_in_order(shared, name):
    for n in range(25):
        shared[0].register(name, id="%s-%02d" % (name, n), zone=name)
    found, after = [], ""
    while True:
        page = shared[0].get("/instances?zone=%s&limit=10%s" % (name, after)).json["instances"]
        found += [i["id"] for i in page]
        if len(page) < 10:
            break
        after = "&after=" + page[-1]["id"]
    assert found == ["%s-%02d" % (name, n) for n in range(25)]


def test_every_answer_tells_index_leader_and_staleness(shared, name):
    leader = shared.leader()
    index = shared[0].register(name, id=name)["index"]
    for replica in shared:
        replica.get("/services?min_index=%d" % index)
        for path in ("/services/" + name, "/instances/" + name, "/health", "/nowhere"):
            headers = replica.get(path).headers
            assert int(headers["X-Muster-Index"]) > 0
            assert headers["X-Muster-Leader"] == str(leader.id)
            assert int(headers["X-Muster-Staleness-Ms"]) < 5000
    assert leader.get("/services").headers["X-Muster-Staleness-Ms"] == "0"


def wait_in_background(replica, path):
    """Starts a blocking query; returns a function that returns (answer, seconds it took)."""
    result = []

    def run():
        began = time.monotonic()
        result.append((replica.get(path, timeout=30), time.monotonic() - began))

    thread = threading.Thread(target=run)
    thread.start()

    def join():
        thread.join(40)
        return result[0]
    return join


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_waiting_read_is_answered_by_the_change(shared, name, at):
    shared[0].register(name, id=name + "-1")
    shared.wait_same_state()
    index = shared[at].get("/services/" + name).json["index"]
    join = wait_in_background(shared[at], "/services/%s?index=%d&wait=20s" % (name, index))
    time.sleep(0.3)
    shared[0].register(name, id=name + "-2")
    answer, took = join()
    assert 0.2 < took < 3
    assert len(answer.json["instances"]) == 2 and answer.json["index"] > index


def test_a_waiting_read_ends_with_its_wait(shared, name):
    index = shared[0].register(name, id=name)["index"]
    began = time.monotonic()
    got = shared[0].get("/services/%s?index=%d&wait=1s" % (name, index))
    assert got.status == 200 and got.json["index"] == index
    assert 0.9 < time.monotonic() - began < 3


def test_a_heartbeat_does_not_wake_a_waiting_read(shared, name):
    index = shared[0].register(name, id=name)["index"]
    join = wait_in_background(shared[0], "/services/%s?index=%d&wait=1500ms" % (name, index))
    for _ in range(5):
        shared[0].post("/heartbeat", {"id": name})
        time.sleep(0.1)
    answer, took = join()
    assert took > 1.4 and answer.json["index"] == index


def test_other_services_do_not_wake_a_waiting_read(shared, name):
    index = shared[0].register(name, id=name)["index"]
    join = wait_in_background(shared[0], "/services/%s?index=%d&wait=1s" % (name, index))
    shared[0].register(name + "other", id=name + "other")
    answer, took = join()
    assert took > 0.9 and answer.json["index"] == index


def test_a_service_that_is_not_there_can_be_waited_for(shared, name):
    index = shared[1].get("/services/" + name).json["index"]
    join = wait_in_background(shared[1], "/services/%s?index=%d&wait=20s" % (name, index))
    time.sleep(0.3)
    shared[2].register(name, id=name)
    answer, took = join()
    assert took < 3 and len(answer.json["instances"]) == 1


def test_the_end_of_a_service_wakes_and_its_index_is_remembered(shared, name):
    index = shared[0].register(name, id=name)["index"]
    join = wait_in_background(shared[0], "/services/%s?index=%d&wait=20s" % (name, index))
    time.sleep(0.3)
    shared[0].request("DELETE", "/instances/" + name)
    answer, took = join()
    assert took < 3 and answer.json["instances"] == []
    assert answer.json["index"] > index
    # A query after an index before the end is answered at once.
    began = time.monotonic()
    shared[0].get("/services/%s?index=%d&wait=20s" % (name, index))
    assert time.monotonic() - began < 1


def test_lists_of_services_and_instances_can_be_waited_for(shared, name):
    for path in ("/services", "/instances"):
        index = shared[0].get(path).json["index"]
        join = wait_in_background(shared[0], "%s?index=%d&wait=20s" % (path, index))
        time.sleep(0.2)
        shared[0].register(name, id=name + path.strip("/"))
        answer, took = join()
        assert took < 5 and answer.json["index"] > index


@pytest.mark.parametrize("path", ["/services/%s", "/instances/%s", "/services", "/instances"])
def test_the_waiting_read_of_a_client_that_has_left_is_given_up(shared, name, path):
    shared[0].register(name, id=name)
    path = path.replace("%s", name)
    asked = "%s?index=%d&wait=120s" % (path, 10 ** 12)
    await_true("no other read waits", lambda: shared[0].metric("waiters") == 0)
    with socket.create_connection(("127.0.0.1", shared[0].http_port), timeout=10) as client:
        client.sendall(b"GET %s HTTP/1.1\r\nHost: muster\r\n\r\n" % asked.encode())
        await_true("the read waits", lambda: shared[0].metric("waiters") == 1)
    await_true("nobody waits any more", lambda: shared[0].metric("waiters") == 0)


@pytest.mark.parametrize("query", ["consistency=linearizable", "min_index=%d"])
def test_a_read_elsewhere_can_demand_to_see_the_write(shared, name, query):
    for n in range(30):
        id = "%s-%d" % (name, n)
        index = shared[n % 3].register(name, id=id)["index"]
        asked = query % index if "%d" in query else query
        got = shared[(n + 1) % 3].get("/instances/%s?%s" % (id, asked))
        assert got.status == 200, got


def test_a_min_index_of_the_far_future_ends_in_an_error(shared, name):
    got = shared[0].get("/services/%s?min_index=999999999" % name, timeout=60)
    assert got.status in (503, 504), got


@pytest.mark.parametrize("path", ["/services", "/services/x", "/services/x/discover",
                                  "/discover?type=x", "/instances", "/instances/x", "/events"])
@pytest.mark.parametrize("query", ["consistency=stale", "consistency=linearizable"])
def test_every_read_takes_a_consistency(shared, path, query):
    got = shared[0].get(path + ("&" if "?" in path else "?") + query)
    assert got.status in (200, 404, 503) and b"invalid" not in got.body, got


def test_events_tell_the_life_of_an_instance(shared, name):
    replica = shared[1]
    replica.register(name, id=name)
    replica.register(name, id=name, port=81)
    replica.post("/heartbeat", {"id": name, "status": "warning"})
    replica.request("PUT", "/instances/%s/maintenance" % name, {"enabled": True})
    replica.request("DELETE", "/instances/" + name)
    got = replica.get("/events?service=" + name)
    assert got.status == 200, got
    events = got.json["events"]
    assert [e["event"] for e in events] == ["registered", "updated", "health", "maintenance",
                                           "deregistered"]
    ids = [tuple(int(part) for part in e["id"].split(".")) for e in events]
    assert ids == sorted(set(ids))


def test_the_front_page_is_json_to_programs_and_html_to_browsers(shared):
    front = shared[0].get("/").json
    assert front["id"] == 1 and front["role"] in ("leader", "follower")
    assert front["version"] and len(front["members"]) == 3
    page = shared[0].request("GET", "/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"<html" in page.body.lower()


def test_the_page_for_browsers_escapes_what_users_sent(shared):
    page = shared[0].request("GET", "/<script>alert(1)</script>",
                             headers={"Accept": "text/html"})
    assert page.status == 404 and b"<script>alert(1)" not in page.body


def test_health_of_a_healthy_cluster(shared):
    for replica in shared:
        health = replica.get("/health")
        assert health.status == 200
        assert health.json["role"] in ("leader", "follower")
        assert health.json["version"] and health.json["state"]["hash"]
        assert replica.get("/health/live").status == 200
        assert replica.get("/health/ready").status == 200
    assert sum(r.is_leader() for r in shared) == 1


def test_metrics_are_prometheus_text(shared):
    for replica in shared:
        got = replica.get("/metrics")
        assert got.status == 200 and got.headers["Content-Type"].startswith("text/plain")
        text = got.body.decode("utf-8")
        assert "muster_entries_applied_total" in text
        for line in text.splitlines():
            if line and not line.startswith("#"):
                float(line.rsplit(" ", 1)[1])


def test_the_cluster_lists_every_member_and_one_leader(shared):
    leader = shared.leader()
    for replica in shared:
        members = replica.get("/cluster").json["members"]
        assert sorted(m["id"] for m in members) == [1, 2, 3]
        assert [m["id"] for m in members if m["leader"]] == [leader.id]
        assert all(m["name"] for m in members)
