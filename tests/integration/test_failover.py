"""Replicas that die, stop and come back, under continuous writes."""
import threading
import time

import pytest

from cluster import await_true, has_ipv6
from writers import Writers


def load_of(replica):
    """The instances of the writers' service at a replica: id -> port."""
    return {id: i["port"] for id, i in replica.instances().items() if i["name"] == "load"}


def assert_all_there(acknowledged, replica):
    held = load_of(replica)
    lost = [id for id, port in acknowledged.items() if held.get(id) != port]
    assert lost == [], "replica %d lost %d of %d acknowledged writes, such as %s" % (
        replica.id, len(lost), len(acknowledged), lost[:3])


def test_kill_9_of_the_leader_loses_no_acknowledged_write_and_writes_go_on(make_cluster, capsys):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    survivors = [r for r in cluster if r is not leader]
    with Writers(survivors) as writers:
        await_true("writes under way", lambda: writers.count() > 200)
        killed = time.monotonic()
        leader.kill()
        before = writers.count()
        await_true("writes go on by themselves", lambda: writers.count() > before + 500, 20)
        writers.stop()
    with capsys.disabled():
        print("\n    leader killed: largest gap between acknowledged writes %.3f s; "
              "%d acknowledged, %d refused, %d unknown" % (
                  writers.largest_gap_s(killed - 0.05), writers.count(),
                  len(writers.refused), writers.unknown))
    assert writers.odd == []
    assert writers.refused == set(), "an election is a pause and not an error"
    assert writers.largest_gap_s(killed - 0.05) < 5
    cluster.wait_same_state()
    for replica in survivors:
        assert_all_there(writers.acknowledged, replica)
    # The one that died comes back and agrees.
    leader.start().wait_ready()
    cluster.wait_same_state()
    assert_all_there(writers.acknowledged, leader)


def test_a_pause_of_the_whole_machine_elects_nobody(make_cluster):
    """As if its host migrated it: none of them has heard the others for longer than a timeout."""
    cluster = make_cluster(3).start()
    leader, term = cluster.leader(), cluster[0].metric("term")
    for _ in range(8):
        for replica in cluster:
            replica.pause()
        time.sleep(0.9)
        for replica in cluster:
            replica.resume()
        time.sleep(0.5)
    assert cluster.leader() is leader
    assert [replica.metric("term") for replica in cluster] == [term] * 3


def test_kill_9_of_all_three_under_writes_loses_no_acknowledged_write(make_cluster):
    cluster = make_cluster(3).start()
    acknowledged = {}
    for turn in range(2):
        with Writers(cluster.replicas, prefix="turn%d" % turn) as writers:
            await_true("writes under way", lambda: writers.count() > 300)
            for replica in cluster:
                replica.kill()
            writers.stop()
        acknowledged.update(writers.acknowledged)
        cluster.start()
        cluster.wait_same_state()
        for replica in cluster:
            assert_all_there(acknowledged, replica)
    cluster[0].register("after", id="after")


def test_without_a_quorum_reads_go_on_and_writes_are_refused(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "2s").start()
    cluster[0].register("web", id="web-1", ttl=3600)
    cluster.wait_same_state()
    alone = cluster.leader()
    for replica in cluster:
        if replica is not alone:
            replica.kill()
    await_true("not ready any more", lambda: alone.get("/health/ready").status == 503)
    assert alone.get("/health/live").status == 200
    assert alone.get("/health").status == 503
    assert alone.get("/services").headers["X-Muster-Leader"] == "none"

    staleness = []
    for _ in range(3):
        got = alone.get("/services/web")
        assert got.status == 200 and got.json["instances"][0]["id"] == "web-1"
        staleness.append(int(got.headers["X-Muster-Staleness-Ms"]))
        time.sleep(0.4)
    assert staleness[0] < staleness[1] < staleness[2], staleness

    began = time.monotonic()
    got = alone.post("/register", {"name": "web", "host": "h", "port": 1, "id": "web-2"})
    took = time.monotonic() - began
    assert got.status == 503 and got.json["error"] == "no_leader", got
    assert int(got.headers["Retry-After"]) >= 1
    assert took < 3.5, took
    assert alone.get("/instances/web-2").status == 404
    assert alone.get("/services/web?consistency=linearizable").status == 503

    # A waiting write is done if the quorum returns in time; a refused one never is.
    cluster.start()
    alone.register("web", id="web-3", ttl=3600)
    cluster.wait_same_state()
    for replica in cluster:
        assert replica.instance_health("web-2") is None
        assert replica.instance_health("web-3") == "passing"


def test_a_write_without_a_leader_waits_for_one(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "20s").start()
    one = cluster[0]
    for replica in cluster.replicas[1:]:
        replica.kill()
    time.sleep(1.5)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(one.register("web", id="late")))
    thread.start()
    time.sleep(1)
    assert answers == []
    cluster.start()
    thread.join(25)
    assert len(answers) == 1
    assert one.instance_health("late") == "passing"


def test_sigterm_of_the_leader_hands_leadership_over_without_an_error(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    others = [r for r in cluster if r is not leader]
    with Writers(others) as writers:
        await_true("writes under way", lambda: writers.count() > 200)
        stopped = time.monotonic()
        assert leader.stop() == 0
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 200)
        writers.stop()
    assert writers.odd == [] and writers.refused == set() and writers.unknown == 0
    assert writers.largest_gap_s(stopped - 0.05) < 2
    cluster.wait_same_state()
    for replica in others:
        assert_all_there(writers.acknowledged, replica)


def test_a_follower_that_was_away_for_longer_than_the_log_is_kept_returns_by_snapshot(make_cluster):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    away = cluster.followers()[0]
    cluster[0].register("load", id="before")
    cluster.wait_same_state()
    away.kill()
    rest = cluster.running()
    with Writers(rest, padding=8) as writers:
        await_true("several snapshots' worth of log", lambda: writers.count() > 1500, 60)
        writers.stop()
    cluster.wait_same_state()
    away.start().wait_ready()
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
    assert away.metric("snapshots_installed_total") >= 1
    # And it participates again.
    other = next(r for r in rest if not r.is_leader())
    other.kill()
    cluster.leader().register("load", id="after")
    cluster.wait_same_state()
    assert away.instance_health("after") == "passing"


def test_what_was_answered_as_not_done_never_happens(make_cluster):
    """503 is a promise, too: replicas are paused and resumed under writes with a short time-out."""
    cluster = make_cluster(3, "--write-timeout", "500ms").start()
    with Writers(cluster.replicas, threads=6) as writers:
        for n in range(4):
            leader = cluster.leader()
            first, second = [r for r in cluster if r is not leader]
            stopped = [[leader], [first, second], [leader, first], [first]][n]
            for replica in stopped:
                replica.pause()
            time.sleep(1.5)
            for replica in stopped:
                replica.resume()
            before = writers.count()
            await_true("writes go on", lambda: writers.count() > before + 50, 20)
        writers.stop()
    print("%d acknowledged, %d refused, %d unknown" % (writers.count(), len(writers.refused),
                                                       writers.unknown))
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
        assert writers.refused & set(load_of(replica)) == set()


def test_a_write_that_reached_the_log_and_no_majority_is_unknown_or_surely_not_done(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    leader = cluster.leader()
    for follower in cluster.followers():
        follower.pause()
    began = time.monotonic()
    got = leader.post("/register", {"name": "load", "id": "doubtful", "host": "h", "port": 1})
    assert got.status in (503, 504), got
    assert time.monotonic() - began < 3
    for replica in cluster:
        replica.resume()
    cluster.wait_ready()
    cluster[0].register("load", id="after")
    cluster.wait_same_state()
    there = {replica.instance_health("doubtful") for replica in cluster}
    assert len(there) == 1
    if got.status == 503:
        assert there == {None}


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
def test_members_find_each_other_by_name_and_over_ipv6(make_cluster, host):
    if "::1" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    cluster = make_cluster(3)
    members = ",".join("%d=%s:%d" % (r.id, host, r.peer_port) for r in cluster)
    cluster.options += ["--cluster", members]
    for replica in cluster:
        replica.start("--peer", "%s:%d" % (host, replica.peer_port))
    cluster.wait_ready()
    cluster[0].register("load", id="web")
    cluster.wait_same_state()


@pytest.mark.parametrize("rounds", [4])
def test_replicas_killed_in_turn_keep_one_state(make_cluster, rounds):
    cluster = make_cluster(3).start()
    with Writers(cluster.replicas) as writers:
        for n in range(rounds):
            before = writers.count()
            await_true("writes under way", lambda: writers.count() > before + 100, 20)
            victim = cluster.leader() if n % 2 == 0 else cluster.followers()[0]
            victim.kill()
            time.sleep(0.2)
            victim.start()
            cluster.wait_ready()
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
