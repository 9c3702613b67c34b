"""Event streams: exact at every replica, resumable anywhere, with a reset when they cannot be."""
import contextlib
import random
import shutil
import socket
import threading
import time

import pytest

from cluster import await_true
from streams import Ended, Follower, Stream


def kinds(events):
    return [event for _, event, _ in events]


def position(id):
    index, place = id.split(".")
    return int(index), int(place) % 2**32


def test_a_stream_tells_what_happens_from_now_on(shared, name):
    before = shared[0].register(name, name + "-before")["index"]
    with Stream(shared[1].http_port, {"service": name, "min_index": before}) as stream:
        bookmark, event, _ = next(stream)
        assert event is None and position(bookmark) >= (1, 0)
        assert stream.answer.headers["Content-Type"] == "text/event-stream"
        shared[0].register(name, name + "-1", port=1)
        shared[0].register(name, name + "-1", port=2)
        shared[2].register(name + "-other")
        shared[2].request("DELETE", "/instances/%s-1" % name)
        got = [next(stream) for _ in range(3)]
    assert kinds(got) == ["registered", "updated", "deregistered"]
    assert [position(id) for id, _, _ in got] == sorted(position(id) for id, _, _ in got)
    for id, event, data in got:
        assert data["id"] == id and data["event"] == event
        assert data["instance"]["id"] == name + "-1"


def test_a_stream_is_resumed_at_any_replica_behind_any_event(shared, name):
    for n in range(5):
        last = shared[n % 3].register(name, "%s-%d" % (name, n))["index"]
    listed = shared[0].get("/events?service=%s&min_index=%d" % (name, last)).json["events"]
    ids = [e["id"] for e in listed]
    for replica in shared:
        for place, id in enumerate(ids):
            with Stream(replica.http_port, {"service": name}, last_id=id) as stream:
                rest = [next(stream) for _ in range(1 + len(ids) - place - 1)]
            assert [i for i, event, _ in rest if event] == ids[place + 1:]


def test_the_header_counts_more_than_the_parameter(shared, name):
    for n in range(3):
        shared[0].register(name, "%s-%d" % (name, n))
    ids = [e["id"] for e in shared[0].get("/events?service=" + name).json["events"]]
    with Stream(shared[0].http_port, {"service": name, "after": ids[0]}) as stream:
        assert [next(stream)[0] for _ in range(3)][1:] == ids[1:]
    with Stream(shared[0].http_port, {"service": name, "after": ids[0]}, last_id=ids[1]) as stream:
        assert [next(stream)[0] for _ in range(2)][1:] == ids[2:]


def test_filters_choose_services_types_instances_and_kinds(shared, name):
    queries = [{"service": name}, {"type": name + "-type"}, {"id": name + "-1"},
               {"service": name, "event": ["deregistered", "health"]}]
    streams = [Stream(shared[0].http_port, query) for query in queries]
    for stream in streams:
        next(stream)
    shared[0].register(name, name + "-1", type=name + "-type")
    shared[0].register(name, name + "-2")
    shared[0].post("/heartbeat", {"id": name + "-2", "status": "warning"})
    shared[0].request("DELETE", "/instances/%s-1" % name)
    shared[0].request("DELETE", "/instances/%s-2" % name)
    expected = [["registered", "registered", "health", "deregistered", "deregistered"],
                ["registered", "deregistered"], ["registered", "deregistered"],
                ["health", "deregistered", "deregistered"]]
    for stream, want in zip(streams, expected):
        assert kinds(next(stream) for _ in want) == want
        stream.close()


def test_an_instance_that_moves_is_gone_for_those_who_follow_its_old_service(shared, name):
    now = shared[0].register(name + "-old", name)["index"]
    with Stream(shared[1].http_port, {"service": name + "-old", "min_index": now}) as old, \
            Stream(shared[2].http_port, {"service": name + "-new", "min_index": now}) as new:
        next(old), next(new)
        shared[0].register(name + "-new", name)
        assert next(old)[1] == "deregistered"
        assert next(new)[1] == "registered"


def test_a_snapshot_is_followed_by_what_changes_after_it(shared, name):
    for n in range(3):
        shared[0].register(name, "%s-%d" % (name, n))
    query = {"service": name, "snapshot": "true"}
    with Stream(shared[0].http_port, query) as stream:
        got = stream.until("synced")
        assert kinds(got) == ["present"] * 3 + ["synced"]
        assert [data["instance"]["id"] for _, _, data in got[:3]] == \
            ["%s-%d" % (name, n) for n in range(3)]
        assert all(id is None for id, _, _ in got[:3]), "nobody resumes in the middle of a snapshot"
        synced_id, _, synced = got[3]
        assert synced["index"] >= shared[0].get("/services/" + name).json["index"]
        shared[0].request("DELETE", "/instances/%s-1" % name)
        assert next(stream)[1] == "deregistered"
    # With an id, the same request resumes there.
    with Stream(shared[1].http_port, query, last_id=synced_id) as stream:
        assert kinds([next(stream), next(stream)]) == [None, "deregistered"]


def test_a_past_that_is_gone_is_said_to_be_with_the_index_to_list_at(make_cluster):
    cluster = make_cluster(3, "--events-kept", "16").start()
    replica = cluster[0]
    first = replica.register("web", "web-first")["index"]
    for n in range(30):
        replica.register("web", "web-%d" % n)
    # The leader sets the number with one of its first entries.
    await_true("so many are kept", lambda: replica.metric("events_kept") == 16)
    assert replica.metric("events_oldest_index") > first
    with Stream(replica.http_port, last_id="%d.0" % first) as stream:
        id, event, data = stream.until("reset")[-1]
        listed = replica.get("/instances?min_index=%d" % data["index"]).json["instances"]
        assert event == "reset" and len(listed) == 31
        assert position(id)[0] <= data["index"]
        replica.register("web", "web-last")
        assert next(stream)[2]["instance"]["id"] == "web-last"
    with Stream(replica.http_port, {"snapshot": "true"}, last_id="%d.0" % first) as stream:
        got = stream.until("synced")
        assert kinds(got) == ["reset"] + ["present"] * 32 + ["synced"]
        assert got[0][0] is None


def test_a_position_of_another_cluster_is_not_waited_for(shared):
    with Stream(shared[0].http_port, last_id="999999999.0") as stream:
        assert stream.until("reset")[-1][1] == "reset"


def test_an_id_of_the_registry_that_had_this_address_before_resets(make_cluster):
    replica = make_cluster(1).start()[0]
    for n in range(5):
        replica.register("web", "old-%d" % n)
    old = replica.get("/events").json["last"]
    replica.kill()
    shutil.rmtree(replica.data)
    replica.start().wait_ready()
    for n in range(10):
        replica.register("web", "new-%d" % n)
    assert position(replica.get("/events").json["last"]) > position(old)
    listed = replica.get("/events?after=" + old).json
    assert listed["reset"] and len(listed["events"]) == 10
    with Stream(replica.http_port, last_id=old) as stream:
        assert kinds(stream.until("reset"))[-1] == "reset"
    with Stream(replica.http_port, {"snapshot": "true"}, last_id=old) as stream:
        assert kinds(stream.until("synced")) == ["reset"] + ["present"] * 10 + ["synced"]
    # An id without a cluster is accepted as it is.
    bare = "%d.%d" % position(old)
    assert not replica.get("/events?after=" + bare).json["reset"]


def test_a_replica_that_lags_tells_nothing_twice(make_cluster):
    cluster = make_cluster(3).start()
    lagging = cluster.followers()[0]
    others = [r for r in cluster if r is not lagging]
    lagging.pause()
    for n in range(50):
        index = others[0].register("web", "web-%02d" % n)["index"]
    last = others[1].get("/events?limit=10000&min_index=%d" % index).json["events"][-1]["id"]
    lagging.resume()
    # Until it has found its leader again it cannot know whether that id exists.
    await_true("the stream is taken up",
               lambda: Stream(lagging.http_port, last_id=last, timeout=15).status == 200, 30)
    with Stream(lagging.http_port, last_id=last, timeout=15) as stream:
        others[0].register("web", "web-new")
        told = [data["instance"]["id"] for _, event, data in stream.until("registered")
                if event is not None]
    assert told == ["web-new"]


@pytest.mark.timeout(300)  # half a minute of changes, then a minute at most until all have heard of them
def test_50_streams_that_hop_between_dying_replicas_get_each_matching_event_once(make_cluster):
    """Takes half a minute: leaders are killed and replicas restarted meanwhile."""
    cluster = make_cluster(3, "--events-kept", "100000").start()
    begin = cluster[0].register("web", "begin")["index"]
    queries = [{}, {"service": "web"}, {"service": "db"}, {"event": ["registered", "reaped"]},
               {"service": "web", "event": ["deregistered"]}, {"id": "web-3"}]
    followers = [Follower(cluster, n, queries[n % len(queries)], "%d.0" % begin)
                 for n in range(50)]
    with all_of(followers):
        change_until(cluster, time.monotonic() + 25, kill_every_s=4)
        cluster.wait_ready()
        cluster.wait_same_state()
        done = cluster[0].register("web", "end")["index"]
        await_true("all streams have moved past what happened last, be it by a bookmark",
                   lambda: all(position(f.last_id)[0] >= done for f in followers), 60)
    events = [e for e in cluster[0].events() if (begin, 0) < position(e["id"]) <= (done, 0)]
    assert len(events) > 300
    for follower in followers:
        want = [(e["id"], e["event"]) for e in events if matches(e, follower.query)]
        got = [e for e in follower.events if position(e[0]) <= (done, 0)]
        assert got == want, "stream %s" % follower.query
        assert follower.resets == 0 and follower.hops > 1


def matches(event, query):
    instance = event["instance"]
    return (query.get("service", instance["name"]) == instance["name"]
            and query.get("id", instance["id"]) == instance["id"]
            and event["event"] in query.get("event", [event["event"]]))


def all_of(followers):
    stack = contextlib.ExitStack()
    for follower in followers:
        stack.enter_context(follower)
    return stack


def change_until(cluster, deadline, kill_every_s):
    """Writes through any replica that answers, and sometimes kills the leader or restarts a follower."""
    rng = random.Random(7)
    kill_at = time.monotonic() + kill_every_s
    down = None
    while time.monotonic() < deadline:
        service = rng.choice(["web", "db"])
        id = "%s-%d" % (service, rng.randrange(20))
        replica = rng.choice([r for r in cluster if r is not down])
        try:
            if rng.random() < 0.4:
                replica.request("DELETE", "/instances/" + id)
            else:
                replica.post("/register", {"name": service, "id": id, "host": "h",
                                           "port": rng.randrange(1, 9), "ttl": 2,
                                           "reap_after": 1})
        except OSError:
            pass
        if time.monotonic() > kill_at:
            kill_at = time.monotonic() + kill_every_s
            if down is not None:
                down.start()
            down = cluster.leader() if rng.random() < 0.6 else rng.choice(cluster.followers())
            down.kill()
    if down is not None:
        down.start()


def test_a_snapshot_that_is_followed_equals_a_fresh_listing_at_every_pause(make_cluster):
    cluster = make_cluster(3).start()
    rng = random.Random(11)
    followers = [Follower(cluster, n, {"snapshot": "true", **query}) for n, query in
                 enumerate([{}, {}, {"service": "web"}, {"service": "db"}, {"type": "a"}])]
    with all_of(followers):
        check_pauses(cluster, followers, rng)


def check_pauses(cluster, followers, rng):
    for pause in range(5):
        for _ in range(100):
            service = rng.choice(["web", "db"])
            id = "i-%d" % rng.randrange(300)  # moves between services, too
            if rng.random() < 0.3:
                cluster[rng.randrange(3)].request("DELETE", "/instances/" + id)
            else:
                cluster[rng.randrange(3)].register(service, id, type=rng.choice(["a", "b"]))
        cluster.wait_same_state()
        listing = cluster[0].instances()
        for follower in followers:
            want = {id: i for id, i in listing.items()
                    if follower.query.get("service", i["name"]) == i["name"]
                    and follower.query.get("type", i["type"]) == i["type"]}
            await_true("pause %d: the copy of %s is the listing" % (pause, follower.query),
                       lambda f=follower, w=want: f.synced and f.copy == w, 30)


@pytest.mark.timeout(300)  # waits of a minute, and of 40 s
def test_a_reader_that_stops_reading_is_cut_off_and_resumes_without_loss(make_cluster):
    """Takes as long as a reader may be stuck; silent streams get keep-alives meanwhile."""
    cluster = make_cluster(1, "--events-kept", "100000").start()
    replica = cluster[0]
    silent = Stream(replica.http_port, {"service": "nobody"}, timeout=40)
    stuck = Stream(replica.http_port, receive_bytes=4096, timeout=40)
    next(stuck)
    filler = {"k%d" % n: "v" * 500 for n in range(60)}
    for n in range(40):
        replica.register("web", "web-%02d" % n, metadata=filler)
    before = time.monotonic()
    replica.register("web", "others go on")
    assert time.monotonic() - before < 5
    await_true("cut off", lambda: replica.metric("streams_cut_total") == 1, 60, 0.5)
    told, last = [], None
    with pytest.raises(Ended):
        for id, event, data in stuck:
            last = id
            told.append(data["instance"]["id"])
    assert len(told) < 41
    with Stream(replica.http_port, last_id=last) as again:
        next(again)
        while len(told) < 41:
            told.append(next(again)[2]["instance"]["id"])
    assert told == ["web-%02d" % n for n in range(40)] + ["others go on"]
    next(silent), next(silent)
    assert silent.comments >= 1, "a silent stream is kept open"
    assert "resumes_at=" in replica.log()


def test_streams_end_in_order_when_the_replica_stops(make_cluster):
    cluster = make_cluster(1).start()
    streams = [Stream(cluster[0].http_port) for _ in range(20)]
    for stream in streams:
        next(stream)
    assert cluster[0].stop() == 0
    for stream in streams:
        with pytest.raises(Ended, match="in order"):
            next(stream)


def test_clients_that_leave_are_forgotten(make_cluster):
    cluster = make_cluster(1).start()
    streams = [Stream(cluster[0].http_port) for _ in range(50)]
    await_true("50 streams", lambda: cluster[0].metric("streams") == 50)
    for stream in streams:
        stream.connection.sock.shutdown(socket.SHUT_RDWR)
        stream.close()
    await_true("none", lambda: cluster[0].metric("streams") == 0)


def test_2000_streams_are_told_at_once_and_others_are_served_meanwhile(make_cluster):
    cluster = make_cluster(1).start()
    replica = cluster[0]
    streams = [Stream(replica.http_port, {"service": "web"}, timeout=30) for _ in range(2000)]
    for stream in streams:
        next(stream)
    replica.register("web", "web-1")
    assert replica.get("/health/live").status == 200
    # The first ones may have got keep-alives while the last ones were opened.
    assert all(stream.until("registered")[-1][2]["instance"]["id"] == "web-1"
               for stream in streams)
    assert replica.metric("streams") == 2000
    await_true("measured", lambda: replica.metric("stream_delay_seconds_count") >= 1)
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("query, headers, field", [
    ("?snapshot=yes", {}, "snapshot"), ("?limit=5", {}, "limit"),
    ("?index=999999999", {}, "index"),
    ("?after=x", {}, "after"), ("", {"Last-Event-ID": "x"}, "Last-Event-ID"),
    ("?event=exploded", {}, "event"), ("?color=red", {}, "color")])
def test_a_bad_request_for_a_stream_names_the_field(shared, query, headers, field):
    got = shared[0].request("GET", "/events" + query,
                            headers={"Accept": "text/event-stream", **headers})
    assert got.status == 400 and got.json["field"] == field


def test_an_empty_last_event_id_is_none(shared):
    got = shared[0].request("GET", "/events", headers={"Last-Event-ID": ""})
    assert got.status == 200 and not got.json["reset"]


def test_a_listing_refuses_what_only_streams_have(shared):
    got = shared[0].get("/events?snapshot=true")
    assert got.status == 400 and got.json["field"] == "snapshot"


def test_heartbeats_and_other_services_wake_no_long_poll(shared, name):
    shared[0].register(name, name + "-1")
    index = shared[0].get("/services/" + name).json["index"]
    woken = []

    def poll():
        woken.append(shared[1].get("/services/%s?index=%d&wait=20s" % (name, index), timeout=30))

    thread = threading.Thread(target=poll)
    thread.start()
    for n in range(30):
        shared[0].post("/heartbeat", {"id": name + "-1"})
        shared[0].register(name + "-other", name + "-other")
        shared[0].request("DELETE", "/instances/%s-other" % name)
    assert woken == []
    shared[2].register(name, name + "-2")
    thread.join(20)
    assert woken[0].json["index"] > index
