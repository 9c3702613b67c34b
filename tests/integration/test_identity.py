"""Directories that are emptied, exchanged, copied or restored: a member that comes back empty is a
new life, which the others admit; nothing acknowledged is lost, no answer is wrong, and every
replica reports what is wrong with it."""
import contextlib
import os
import shutil
import time

import pytest

from cluster import FATAL, await_true
from test_cli import muster
from test_durability import refused_start
from test_failover import assert_all_there
from writers import Writers

WAITS = "empty directory"  # in the message of a waiting member


def wipe(replica):
    """Its disk is replaced by an empty one."""
    shutil.rmtree(replica.data)


def empty(replica):
    """rm -rf of the directory's contents, perhaps under a running process."""
    for name in os.listdir(replica.data):
        with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile; rm -rf would see that, too
            os.unlink(os.path.join(replica.data, name))


def wait_waiting(replica):
    """Waits until it reports that it waits; it must report it everywhere, and not answer from an empty state."""
    def waits():
        assert replica.alive(), replica.log()[-2000:]
        try:
            return replica.health()["phase"] == "waiting"
        except OSError:
            return False
    await_true("replica %d waits" % replica.id, waits, 20)
    got = replica.get("/health/ready")
    assert got.status == 503 and WAITS in got.json["message"], got
    assert replica.get("/health").status == 503
    assert replica.get("/health/live").status == 200
    row = [line for line in muster("status", servers=[replica.url]).stdout.splitlines()
           if line.startswith("%d " % replica.id)]
    assert len(row) == 1 and "waiting" in row[0], row
    return replica


def write(replica, id, timeout=15):
    return replica.post("/register", {"id": id, "name": "load", "host": "h", "port": 1,
                                      "ttl": 3600}, timeout=timeout)


def linearizable(replica, id):
    return replica.get("/instances/%s?consistency=linearizable" % id)


def lives(replica):
    return {m["id"]: m["life"] for m in replica.get("/cluster").json["members"]}


def votes(replica):
    return {m["id"]: m["role"] == "voter" for m in replica.get("/cluster").json["members"]}


# --- one of three ---

def test_a_member_that_lost_its_disk_cannot_help_to_elect_one_that_lacks_a_write(make_cluster):
    """The write is on two disks. One of them is lost; the third replica is behind; the other one is
    only paused for a while."""
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    holder = cluster.leader()
    lost, behind = cluster.followers()
    assert write(holder, "before").status == 201
    cluster.wait_same_state()
    behind.kill()
    assert write(holder, "acked").status == 201
    holder.pause()
    lost.kill()
    wipe(lost)
    behind.start()
    lost.start()
    await_true("they answer", lambda: all(r.is_live() for r in (behind, lost)))
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        for replica in (behind, lost):
            assert not replica.is_leader()
            got = linearizable(replica, "acked")
            assert got.status == 503, got
        time.sleep(0.2)
    assert write(behind, "refused").status == 503
    assert write(lost, "refused").status == 503
    holder.resume()
    holder.wait_ready()
    behind.wait_ready()
    assert write(behind, "after").status == 201
    for replica in (holder, behind):
        for id in ("before", "acked", "after"):
            assert linearizable(replica, id).status == 200, (replica.id, id)
        assert linearizable(replica, "refused").status == 404
    lost.wait_ready()
    cluster.wait_same_state()


@pytest.mark.parametrize("role", ["leader", "follower"])
@pytest.mark.parametrize("how", ["down", "contents under it", "directory under it"])
def test_an_emptied_member_is_let_in_as_a_new_life_and_nothing_is_lost(make_cluster, role, how):
    cluster = make_cluster(3, "--write-timeout", "2s").start()
    victim = cluster.leader() if role == "leader" else cluster.followers()[0]
    others = [r for r in cluster if r is not victim]
    life, known = victim.health()["life"], lives(victim)
    with Writers(cluster.replicas) as writers:
        await_true("writes under way", lambda: writers.count() > 200)
        if how == "down":
            victim.kill()
            wipe(victim)
        else:
            empty(victim)
            if how == "directory under it":
                os.rmdir(victim.data)
            assert "emptied or replaced" in victim.wait_fatal(5)
            shutil.rmtree(victim.data, ignore_errors=True)
        before = writers.count()
        await_true("writes go on with two", lambda: writers.count() > before + 300, 20)
        victim.start().wait_ready()
        await_true("it has a vote", lambda: votes(others[0]) == {r.id: True for r in cluster})
        before = writers.count()
        await_true("writes go on with three", lambda: writers.count() > before + 300, 20)
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
        now = lives(replica)
        assert now[victim.id] == victim.health()["life"] != life
        assert {id: now[id] for id in now if id != victim.id} == \
            {id: known[id] for id in known if id != victim.id}
    # Its vote counts: with it, two of three are a majority.
    others[0].kill()
    assert write(others[1], "after").status == 201
    assert linearizable(victim, "after").status == 200
    others[0].start().wait_ready()
    cluster.wait_same_state()


def test_each_member_in_turn_loses_its_disk_under_writes_and_nothing_is_lost(make_cluster):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536", "--write-timeout", "5s").start()
    with Writers(cluster.replicas, padding=5) as writers:
        for turn in range(4):
            victim = cluster[turn % 3]
            before = writers.count()
            await_true("writes go on", lambda: writers.count() > before + 200, 30)
            victim.kill()
            wipe(victim)
            victim.start().wait_ready()
            await_true("it has a vote",
                       lambda: votes(cluster[(turn + 1) % 3]) == {r.id: True for r in cluster}, 30)
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)


def test_a_member_whose_files_are_removed_under_it_ends_itself_and_is_let_in(make_cluster):
    """It must not continue with its open files; what it has created since is not a valid start."""
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    victim = cluster.followers()[0]
    with Writers(cluster.replicas, padding=20) as writers:
        await_true("snapshots' worth of writes", lambda: writers.count() > 400, 40)
        empty(victim)
        victim.wait_fatal(5)  # a file that it needs, or all of them, are gone
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 100, 40)
        writers.stop()
    others = [r for r in cluster if r is not victim]
    if os.listdir(victim.data) not in ([], ["lock"]):
        sentence = refused_start(victim)
        assert "identity" in sentence, sentence
        empty(victim)
    victim.start().wait_ready()
    for replica in others:
        replica.wait_ready()
        assert_all_there(writers.acknowledged, replica)


def test_an_old_life_that_is_put_back_is_refused_for_good(make_cluster):
    """A new life has replaced it meanwhile: the old one reports that, and exits."""
    cluster = make_cluster(3).start()
    victim = cluster.followers()[0]
    others = [r for r in cluster if r is not victim]
    assert write(cluster.leader(), "before").status == 201
    victim.kill()
    os.rename(victim.data, victim.data + ".aside")
    victim.start().wait_ready()
    await_true("it has a vote", lambda: votes(others[0]) == {r.id: True for r in cluster})
    assert write(cluster.leader(), "after").status == 201
    assert victim.stop() == 0
    os.rename(victim.data, victim.data + ".new")
    os.rename(victim.data + ".aside", victim.data)
    for _ in range(2):  # it stays refused
        victim.start()
        sentence = victim.wait_removed(30)
        assert "refused for good" in sentence and "empty" in sentence, sentence
    assert write(others[0], "without it").status == 201
    wipe(victim)
    os.rename(victim.data + ".new", victim.data)
    victim.start().wait_ready()
    cluster.wait_same_state()
    assert set(victim.instances()) == {"before", "after", "without it"}


# --- more than one ---

@pytest.mark.parametrize("third", ["runs", "is down"])
def test_two_emptied_of_three_form_no_cluster_without_the_third(make_cluster, third):
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    for n in range(5):
        assert write(cluster.leader(), "kept-%d" % n).status == 201
    cluster.wait_same_state()
    time.sleep(0.5)  # the commit index is written to disk a little later
    keeper, first, second = cluster
    name = keeper.get("/cluster").json["cluster"]
    for replica in (first, second):
        replica.kill()
        wipe(replica)
    if third == "is down":
        keeper.kill()
    first.start()
    second.start()
    for _ in range(8):
        time.sleep(0.5)
        for replica in (first, second):
            assert not replica.is_ready() and not replica.is_leader()
    if third == "is down":
        for replica in (first, second):
            assert "not all of its first members have met" in replica.get(
                "/health/ready").json["message"]
        keeper.start()
    wait_waiting(first)
    wait_waiting(second)
    # It is not a majority: it serves stale data and accepts no writes.
    got = keeper.get("/health/ready")
    assert got.status == 503 and "majority" in got.json["message"], got
    assert write(keeper, "never").status == 503
    assert linearizable(keeper, "kept-0").status == 503
    assert len(keeper.get("/services/load").json["instances"]) == 5
    assert keeper.get("/cluster").json["cluster"] == name
    shown = muster("status", servers=[r.url for r in cluster])
    assert shown.stdout.count("waiting") == 2, shown
    assert shown.stderr.count(WAITS) == 2 and "majority" in shown.stderr, shown


def test_two_emptied_of_five_under_writes_lose_nothing(make_cluster):
    cluster = make_cluster(5, "--write-timeout", "3s").start()
    leader = cluster.leader()
    victims = [leader, cluster.followers()[0]]
    others = [r for r in cluster if r not in victims]
    with Writers(cluster.replicas) as writers:
        await_true("writes under way", lambda: writers.count() > 300)
        for replica in victims:
            replica.process.kill()
        for replica in victims:
            replica.kill()
            wipe(replica)
            replica.start()
        before = writers.count()
        await_true("writes go on with three", lambda: writers.count() > before + 500, 30)
        await_true("all five vote", lambda: votes(others[0]) == {r.id: True for r in cluster}, 30)
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
    # The votes of the new lives count.
    others[0].kill()
    others[1].kill()
    assert write(victims[0], "after", 30).status == 201
    for replica in others[:2]:
        replica.start().wait_ready()
    cluster.wait_same_state()


def test_a_single_member_that_is_emptied_is_a_new_cluster(make_cluster):
    replica = make_cluster(1).start()[0]
    assert write(replica, "gone").status == 201
    before = replica.get("/cluster").json["cluster"]
    replica.kill()
    wipe(replica)
    replica.start().wait_ready()
    assert replica.get("/cluster").json["cluster"] != before
    assert replica.instances() == {}


# --- the wrong directory ---

def test_directories_that_are_exchanged_are_refused(make_cluster):
    cluster = make_cluster(3).start()
    one, two = cluster[0], cluster[1]
    assert write(cluster.leader(), "kept").status == 201
    one.kill()
    two.kill()
    one.data, two.data = two.data, one.data
    for replica, other in ((one, two), (two, one)):
        sentence = refused_start(replica)
        assert "belongs to member %d" % other.id in sentence, sentence
    one.data, two.data = two.data, one.data
    cluster.start()
    cluster.wait_same_state()
    assert one.instance_health("kept") == "passing"


def begin_anew(cluster):
    """Every directory is moved aside and the cluster formed again; returns the old names."""
    for replica in cluster:
        replica.kill()
        os.rename(replica.data, replica.data + ".old")
    cluster.start()


def put_back(replica):
    replica.kill()
    wipe(replica)
    os.rename(replica.data + ".old", replica.data)


@pytest.mark.parametrize("back", [1, 2])
def test_a_directory_of_an_earlier_cluster_is_not_let_in(make_cluster, back):
    """The same members, the same list, the same indexes and terms, other entries. A minority that
    comes back is kept out; so is a majority."""
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    for n in range(6):
        assert write(cluster.leader(), "old-%d" % n).status == 201
    cluster.wait_same_state()
    old = cluster[0].get("/cluster").json["cluster"]
    begin_anew(cluster)
    new = cluster[0].get("/cluster").json["cluster"]
    assert new != old
    returned, stayed = cluster.replicas[:back], cluster.replicas[back:]
    for replica in returned:
        put_back(replica)
    if back == 1:
        for n in range(8):
            assert write(stayed[0], "new-%d" % n).status == 201
    for replica in returned:
        replica.start()
    time.sleep(2)
    if back == 1:
        assert not returned[0].is_ready()
        assert {id[:3] for id in stayed[0].instances()} == {"new"}
        assert [r.state() for r in stayed[:1]] == [r.state() for r in stayed[1:]]
        assert write(stayed[0], "new-9").status == 201
    else:
        # The two are a majority of the old cluster, with what it acknowledged.
        await_true("the old cluster", lambda: all(r.is_ready() for r in returned))
        assert {id[:3] for id in returned[0].instances()} == {"old"}
        assert not stayed[0].is_ready()
    for replica in returned:
        assert replica.get("/cluster").json["cluster"] == old
    for replica in stayed:
        assert replica.get("/cluster").json["cluster"] == new
    assert any("wrong cluster" in r.log() and old in r.log() and new in r.log() for r in cluster)


@pytest.mark.parametrize("role", ["leader", "follower"])
@pytest.mark.parametrize("starts", [1, 3])
def test_a_life_that_runs_twice_harms_nobody(make_cluster, role, starts):
    """A copy of a member's directory, started at another address as well; also restarted more often
    than the member itself, so that the copy looks like the later process."""
    cluster = make_cluster(3, "--write-timeout", "3s").start()
    member = cluster.leader() if role == "leader" else cluster.followers()[0]
    assert write(cluster.leader(), "before").status == 201
    cluster.wait_same_state()
    copy = make_cluster(1)[0]
    copy.id, copy.cluster.options = member.id, cluster.arguments(given=False)
    member.kill()
    shutil.copytree(member.data, copy.data)
    member.start().wait_ready()
    while role == "leader" and cluster.leader() is not member:
        leader = cluster.leader()
        assert leader.stop() == 0
        leader.start().wait_ready()
    with Writers(cluster.replicas) as writers:
        await_true("writes under way", lambda: writers.count() > 200)
        for _ in range(starts):
            copy.start()
            before = writers.count()
            await_true("writes go on", lambda: writers.count() > before + 300, 30)
            await_true("the copy answers", copy.is_live)
            assert not copy.is_leader()
            assert write(copy, "by-the-copy").status in (503, 504)
            copy.kill()
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 300, 30)
        writers.stop()
    assert writers.odd == []
    if starts > 1:
        assert any("is a copy of its directory in use?" in r.log() for r in cluster)
    for replica in cluster:
        assert replica.alive()
        replica.wait_ready()
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)


def test_an_older_copy_of_a_member_is_caught_up_by_a_leader_or_kept_out(make_cluster):
    """Nobody should do this (README.md); while the others are healthy it does no harm."""
    cluster = make_cluster(3).start()
    victim = cluster.followers()[0]
    assert write(cluster.leader(), "first").status == 201
    assert victim.stop() == 0
    shutil.copytree(victim.data, victim.data + ".copy")
    victim.start().wait_ready()
    with Writers(cluster.replicas) as writers:
        await_true("writes", lambda: writers.count() > 500)
        victim.kill()
        wipe(victim)
        os.rename(victim.data + ".copy", victim.data)
        victim.start()
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 500, 20)
        writers.stop()
    others = [r for r in cluster if r is not victim]
    assert all(r.alive() for r in others)
    ready = await_true("it is ready, kept out, or has ended",
                       lambda: victim.is_ready() or not victim.alive() or
                       victim.get("/health/ready").status == 503, 20)
    assert ready
    await_true("the others at one index", lambda: len({r.state() for r in others}) == 1)
    for replica in others:
        assert_all_there(writers.acknowledged, replica)
    if not victim.alive():
        assert victim.process.returncode == FATAL
        victim.wait_fatal(1)
    else:
        await_true("caught up, or kept out", lambda: victim.state() == others[0].state() or
                   not victim.is_ready())
        if victim.is_ready():
            assert_all_there(writers.acknowledged, victim)
