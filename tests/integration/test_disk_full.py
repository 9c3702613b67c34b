"""A full disk: reads go on, writes are refused, and it recovers by itself."""
import os
import subprocess
import tempfile

import pytest

from cluster import await_true
from test_disk_faults import assert_all_there, doubtful_tail, truncations

SIZE_MIB = 64


@pytest.fixture
def small_disk():
    """A tmpfs of its own for data directories."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tempfile.mkdtemp(prefix="muster-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % SIZE_MIB, "tmpfs", folder],
                             capture_output=True, encoding="utf-8", timeout=30, check=False)
    if mounted.returncode != 0:
        os.rmdir(folder)
        pytest.skip("mounting is not allowed here: " + mounted.stderr.strip())
    yield folder
    subprocess.run(["umount", "--lazy", folder], timeout=30, check=False)
    os.rmdir(folder)


def fill_disk(folder):
    """Uses up all free space; returns the file to delete."""
    path = os.path.join(folder, "filler")
    with open(path, "wb", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return path


def register(replica, number):
    pad = {"pad%d" % n: "x" * 500 for n in range(60)}
    return replica.post("/register", {"id": "disk-%d" % number, "name": "disk", "host": "h",
                                      "port": 1, "ttl": 3600, "metadata": pad}, timeout=30)


def test_a_full_disk_refuses_writes_serves_reads_and_recovers(small_disk, make_cluster):
    replica = make_cluster(1, "--write-timeout", "2s", data_root=small_disk).start()[0]
    acknowledged = set()
    for n in range(20):
        assert register(replica, n).status == 201
        acknowledged.add("disk-%d" % n)
    filler = fill_disk(small_disk)
    try:
        # Preallocated space may still be used; then writes are refused.
        refusals = []
        for n in range(20, 2000):
            got = register(replica, n)
            if got.status in (200, 201):
                acknowledged.add("disk-%d" % n)
                continue
            assert got.status in (503, 504), got
            refusals.append(got)
            if len(refusals) == 3:
                break
        assert refusals and refusals[-1].status == 503, refusals
        assert replica.alive()
        got = replica.get("/services/disk")
        assert got.status == 200
        assert {i["id"] for i in got.json["instances"]} >= acknowledged
        assert replica.get("/health/live").status == 200
        assert replica.metric("disk_full_total") > 0
    finally:
        os.unlink(filler)
    await_true("writes again", lambda: register(replica, 5000).status in (200, 201), 20)
    acknowledged.add("disk-5000")
    replica.kill()
    replica.start().wait_ready()
    assert acknowledged <= set(replica.instances())
    # Its log is on the disk that is removed with this test.
    assert replica.stop() == 0


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_one_full_disk_of_three_does_not_stop_writes(small_disk, make_cluster, role):
    cluster = make_cluster(3, "--write-timeout", "5s")
    victim = cluster[2]
    victim.data = os.path.join(small_disk, "data")
    cluster.start()
    while (cluster.leader() is victim) != (role == "leader"):
        leader = cluster.leader()
        assert leader.stop() == 0
        leader.start().wait_ready()
    filler = fill_disk(small_disk)
    try:
        # More than its preallocated segments can hold.
        for n in range(700):
            replica = cluster[n % 2]
            got = register(replica, n)
            assert got.status in (200, 201), got
        assert victim.alive()
        assert victim.get("/services/disk").status == 200
        assert cluster.leader() is not victim
    finally:
        os.unlink(filler)
    await_true("it catches up", lambda: len(victim.instances()) == 700, 40)
    cluster.wait_same_state()
    for replica in cluster:
        assert replica.stop() == 0


def test_a_log_is_truncated_on_a_full_disk(small_disk, make_cluster):
    """A member that starts with entries that nobody else has, and no free space: a truncation is a
    record in preallocated space. What it acknowledges then is on its disk."""
    cluster = make_cluster(3, "--write-timeout", "1s")
    victim = cluster[2]
    victim.data = os.path.join(small_disk, "data")
    cluster.start()
    while cluster.leader() is not victim:
        leader = cluster.leader()
        assert leader.stop() == 0
        leader.start().wait_ready()
    assert doubtful_tail(cluster) is victim
    before = truncations(victim)
    filler = fill_disk(small_disk)
    try:
        victim.start().wait_ready()
        cluster[0].register("kept", id="acked", port=5, ttl=3600)
        cluster.wait_same_state()
        assert truncations(victim) > before
        assert not any(id.startswith("doubtful") for id in victim.instances())
        victim.kill()
        victim.start().wait_ready()
        assert_all_there({"acked": 5}, victim)
    finally:
        os.unlink(filler)
    for replica in cluster:
        assert replica.stop() == 0
