"""Backups: complete, of one moment, damage is detected; a new cluster is restored from one."""
import contextlib
import http.client
import json
import os
import pty
import socket
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, MUSTERD, await_true, clean_environment
from faults import turning_points
from test_cli import DONE, REFUSED, UNREACHABLE, USAGE, muster
from test_failover import assert_all_there
from writers import Writers

MIB = 1 << 20


def fill(replica, count, first=0, size=500):
    """`count` instances of some 30 KiB each."""
    metadata = {"k%02d" % n: "v" * size for n in range(60)}
    for n in range(first, first + count):
        replica.register("big", "big-%d" % n, metadata=metadata, ttl=3600)


class Slow:
    """A client that requests a backup and reads only on demand."""

    def __init__(self, replica):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", replica.http_port))
        self.socket.sendall(b"GET /backup HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    def status(self):
        return int(self.socket.recv(12).split()[1])

    def rest(self):
        """Reads this many bytes."""
        count = 0
        while True:
            got = self.socket.recv(MIB)
            if not got:
                return count
            count += len(got)

    def close(self):
        self.socket.close()


def files(replica):
    return [name for name in os.listdir(replica.data) if name.startswith("snapshot.backup")]


def test_a_backup_has_the_index_and_state_of_its_moment(shared, name):
    follower = shared.followers()[0]
    done = shared.leader().register(name, name)
    got = follower.get("/backup")
    assert got.status == 200 and got.body[:3] == b"\xffMS"
    assert got.headers["Content-Type"] == "application/vnd.muster.backup"
    assert int(got.headers["Content-Length"]) == len(got.body)
    # It has what was acknowledged before, even by another replica.
    assert int(got.headers["X-Muster-Index"]) >= done["index"]
    index, state = shared.wait_same_state()
    if index == int(got.headers["X-Muster-Index"]):
        assert got.headers["X-Muster-State-Hash"] == state
    assert len(got.headers["X-Muster-Cluster"]) == 32
    assert got.headers["X-Muster-Level"] == str(follower.health()["level"])
    await_true("its file is gone", lambda: files(follower) == [])


def test_a_backup_is_not_given_to_web_pages(shared):
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Sec-Fetch-Site": "same-site"}):
        got = shared[0].request("GET", "/backup", headers=headers)
        assert got.status == 403 and got.json["field"] == "Origin", (headers, got)
    # Text typed by a person is not a backup.
    assert shared[0].request("GET", "/backup", headers={"Sec-Fetch-Site": "none"}).status == 200


def test_without_a_leader_only_a_stale_backup_is_to_be_had(make_cluster):
    cluster = make_cluster(3, "--write-timeout", "1s").start()
    survivor = cluster.followers()[0]
    for replica in cluster:
        if replica is not survivor:
            replica.kill()
    assert survivor.get("/backup").status == 503
    assert survivor.get("/backup?consistency=stale").status == 200


def test_slow_readers_hold_their_places_and_nothing_else(make_cluster):
    cluster = make_cluster(3).start()
    replica = cluster.leader()
    fill(replica, 500)
    slow = [Slow(replica), Slow(replica)]
    assert [s.status() for s in slow] == [200, 200]
    await_true("two files", lambda: len(files(replica)) == 2)
    refused = replica.get("/backup")
    assert refused.status == 503 and refused.json["error"] == "overloaded"
    assert refused.headers["Retry-After"]
    with Writers(list(cluster)) as writers:
        await_true("writes go on", lambda: writers.count() > 500)
        writers.stop()
    assert writers.odd == []
    # A client that disconnects frees its slot at once; the other gets everything.
    slow[0].close()
    await_true("room again", lambda: replica.get("/backup").status == 200)
    assert slow[1].rest() > 10 * MIB
    slow[1].close()
    await_true("no files", lambda: files(replica) == [])


def test_a_reader_that_takes_nothing_is_cut_off(make_cluster):
    """Takes half a minute, the time that a reader has."""
    cluster = make_cluster(1).start()
    fill(cluster[0], 300)
    slow = Slow(cluster[0])
    assert slow.status() == 200
    await_true("cut off", lambda: files(cluster[0]) == [], 60, 1)
    assert "takes too long; cut off" in cluster[0].log()
    slow.close()


def test_a_backup_may_take_longer_to_write_than_a_write_may_wait(make_cluster, faults):
    cluster = make_cluster(1, "--write-timeout", "1s")
    faults.plan(cluster[0], at=1, do="slow", on="write", name="snapshot.backup", times=1000).arm()
    cluster.start()
    fill(cluster[0], 100)  # a dozen writes
    began = time.monotonic()
    got = cluster[0].get("/backup", timeout=60)
    assert got.status == 200 and len(got.body) > 3 * MIB, got.status
    assert time.monotonic() - began > 2
    await_true("no files", lambda: files(cluster[0]) == [])


def test_a_stop_does_not_wait_for_a_slow_reader(make_cluster):
    cluster = make_cluster(1).start()
    fill(cluster[0], 300)
    slow = Slow(cluster[0])
    assert slow.status() == 200
    began = time.monotonic()
    assert cluster[0].stop() == 0
    assert time.monotonic() - began < 15
    assert files(cluster[0]) == []
    slow.close()


def test_what_a_killed_replica_left_of_a_backup_goes_at_its_start(make_cluster):
    cluster = make_cluster(1).start()
    fill(cluster[0], 300)
    slow = Slow(cluster[0])
    assert slow.status() == 200
    cluster[0].kill()
    slow.close()
    assert len(files(cluster[0])) == 1
    cluster[0].start().wait_ready()
    assert files(cluster[0]) == []


def test_backups_from_a_follower_go_on_while_the_leader_is_killed(make_cluster):
    cluster = make_cluster(3).start()
    leader, follower = cluster.leader(), cluster.followers()[0]
    fill(leader, 100)
    got, over = [], threading.Event()

    def back_up():
        while not over.is_set():
            got.append(follower.get("/backup?consistency=stale"))

    thread = threading.Thread(target=back_up)
    thread.start()
    await_true("some", lambda: len(got) > 3)
    leader.kill()
    await_true("another leads", lambda: any(r.is_leader() for r in cluster.running()))
    before = len(got)
    await_true("more", lambda: len(got) > before + 3)
    over.set()
    thread.join(20)
    assert {a.status for a in got} == {200}
    assert all(len(a.body) == int(a.headers["Content-Length"]) for a in got)
    hashes = {(a.headers["X-Muster-Index"], a.headers["X-Muster-State-Hash"]) for a in got}
    assert len(hashes) == len({index for index, _ in hashes})


def test_a_backup_of_a_replica_that_is_killed_is_cut_and_noticed(make_cluster):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    fill(leader, 500)
    connection = http.client.HTTPConnection("127.0.0.1", leader.http_port, timeout=20)
    connection.request("GET", "/backup")
    answer = connection.getresponse()
    assert answer.status == 200 and len(answer.read(MIB)) == MIB
    leader.kill()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    connection.close()


# --- muster backup ---

def back_up(replica, path, *options):
    done = muster("backup", str(path), *options, servers=[replica.url])
    assert done.returncode == DONE, done
    return json.loads(muster("--output", "json", "backup", "--verify", str(path)).stdout)


def test_the_command_fetches_a_backup_and_says_what_is_in_it(shared, name, tmp_path):
    shared[0].register(name, name)
    index, state = shared.wait_same_state()
    path = tmp_path / "b"
    facts = back_up(shared[1], path)
    assert facts["index"] >= index and facts["member"] == 2
    assert facts["level"] == shared[1].health()["level"]
    assert facts["index"] > index or facts["state"] == state
    assert facts["instances"] == len(shared[0].instances())
    assert facts["bytes"] == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["b"]
    table = muster("backup", "--verify", str(path)).stdout
    assert facts["cluster"] in table and str(facts["index"]) in table


def test_a_terminal_is_shown_how_far_it_is(shared, tmp_path):
    ours, theirs = pty.openpty()
    with subprocess.Popen([MUSTER, "--server", shared[0].url, "backup", str(tmp_path / "b")],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
                          env=clean_environment()) as process:
        os.close(theirs)
        assert process.wait(20) == 0
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "100 %" in shown and "[#" in shown, shown


def test_a_file_that_is_there_is_not_replaced_unless_forced(shared, tmp_path):
    path = tmp_path / "b"
    path.write_text("precious", encoding="utf-8")
    done = muster("backup", str(path), servers=[shared[0].url])
    assert done.returncode == REFUSED and "--force" in done.stderr, done
    assert path.read_text(encoding="utf-8") == "precious"
    assert back_up(shared[0], path, "--force")["bytes"] == path.stat().st_size


def test_a_replica_that_is_away_is_passed_over(shared, tmp_path):
    done = muster("backup", str(tmp_path / "b"), servers=["http://127.0.0.1:1", shared[0].url])
    assert done.returncode == DONE and "127.0.0.1:1" in done.stderr, done
    done = muster("backup", str(tmp_path / "c"), servers=["http://127.0.0.1:1"])
    assert done.returncode == UNREACHABLE, done
    assert not (tmp_path / "c").exists() and not (tmp_path / "c.part").exists()
    done = muster("backup", str(tmp_path / "no" / "c"), servers=[shared[0].url])
    assert done.returncode == REFUSED and "cannot write" in done.stderr, done


def damages(content):
    """Possible damage by a disk or a copy, each with a name."""
    yield "empty", b""
    yield "text", b"this is no backup" * 100
    for at in sorted({*range(200), *range(0, len(content), 197), len(content) - 1}):
        changed = bytearray(content)
        changed[at] ^= 0x40
        yield "byte %d" % at, bytes(changed)
    for length in {1, 47, 48, 200, len(content) // 2, len(content) - 64, len(content) - 1}:
        yield "cut to %d" % length, content[:length]
    yield "longer", content + b"\0"


def test_a_damaged_backup_is_found_whatever_is_changed(shared, name, tmp_path):
    shared[0].register(name, name)
    path = tmp_path / "b"
    back_up(shared[0], path)
    content = path.read_bytes()
    for what, changed in damages(content):
        path.write_bytes(changed)
        done = muster("backup", "--verify", str(path))
        assert done.returncode == REFUSED and "no backup that can be used" in done.stderr, (what, done)
    assert muster("backup", "--verify", str(tmp_path)).returncode == REFUSED
    assert muster("backup", "--verify", str(tmp_path / "none")).returncode == REFUSED


@contextlib.contextmanager
def liar(body, length):
    """A server that answers once with this body and the given length."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + body)
        thread = threading.Thread(target=serve)
        thread.start()
        yield "http://127.0.0.1:%d" % server.getsockname()[1]
        thread.join(20)


def test_what_was_cut_or_changed_on_its_way_gets_no_name(shared, tmp_path):
    whole = shared[0].get("/backup").body
    changed = whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]
    for body, length in ((whole[:-10], len(whole)), (whole[:-10], len(whole) - 10),
                         (changed, len(whole)), (b"", 0)):
        with liar(body, length) as url:
            done = muster("backup", str(tmp_path / "b"), servers=[url])
        assert done.returncode in (REFUSED, UNREACHABLE) and "no backup was taken" in done.stderr
        assert list(tmp_path.iterdir()) == []
        with liar(body, length) as url:
            done = muster("backup", str(tmp_path / "b"), servers=[url, shared[0].url])
        assert done.returncode == DONE, done
        (tmp_path / "b").unlink()


def test_usage_of_the_command_is_explained():
    for words in ([], ["a", "b"], ["a", "--consistency", "x"], ["--verify", "a", "--force"]):
        assert muster("backup", *words).returncode == USAGE


# --- musterd --restore ---

def line_of(replica, words):
    """The last line of its log with these words, as key=value pairs."""
    line = [found for found in replica.log().splitlines() if words in found][-1]
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)


def first_of_stream(replica, position):
    """The first event of a stream resumed there."""
    connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=20)
    connection.request("GET", "/events", headers={"Accept": "text/event-stream",
                                                  "Last-Event-ID": position})
    answer = connection.getresponse()
    line = b""
    while not line.startswith(b"event:"):
        line = answer.readline()
    connection.close()
    return line.split()[1].decode()


def test_a_backup_taken_under_load_is_restored_into_a_new_cluster(make_cluster, tmp_path):
    cluster = make_cluster(3).start()
    for n in range(50):
        cluster[n % 3].register("web", "web-%d" % n, ttl=5, tags=["a"], metadata={"n": str(n)})
    path = tmp_path / "b"
    with Writers(list(cluster)) as writers:
        await_true("writes under way", lambda: writers.count() > 200)
        before = dict(writers.acknowledged)
        facts = back_up(cluster.followers()[0], path)
        await_true("writes go on", lambda: writers.count() > len(before) + 200)
        writers.stop()
    last = cluster[0].get("/events").json["last"]
    fresh = make_cluster(1)
    fresh[0].start("--restore", str(path)).wait_ready()
    said = line_of(fresh[0], "restored: this is a new cluster")
    assert int(said["index"]) == facts["index"] and said["state"] == facts["state"]
    assert int(said["instances"]) == facts["instances"]
    assert said["cluster_before"] == facts["cluster"] != said["cluster"]
    assert fresh[0].health()["applied_index"] >= facts["index"]
    # Everything acknowledged before the request of the backup; nobody expired at once.
    there = fresh[0].instances()
    assert len(there) == facts["instances"]
    assert {"web-%d" % n for n in range(50)} <= set(there)
    assert {there["web-%d" % n]["health"] for n in range(50)} == {"passing"}
    assert set(before) <= set(there)
    # What the old cluster did after the backup is not here.
    assert first_of_stream(fresh[0], last) == "reset"
    assert fresh[0].register("after", "after")["index"] > facts["index"]
    # It works like any other cluster: even after a restart, and another backup has the same content.
    assert fresh[0].stop() == 0
    fresh[0].start().wait_ready()
    assert set(there) <= set(fresh[0].instances())
    assert back_up(fresh[0], tmp_path / "c")["cluster"] == said["cluster"]
    # Its clients have the rest of their leases.
    await_true("those that are silent are found", lambda: all(
        fresh[0].instance_health("web-%d" % n) in ("critical", None) for n in range(50)), 15)


def test_others_join_a_cluster_that_was_restored(make_cluster, shared, name, tmp_path):
    shared[0].register(name, name)
    path = tmp_path / "b"
    facts = back_up(shared[0], path)
    # Each started by itself, as on machines without a list.
    members = [make_cluster(1)[0] for _ in range(3)]
    for id, replica in enumerate(members, 1):
        replica.id = id
    members[0].start("--restore", str(path)).wait_ready()
    for replica in members[1:]:
        replica.start("--join", members[0].url).wait_ready()
    # At all of them: a leader lists its newest configuration, which goes with it if nobody else has it.
    await_true("three votes", lambda: all([m["role"] for m in r.get("/cluster").json["members"]] == ["voter"] * 3
                                          for r in members), 20)
    assert {r.health()["phase"] for r in members} == {"member"}
    assert len(members[2].instances()) == facts["instances"]
    # Any of them may fail now, even the restored one.
    members[0].kill()
    await_true("another leads", lambda: any(r.is_leader() for r in members[1:]), 20)
    assert members[1].instance_health(name) == "passing"
    members[1].register("after", "after")
    members[0].start().wait_ready()
    await_true("it has all", lambda: members[0].instance_health("after") == "passing")


def test_a_restore_needs_an_empty_directory(make_cluster, tmp_path):
    path = tmp_path / "b"
    cluster = make_cluster(1).start()
    cluster[0].register("web", "web-1")
    back_up(cluster[0], path)
    assert cluster[0].stop() == 0
    cluster[0].start("--restore", str(path))
    assert cluster[0].wait_exit() == 1 and "needs an empty directory" in cluster[0].log()
    cluster[0].start().wait_ready()
    cluster[0].process, running = None, cluster[0].process
    # And an unused one.
    cluster[0].start("--restore", str(path), "--http", "127.0.0.1:1", "--peer", "127.0.0.1:2")
    assert cluster[0].wait_exit() == 1 and "in use by process" in cluster[0].log()
    cluster[0].process = running


def test_a_damaged_backup_is_not_restored_and_nothing_is_left(make_cluster, shared, name, tmp_path):
    shared[0].register(name, name)
    content = shared[0].get("/backup").body
    cluster = make_cluster(1)
    path = tmp_path / "b"
    cases = list(damages(content))
    for what, changed in cases[::40] + cases[-9:]:
        path.write_bytes(changed)
        cluster[0].start("--restore", str(path))
        assert cluster[0].wait_exit() == 1, what
        assert "cannot be restored" in cluster[0].log().splitlines()[-1], what
        assert os.listdir(cluster[0].data) == ["lock"], what
    cluster[0].start("--restore", str(tmp_path / "none"))
    assert cluster[0].wait_exit() == 1 and "cannot open the backup" in cluster[0].log()
    path.write_bytes(content)
    cluster[0].start("--restore", str(path)).wait_ready()
    assert cluster[0].instance_health(name) == "passing"


def test_a_restore_that_is_killed_can_be_repeated_or_is_complete(make_cluster, shared, faults,
                                                                 tmp_path):
    path = tmp_path / "b"
    path.write_bytes(shared[0].get("/backup").body)
    expected = len(shared[0].instances())
    # First count the calls of a complete restore.
    replica = make_cluster(1)[0]
    plan = faults.plan(replica, after="founding.state")
    replica.start("--restore", str(path)).wait_ready()
    replica.kill()
    for at in turning_points(plan.calls())[:25]:
        replica = make_cluster(1)[0]
        faults.plan(replica, at=at, do="kill", after="founding.state")
        replica.start("--restore", str(path))
        await_true("killed", lambda r=replica: not r.alive())
        replica.environment = {}
        replica.start("--restore", str(path))
        await_true("ended or ready", lambda r=replica: not r.alive() or r.is_ready())
        if not replica.alive():
            assert "start without --restore" in replica.log(), at
            replica.start().wait_ready()
        assert len(replica.instances()) == expected, at
        assert replica.stop() == 0


# --- musterd --recover ---

def recover(replica, *options):
    command = [MUSTERD, "--data", replica.data, "--recover", *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
                          timeout=60, check=False, env=clean_environment())


def test_a_survivor_of_three_is_recovered_with_all_that_was_acknowledged(make_cluster, tmp_path):
    cluster = make_cluster(3).start()
    with Writers(list(cluster)) as writers:
        await_true("writes under way", lambda: writers.count() > 300)
        writers.stop()
    index, _ = cluster.wait_same_state()
    survivor = cluster.followers()[0]
    second, third = [r for r in cluster if r is not survivor]
    for replica in cluster:
        replica.kill()
    for replica in (second, third):
        os.rename(replica.data, replica.data + ".gone")
    # First only inspected: a second look sees the same.
    seen = recover(survivor)
    assert seen.returncode == 0, seen
    assert "Nothing was changed" in seen.stdout
    for other in (second, third):
        assert "%d at 127.0.0.1:%d (voter)" % (other.id, other.peer_port) in seen.stdout
    assert "up to index" in seen.stdout
    assert recover(survivor).stdout == seen.stdout
    assert recover(survivor, "--id", "9").returncode == 1
    done = recover(survivor, "--id", str(survivor.id), "--yes")
    assert done.returncode == 0 and "without --cluster" in done.stdout, done
    assert any(n.startswith("before-") for n in os.listdir(survivor.data))
    # Repeating it is refused: it is a majority by itself now.
    again = recover(survivor, "--yes")
    assert again.returncode == 1 and "nothing to recover" in again.stderr, again
    # The old options name a cluster that no longer exists.
    survivor.start()
    assert survivor.wait_exit() == 1 and "leave out --cluster" in survivor.log()
    cluster.options = ["--cluster", "%d=127.0.0.1:%d" % (survivor.id, survivor.peer_port)]
    survivor.start().wait_ready()
    assert_all_there(writers.acknowledged, survivor)
    assert survivor.register("after", "after")["index"] > index
    # Members with their old directories are refused, with instructions.
    cluster.options = []
    os.rename(second.data + ".gone", second.data)
    second.start()
    await_true("refused", lambda: "wrong cluster" in second.log() + survivor.log())
    line = [l for l in (second.log() + survivor.log()).splitlines() if "wrong cluster" in l][0]
    assert "empty directory and --join" in line
    assert second.get("/health/ready").status == 503
    assert set(m["id"] for m in survivor.get("/cluster").json["members"]) == {survivor.id}
    # With an empty one it joins.
    fresh = make_cluster(1)[0]
    fresh.id = second.id
    second.kill()
    fresh.start("--join", survivor.url).wait_ready()
    assert_all_there(writers.acknowledged, fresh)


def test_a_directory_in_use_or_without_a_cluster_is_not_recovered(make_cluster, tmp_path):
    cluster = make_cluster(2)
    cluster[0].start()
    await_true("it runs", cluster[0].is_live)
    refused = recover(cluster[0], "--yes")
    assert refused.returncode == 1 and "in use by process" in refused.stderr, refused
    assert cluster[0].stop() == 0
    refused = recover(cluster[0], "--yes")
    assert refused.returncode == 1 and "never been in a cluster" in refused.stderr, refused
    missing = recover(cluster[1], "--yes")
    assert missing.returncode == 1 and not os.path.exists(cluster[1].data), missing


def test_what_makes_no_sense_on_the_command_line_is_a_usage_error(make_cluster):
    cluster = make_cluster(3)
    for words in (["--restore"], ["--yes"], ["--restore", "b", "--recover"], ["--restore", "b"]):
        cluster[0].start(*words)
        assert cluster[0].wait_exit() == 2, words
    assert not os.path.exists(cluster[0].data)
