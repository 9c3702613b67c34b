"""A stalled loop or disk: detected from outside, reported, and every request is answered."""
import contextlib
import os
import signal
import subprocess
import threading
import time

import pytest

from cluster import await_true
from stalls import await_end, standing_still
from test_backup import Slow, files, fill

WRITE_TIMEOUT_S = 3
OPTIONS = ("--write-timeout", "%ds" % WRITE_TIMEOUT_S)


class Asked(threading.Thread):
    """A request in flight, its answer and its duration."""

    def __init__(self, replica, method, path, body=None):
        super().__init__()
        self.call = (method, path, body)
        self.replica = replica
        self.answer = self.took_s = None
        self.start()

    def run(self):
        began = time.monotonic()
        self.answer = self.replica.request(*self.call, timeout=60)
        self.took_s = time.monotonic() - began

    def status(self, within_s):
        self.join(60)
        assert self.answer is not None and self.took_s <= within_s, (self.call, self.answer, self.took_s)
        return self.answer.status


def staleness_ms(replica):
    return int(replica.get("/services").headers["X-Muster-Staleness-Ms"])


def body(id):
    return {"id": id, "name": "web", "host": "h", "port": 1, "ttl": 3600}


@pytest.mark.parametrize("size", [1, 3])
def test_a_loop_that_stands_still_is_seen_and_every_request_is_answered(make_cluster, size):
    with make_cluster(size, *OPTIONS) as cluster:
        cluster.start()
        leader = cluster.leader()
        leader.register("web", id="before", ttl=3600)
        index = leader.get("/services/web").json["index"]
        assert staleness_ms(leader) == 0
        with standing_still(leader, "loop"):
            asked = {
                "write": Asked(leader, "POST", "/register", body("w")),
                "heartbeat": Asked(leader, "POST", "/heartbeat", {"id": "before"}),
                "proof": Asked(leader, "GET", "/services/web?consistency=linearizable"),
                "index": Asked(leader, "GET", "/services/web?min_index=%d" % (index + 1000)),
                "poll": Asked(leader, "GET", "/services/web?index=%d&wait=2s" % index),
            }
            await_true("not ready", lambda: leader.get("/health/ready").status == 503)
            assert "stands still" in leader.get("/health/ready").json["message"]
            assert staleness_ms(leader) >= 2000
            assert leader.metric("loop_stalled_seconds") >= 2
            assert leader.get("/services/web").status == 200  # reads continue, and report their age
            # New writes are refused at once, and surely not done.
            late = Asked(leader, "POST", "/register", body("refused"))
            assert late.status(within_s=1) == 503 and late.answer.json["error"] == "stalled"
            assert asked["write"].status(WRITE_TIMEOUT_S + 1) == 504
            assert asked["write"].answer.json["error"] == "outcome_unknown"
            assert asked["heartbeat"].status(WRITE_TIMEOUT_S + 1) == 504
            assert asked["proof"].status(WRITE_TIMEOUT_S + 1) == 503
            assert asked["index"].status(WRITE_TIMEOUT_S + 1) == 504
            assert asked["poll"].status(2 + 1) == 200
            if size > 1:
                others = [r for r in cluster if r is not leader]
                await_true("another one leads", lambda: any(r.is_leader() for r in others))
                others[0].register("web", id="meanwhile")
        leader.wait_ready()
        assert leader.metric("loop_stalls_total") >= 1 and leader.metric("http_late_total") == 5
        assert leader.metric("loop_stalled_seconds") == 0
        leader.register("web", id="after")
        assert leader.get("/instances/refused?consistency=linearizable").status == 404
        cluster.wait_same_state()


def test_clients_that_leave_while_the_loop_stands_still_hurt_nobody(make_cluster):
    with make_cluster(1, *OPTIONS) as cluster:
        cluster.start()
        with standing_still(cluster[0], "loop"):
            for number in range(20):
                with contextlib.suppress(OSError):
                    cluster[0].request("POST", "/register", body("gone-%d" % number), timeout=0.05)
                with contextlib.suppress(OSError):
                    cluster[0].request("GET", "/services?consistency=linearizable", timeout=0.05)
            time.sleep(WRITE_TIMEOUT_S + 1.5)
        cluster[0].wait_ready()
        cluster[0].register("web", id="after")


def test_a_backup_asked_of_a_loop_that_stands_still_is_answered_and_takes_no_place(make_cluster):
    with make_cluster(1, *OPTIONS) as cluster:
        replica = cluster.start()[0]
        replica.register("web", id="before", ttl=3600)
        with standing_still(replica, "loop"):
            asked = [Asked(replica, "GET", "/backup?consistency=stale") for _ in range(4)]
            for one in asked:
                assert one.status(WRITE_TIMEOUT_S + 1) == 503 and one.answer.json["error"] == "stalled"
        replica.wait_ready()
        # The abandoned request is completed now, and freed.
        await_true("no files", lambda: files(replica) == [])
        await_true("places", lambda: replica.get("/backup").status == 200)
        for _ in range(4):
            assert replica.get("/backup").status == 200


def await_full_sockets(replica):
    """The files of backups are not read any further: their clients have stopped reading."""
    looks = [-1]

    def quiet():
        with open("/proc/%d/io" % replica.process.pid, encoding="ascii") as file:
            looks.append(int(file.readline().split()[1]))
        return looks[-1] - looks[-2] < 64 * 1024 and looks[-2] >= 0
    await_true("nothing is read", quiet, every_s=0.5)


def test_a_backup_whose_reader_leaves_while_the_loop_stands_still_is_given_back(make_cluster):
    with make_cluster(1, *OPTIONS) as cluster:
        replica = cluster.start()[0]
        fill(replica, 400)
        slow = [Slow(replica), Slow(replica)]
        assert [s.status() for s in slow] == [200, 200]
        await_full_sockets(replica)
        with standing_still(replica, "loop"):
            await_true("nothing new is taken", lambda: replica.post(
                "/register", body("no")).json.get("error") == "stalled")
            before = replica.metric("http_connections")
            for one in slow:
                one.close()
            await_true("both have left", lambda: replica.metric("http_connections") <= before - 2)
        replica.wait_ready()
        await_true("no files", lambda: files(replica) == [])
        await_true("places", lambda: replica.get("/backup").status == 200)


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_disk_that_stands_still_is_seen_and_the_others_lead(make_cluster, role):
    with make_cluster(3, *OPTIONS) as cluster:
        cluster.start()
        stuck = cluster.leader() if role == "leader" else cluster.followers()[0]
        other = [r for r in cluster if r is not stuck][0]
        other.register("web", id="before")
        with standing_still(stuck, "disk"):
            asked = [Asked(stuck, "POST", "/register", body("w")),
                     Asked(stuck, "POST", "/heartbeat", {"id": "before"}),
                     Asked(stuck, "GET", "/services/web?consistency=linearizable")]
            other.register("web", id="meanwhile")
            await_true("not ready", lambda: stuck.get("/health/ready").status == 503)
            assert "disk" in stuck.get("/health/ready").json["message"]
            assert staleness_ms(stuck) >= 2000
            assert stuck.metric("disk_stalled_seconds") >= 2
            await_true("another one leads", lambda: any(
                r.is_leader() for r in cluster if r is not stuck))
            for one in asked:
                assert one.status(WRITE_TIMEOUT_S + 1) in (200, 201, 503, 504)
        stuck.wait_ready()
        assert stuck.metric("disk_stalls_total") >= 1
        assert "stalled" in stuck.log()
        cluster.wait_same_state()


def test_the_disk_of_a_single_member_that_stands_still_is_seen(make_cluster):
    with make_cluster(1, *OPTIONS) as cluster:
        cluster.start()
        replica = cluster[0]
        with standing_still(replica, "disk"):
            write = Asked(replica, "POST", "/register", body("w"))
            await_true("not ready", lambda: replica.get("/health/ready").status == 503)
            assert staleness_ms(replica) >= 2000
            assert write.status(WRITE_TIMEOUT_S + 1) == 504
        replica.wait_ready()
        assert replica.get("/instances/w?consistency=linearizable").status == 200


def test_a_frozen_file_system_is_a_disk_that_stands_still(make_cluster, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    image, folder = tmp_path / "image", tmp_path / "mounted"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(200 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True, timeout=60)
    if subprocess.run(["mount", "-o", "loop", image, folder], check=False, timeout=60).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with make_cluster(1, *OPTIONS, data_root=str(folder)) as cluster:
            cluster.start()
            subprocess.run(["fsfreeze", "-f", folder], check=True, timeout=60)
            try:
                write = Asked(cluster[0], "POST", "/register", body("w"))
                await_true("not ready", lambda: cluster[0].get("/health/ready").status == 503)
                assert write.status(WRITE_TIMEOUT_S + 1) == 504
            finally:
                subprocess.run(["fsfreeze", "-u", folder], check=False, timeout=60)
            cluster[0].wait_ready()
            assert cluster[0].stop() == 0
    finally:
        subprocess.run(["umount", "--lazy", folder], check=False, timeout=60)


def test_a_replica_whose_disk_stands_still_ends_when_told_to(make_cluster):
    """Within two write timeouts and ten seconds: what was acknowledged is on disk."""
    with make_cluster(1, "--write-timeout", "1s") as cluster:
        cluster.start()
        with standing_still(cluster[0], "disk") as thread:
            write = Asked(cluster[0], "POST", "/register", body("w"))
            assert write.status(3) == 504
            cluster[0].process.terminate()
            assert await_end(cluster[0], thread, within_s=20) == 128 + signal.SIGALRM
