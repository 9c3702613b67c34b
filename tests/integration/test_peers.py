"""Strangers on the peer port, and members that do not belong: refused, logged once, and nothing
else is disturbed."""
import os
import socket
import struct
import time

import pytest

import hello
from cluster import await_true

SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def guarded():
    """Three replicas with a secret, and the id of their cluster."""
    from cluster import Cluster
    with Cluster(3, environment={"MUSTER_CLUSTER_SECRET": SECRET}) as cluster:
        cluster[0].start()
        cluster[2].start()
        cluster.cluster_id = hello.capture_cluster_id(cluster[1].peer_port)
        cluster.start()
        yield cluster


class Undisturbed:
    """The cluster must go on as if nothing happened: same leader, writes done, all ready."""

    def __init__(self, cluster):
        self.cluster = cluster

    def __enter__(self):
        self.leader = self.cluster.leader()
        self.seen = {r.id: len(r.log()) for r in self.cluster}
        return self

    def new_log(self, replica):
        return replica.log()[self.seen[replica.id]:]

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        for replica in self.cluster:
            assert replica.alive()
            replica.register("still", id="still-%d-%f" % (replica.id, time.time()))
            assert replica.is_ready()
        assert self.cluster.leader() is self.leader
        self.cluster.wait_same_state()


def warnings(log):
    return [line for line in log.splitlines() if " warn " in line and " peer" in line]


def test_members_prove_that_they_know_the_secret(guarded):
    with Undisturbed(guarded) as calm:
        with hello.Stranger(guarded[0].peer_port, guarded.cluster_id, 2, 1, SECRET) as stranger:
            assert stranger.say_hello() == hello.ACCEPTED
            assert stranger.acceptor_is_genuine()
            stranger.prove()
            time.sleep(0.5)
            assert warnings(calm.new_log(guarded[0])) == []


@pytest.mark.parametrize("garbage", [
    os.urandom(96), os.urandom(5000), b"\0" * 56, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
    b"MSTh" + os.urandom(52),
], ids=["96 random", "5000 random", "zeros", "http", "magic and random"])
def test_garbage_on_the_peer_port_is_refused_and_logged_once(guarded, garbage):
    time.sleep(1.1)  # the log lets one line a second through
    with Undisturbed(guarded) as calm:
        with socket.create_connection(("127.0.0.1", guarded[0].peer_port), timeout=5) as s:
            s.sendall(garbage)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        lines = await_true("a line in the log", lambda: warnings(calm.new_log(guarded[0])))
        assert len(lines) == 1, lines
        assert "garbage" in lines[0], lines


@pytest.mark.parametrize("at", [0, 1, 2])
def test_96_random_bytes_after_a_valid_hello_are_refused(guarded, at):
    member = guarded[at].id
    other = guarded[(at + 1) % 3].id
    with Undisturbed(guarded) as calm:
        def refused_with_a_line():
            """Not each time: the real member may have dialled again by then."""
            with hello.Stranger(guarded[at].peer_port, guarded.cluster_id, other, member,
                                SECRET) as stranger:
                assert stranger.say_hello() == hello.ACCEPTED
                stranger.prove()
                stranger.send(os.urandom(96))
                assert stranger.is_closed_within(5)
            return warnings(calm.new_log(guarded[at]))
        await_true("a line in the log", refused_with_a_line)


@pytest.mark.parametrize("length", [0, 1, 16, 1000, 70 * 1024 * 1024, 0xFFFFFFFF])
@pytest.mark.parametrize("type", [0, 1, 2, 3, 4, 5, 6, 255])
def test_well_formed_frames_of_nonsense_kill_nobody(guarded, type, length):
    """The checksum is right and the content is not: decoders must take nothing on trust."""
    content = os.urandom(min(length, 1000))
    head = struct.pack("<BBH", type, 0, 0)
    frame = struct.pack("<I", length) + head + struct.pack(
        "<I", hello.crc32c(head + content)) + content
    with hello.Stranger(guarded[0].peer_port, guarded.cluster_id, 2, 1, SECRET) as stranger:
        assert stranger.say_hello() == hello.ACCEPTED
        stranger.prove()
        stranger.send(frame)
        stranger.is_closed_within(0.1)
    assert guarded[0].alive()
    assert guarded[0].get("/health/live").status == 200


def test_the_cluster_is_whole_after_all_that_nonsense(guarded):
    await_true("all ready", lambda: all(r.is_ready() for r in guarded))
    guarded[0].register("whole", id="whole")
    guarded.wait_same_state()


def test_a_wrong_secret_is_refused_and_the_proof_is_not_given_away(guarded):
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        with hello.Stranger(guarded[0].peer_port, guarded.cluster_id, 2, 1, "guess") as stranger:
            assert stranger.say_hello() == hello.ACCEPTED
            assert not stranger.acceptor_is_genuine()
            stranger.prove()
            assert stranger.is_closed_within(5)
        await_true("a line in the log", lambda: any(
            "secret" in line for line in warnings(calm.new_log(guarded[0]))))


@pytest.mark.parametrize("cluster_change, sender, receiver, verdict", [
    (1, 2, 1, hello.WRONG_CLUSTER),
    (0, 9, 1, hello.WRONG_MEMBER),
    (0, 2, 3, hello.WRONG_MEMBER),
    (0, 1, 1, hello.WRONG_MEMBER),
    (0, 0, 1, hello.WRONG_MEMBER),
])
def test_a_hello_from_elsewhere_is_refused(guarded, cluster_change, sender, receiver, verdict):
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        with hello.Stranger(guarded[0].peer_port, guarded.cluster_id ^ cluster_change, sender,
                            receiver, SECRET) as stranger:
            assert stranger.say_hello() == verdict
            assert stranger.is_closed_within(5)
        lines = await_true("a line in the log", lambda: warnings(calm.new_log(guarded[0])))
        assert len(lines) == 1, lines


def test_a_hello_of_another_version_is_refused(guarded):
    with Undisturbed(guarded):
        with hello.Stranger(guarded[0].peer_port, guarded.cluster_id, 2, 1, SECRET) as stranger:
            assert stranger.say_hello(version=2) == hello.WRONG_VERSION


def test_connections_that_say_nothing_are_closed_and_do_not_pile_up(guarded):
    with Undisturbed(guarded):
        silent = [socket.create_connection(("127.0.0.1", guarded[0].peer_port), timeout=10)
                  for _ in range(100)]
        try:
            time.sleep(4)  # the handshake's time is over
            silent[0].settimeout(5)
            try:
                assert silent[0].recv(1) == b""
            except ConnectionResetError:
                pass
        finally:
            for s in silent:
                s.close()


def test_a_replica_with_another_secret_is_kept_out_and_logged_not_flooded(make_cluster):
    cluster = make_cluster(3, environment={"MUSTER_CLUSTER_SECRET": "one"})
    cluster[0].start()
    cluster[1].start()
    cluster[0].wait_ready()
    cluster[1].wait_ready()
    cluster[0].register("web", id="web")
    cluster.environment = {"MUSTER_CLUSTER_SECRET": "two"}
    wrong = cluster[2].start()
    seconds = 4
    time.sleep(seconds)
    assert wrong.alive() and wrong.get("/health/ready").status == 503
    assert wrong.get("/instances/web").status == 404
    lines = sum((warnings(r.log()) for r in cluster), [])
    assert any("secret" in line for line in lines), lines
    assert len(lines) <= 3 * 2 * (seconds + 2), "the log is flooded: %d lines" % len(lines)
    cluster[1].register("web", id="web-2")
    # With the right one it comes in.
    wrong.kill()
    cluster.environment = {"MUSTER_CLUSTER_SECRET": "one"}
    wrong.start().wait_ready()
    cluster.wait_same_state()
    assert wrong.instance_health("web-2") == "passing"


def test_a_replica_of_another_cluster_is_kept_out(make_cluster):
    cluster = make_cluster(3).start()
    cluster[0].register("web", id="web")
    other = make_cluster(3)
    # The other cluster's list names our first member as its own.
    stray = other[1].start("--cluster", "1=127.0.0.1:%d,2=127.0.0.1:%d,3=127.0.0.1:%d" % (
        cluster[0].peer_port, other[1].peer_port, other[2].peer_port))
    await_true("a line in the log", lambda: any(
        "cluster" in line for line in warnings(cluster[0].log() + stray.log())))
    assert stray.get("/health/ready").status == 503
    assert stray.get("/instances/web").status == 404
    cluster[0].register("web", id="web-2")
    cluster.wait_same_state()


def test_the_same_id_started_twice_disturbs_nobody(make_cluster):
    """Once with the other's port, which is taken, and once from elsewhere with an empty directory."""
    cluster = make_cluster(3).start()
    cluster[0].register("web", id="web", ttl=3600)
    follower = cluster.followers()[0]
    twin = make_cluster(3)[follower.id - 1]
    list_of_ours = ",".join("%d=127.0.0.1:%d" % (r.id, r.peer_port) for r in cluster)
    twin.peer_port, own = follower.peer_port, twin.peer_port
    twin.start("--cluster", list_of_ours)
    assert twin.wait_exit() == 1
    assert str(follower.peer_port) in twin.log()

    twin.peer_port = own
    twin.start("--cluster", list_of_ours, "--advertise-peer", "127.0.0.1:%d" % follower.peer_port)
    deadline = time.monotonic() + 4
    n = 0
    while time.monotonic() < deadline:
        for replica in cluster:
            replica.register("web", id="web-%d" % n)
            n += 1
        time.sleep(0.1)
    twin.kill()
    await_true("all ready", lambda: all(r.is_ready() for r in cluster))
    cluster.wait_same_state()
    for replica in cluster:
        assert len(replica.instances()) == n + 1
