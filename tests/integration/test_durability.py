"""Data directories: what survives, what is refused, and that damage is never a silent loss."""
import glob
import os
import random
import shutil
import struct

import pytest

from cluster import await_true

REFUSED = 1  # exit status of a musterd that could not start


def segments(replica):
    """Log segments of a replica that hold entries, oldest first."""
    def data_bytes(path):
        with open(path, "rb") as file:
            return len(file.read().rstrip(b"\0"))
    closed = sorted(glob.glob(os.path.join(replica.data, "raft", "[0-9]*-[0-9]*")))
    opened = sorted(glob.glob(os.path.join(replica.data, "raft", "open-*")))
    return [path for path in closed + opened if data_bytes(path) > 64]


def snapshots(replica):
    return sorted(path for path in glob.glob(os.path.join(replica.data, "raft", "snapshot-*"))
                  if not path.endswith(".meta"))


def used_bytes(path):
    """How far a file holds anything; open segments are preallocated with zeros."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def flip_bit(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def truncate(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def fill(replica, count=60, **fields):
    """Registers and returns what must be there ever after: id -> port."""
    for n in range(count):
        replica.register("kept", id="kept-%d" % n, port=1 + n, ttl=3600, **fields)
    return {"kept-%d" % n: 1 + n for n in range(count)}


def start_and_see(replica, expected):
    """Starts a replica on damaged data: it refuses with a sentence, or has everything."""
    seen = len(replica.log())
    replica.start()

    def settled():
        return not replica.alive() or replica.is_ready()
    await_true("refused or ready", settled, 30)
    if replica.alive():
        held = {id: i["port"] for id, i in replica.instances().items()}
        assert held == expected, "started with %d of %d instances" % (len(held), len(expected))
        return "everything"
    assert replica.process.returncode == REFUSED, (replica.process.returncode, replica.log()[seen:])
    sentence = replica.log()[seen:].strip().splitlines()[-1]
    assert sentence.startswith("musterd: ") and len(sentence) > 40, sentence
    return sentence


def test_everything_survives_a_clean_restart(make_cluster):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    replica.request("PUT", "/instances/kept-1/maintenance", {"enabled": True, "reason": "why"})
    replica.post("/heartbeat", {"id": "kept-2", "status": "warning", "note": "hot"})
    before = replica.instances()
    assert replica.stop() == 0
    replica.start().wait_ready()
    after = replica.instances()
    assert len(expected) == len(after)
    for id, instance in before.items():
        for field in ("name", "port", "health", "note", "incarnation", "registered_at", "index"):
            assert after[id][field] == instance[field], (id, field)


def test_everything_survives_kill_9_of_a_single_member(make_cluster):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    for _ in range(3):
        replica.kill()
        replica.start().wait_ready()
        assert {id: i["port"] for id, i in replica.instances().items()} == expected


def test_everything_survives_kill_9_with_many_snapshots(make_cluster):
    replica = make_cluster(1, "--snapshot-log-bytes", "65536").start()[0]
    pad = {"pad%d" % n: "x" * 500 for n in range(8)}
    expected = fill(replica, 200, metadata=pad)
    await_true("a snapshot", lambda: snapshots(replica))
    replica.kill()
    replica.start().wait_ready()
    assert {id: i["port"] for id, i in replica.instances().items()} == expected


def test_a_large_snapshot_is_not_written_again_for_a_little_log(make_cluster):
    """Else each change would cost the more writing the larger the registry is."""
    replica = make_cluster(1, "--snapshot-log-bytes", "1MiB", "--events-kept", "256").start()[0]
    pad = {"pad%d" % n: "x" * 500 for n in range(60)}
    fill(replica, 2600, metadata=pad)
    await_true("a large snapshot", lambda: max(map(os.path.getsize, snapshots(replica))) > 64 << 20)
    taken = replica.metric("snapshots_taken_total")
    for n in range(200):
        replica.register("more", id="more-%d" % (n % 10), port=1 + n, metadata=pad)
    assert replica.metric("snapshots_taken_total") <= taken + 1
    replica.kill()
    replica.start().wait_ready()
    assert len(replica.instances()) == 2610


def test_a_lease_goes_on_after_a_restart_of_everything(make_cluster):
    """Time in which nobody ran does not count, and the rest of the lease still does."""
    replica = make_cluster(1).start()[0]
    replica.register("lease", id="lease", ttl=3)
    replica.kill()
    replica.start().wait_ready()
    assert replica.instance_health("lease") == "passing"
    await_true("critical", lambda: replica.instance_health("lease") == "critical", 10)


# --- damage ---

@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_flipped_bit_in_the_log_is_never_a_silent_loss(make_cluster, part, end):
    """After kill -9 the log is in an open segment, after a clean stop in a closed one."""
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    segment = segments(replica)[-1]
    flip_bit(segment, int(used_bytes(segment) * part))
    print(os.path.basename(segment), start_and_see(replica, expected))


@pytest.mark.parametrize("part", [0, 0.3, 0.9])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_truncated_segment_is_never_a_silent_loss(make_cluster, part, end):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    segment = segments(replica)[-1]
    truncate(segment, int(used_bytes(segment) * part))
    print(os.path.basename(segment), start_and_see(replica, expected))


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_missing_segment_is_never_a_silent_loss(make_cluster, end):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    os.unlink(segments(replica)[-1])
    print(start_and_see(replica, expected))


def end_of_batches(segment, before=0):
    """Where the last batch of entries ends, or one so many before it."""
    with open(segment, "rb") as file:
        data = file.read()
    ends = [8]
    at = 8
    while at + 16 <= len(data) and (count := struct.unpack_from("<Q", data, at + 8)[0]) > 0:
        lengths = [struct.unpack_from("<I", data, at + 16 + 16 * n + 12)[0] for n in range(count)]
        at += 16 + 16 * count + sum(lengths)
        ends.append(at)
    return ends[-1 - before]


def test_a_replica_killed_while_it_closes_a_segment_starts_again(make_cluster):
    """A full segment is cut to what it holds, then renamed: kill -9 may fall in between."""
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 50)
    replica.kill()
    segment = next(s for s in sorted(segments(replica)) if end_of_batches(s) > 1000)
    truncate(segment, end_of_batches(segment))
    assert start_and_see(replica, expected) == "everything"


@pytest.mark.parametrize("written", ["all", "half", "nothing"])
def test_a_replica_that_dies_while_its_log_is_cut_starts_again(make_cluster, written):
    """The shorter segment is written under its own name before the longer one is removed. With a
    snapshot and a segment before both: then it was refused."""
    replica = make_cluster(1, "--snapshot-log-bytes", "65536").start()[0]
    expected = fill(replica, 150, metadata={"pad": "x" * 500})
    await_true("a snapshot", lambda: snapshots(replica))
    assert replica.stop() == 0
    longer = segments(replica)[-1]
    first, last = os.path.basename(longer).split("-")
    shorter = os.path.join(os.path.dirname(longer), "%s-%016d" % (first, int(last) - 1))
    shutil.copy(longer, shorter)
    size = {"all": end_of_batches(longer, 1), "nothing": 0}
    truncate(shorter, size.get(written, end_of_batches(longer, 1) // 2))
    assert start_and_see(replica, expected) == "everything"
    assert not os.path.exists(shorter)


@pytest.mark.parametrize("damage", ["half", "empty", "bit", "missing", "meta"])
def test_a_damaged_snapshot_is_never_a_silent_loss(make_cluster, damage):
    replica = make_cluster(1, "--snapshot-log-bytes", "65536").start()[0]
    pad = {"pad%d" % n: "x" * 500 for n in range(8)}
    expected = fill(replica, 100, metadata=pad)
    await_true("a snapshot", lambda: snapshots(replica))
    replica.kill()
    for snapshot in snapshots(replica):
        size = os.path.getsize(snapshot)
        if damage == "half":
            truncate(snapshot, size // 2)
        elif damage == "empty":
            truncate(snapshot, 0)
        elif damage == "bit":
            flip_bit(snapshot, size // 2)
        elif damage == "missing":
            os.unlink(snapshot)
        else:
            truncate(snapshot + ".meta", os.path.getsize(snapshot + ".meta") // 2)
    print(start_and_see(replica, expected))


@pytest.mark.parametrize("file", ["identity", "watermark", "raft"])
@pytest.mark.parametrize("damage", ["cut", "bit", "missing"])
def test_a_damaged_data_directory_is_refused_or_whole(make_cluster, file, damage):
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 20)
    replica.kill()
    path = os.path.join(replica.data, file)
    if damage == "missing":
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    elif os.path.isdir(path):
        for metadata in glob.glob(os.path.join(path, "metadata*")):
            truncate(metadata, 7) if damage == "cut" else flip_bit(metadata, 9)
    elif damage == "cut":
        truncate(path, os.path.getsize(path) // 2)
    else:
        flip_bit(path, 10)
    print(start_and_see(replica, expected))


def test_random_damage_anywhere_is_never_a_silent_loss(make_cluster):
    """Bits flipped and tails cut in any file below the data directory, log and snapshots alike."""
    seed = random.randrange(2 ** 32)
    print("seed", seed)
    chance = random.Random(seed)
    replica = make_cluster(1, "--snapshot-log-bytes", "65536").start()[0]
    expected = fill(replica, 80, metadata={"pad%d" % n: "x" * 500 for n in range(2)})
    await_true("a snapshot", lambda: snapshots(replica))
    replica.kill()
    whole = replica.data + ".whole"
    os.rename(replica.data, whole)
    outcomes = {}
    for _ in range(40):
        shutil.copytree(whole, replica.data)
        files = [path for path in glob.glob(os.path.join(replica.data, "**"), recursive=True)
                 if os.path.isfile(path) and used_bytes(path) > 0]
        path = chance.choice(files)
        at = chance.randrange(used_bytes(path))
        how = chance.choice([flip_bit, flip_bit, truncate])
        how(path, at)
        print(how.__name__, os.path.basename(path), at)
        outcome = start_and_see(replica, expected)
        outcomes[outcome == "everything"] = outcomes.get(outcome == "everything", 0) + 1
        replica.kill()
        shutil.rmtree(replica.data)
    print("refused, whole:", outcomes.get(False, 0), outcomes.get(True, 0))
    os.rename(whole, replica.data)
    assert start_and_see(replica, expected) == "everything"


def test_a_damaged_follower_refuses_to_start_and_the_others_go_on(make_cluster):
    cluster = make_cluster(3).start()
    expected = fill(cluster.leader())
    cluster.wait_same_state()
    victim = cluster.followers()[0]
    victim.kill()
    segment = segments(victim)[-1]
    flip_bit(segment, end_of_batches(segment) // 3)
    victim.start()
    await_true("refused, or whole again", lambda: not victim.alive() or victim.is_ready(), 30)
    if victim.alive():
        held = {id: i["port"] for id, i in victim.instances().items()}
        assert held == expected
    else:
        assert victim.process.returncode == REFUSED
    cluster.leader().register("after", id="after")


def test_a_member_that_starts_over_with_an_empty_directory_is_a_full_member_again(make_cluster):
    """What the refusal of a damaged directory tells the operator to do."""
    cluster = make_cluster(3).start()
    victim = cluster.followers()[0]
    for n in range(50):
        victim.register("kept", id="kept-%d" % n, port=1 + n, ttl=3600)
    victim.kill()
    shutil.rmtree(victim.data)
    victim.start().wait_ready()
    cluster.wait_same_state()
    assert len(victim.instances()) == 50
    # Its writes must not be taken for those that its former life had numbered the same.
    for n in range(20):
        victim.register("kept", id="again-%d" % n, ttl=3600)
        assert victim.instance_health("again-%d" % n) == "passing"
    cluster.wait_same_state()


# --- whose directory it is ---

def refused_start(replica, *options):
    """Starts and expects it to refuse; returns the sentence."""
    seen = len(replica.log())
    replica.start(*options)
    assert replica.wait_exit() == REFUSED, replica.log()[seen:]
    lines = replica.log()[seen:].strip().splitlines()
    assert lines[-1].startswith("musterd: "), lines
    return lines[-1]


def test_a_second_process_on_a_data_directory_is_refused(make_cluster):
    first, second = make_cluster(1).start()[0], make_cluster(1)[0]
    fill(first, 5)
    second.data = first.data
    sentence = refused_start(second)
    assert first.data in sentence or "process" in sentence or "lock" in sentence, sentence
    assert len(first.instances()) == 5
    first.register("kept", id="still-writable")


def test_a_data_directory_of_another_member_is_refused(make_cluster):
    cluster = make_cluster(3).start()
    cluster.leader().register("kept", id="kept")
    one, two = cluster[0], cluster[1]
    one.kill()
    two.kill()
    two.data, kept = one.data, two.data
    sentence = refused_start(two)
    assert "1" in sentence and "2" in sentence, sentence
    two.data = kept
    cluster.start()
    cluster.wait_same_state()


def test_a_data_directory_of_another_cluster_is_refused(make_cluster):
    cluster = make_cluster(3).start()
    one = cluster[0]
    one.kill()
    sentence = refused_start(one, "--cluster", "1=127.0.0.1:%d,2=127.0.0.1:1,3=127.0.0.1:2"
                             % one.peer_port)
    assert "cluster" in sentence, sentence
    one.start().wait_ready()


def test_a_data_directory_that_cannot_be_made_is_refused(make_cluster):
    replica = make_cluster(1)[0]
    with open(replica.data, "w", encoding="ascii") as file:
        file.write("a file\n")
    refused_start(replica)
    replica.data = "/proc/nowhere/data"
    refused_start(replica)


def test_the_data_directory_is_for_the_owner_only(make_cluster):
    replica = make_cluster(1).start()[0]
    assert os.stat(replica.data).st_mode & 0o077 == 0


def test_a_port_in_use_is_refused_before_anything_is_written(make_cluster):
    running, other = make_cluster(1).start()[0], make_cluster(1)[0]
    free = other.http_port
    other.http_port = running.http_port
    sentence = refused_start(other)
    assert str(running.http_port) in sentence, sentence
    other.http_port, other.peer_port = free, running.peer_port
    sentence = refused_start(other)
    assert str(running.peer_port) in sentence, sentence
