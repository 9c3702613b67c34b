"""A cluster is formed once, when all of its first members have met; and the levels of the replicated
format that its members support."""
import re
import time

import pytest

from cluster import await_true
from test_cli import muster
from test_durability import refused_start

NOT_MET = "not all of its first members have met"


def write(replica, id):
    return replica.post("/register", {"id": id, "name": "web", "host": "h", "port": 1,
                                      "ttl": 3600})


def assert_forming(replica):
    health = replica.get("/health")
    assert health.status == 503 and health.json["phase"] == "forming", health
    got = replica.get("/health/ready")
    assert got.status == 503 and NOT_MET in got.json["message"], got
    assert set(replica.get("/cluster").json["cluster"]) == {"0"}
    assert replica.get("/services").headers["X-Muster-Leader"] == "none"


@pytest.mark.parametrize("missing", [0, 2])
def test_a_cluster_is_not_formed_while_a_first_member_is_missing(make_cluster, missing):
    cluster = make_cluster(3, "--write-timeout", "1s")
    late = cluster[missing]
    early = [r for r in cluster if r is not late]
    for replica in early:
        replica.start()
    await_true("they answer", lambda: all(r.is_live() for r in early), 10)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        for replica in early:
            assert_forming(replica)
        time.sleep(0.3)
    assert write(early[0], "never").status == 503
    shown = muster("status", servers=[r.url for r in early])
    assert shown.stdout.count("forming") == 2 and shown.stderr.count(NOT_MET) == 2, shown
    late.start()
    cluster.wait_ready()
    assert write(late, "web-1").status == 201
    cluster.wait_same_state()
    assert len({r.get("/cluster").json["cluster"] for r in cluster}) == 1
    assert len({r.health()["life"] for r in cluster}) == 3
    # From now on two are enough.
    late.kill()
    assert write(early[0], "web-2").status == 201


def test_a_member_that_was_killed_while_it_waited_is_not_missed(make_cluster):
    """Each of them is started and killed several times before all have met."""
    cluster = make_cluster(3)
    for replica in cluster.replicas * 2:
        replica.start()
        await_true("it answers", replica.is_live, 10)
        replica.kill()
    cluster.start()
    assert write(cluster[0], "web-1").status == 201


def test_new_members_with_different_lists_form_no_cluster_and_say_so(make_cluster):
    cluster = make_cluster(3)
    one, two, three = cluster
    for replica in (one, two):
        replica.start()
    three.start("--cluster", ",".join("%d=127.0.0.1:%d" % (r.id, r.peer_port) for r in cluster) +
                ",4=127.0.0.1:1")
    await_true("they answer", lambda: all(r.is_live() for r in cluster))
    await_true("somebody says so", lambda: any(
        "wrong member list" in r.log() and "--cluster" in r.log() for r in cluster), 15)
    for replica in cluster:
        assert_forming(replica)


def test_a_list_of_another_cluster_is_refused_once_it_is_formed(make_cluster):
    cluster = make_cluster(3).start()
    one = cluster[0]
    assert one.stop() == 0
    members = ",".join("%d=127.0.0.1:%d" % (r.id, r.peer_port) for r in cluster)
    sentence = refused_start(one, "--cluster", members + ",4=127.0.0.1:1")
    assert "--cluster" in sentence and members in sentence, sentence
    one.start().wait_ready()


def test_the_cluster_and_the_lives_are_the_same_after_all_were_restarted(make_cluster):
    cluster = make_cluster(3).start()
    def seen():
        return [(r.get("/cluster").json["cluster"], r.health()["life"]) for r in cluster]
    before = seen()
    assert re.fullmatch("[0-9a-f]{32}", before[0][0])
    for replica in cluster:
        replica.kill()
    cluster.start()
    assert seen() == before


# --- levels ---

def test_members_say_which_levels_they_speak_and_which_is_spoken(make_cluster):
    cluster = make_cluster(3).start()
    members = cluster.wait_acquainted()
    assert len(members) == 9
    assert {(m["level_min"], m["level_max"]) for m in members} == {
        (members[0]["level_min"], members[0]["level_max"])}
    lowest, highest = members[0]["level_min"], members[0]["level_max"]
    assert 1 <= lowest <= highest
    # All support the highest level, so it is soon in use everywhere.
    await_true("the highest level", lambda: {r.health()["level"] for r in cluster} == {highest})
    shown = muster("status", servers=[cluster[0].url])
    header, *rows = shown.stdout.splitlines()
    column = header.split().index("LEVEL")
    assert [row.split()[column] for row in rows] == [str(highest)] * 3, shown.stdout
    # And it is part of the replicated state.
    for replica in cluster:
        replica.kill()
    cluster.start()
    assert {r.health()["level"] for r in cluster} == {highest}


def test_the_level_survives_in_a_snapshot(make_cluster):
    replica = make_cluster(1, "--snapshot-log-bytes", "65536").start()[0]
    pad = {"pad%d" % n: "x" * 500 for n in range(60)}
    for n in range(8):
        replica.register("web", id="web-%d" % n, ttl=3600, metadata=pad)
    await_true("a snapshot", lambda: replica.metric("snapshots_taken_total") >= 1)
    level = replica.health()["level"]
    assert level >= 1
    replica.kill()
    replica.start().wait_ready()
    assert replica.health()["level"] == level


def test_a_member_that_is_not_formed_yet_knows_no_level(make_cluster):
    replica = make_cluster(3)[0].start()
    await_true("it answers", replica.is_live)
    assert replica.get("/health").json["level"] in (0, 1)
