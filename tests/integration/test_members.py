"""Membership changes by an operator: remove, promote, demote, transfer leadership. Each returns once it is
committed, reports its effect on the majority, and is refused if there would be none."""
import time

import pytest

from cluster import await_true
from test_cli import muster
from test_failover import assert_all_there
from test_identity import votes, write
from writers import Writers

CONFLICT, NO_SUCH = 409, 404


def url(id, verb=""):
    return "/cluster/members/%d%s" % (id, verb)


def roles(replica):
    return {m["id"]: m["role"] for m in replica.get("/cluster/members").json["members"]}


@pytest.mark.parametrize("asked", ["leader", "follower"])
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_a_member_that_is_taken_out_ends_and_is_refused_for_good(make_cluster, asked, who):
    cluster = make_cluster(3).start()
    leader, followers = cluster.leader(), cluster.followers()
    victim = leader if who == "leader" else followers[0]
    # The removed member cannot know that it is gone: ask another one, perhaps the new leader.
    at = followers[1] if asked == "follower" or victim is leader else leader
    with Writers([r for r in cluster if r is not victim]) as writers:
        await_true("writes under way", lambda: writers.count() > 100)
        got = at.request("DELETE", url(victim.id), timeout=20)
        assert got.status == 200 and got.json["done"] and got.json["voters"] == 2, got
        assert "refused for good" in victim.wait_removed(20)
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 200)
        writers.stop()
    assert writers.odd == []
    others = [r for r in cluster if r is not victim]
    for replica in others:
        assert set(roles(replica)) == {r.id for r in others}
        assert_all_there(writers.acknowledged, replica)
    victim.start()
    victim.wait_removed(20)
    assert write(at, "after").status == 201
    # It is gone: repeating the request changes nothing.
    assert at.request("DELETE", url(victim.id)).status == 200


def test_a_standby_counts_for_nothing_and_serves_as_before(make_cluster):
    cluster = make_cluster(5, "--write-timeout", "2s").start()
    at = cluster.leader()
    first, second = cluster.followers()[:2]
    for replica in (first, second):
        got = at.post(url(replica.id, "/demote"), None)
        assert got.status == 200 and got.json["done"], got
    await_true("it is known", lambda: roles(first) == roles(at))
    assert sorted(roles(at).values()) == ["standby"] * 2 + ["voter"] * 3
    time.sleep(1.5)  # nobody promotes them again
    assert sorted(roles(at).values()) == ["standby"] * 2 + ["voter"] * 3
    assert write(first, "by-standby").status == 201
    assert first.get("/instances/by-standby?consistency=linearizable").status == 200
    # Two of three voters are a majority without them, and one with both of them is not.
    voters = [r for r in cluster if r not in (first, second)]
    voters[0].kill()
    await_true("writes", lambda: write(second, "two").status == 201, 10)
    voters[1].kill()
    assert write(second, "one", 10).status in (503, 504)
    voters[0].start().wait_ready()
    voters[1].start().wait_ready()
    for replica in (first, second):
        assert replica.post(url(replica.id, "/promote"), None, timeout=20).status == 200
    await_true("five votes", lambda: all(votes(at).values()))


def test_what_would_leave_no_majority_is_refused_and_changes_nothing(make_cluster):
    cluster = make_cluster(3).start()
    leader, (first, second) = cluster.leader(), cluster.followers()
    second.kill()
    for at in (leader, first):
        await_true("it is seen", lambda: [m["reachable"] for m in at.get("/cluster").json["members"]
                                          if m["id"] == second.id] == [False])
    for at in (leader, first):
        for method, verb in (("DELETE", ""), ("POST", "/demote")):
            got = at.request(method, url(first.id, verb))
            assert got.status == CONFLICT and "no majority" in got.json["message"], got.body
            trial = at.request(method, url(first.id, verb) + "?dry_run=true")
            assert trial.status == 200 and not trial.json["safe"] and not trial.json["done"]
    assert sorted(roles(leader).values()) == ["voter"] * 3
    shown = muster("member", "remove", str(first.id), servers=[leader.url])
    assert shown.returncode == 1 and "no majority" in shown.stderr, shown
    # The unreachable one may be removed: then two of two are needed, and there.
    trial = muster("member", "remove", str(second.id), "--dry-run", servers=[first.url])
    assert trial.returncode == 0 and "3 before, 2 after; 2 can be reached" in trial.stdout, trial
    shown = muster("member", "remove", str(second.id), servers=[first.url])
    assert shown.returncode == 0 and "done" in shown.stdout, shown
    assert write(first, "after").status == 201


def test_a_leader_is_changed_by_hand(make_cluster):
    cluster = make_cluster(3).start()
    leader, (first, second) = cluster.leader(), cluster.followers()
    with Writers(cluster.replicas) as writers:
        got = second.post("/cluster/transfer?to=%d" % first.id, None, timeout=20)
        assert got.status == 200, got
        assert first.is_leader()
        shown = muster("leader", "transfer", servers=[leader.url])
        assert shown.returncode == 0, shown
        assert not first.is_leader()
        await_true("writes", lambda: writers.count() > 200)
        writers.stop()
    assert writers.odd == []
    assert muster("leader", "transfer", "9", servers=[leader.url]).returncode == 1


@pytest.mark.parametrize("method,path,status", [
    ("DELETE", "/cluster/members/x", 400), ("DELETE", "/cluster/members/0", 400),
    ("POST", "/cluster/members/9/promote", NO_SUCH), ("POST", "/cluster/members/9/demote", NO_SUCH),
    ("DELETE", "/cluster/members/2?force=yes", 400), ("DELETE", "/cluster/members/2?dry_run=1", 400),
    ("DELETE", "/cluster/members/9?dry_run=true", NO_SUCH), ("POST", "/cluster/transfer?to=x", 400),
    ("POST", "/cluster/transfer?to=9", NO_SUCH), ("GET", "/cluster/members/2", 405),
    ("POST", "/cluster/members/2/exalt", 404)])
def test_bad_requests_are_refused(shared, method, path, status):
    before = roles(shared[0])
    got = shared[0].request(method, path)
    assert got.status == status, got.body
    assert roles(shared[0]) == before


@pytest.mark.parametrize("method,path", [
    ("DELETE", "/cluster/members/2"), ("POST", "/cluster/members/2/promote"),
    ("POST", "/cluster/members/2/demote"), ("POST", "/cluster/transfer")])
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
def test_a_web_page_changes_no_members(shared, method, path, origin):
    before, leader = roles(shared[0]), shared.leader()
    got = shared[0].request(method, path, headers={"Origin": origin})
    assert got.status == 403 and got.json["error"] == "forbidden", got
    assert roles(shared[0]) == before and leader.is_leader()


@pytest.mark.parametrize("words", [[], ["remove"], ["remove", "x"], ["promote", "1", "2"], ["exalt", "1"]])
def test_wrong_usage_of_member_exits_2(words):
    shown = muster("member", *words, servers=["http://127.0.0.1:1"])
    assert shown.returncode == 2 and "member" in shown.stderr, shown


def test_a_single_voter_is_never_taken_out(make_cluster):
    replica = make_cluster(1).start()[0]
    for query in ("", "?force=true"):
        got = replica.request("DELETE", url(1) + query)
        assert got.status == CONFLICT, got
    assert write(replica, "after").status == 201
