"""Machines that join a running cluster (--join), and autopilot: votes are assigned automatically."""
import re
import time

import pytest

from cluster import await_true, free_ports
from test_cli import muster
from test_failover import assert_all_there
from test_identity import wipe, write
from test_members import roles, url
from writers import Writers


def count(replica):
    found = list(roles(replica).values())
    return {role: found.count(role) for role in set(found)}


def await_roles(replica, within_s=20, **expected):
    await_true("the members are %s" % expected, lambda: count(replica) == expected, within_s)


def learn_id(replica):
    replica.wait_ready()
    replica.id = replica.health()["id"]
    return replica


def test_a_machine_joins_through_any_replica_and_gets_all_that_there_is(make_cluster):
    cluster = make_cluster(3).start()
    for n in range(50):
        cluster[n % 3].register("web", "web-%d" % n)
    for through in cluster.followers():
        new = cluster.add()
        new.joins = [through.url]
        learn_id(new.start())
    assert {r.id for r in cluster} == {1, 2, 3, 4, 5}
    await_roles(cluster[0], voter=3, standby=2)
    # Standbys serve reads, forward writes, and have no vote.
    listed = cluster[3].get("/services/web?consistency=linearizable&limit=100").json
    assert len(listed["instances"]) == 50
    assert write(cluster[4], "by-standby").status == 201
    cluster.wait_same_state()
    # A joined member stays one, with or without its options, whoever is away.
    for replica in cluster:
        assert replica.stop() == 0
    cluster[4].joins = ["http://127.0.0.1:1"]
    cluster.start()
    await_roles(cluster[4], voter=3, standby=2)
    cluster.wait_same_state()


def test_members_that_join_get_votes_until_there_are_enough(make_cluster):
    cluster = make_cluster(3, "--voters", "5").start()
    with Writers(cluster.replicas[:3]) as writers:
        for number in (7, 9):
            cluster.add(number).start().wait_ready()
        await_roles(cluster[0], voter=5)
        six = learn_id(cluster.add().start())
        writers.stop()
    assert six.id == 4
    await_roles(six, voter=5, standby=1)
    assert writers.odd == []
    # Five votes: two of the first three may fail.
    cluster[0].kill()
    cluster[1].kill()
    await_true("a write", lambda: write(six, "late").status == 201, 15)
    cluster.wait_same_state()
    for replica in cluster.running():
        assert_all_there(writers.acknowledged, replica)


def test_a_single_replica_becomes_a_cluster_of_three(make_cluster):
    cluster = make_cluster(1).start()
    cluster[0].register("web", "web-1")
    for _ in range(2):
        learn_id(cluster.add().start())
    await_roles(cluster[0], voter=3)
    cluster[0].kill()
    await_true("a write", lambda: write(cluster[1], "late").status == 201, 15)
    assert cluster[2].get("/instances/web-1?consistency=linearizable").status == 200


def test_two_machines_join_at_once_and_get_two_ids(make_cluster):
    cluster = make_cluster(3).start()
    new = [cluster.add(), cluster.add()]
    for replica in new:
        replica.start()
    assert {learn_id(r).id for r in new} == {4, 5}


def test_a_machine_joins_while_the_leader_dies(make_cluster):
    cluster = make_cluster(3).start()
    new = cluster.add()
    new.start()
    leader = cluster.leader()
    leader.kill()
    learn_id(new)
    leader.start().wait_ready()
    await_roles(leader, voter=3, standby=1)
    cluster.wait_same_state()


def test_a_machine_that_starts_before_the_cluster_waits_for_it(make_cluster):
    cluster = make_cluster(3)
    new = cluster.add()
    new.start()
    time.sleep(1)
    assert new.alive()
    for replica in cluster.replicas[:3]:
        replica.start()
    learn_id(new)
    assert "no --join replica has accepted this member yet" in new.log()


@pytest.mark.parametrize("when", [0, 0.02, 0.05, 0.1, 0.2, 0.4])
def test_a_machine_that_is_killed_while_it_joins_joins_when_it_is_started_again(make_cluster, when):
    cluster = make_cluster(3).start()
    new = cluster.add()
    new.start()
    time.sleep(when)
    new.kill()
    learn_id(new.start())
    assert new.id == 4
    await_roles(new, voter=3, standby=1)


def test_a_machine_that_nobody_lets_in_can_be_stopped(make_cluster):
    new = make_cluster(1)[0]
    new.joins = ["http://127.0.0.1:1"]
    new.start()
    await_true("it asks", lambda: "no --join replica has accepted this member yet" in new.log())
    assert new.stop() == 0


def test_an_id_or_an_address_that_is_taken_is_refused(make_cluster):
    cluster = make_cluster(3).start()
    two = cluster.add(2)
    two.start()
    assert two.wait_exit() == 1
    assert re.search("refuses this member: member 2 is at .* at work", two.log())
    address = "127.0.0.1:%d" % cluster[0].peer_port
    got = cluster[1].post("/cluster/members?peer=%s&id=8" % address, None)
    assert got.status == 409 and "is member 1" in got.json["message"], got
    for bad in ("", "?peer=", "?peer=nowhere", "?peer=:9100", "?peer=0.0.0.0:9100", "?peer=a%23b:1",
                "?peer=a:9100&id=0", "?peer=a:9100&id=x", "?peer=%s:9100" % ("a" * 300)):
        got = cluster[0].post("/cluster/members" + bad, None)
        assert got.status == 400, (bad, got)
    assert set(roles(cluster[0])) == {1, 2, 3}
    cluster.replicas.remove(two)


def test_a_page_cannot_add_a_member(make_cluster):
    replica = make_cluster(1).start()[0]
    got = replica.request("POST", "/cluster/members?peer=evil.example:9100",
                          headers={"Origin": "http://evil.example"})
    assert got.status == 403
    assert set(roles(replica)) == {1}


def test_a_dry_run_adds_nobody_and_a_member_can_be_added_by_hand(make_cluster):
    cluster = make_cluster(3).start()
    port = free_ports(1)[0]
    said = muster("--server", cluster[0].url, "member", "add", "127.0.0.1:%d" % port, "--dry-run").stdout
    assert "nothing was done" in said, said
    assert set(roles(cluster[0])) == {1, 2, 3}
    said = muster("--server", cluster[0].url, "member", "add", "127.0.0.1:%d" % port,
                  "--id", "6").stdout
    assert "member 6 is expected" in said and "--join" in said, said
    assert roles(cluster[0])[6] == "spare"
    new = cluster.add(6)
    new.peer_port = port
    new.start().wait_ready()
    await_roles(cluster[0], voter=3, standby=1)


def test_a_member_that_joined_is_taken_out_and_may_join_again_when_it_is_empty(make_cluster):
    cluster = make_cluster(3).start()
    new = learn_id(cluster.add().start())
    assert cluster[0].request("DELETE", url(new.id)).status == 200
    assert "refused for good" in new.wait_removed(20)
    new.start()
    new.wait_removed(20)
    wipe(new)
    new.start().wait_ready()
    await_roles(cluster[0], voter=3, standby=1)


def test_an_id_that_is_free_again_is_found_where_the_new_one_is(make_cluster):
    cluster = make_cluster(3).start()
    old = learn_id(cluster.add().start())
    at, follower = cluster.leader(), cluster.followers()[0]
    assert at.request("DELETE", url(old.id)).status == 200
    old.wait_removed(20)
    cluster.replicas.remove(old)
    wipe(old)
    # A follower has heard the lost member more recently than the leader has.
    assert at.post("/cluster/transfer?to=%d" % follower.id, None, timeout=20).status == 200
    new = learn_id(cluster.add().start())
    assert new.id == old.id and new.peer_port != old.peer_port
    await_roles(new, voter=3, standby=1)


def test_a_machine_with_nothing_takes_the_place_of_one_that_is_gone(make_cluster):
    cluster = make_cluster(3).start()
    gone = cluster.followers()[0]
    other = next(r for r in cluster.followers() if r is not gone)
    with Writers([cluster.leader(), other]) as writers:
        await_true("writes under way", lambda: writers.count() > 100)
        gone.kill()
        wipe(gone)
        new = cluster.add(gone.id)
        cluster.replicas.remove(gone)
        new.start().wait_ready()
        await_roles(other, voter=3)
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    assert_all_there(writers.acknowledged, new)


def test_nobody_is_let_in_with_another_secret(make_cluster):
    cluster = make_cluster(3, environment={"MUSTER_CLUSTER_SECRET": "the secret of this cluster"})
    cluster.start()
    new = cluster.add()
    new.environment = {"MUSTER_CLUSTER_SECRET": "another secret of its own"}
    new.start()
    await_true("it says so", lambda: "secret" in new.log(), 15)
    assert not new.is_ready()
    assert count(cluster[0]) == {"voter": 3, "spare": 1}
    new.kill()
    new.environment = {}
    learn_id(new.start())


def test_options_that_contradict_each_other_are_refused(make_cluster):
    replica = make_cluster(1)[0]
    for extra, word in ((("--join", "http://a:9000", "--cluster", "1=a:9100"), "give only one of them"),
                        (("--join", "nonsense://a"), "--join"), (("--voters", "4"), "--voters")):
        replica.start(*extra)
        assert replica.wait_exit() == 2
        assert word in replica.log().splitlines()[-1]


def test_what_happened_to_the_members_can_be_read(make_cluster):
    cluster = make_cluster(3).start()
    new = learn_id(cluster.add().start())
    assert cluster[0].post(url(4, "/promote"), None, timeout=20).status == 200
    assert cluster[0].post(url(4, "/demote"), None, timeout=20).status == 200
    assert cluster[0].request("DELETE", url(4)).status == 200
    new.wait_removed(20)
    told = [(e["event"], e["member"], e["voters"]) for e in cluster[1].get("/cluster").json["events"]]
    assert told == [("expected", 4, 3), ("let_in", 4, 3), ("earlier_life_removed", 4, 3),
                    ("promoted", 4, 4), ("demoted", 4, 3), ("removed", 4, 3)]
    assert "event=promoted member=4" in cluster[2].log()
    said = muster("--server", cluster[1].url, "members").stdout
    assert "promoted" in said and "removed" in said, said


# --- autopilot ---

def test_a_voter_that_is_away_for_too_long_is_replaced_and_comes_back_as_a_standby(make_cluster):
    cluster = make_cluster(3, "--replace-after", "2s").start()
    learn_id(cluster.add().start())
    away = cluster.leader()
    with Writers([r for r in cluster if r is not away]) as writers:
        await_true("writes under way", lambda: writers.count() > 100)
        away.kill()
        at = cluster[3]
        await_true("the standby has its vote", lambda: roles(at).get(4) == "voter" and
                   roles(at)[away.id] == "standby", 20)
        writers.stop()
    assert writers.odd == []
    assert count(at) == {"voter": 3, "standby": 1}
    away.start().wait_ready()
    cluster.wait_same_state()
    assert_all_there(writers.acknowledged, away)
    assert roles(away)[away.id] == "standby"
    # Now another one may be lost.
    cluster.leader().kill()
    await_true("a write", lambda: write(away, "late").status == 201, 15)


def test_nobody_is_replaced_when_it_is_not_asked_for(make_cluster):
    cluster = make_cluster(3).start()
    learn_id(cluster.add().start())
    away = cluster.followers()[0]
    away.kill()
    time.sleep(3)
    assert roles(cluster[3])[4] == "standby"
