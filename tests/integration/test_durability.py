"""Data directories: what survives, what is refused, and that damage never loses data silently."""
import glob
import os
import random
import shutil

import pytest

from cluster import await_true
from data_directory import (SECTOR, SEGMENT_BYTES, clear, flip_bit, frames, segments, snapshots,
                            truncate, used_bytes)

REFUSED = 1  # exit status of a musterd that could not start
PAD = {"pad%d" % n: "x" * 500 for n in range(60)}  # about 30 KB of metadata


def fill(replica, count=60, **fields):
    """Registers, and returns what must stay there forever: id -> port."""
    for n in range(count):
        replica.register("kept", id="kept-%d" % n, port=1 + n, ttl=3600, **fields)
    return {"kept-%d" % n: 1 + n for n in range(count)}


def start_and_see(replica, expected):
    """Starts a replica on damaged data: it refuses with a message, or has everything."""
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


@pytest.mark.timeout(300)  # as long as under TSan: 80 MB in 2,800 registrations
def test_a_large_snapshot_is_not_written_again_for_a_little_log(make_cluster):
    """Otherwise the write amplification would grow with the registry."""
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
    """Downtime does not count, but the rest of the lease does."""
    replica = make_cluster(1).start()[0]
    replica.register("lease", id="lease", ttl=3)
    replica.kill()
    replica.start().wait_ready()
    assert replica.instance_health("lease") == "passing"
    await_true("critical", lambda: replica.instance_health("lease") == "critical", 10)


# --- damage ---

@pytest.mark.parametrize("part", [0, 0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_flipped_bit_in_the_log_is_never_a_silent_loss(make_cluster, part, end):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    segment = segments(replica)[-1]
    flip_bit(segment, int(used_bytes(segment) * part))
    outcome = start_and_see(replica, expected)
    assert os.path.basename(segment) in outcome, outcome


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("at", [0, 8, 16, 24, 32, 40, 60, 64, 100])
def test_a_flipped_bit_in_any_field_of_a_frame_is_refused(make_cluster, place, at):
    """The last acknowledged frame is not a torn one: it lacks no sector."""
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 20)
    replica.kill()
    segment = segments(replica)[-1]
    found = frames(segment)
    start, _ = found[{"first": 0, "middle": len(found) // 2, "last": -1}[place]]
    flip_bit(segment, start + at)
    assert "damaged" in start_and_see(replica, expected)


def test_a_bit_behind_the_end_of_the_log_is_never_a_silent_loss(make_cluster):
    """In preallocated zeros: data there may belong to something missing before it."""
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    replica.kill()
    segment = segments(replica)[-1]
    flip_bit(segment, used_bytes(segment) + 100 * SECTOR)
    print(start_and_see(replica, expected))


@pytest.mark.parametrize("part", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_truncated_segment_is_never_a_silent_loss(make_cluster, part, end):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    segment = segments(replica)[-1]
    truncate(segment, int(used_bytes(segment) * part))
    print(os.path.basename(segment), start_and_see(replica, expected))


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_missing_log_is_never_a_silent_loss(make_cluster, end):
    replica = make_cluster(1).start()[0]
    expected = fill(replica)
    getattr(replica, end)()
    os.unlink(segments(replica)[-1])
    assert start_and_see(replica, expected) != "everything"


def test_a_log_of_several_segments_misses_none(make_cluster):
    """Each of them removed, emptied, truncated, or exchanged with another one."""
    replica = make_cluster(1, "--snapshot-log-bytes", "1GiB").start()[0]
    expected = fill(replica, 1300, metadata=PAD)
    replica.kill()
    assert len(segments(replica)) == 3
    whole = replica.data + ".whole"
    os.rename(replica.data, whole)
    for place in range(3):
        for damage in ("missing", "empty", "half", "exchanged", "closing frame"):
            shutil.copytree(whole, replica.data)
            path = segments(replica)[place]
            if damage == "missing":
                os.unlink(path)
            elif damage == "empty":
                truncate(path, 0)
            elif damage == "half":
                truncate(path, SEGMENT_BYTES // 2)
            elif damage == "exchanged":
                other = segments(replica)[(place + 1) % 3]
                os.rename(path, path + ".aside")
                os.rename(other, path)
                os.rename(path + ".aside", other)
            elif place < 2:
                clear(path, *frames(path)[-1])
            outcome = start_and_see(replica, expected)
            # A preallocated segment without content may be missing.
            assert outcome != "everything" or damage == "closing frame", (place, damage)
            replica.kill()
            shutil.rmtree(replica.data)
    os.rename(whole, replica.data)
    assert start_and_see(replica, expected) == "everything"


@pytest.mark.parametrize("missing", ["all", "some", "first", "last"])
def test_a_frame_that_was_not_written_to_its_end_is_mended(make_cluster, missing):
    """A crash of the machine in the last write. It was not acknowledged, here because it is a frame
    whose content a later one repeats."""
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 20)
    replica.register("torn", id="torn", metadata=PAD)
    before = replica.request("DELETE", "/instances/torn")
    assert before.status == 200, before
    replica.kill()
    segment = segments(replica)[-1]
    found = frames(segment)
    large = max(range(len(found)), key=lambda n: found[n][1])  # the registration's
    start, size = found[large]
    for frame in found[large + 1:]:
        clear(segment, *frame)
    sectors = size // SECTOR
    where = {"all": (start, size), "some": (start + 5 * SECTOR, 9 * SECTOR), "first":
             (start, SECTOR), "last": (start + (sectors - 1) * SECTOR, SECTOR)}[missing]
    clear(segment, *where)
    assert start_and_see(replica, expected) == "everything"
    replica.register("after", id="after")
    replica.kill()
    assert start_and_see(replica, {**expected, "after": 8080}) == "everything"


@pytest.mark.parametrize("damage", ["half", "empty", "head", "bit", "foot", "missing", "older"])
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
        elif damage == "missing":
            os.unlink(snapshot)
        elif damage == "older":  # the name and the content have different indexes
            os.rename(snapshot, snapshot[:-33] + "%016x" % 5 + snapshot[-17:])
        else:
            flip_bit(snapshot, {"head": 30, "bit": size // 2, "foot": size - 3}[damage])
    print(start_and_see(replica, expected))


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "missing", "another text"])
def test_a_damaged_identity_is_refused(make_cluster, damage):
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 20)
    replica.kill()
    path = os.path.join(replica.data, "identity")
    if damage == "missing":
        os.unlink(path)
    elif damage in ("cut", "empty"):
        truncate(path, os.path.getsize(path) // 2 if damage == "cut" else 0)
    elif damage == "bit":
        flip_bit(path, os.path.getsize(path) // 2)
    else:
        with open(path, "w", encoding="ascii") as file:
            file.write("muster identity 2\nmember=1\n")
    assert "identity" in start_and_see(replica, expected)


@pytest.mark.parametrize("left", ["raft", "watermark", "identity"])
def test_the_data_directory_of_the_first_version_is_refused(make_cluster, left):
    replica = make_cluster(1)[0]
    os.mkdir(replica.data)
    path = os.path.join(replica.data, left)
    if left == "raft":
        os.mkdir(path)
    else:
        with open(path, "w", encoding="ascii") as file:
            file.write("muster identity 1\nmember=1\n" if left == "identity" else "x" * 64)
    before = sorted(os.listdir(replica.data))
    sentence = refused_start(replica)
    assert "0.1" in sentence and "empty directory" in sentence and left in sentence, sentence
    assert sorted(set(os.listdir(replica.data)) - {"lock"}) == before


def test_what_an_interrupted_start_or_snapshot_left_behind_does_no_harm(make_cluster):
    replica = make_cluster(1).start()[0]
    expected = fill(replica, 20)
    replica.kill()
    left = ["identity.new", "log.new", "snapshot.taken", "snapshot.received", "log-%016x" % 2]
    for name in left:
        with open(os.path.join(replica.data, name), "wb") as file:
            file.write(bytes(4096) if name.startswith("log-") else b"half of something")
    assert start_and_see(replica, expected) == "everything"
    replica.kill()
    assert start_and_see(replica, expected) == "everything"


@pytest.mark.timeout(300)  # as long as under TSan: dozens of starts
def test_random_damage_anywhere_is_never_a_silent_loss(make_cluster):
    """Flipped bits and truncation in any file of the data directory, log and snapshots alike."""
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
    flip_bit(segment, used_bytes(segment) // 3)
    assert start_and_see(victim, expected) != "everything"
    cluster.leader().register("after", id="after")


# --- whose directory it is ---

def refused_start(replica, *options):
    """Starts it, expects a refusal, and returns the message."""
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
    sentence = refused_start(one, "--cluster", "1=127.0.0.1:%d,4=127.0.0.1:1,5=127.0.0.1:2"
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
