"""Strangers on the peer port, and members of other clusters: refused, logged once, and nothing else is
affected."""
import os
import re
import shutil
import socket
import struct
import subprocess
import time

import pytest

import hello
from cluster import MUSTER, await_true, clean_environment
from ports import free_ports

SECRET = "correct horse battery staple"


@pytest.fixture(scope="module")
def guarded():
    """Three replicas with a secret, and the facts of each. They also take links without TLS, so that the
    handshake alone can be attacked; see test_peer_tls.py for the other case."""
    from cluster import Cluster
    with Cluster(3, ["--peer-tls", "optional"], environment={"MUSTER_CLUSTER_SECRET": SECRET}) as cluster:
        cluster.start()
        for replica in cluster:
            replica.wait_ready()
        cluster.facts = {}
        for away in (cluster[1], cluster[0]):
            away.stop()
            others = [r.id for r in cluster if r is not away]
            cluster.facts.update(hello.capture_facts(away.peer_port, others))
            away.start().wait_ready()
        with stranger_as(cluster, 3, 1) as stranger:  # it was restarted since
            stranger.come_in()
            cluster.facts[1] = stranger.theirs
        yield cluster


def stranger_as(cluster, sender, receiver, secret=SECRET, **changes):
    """Dials replica `receiver` as member `sender`, with its facts."""
    facts = cluster.facts[sender]._replace(**changes)
    return hello.Stranger(cluster[receiver - 1].peer_port, facts, receiver, secret)


class Undisturbed:
    """The cluster must continue as if nothing had happened: same leader, writes done, all ready."""

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
        with stranger_as(guarded, 3, 1) as stranger:
            stranger.come_in()
            assert stranger.theirs == guarded.facts[1]
            time.sleep(0.5)
            assert warnings(calm.new_log(guarded[0])) == []


@pytest.mark.parametrize("garbage", [
    os.urandom(96), os.urandom(5000), b"\0" * 8, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10,
    b"MSTh\2\0\0\0" + os.urandom(84),
], ids=["96 random", "5000 random", "8 zeros", "http", "prefix and random"])
def test_garbage_on_the_peer_port_is_refused_and_logged_once(guarded, garbage):
    time.sleep(1.1)  # the log is limited to one line a second
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
def test_96_random_bytes_after_a_handshake_are_refused(guarded, at):
    member = guarded[at].id
    other = guarded[(at + 1) % 3].id
    with Undisturbed(guarded) as calm:
        def refused_with_a_line():
            """Not each time: the real member may have dialled again by then."""
            with stranger_as(guarded, other, member) as stranger:
                stranger.come_in()
                stranger.send(os.urandom(96))
                assert stranger.is_closed_within(5)
            return warnings(calm.new_log(guarded[at]))
        await_true("a line in the log", refused_with_a_line)


@pytest.mark.parametrize("length", [0, 1, 16, 1000, 70 * 1024 * 1024, 0xFFFFFFFF])
@pytest.mark.parametrize("type", [0, 1, 2, 3, 4, 5, 6, 255])
def test_well_formed_frames_of_nonsense_kill_nobody(guarded, type, length):
    """Valid checksum, invalid content: decoders must trust nothing."""
    content = os.urandom(min(length, 1000))
    head = struct.pack("<BBH", type, 0, 0)
    frame = struct.pack("<I", length) + head + struct.pack(
        "<I", hello.crc32c(head + content)) + content
    with stranger_as(guarded, 2, 1) as stranger:
        stranger.come_in()
        stranger.send(frame)
        stranger.is_closed_within(0.1)
    assert guarded[0].alive()
    assert guarded[0].get("/health/live").status == 200


def test_the_cluster_is_whole_after_all_that_nonsense(guarded):
    await_true("all ready", lambda: all(r.is_ready() for r in guarded))
    guarded[0].register("whole", id="whole")
    guarded.wait_same_state()


def last_message(stranger, shape, recorded):
    """Bytes that a stranger without the secret sends after its hello."""
    if shape == "nothing, and half-closes":
        stranger.connection.shutdown(socket.SHUT_WR)
    elif shape == "a guess":
        assert stranger.prove("a guess at the secret") is None
    elif shape == "a second hello":
        stranger.send(hello.encode_hello(stranger.facts, stranger.to, os.urandom(16)))
    elif shape == "a recorded proof":
        stranger.send(recorded[2])
    elif shape == "a recorded proof and verdict":
        stranger.send(recorded[2] + recorded[4])
    elif shape == "the acceptor's recorded proof":
        head = hello.prefix(b"MSTp")
        stranger.send(hello.seal(head + recorded[3][72:104]))
    elif shape == "the acceptor's recorded facts":
        stranger.send(recorded[3])
    elif shape == "its own challenge":
        stranger.send(stranger.said[1])
    else:
        assert shape == "a long message"
        stranger.send(hello.prefix(b"MSTp") + b"p" * 100000)


@pytest.mark.parametrize("shape", [
    "nothing, and half-closes", "a guess", "a second hello", "a recorded proof",
    "a recorded proof and verdict", "the acceptor's recorded proof",
    "the acceptor's recorded facts", "its own challenge", "a long message"])
def test_who_has_not_proved_that_it_knows_the_secret_learns_a_nonce(guarded, shape):
    """Otherwise it could guess the secret offline."""
    with stranger_as(guarded, 3, 1) as member:
        member.come_in()
    with Undisturbed(guarded), stranger_as(guarded, 3, 1) as stranger:
        assert stranger.say_hello()  # a challenge, and nothing more: see there
        assert stranger.said[1][8:24] != member.said[1][8:24], "the nonce is not fresh"
        last_message(stranger, shape, member.said)
        assert stranger.rest_within(5) == b"", "something follows the challenge"


@pytest.mark.parametrize("sender, changes", [
    (9, {}), (1, {"life": 7}), (3, {"cluster": bytes(16)}), (3, {"cluster": b"another cluster."}),
    (3, {"life": 7, "boot": 7}), (3, {"level_min": 60000, "level_max": 60001}),
    (3, {"list_hash": 1}),
], ids=str)
def test_every_stranger_is_answered_alike(guarded, sender, changes):
    """Whoever they claim to be: they cannot find out what is known here."""
    facts = guarded.facts[3]._replace(member=sender, **changes)
    for receiver in (1, 2, 77):
        with hello.Stranger(guarded[0].peer_port, facts, receiver, "a guess at the secret") as s:
            assert s.say_hello()
            assert s.prove() is None


def test_a_wrong_secret_is_logged(guarded):
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        with stranger_as(guarded, 2, 1, "a guess at the secret") as stranger:
            assert stranger.say_hello()
            assert stranger.prove() is None
        await_true("a line in the log", lambda: any(
            "secret" in line for line in warnings(calm.new_log(guarded[0]))))


@pytest.mark.parametrize("receiver, changes, verdict, words", [
    (1, {"cluster": b"another cluster."}, hello.WRONG_CLUSTER, b"another cluster.".hex()),
    (1, {"member": 9, "cluster": bytes(16)}, hello.WAITS, "member 9"),
    (3, {}, hello.WRONG_MEMBER, "member 2"),
    (1, {"member": 1, "life": 7}, hello.WRONG_MEMBER, "member 1"),
    (1, {"level_min": 60000, "level_max": 60001}, hello.NO_LEVEL, "60000 to 60001"),
    (1, {"boot": 0}, hello.EARLIER_BOOT, "boot 0"),
])
def test_a_member_from_elsewhere_is_refused_and_told_why(guarded, receiver, changes, verdict, words):
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        facts = guarded.facts[2]._replace(**changes)
        with hello.Stranger(guarded[0].peer_port, facts, receiver, SECRET) as stranger:
            assert stranger.say_hello()
            assert stranger.prove() == verdict
            assert stranger.genuine and stranger.theirs == guarded.facts[1]
            assert stranger.is_closed_within(5)
        lines = await_true("a line in the log", lambda: warnings(calm.new_log(guarded[0])))
        assert len(lines) == 1 and words in lines[0], lines


def test_a_refusal_by_the_connector_is_logged_here(guarded):
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        with stranger_as(guarded, 2, 1) as stranger:
            assert stranger.say_hello()
            assert stranger.prove() == hello.ACCEPTED
            stranger.accept(hello.EARLIER_LIFE)
            assert stranger.is_closed_within(5)
        lines = await_true("a line in the log", lambda: warnings(calm.new_log(guarded[0])))
        assert "the other side says: a directory of an earlier life of member 1" in lines[0], lines


@pytest.mark.parametrize("message", [
    hello.prefix(b"MSTh", version=3), hello.prefix(b"MSTh", version=1) + bytes(48),
], ids=["3", "1"])
def test_a_hello_of_another_version_is_refused(guarded, message):
    """Whatever its length is."""
    time.sleep(1.1)
    with Undisturbed(guarded) as calm:
        with socket.create_connection(("127.0.0.1", guarded[0].peer_port), timeout=5) as s:
            s.sendall(message)
            assert hello.receive(s, 1) == b""
        lines = await_true("a line in the log", lambda: warnings(calm.new_log(guarded[0])))
        assert len(lines) == 1 and "version" in lines[0], lines


def test_an_acceptor_without_the_secret_is_not_taken_for_a_member(make_cluster):
    """It replaces a member that is down: it gets a proof, but no link."""
    cluster = make_cluster(3, "--peer-tls", "optional", environment={"MUSTER_CLUSTER_SECRET": SECRET})
    cluster[0].start()
    with hello.listen(cluster[1].peer_port) as listener:
        connection, said = hello.accept_plain(listener)
        with connection:
            challenge = hello.seal(hello.prefix(b"MSTc") + os.urandom(16))
            connection.sendall(challenge)
            its_proof = hello.receive(connection, hello.PROOF_BYTES)
            assert its_proof[:8] == hello.prefix(b"MSTp")
            facts = hello.decode_facts(said[8:72])._replace(member=2)
            head = hello.prefix(b"MSTf") + hello.encode_facts(facts, 1)
            connection.sendall(hello.seal(head + hello.proof(
                b"muster acceptor facts", "a guess at the secret", said, challenge, its_proof, head)))
            assert hello.receive(connection, 1) == b""
    await_true("a line in the log", lambda: any(
        "wrong secret" in line for line in warnings(cluster[0].log())))


def test_a_member_does_not_prove_anything_to_itself(make_cluster):
    """A stranger at the address of a member that is down relays a member's messages back to it."""
    cluster = make_cluster(3, "--peer-tls", "optional", environment={"MUSTER_CLUSTER_SECRET": SECRET})
    cluster[0].start()
    with hello.listen(cluster[1].peer_port) as listener:
        dialled, said = hello.accept_plain(listener)
        with dialled, socket.create_connection(("127.0.0.1", cluster[0].peer_port)) as back:
            back.settimeout(10)
            back.sendall(said)
            assert hello.receive(back, 1) == b""
    await_true("a line in the log", lambda: any(
        "our own hello" in line for line in warnings(cluster[0].log())))


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
    cluster = make_cluster(3, environment={"MUSTER_CLUSTER_SECRET": "one secret of many"}).start()
    wrong = cluster[2]
    wrong.kill()
    cluster[0].wait_ready()
    cluster[1].wait_ready()
    cluster[0].register("web", id="web")
    cluster.environment = {"MUSTER_CLUSTER_SECRET": "two secrets of many"}
    wrong.start()
    seconds = 4
    time.sleep(seconds)
    assert wrong.is_live() and wrong.get("/health/ready").status == 503
    assert wrong.get("/instances/web").status == 404
    lines = sum((warnings(r.log()) for r in cluster), [])
    assert any("secret" in line for line in lines), lines
    assert len(lines) <= 3 * 2 * (seconds + 2), "the log is flooded: %d lines" % len(lines)
    cluster[1].register("web", id="web-2")
    # With the right one it is admitted.
    wrong.kill()
    cluster.environment = {"MUSTER_CLUSTER_SECRET": "one secret of many"}
    wrong.start().wait_ready()
    cluster.wait_same_state()
    assert wrong.instance_health("web-2") == "passing"


def test_a_new_replica_that_takes_us_for_its_own_is_kept_out(make_cluster):
    """One with a cluster of its own: test_a_member_from_elsewhere_is_refused_and_told_why."""
    cluster = make_cluster(3).start()
    cluster[0].register("web", id="web")
    other = make_cluster(3)
    # The other cluster's list names our first member as its own.
    stray = other[1].start("--cluster", "1=127.0.0.1:%d,2=127.0.0.1:%d,3=127.0.0.1:%d" % (
        cluster[0].peer_port, other[1].peer_port, other[2].peer_port))
    await_true("a line in the log", lambda: any(
        "not let in yet" in line for line in warnings(stray.log())))
    assert stray.get("/health/ready").status == 503
    assert stray.get("/instances/web").status == 404
    cluster[0].register("web", id="web-2")
    cluster.wait_same_state()


def test_the_same_id_started_twice_disturbs_nobody(make_cluster):
    """Once with the other's port, which is in use, and once from elsewhere with an empty directory."""
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


# --- members that are missing ---

# How fast a name server reports an unknown name depends on the machine.
@pytest.mark.parametrize("address, reasons", [
    ("no-such-host.invalid:%d", ["the name does not resolve", "looking up the name is slow"]),
    ("127.0.0.1:%d", ["nobody listens there"])])
def test_a_member_that_cannot_be_reached_is_named_with_its_reason(make_cluster, address, reasons):
    with make_cluster(1) as cluster:
        replica = cluster[0]
        missing = [address % port for port in free_ports(2)]
        replica.start("--cluster", "1=127.0.0.1:%d,2=%s,3=%s" % (replica.peer_port, *missing))

        def said():
            return [line for line in replica.log().splitlines() if "cannot be reached" in line]
        await_true("two lines", lambda: len(said()) == 2)
        for number, line in zip((2, 3), sorted(said(), key=lambda line: line.partition("id=")[2])):
            assert "id=%d address=%s" % (number, missing[number - 2]) in line
            assert any(reason in line for reason in reasons), line
        time.sleep(3)  # in which it tries sixty times
        assert len(said()) == 2


@pytest.fixture
def silent_name_server(tmp_path):
    """The command prefix that makes a program use a name server which never answers."""
    if os.geteuid() != 0:
        pytest.skip("another /etc/resolv.conf needs root")
    address = "127.77.%d.53" % (os.getpid() % 250)
    resolv, nsswitch = tmp_path / "resolv.conf", tmp_path / "nsswitch.conf"
    resolv.write_text("nameserver %s\noptions timeout:30 attempts:5\n" % address, encoding="ascii")
    nsswitch.write_text("hosts: files dns\n", encoding="ascii")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        yield ["unshare", "-m", "sh", "-c",
               'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && shift 2 && exec "$@"',
               "sh", str(resolv), str(nsswitch)], server


def start_with(prefix, replica, members):
    with open(replica.log_path, "ab") as log:
        replica.process = subprocess.Popen(
            [*prefix, *replica.command("--cluster", ",".join(members))], stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, env=clean_environment(replica.cluster.environment))


def stops_soon(replica):
    began = time.monotonic()
    return replica.stop() == 0 and time.monotonic() - began < 15  # a lookup takes minutes


def test_a_name_server_that_hangs_is_said_and_does_not_hold_up_the_end(make_cluster, silent_name_server):
    prefix, server = silent_name_server
    with make_cluster(1) as cluster:
        replica, ports = cluster[0], free_ports(2)
        names = ["%d=hangs-%d.example:%d" % (n, n, port) for n, port in zip((2, 3), ports)]
        start_with(prefix, replica, ["1=127.0.0.1:%d" % replica.peer_port, *names])
        server.settimeout(30)
        assert b"hangs-" in server.recv(512)

        def said():
            return {n for n in (2, 3) for line in replica.log().splitlines()
                    if "id=%d address=hangs-%d.example" % (n, n) in line
                    and 'reason="looking up the name is slow"' in line}
        await_true("both are named", lambda: said() == {2, 3}, within_s=20)
        assert stops_soon(replica)


def test_a_name_that_is_looked_up_for_ever_holds_up_neither_snapshots_nor_other_members(
        make_cluster, silent_name_server):
    prefix, server = silent_name_server
    with make_cluster(3, "--snapshot-log-bytes", "64KiB") as cluster:
        cluster.start()
        for number in range(100):
            cluster[0].register("web", id="web-%d" % number, metadata={"k": "v" * 500})
        lost = cluster[2]
        lost.kill()
        shutil.rmtree(lost.data)
        members = ["%d=127.0.0.1:%d" % (r.id, r.peer_port) for r in cluster]
        members[1] = "2=hangs-2.example:%d" % free_ports(1)[0]
        start_with(prefix, lost, members)
        server.settimeout(30)
        assert b"hangs-2" in server.recv(512)
        lost.wait_ready()  # the cluster knows the address of member 2
        cluster.wait_same_state()
        assert stops_soon(lost)


def test_why_a_member_is_missing_stands_in_the_cluster_s_list_until_it_is_back(make_cluster):
    with make_cluster(3) as cluster:
        cluster.start()
        assert {m["trouble"] for m in cluster[0].get("/cluster").json["members"]} == {""}
        assert cluster[0].metric("members_unreachable") == 0
        cluster[2].kill()

        def trouble():
            return {m["id"]: m["trouble"] for m in cluster[0].get("/cluster").json["members"]}
        await_true("why", lambda: "nobody listens there" in trouble()[3])
        assert trouble()[2] == ""
        assert cluster[0].metric("members_unreachable") == 1
        await_true("a line", lambda: "cannot be reached" in cluster[0].log())
        shown = subprocess.run([MUSTER, "--server", cluster[0].url, "members"], capture_output=True,
                               encoding="utf-8", env=clean_environment(), timeout=30, check=True)
        assert "nobody listens there" in shown.stdout
        cluster[2].start().wait_ready()
        await_true("all is well", lambda: set(trouble().values()) == {""})
        assert "a member is reached" in cluster[0].log()
