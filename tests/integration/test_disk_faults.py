"""Crashes and errors at each call that changes a file (faults.c): an installation of a snapshot, a
truncation of the log, the forming of a cluster, own snapshots, a full segment. Everything
acknowledged is there afterwards, and no crash leaves a directory that is refused."""
import os
import shutil
import time

import pytest

from cluster import FATAL, await_true
from data_directory import TRUNCATE, flip_bit, records, segments, snapshots, truncate
from faults import turning_points
from test_durability import PAD, fill, refused_start

BEHIND = 22  # registrations with PAD until the others take a snapshot and drop the old log


def ports_of(replica):
    return {id: i["port"] for id, i in replica.instances().items()}


def write_until_it_ends(replica, acknowledged, limit, prefix="more", **fields):
    """Registers until the replica is gone; adds what it acknowledged to `acknowledged`."""
    for n in range(limit):
        id = "%s-%d" % (prefix, n)
        try:
            got = replica.post("/register", {"id": id, "name": "kept", "host": "10.0.0.1",
                                             "port": 1 + n, "ttl": 3600, **fields}, timeout=20)
        except OSError:
            return
        if got.status in (200, 201):
            acknowledged[id] = 1 + n
        else:
            assert got.status in (503, 504), got


def assert_all_there(acknowledged, replica):
    held = ports_of(replica)
    lost = {id: port for id, port in acknowledged.items() if held.get(id) != port}
    assert not lost, "replica %d lost %s" % (replica.id, sorted(lost)[:5])


# --- an installation of a snapshot ---

def fall_behind(cluster, victim, turn):
    """Kills it and writes so much that it needs a snapshot from the others."""
    victim.kill()
    leader = cluster.leader()
    for n in range(BEHIND):
        leader.register("kept", id="kept-%d" % n, port=1 + turn, ttl=3600, metadata=PAD)
    return {"kept-%d" % n: 1 + turn for n in range(BEHIND)}


@pytest.mark.timeout(300)  # some forty crashes, each with its own installation
def test_a_follower_that_dies_anywhere_in_an_installation_starts_again(make_cluster, faults):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    victim = cluster.followers()[0]
    # Without a crash, to list the calls.
    fall_behind(cluster, victim, 0)
    plan = faults.plan(victim, after="snapshot.received")
    victim.start().wait_ready()
    cluster.wait_same_state()
    assert victim.metric("snapshots_installed_total") >= 1
    calls = plan.calls()
    names = [name for _, name in calls]
    assert "snapshot.received" in names and any(n.startswith("log-") for n in names), calls
    deaths = 0
    for turn, at in enumerate(turning_points(calls), 1):
        expected = fall_behind(cluster, victim, turn)
        plan = faults.plan(victim, at=at, do="late" if turn % 3 == 0 else "kill",
                           after="snapshot.received")
        victim.start()
        await_true("dead or ready", lambda: not victim.alive() or victim.is_ready(), 30)
        deaths += not victim.alive()
        plan.forget()
        victim.kill()  # when it came so far that the call comes later, or never
        victim.start().wait_ready()
        cluster.wait_same_state()
        assert ports_of(victim) == expected, (at, plan.calls())
    assert deaths >= 5, (deaths, calls)


def ended_or_ready(replica):
    await_true("ended or ready", lambda: not replica.alive() or replica.is_ready(), 60)
    return "ready" if replica.alive() else "ended"


# A leader that was just sending keeps its log, and then no snapshot is needed: write again.
TURNS = 6


@pytest.mark.parametrize("on", ["create", "write", "sync", "rename"])
def test_an_error_in_an_installation_ends_a_follower_that_starts_again(make_cluster, faults, on):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    victim = cluster.followers()[0]
    for turn in range(TURNS):
        expected = fall_behind(cluster, victim, turn)
        plan = faults.plan(victim, at=1, do="EIO", on=on, name="snapshot",
                           after="snapshot.received")
        seen = len(victim.log())
        victim.start()
        if ended_or_ready(victim) == "ended":
            break
        victim.kill_at_its_end(seen)
    assert "Input/output error" in victim.wait_fatal(1)
    plan.forget()
    victim.start().wait_ready()
    cluster.wait_same_state()
    assert ports_of(victim) == expected


@pytest.mark.parametrize("on", ["create", "write"])
def test_an_installation_without_space_is_tried_again(make_cluster, faults, on):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    victim = cluster.followers()[0]
    for turn in range(TURNS):
        expected = fall_behind(cluster, victim, turn)
        plan = faults.plan(victim, at=1, do="ENOSPC", on=on, name="snapshot.received",
                           after="snapshot.received")
        victim.start()
        assert ended_or_ready(victim) == "ready"
        if plan.calls():
            break
    assert plan.calls()
    cluster.wait_same_state()
    assert ports_of(victim) == expected


# --- a snapshot damaged on the leader's disk ---

def settled_snapshot(replica):
    """The newest one, when no other follows."""
    before = None
    while before is None or before != snapshots(replica):
        before = snapshots(replica)
        time.sleep(0.5)
    assert len(before) == 1
    return before[0]


@pytest.mark.parametrize("damage", ["bit", "first bit", "last bit", "half", "empty", "missing"])
def test_a_leader_whose_snapshot_is_damaged_ends_itself_and_harms_nobody(make_cluster, damage):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    leader = cluster.leader()
    away, other = cluster.followers()
    for turn in range(TURNS):
        expected = fall_behind(cluster, away, turn)
        snapshot = settled_snapshot(leader)
        size = os.path.getsize(snapshot)
        if damage == "half":
            truncate(snapshot, size // 2)
        elif damage == "empty":
            truncate(snapshot, 0)
        elif damage == "missing":
            os.unlink(snapshot)
        else:
            flip_bit(snapshot, {"bit": size // 2, "first bit": 0, "last bit": size - 1}[damage])
        before = {name for name in os.listdir(away.data) if name.startswith("log-")}
        away.start()
        await_true("follower ready", away.is_ready, 30)
        if not leader.alive():
            break
    assert "snapshot" in leader.wait_fatal(1)
    # The follower has lost nothing, and works with the other one.
    assert before <= set(os.listdir(away.data))
    other.wait_ready()
    cluster.leader().register("kept", id="after", port=7, ttl=3600)
    cluster.wait_same_state()
    assert ports_of(away) == ports_of(other) == {**expected, "after": 7}
    # And the leader does not come back with less.
    if damage == "missing":  # its log is still complete
        leader.start().wait_ready()
        cluster.wait_same_state()
    else:
        sentence = refused_start(leader)
        assert "snapshot" in sentence, sentence


# --- a truncation of the log ---

def doubtful_tail(cluster):
    """Kills a leader with entries that nobody else has; the others continue without them, so that its
    log must be truncated. Returns it."""
    leader = cluster.leader()
    others = [r for r in cluster if r is not leader]
    for replica in others:
        replica.process.kill()
    for n in range(3):
        try:
            leader.post("/register", {"id": "doubtful-%d" % n, "name": "doubt", "host": "h",
                                      "port": 1}, timeout=5)
        except OSError:
            pass
    leader.kill()
    for replica in others:
        replica.kill()
        replica.start()
    for replica in others:
        replica.wait_ready()
    return leader


def truncations(replica):
    return sum(records(segment, TRUNCATE) for segment in segments(replica))


@pytest.mark.timeout(300)  # some twenty crashes, each with its own election
@pytest.mark.parametrize("do", ["kill", "EIO", "ENOSPC"])
def test_a_member_that_dies_or_fails_while_its_log_is_truncated_starts_again(make_cluster, faults,
                                                                             do):
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    cluster.leader().register("kept", id="before", port=1)
    expected = {"before": 1}
    met = ended = 0
    for at in range(1, 7):
        victim = doubtful_tail(cluster)
        before = truncations(victim)
        for n in range(2):
            id = "turn-%d-%d" % (at, n)
            cluster.leader().register("kept", id=id, port=1 + at, ttl=3600)
            expected[id] = 1 + at
        plan = faults.plan(victim, at=at, do=do, on="write", name="log-")
        plan.arm()
        seen = len(victim.log())
        victim.start()
        await_true("ended or ready", lambda v=victim: not v.alive() or v.is_ready(), 30)
        if do == "kill" or victim.alive():
            victim.kill_at_its_end(seen)
        else:
            lines = victim.log()[seen:].strip().splitlines()
            assert victim.process.returncode in (1, FATAL), lines[-1]
            ended += 1
            if victim.process.returncode == FATAL:
                victim.wait_fatal()
        plan.forget()
        victim.start().wait_ready()
        cluster.wait_same_state()
        for replica in cluster:
            assert_all_there(expected, replica)
            assert all(not id.startswith("doubtful") for id in replica.instances())
        met += truncations(victim) > before
    assert met > 0, "no log was truncated"
    assert ended > 0 or do == "kill"


def test_a_full_disk_does_not_keep_a_log_from_being_truncated(make_cluster, faults):
    """Without the space that, for example, a copy of the segment would need."""
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    cluster.leader().register("kept", id="before", port=1)
    victim = doubtful_tail(cluster)
    before = truncations(victim)
    faults.plan(victim, at=1, do="ENOSPC", on="create allocate", name="log-", times=10 ** 6).arm()
    victim.start().wait_ready()
    first, second = [r for r in cluster if r is not victim]
    second.kill()
    expected = {"before": 1}
    for n in range(3):  # on two disks, including the victim's
        first.register("kept", id="acked-%d" % n, port=1 + n)
        expected["acked-%d" % n] = 1 + n
    assert truncations(victim) > before
    victim.kill()
    first.kill()
    victim.environment = {}
    victim.start()
    second.start()
    victim.wait_ready()
    second.wait_ready()
    assert_all_there(expected, second)


# --- forming ---

@pytest.mark.timeout(300)  # some twenty clusters
@pytest.mark.parametrize("number", [0, 2])
def test_a_member_that_dies_anywhere_while_its_cluster_is_formed_starts_again(make_cluster, faults,
                                                                              number):
    """Member 1 forms it, member 3 is informed."""
    cluster = make_cluster(3)
    plan = faults.plan(cluster[number], after="identity.new")
    cluster.start()
    for replica in cluster:
        replica.kill()
    calls = plan.calls()
    names = {name for _, name in calls}
    assert {"identity.new", "log.new", "identity"} <= names, calls
    for turn, at in enumerate(turning_points(calls)):
        for replica in cluster:
            shutil.rmtree(replica.data)
        plan = faults.plan(cluster[number], at=at, after="identity.new")
        cluster.start(wait=False)
        await_true("dead, or all ready", lambda: not cluster[number].alive() or
                   all(r.is_ready() for r in cluster), 30)
        plan.forget()
        cluster[number].kill()  # when it came so far that the call comes later, or never
        cluster[number].start()
        cluster.wait_ready()
        cluster.leader().register("kept", id="kept", port=1 + turn)
        cluster.wait_same_state()
        assert len({r.get("/cluster").json["cluster"] for r in cluster}) == 1
        for replica in cluster:
            replica.kill()


# --- a single member: own snapshots, full segments ---

@pytest.mark.timeout(300)
def test_a_replica_that_dies_anywhere_in_its_own_snapshot_starts_again(make_cluster, faults):
    replica = make_cluster(1, "--snapshot-log-bytes", "65536")[0]
    plan = faults.plan(replica, after="snapshot.taken")
    replica.start().wait_ready()
    fill(replica, 12, metadata=PAD)
    await_true("two snapshots", lambda: replica.metric("snapshots_taken_total") >= 2)
    calls = plan.calls()
    points = turning_points(calls)[:40]
    replica.kill()
    for turn, at in enumerate(points):
        acknowledged = {}
        shutil.rmtree(replica.data)
        faults.plan(replica, at=at, do="late" if turn % 3 == 0 else "kill", after="snapshot.taken")
        replica.start().wait_ready()
        write_until_it_ends(replica, acknowledged, 60, metadata=PAD)
        await_true("it is dead", lambda: not replica.alive(), 10)
        replica.environment = {}
        replica.start().wait_ready()
        assert_all_there(acknowledged, replica)
        replica.kill()


@pytest.fixture
def half_full(make_cluster):
    """A killed single member with a segment that is nearly half full, and its content."""
    replica = make_cluster(1, "--snapshot-log-bytes", "1GiB").start()[0]
    expected = fill(replica, 240, metadata=PAD)
    replica.kill()
    shutil.copytree(replica.data, replica.data + ".half")
    return replica, expected


def half_again(replica):
    shutil.rmtree(replica.data)
    shutil.copytree(replica.data + ".half", replica.data)


@pytest.mark.timeout(300)  # some thirty times half a segment is written
def test_a_replica_that_dies_anywhere_between_two_segments_starts_again(half_full, faults):
    replica, before = half_full
    second = "log-%016x" % 2
    plan = faults.plan(replica, after=second)
    replica.start().wait_ready()
    fill(replica, 420, metadata=PAD)
    replica.kill()
    calls = plan.calls()
    of_second = [at for at, (_, name) in enumerate(calls, 1) if name == second]
    syncs = [at for at, (call, _) in enumerate(calls, 1) if call in ("sync", "allocate", "create")]
    switch = max(at for at in syncs if calls[at - 1][0] == "sync")
    # Each step of its allocation once, and everything around the change of segments.
    points = sorted({1, 2, 3, of_second[len(of_second) // 2], *syncs[:3],
                     *range(switch - 2, switch + 8)})
    first_of_second = next(at for at in of_second if at > switch and calls[at - 1][0] == "write")
    points = sorted({*points, *range(first_of_second - 2, first_of_second + 4)})
    for at in points:
        half_again(replica)
        acknowledged = dict(before)
        plan = faults.plan(replica, at=at, after=second)
        replica.start().wait_ready()
        write_until_it_ends(replica, acknowledged, 500, metadata=PAD)
        await_true("it is dead (%d of %s)" % (at, plan.calls()[-3:]), lambda: not replica.alive())
        replica.environment = {}
        replica.start().wait_ready()
        assert_all_there(acknowledged, replica)
        replica.kill()


@pytest.mark.parametrize("on, at", [("write", 1), ("write", 2), ("write", 17), ("create", 1),
                                    ("allocate", 1), ("sync", 1), ("sync", 2)])
def test_the_first_error_of_the_disk_ends_a_replica_and_nothing_is_lost(half_full, faults, on, at):
    replica, acknowledged = half_full
    plan = faults.plan(replica, at=at, do="EIO", on=on)
    replica.start().wait_ready()
    plan.arm()
    write_until_it_ends(replica, acknowledged, 500, metadata=PAD)
    assert "Input/output error" in replica.wait_fatal()
    replica.environment = {}
    replica.start().wait_ready()
    assert_all_there(acknowledged, replica)
    replica.register("kept", id="after")


def test_no_space_for_the_next_segment_refuses_writes_until_there_is(half_full, faults):
    replica, acknowledged = half_full
    plan = faults.plan(replica, at=1, do="ENOSPC", on="create allocate", times=12)
    replica.start().wait_ready()
    plan.arm()
    write_until_it_ends(replica, acknowledged, 420, metadata=PAD)
    assert replica.alive()
    await_true("space again", lambda: len(plan.calls()) >= 12 and replica.post(
        "/register", {"id": "last", "name": "kept", "host": "h", "port": 9}).status == 201, 30)
    assert len(segments(replica)) == 2
    replica.kill()
    replica.environment = {}
    replica.start().wait_ready()
    assert_all_there({**acknowledged, "last": 9}, replica)


def test_no_space_behind_an_allocation_ends_a_replica_and_nothing_is_lost(half_full, faults):
    """Where space was preallocated, ENOSPC is an error like any other."""
    replica, acknowledged = half_full
    plan = faults.plan(replica, at=3, do="ENOSPC", on="write")
    replica.start().wait_ready()
    plan.arm()
    write_until_it_ends(replica, acknowledged, 30)
    replica.wait_fatal()
    replica.environment = {}
    replica.start().wait_ready()
    assert_all_there(acknowledged, replica)
