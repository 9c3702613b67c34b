"""Leases: silent instances expire, and live ones never do."""
import time

from cluster import await_true
from writers import Heartbeater

TTL_S = 5
PAUSE_S = 20


def events(replica, service):
    return [e["event"] for e in replica.get("/events?service=" + service).json["events"]]


def test_a_silent_instance_is_critical_everywhere_within_ttl_and_a_second_then_gone(shared, name):
    ttl, reap_after = 2, 2
    shared[0].register(name, id=name, ttl=ttl, reap_after=reap_after)
    silent_since = time.monotonic()
    # Live until its ttl has passed.
    while time.monotonic() - silent_since < ttl - 0.3:
        assert shared[1].instance_health(name) in ("passing", None)
        time.sleep(0.05)
    for replica in shared:
        await_true("critical at replica %d" % replica.id,
                   lambda r=replica: r.instance_health(name) == "critical",
                   within_s=silent_since + ttl + 1 - time.monotonic())
        assert replica.get("/services/" + name).json["instances"] == []
        assert replica.get("/services/%s/discover" % name).status == 503
        assert len(replica.get("/services/%s?health=any" % name).json["instances"]) == 1
    for replica in shared:
        await_true("gone from replica %d" % replica.id,
                   lambda r=replica: r.instance_health(name) is None,
                   within_s=silent_since + ttl + reap_after + 1.5 - time.monotonic())
    assert time.monotonic() - silent_since > ttl + reap_after - 0.3
    assert events(shared[0], name) == ["registered", "expired", "reaped"]


def test_a_heartbeat_brings_a_critical_instance_back(shared, name):
    shared[0].register(name, id=name, ttl=1, reap_after=3600)
    await_true("critical", lambda: shared[0].instance_health(name) == "critical", within_s=3)
    assert shared[0].post("/heartbeat", {"id": name}).json["renewed"] == 1
    assert shared[0].instance_health(name) == "passing"
    assert shared[0].get("/services/%s/discover" % name).json["id"] == name
    assert events(shared[0], name)[:3] == ["registered", "expired", "recovered"]


def test_registering_again_brings_a_critical_instance_back(shared, name):
    shared[0].register(name, id=name, ttl=1, reap_after=3600)
    await_true("critical", lambda: shared[0].instance_health(name) == "critical", within_s=3)
    shared[0].register(name, id=name, ttl=1, reap_after=3600)
    assert shared[0].instance_health(name) == "passing"


def test_heartbeats_keep_an_instance_alive_through_any_replica(shared, name):
    shared[0].register(name, id=name, ttl=1)
    for replica in shared:
        await_true("registered everywhere", lambda: replica.instance_health(name) == "passing")
    for n in range(12):
        assert shared[n % 3].post("/heartbeat", {"id": name}).status == 200
        assert shared[(n + 1) % 3].instance_health(name) == "passing"
        time.sleep(0.3)
    assert events(shared[0], name) == ["registered"]


def test_a_reap_after_of_zero_keeps_a_critical_instance(shared, name):
    shared[0].register(name, id=name, ttl=1, reap_after=0)
    await_true("critical", lambda: shared[0].instance_health(name) == "critical", within_s=3)
    time.sleep(3)
    assert shared[0].instance_health(name) == "critical"
    shared[0].request("DELETE", "/instances/" + name)


def expired(replica):
    """Ids that ever expired, and those that are critical now."""
    events = replica.get("/events?event=expired&event=reaped").json["events"]
    return {e["instance"]["id"] for e in events} | {
        i["id"] for i in replica.instances().values() if i["health"] == "critical"}


def test_no_instance_goes_critical_while_the_leader_is_stopped_for_20_s(make_cluster):
    """SIGSTOP of the leader; clients with a ttl of 5 s move on to the other replicas."""
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    # Through the leader, so that it is the one that last took their heartbeats.
    ids = ["live-%d" % n for n in range(50)]
    for id in ids:
        leader.register("live", id=id, ttl=TTL_S)
    others = [r for r in cluster if r is not leader]
    with Heartbeater([leader] + others, ids) as heartbeater:
        time.sleep(2)
        leader.pause()
        deadline = time.monotonic() + PAUSE_S
        while time.monotonic() < deadline:
            for replica in others:
                health = {i["health"] for i in replica.instances().values()}
                assert health == {"passing"}, health
            time.sleep(0.25)
        leader.resume()
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            for replica in cluster:
                health = {i["health"] for i in replica.instances().values()}
                assert health == {"passing"}, health
            time.sleep(0.25)
    assert heartbeater.lost == []
    assert expired(cluster.leader()) == set()
    cluster.wait_same_state()


def test_no_instance_goes_critical_at_once_after_all_replicas_were_stopped_for_20_s(make_cluster):
    """Time in which no heartbeat could be accepted does not count; clients get time to come back."""
    cluster = make_cluster(3).start()
    ids = ["live-%d" % n for n in range(50)]
    for id in ids:
        cluster.leader().register("live", id=id, ttl=TTL_S)
    for replica in cluster:
        replica.pause()
    time.sleep(PAUSE_S)
    for replica in cluster:
        replica.resume()
    # No heartbeats for a while: clients are still backing off.
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for replica in cluster:
            health = {i["health"] for i in replica.instances().values()}
            assert health == {"passing"}, health
        time.sleep(0.1)
    with Heartbeater(cluster.replicas, ids) as heartbeater:
        time.sleep(TTL_S + 2)
    assert heartbeater.lost == []
    assert expired(cluster.leader()) == set()
    # And instances silent from now on expire as usual, a quarter of them every 5 s.
    await_true("all critical", lambda: {i["health"] for i in cluster[0].instances().values()}
               == {"critical"}, within_s=TTL_S + 35)


def critical(replica):
    return sum(i["health"] == "critical" for i in replica.instances().values())


def test_ten_instances_that_fall_silent_together_expire_slowly_and_it_is_said(make_cluster):
    """More likely the network broke than that all died, even with only ten. Takes three windows of 5 s."""
    with make_cluster(1) as cluster:
        cluster.start()
        for n in range(10):
            cluster[0].register("web", id="web-%d" % n, ttl=2, reap_after=3600)
        await_true("the first expiry", lambda: critical(cluster[0]) > 0)
        began = time.monotonic()
        while time.monotonic() - began < 4:
            assert critical(cluster[0]) <= 3
            time.sleep(0.1)
        assert cluster[0].metric("expiry_brake") == 1
        assert cluster[0].metric("expiry_braked_total") == 1
        assert "mass-expiry brake engaged" in cluster[0].log()
        # Instances that come back in time never expire.
        assert cluster[0].post("/heartbeat", {"ids": ["web-8", "web-9"]}).status == 200
        with Heartbeater(cluster.replicas, ["web-8", "web-9"]):
            await_true("the others expire", lambda: critical(cluster[0]) == 8, within_s=20)
        assert cluster[0].metric("expiry_brake") == 0


def test_a_new_leader_waits_for_heartbeats_that_are_held_up(make_cluster):
    """5 s to detect a dead machine, an election, and a retry."""
    with make_cluster(3) as cluster:
        cluster.start()
        cluster[0].register("web", id="web-1", ttl=1, reap_after=3600)
        cluster.leader().kill()
        leader = cluster.leader()
        led = time.monotonic()
        while time.monotonic() - led < 5:
            assert leader.instance_health("web-1") == "passing"
            time.sleep(0.1)
        await_true("found as ever", lambda: leader.instance_health("web-1") == "critical")
