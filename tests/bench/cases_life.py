"""The cases about the life of a cluster: memory, leaders that die, restarts, a million leases."""
import os
import re
import subprocess
import time

import measure
import systems
from cluster import MUSTER
from systems import Muster

PROBE_RATE = "200"  # a write every 5 ms
STOPPED_S = 4


def memory(bench):
    """Resident memory and disk of each replica for each instance."""
    columns = [("rss_mib", "RSS of a replica MiB"), ("rss_each", "bytes an instance"),
               ("disk_each", "disk bytes an instance"), ("fill_per_second", "registered a second")]
    for size in [100000] + ([] if bench.quick else [1000000]):
        measured = []
        for _ in range(1 if size > 100000 else bench.rounds):
            with Muster(bench.folder) as cluster:
                cluster.start()
                before = [measure.rss_bytes(pid) for pid in cluster.pids]
                filled = cluster.fill("m", size, size // 10)
                grown = [measure.rss_bytes(pid) - b for pid, b in zip(cluster.pids, before)]
                measured.append({
                    "rss_mib": max(measure.rss_bytes(pid) for pid in cluster.pids) / 2 ** 20,
                    "rss_each": sum(grown) / len(grown) / size,
                    "disk_each": measure.folder_bytes(cluster.data_root) / 3 / size,
                    "fill_per_second": filled["per_second"],
                })
        bench.add("memory_%d" % size, "memory and disk with {:,} instances".format(size),
                  {"muster": measured}, columns, "rss_each")


def gap_rounds(bench, cluster, trials, break_leader, mend):
    """The longest time without an acknowledged write, for each time the leader is broken."""
    rounds = []
    for _ in range(trials):
        cluster.wait_same_state(60)
        leader = cluster.leader()
        probe = systems.start_bench(
            cluster.urls, "register", "--prefix", "gap", "--instances", "100", "--services", "10",
            "--reuse", "--connections", "300", "--rate", PROBE_RATE, "--duration", "4s")
        time.sleep(1.5)
        break_leader(leader)
        figures = systems.finish_bench(probe)
        with systems.Interrupts.hold():
            mend(leader)
        rounds.append({"gap_ms": figures["longest_gap_ms"], "requests": figures["requests"],
                       "refused": figures["statuses"].get("503", 0), "broken": figures["broken"],
                       "timed_out": figures["timed_out"], "unsent": figures["unsent"]})
        cluster.wait_ready()
        bench.say("  gap %.0f ms, %d of %d failed" % (
            figures["longest_gap_ms"], figures["failed"], figures["requests"]))
    return rounds


def failover(bench):
    columns = [("gap_ms", "gap ms"), ("requests", "requests"), ("refused", "503"),
               ("broken", "broken off"), ("timed_out", "timed out"), ("unsent", "never sent")]
    rows = {}
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("gap", 100, 10)
        rows["no failure"] = gap_rounds(bench, cluster, 2 if bench.quick else 5,
                                        lambda _: None, lambda _: None)
        rows["kill -9 of the leader"] = gap_rounds(
            bench, cluster, 3 if bench.quick else 50, lambda r: r.kill(), lambda r: r.start())
        rows["SIGSTOP of the leader"] = gap_rounds(
            bench, cluster, 2 if bench.quick else 10, lambda r: r.pause(), lambda r: r.resume())
        rows["SIGTERM of the leader"] = gap_rounds(
            bench, cluster, 2 if bench.quick else 10, lambda r: r.stop(), lambda r: r.start())
    bench.add("failover", "longest gap between acknowledged writes, one due every 5 ms", rows,
              columns, "gap_ms")


def restart(bench):
    """From the start of the process until it serves, with 100,000 instances."""
    size = 10000 if bench.quick else 100000
    trials = 1 if bench.quick else max(bench.rounds, 5)
    rows = {"one follower": [], "one follower, killed": [], "all three": []}
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("m", size, size // 10)
        for _ in range(trials):
            for name, end in (("one follower", lambda r: r.stop()),
                              ("one follower, killed", lambda r: r.kill())):
                follower = cluster.followers()[0]
                end(follower)
                with systems.Interrupts.hold():
                    follower.start()
                rows[name].append({"ready_s": measure.await_ready("ready", follower.is_ready)})
            for replica in cluster:
                replica.stop()
            began = time.monotonic()
            cluster.start(wait=False)
            measure.await_ready("all ready", lambda: all(r.is_ready() for r in cluster))
            ready_s = time.monotonic() - began
            measure.await_ready("a write", lambda: wrote(cluster[0], "m-1"))
            rows["all three"].append({"ready_s": ready_s, "write_s": time.monotonic() - began})
            cluster.wait_same_state(60)
    bench.add("restart", "restart with {:,} instances".format(size), rows,
              [("ready_s", "until ready s"), ("write_s", "until a write is done s")], "ready_s")


def wrote(replica, instance):
    try:
        return replica.post("/heartbeat", {"id": instance}).status == 200
    except OSError:
        return False


def loop_delays(replica):
    """How often the loop's timer fired at most so many seconds late, by that."""
    text = replica.get("/metrics").body.decode()
    found = re.findall(r'^muster_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)$', text,
                       re.MULTILINE)
    return {float(late): int(count) for late, count in found}


def p99_ms(before, after):
    """The bucket that the 99th percentile of what came between is in."""
    counts = {late: after[late] - before.get(late, 0) for late in sorted(after)}
    total = counts[max(counts)]
    return next(late for late, count in counts.items() if count >= 0.99 * total) * 1000


def steadiness(cluster):
    """Gives what to call at the end: how often the leader has changed since now, and how late the
    loop was."""
    def changes():
        return sum(replica.metric("leader_changes_total") for replica in cluster)

    changes_before = changes()
    delays_before = [loop_delays(replica) for replica in cluster]
    return lambda: {"changes": changes() - changes_before,
                    "delay": max(p99_ms(before, loop_delays(replica))
                                 for before, replica in zip(delays_before, cluster))}


PARTS = 10


def start_beats(cluster, parts, size, duration):
    """Each lease of these parts every 10 s."""
    return [systems.start_bench(
        cluster.urls, "heartbeat", "--prefix", part, "--instances", str(size), "--batch", "1000",
        "--reuse", "--connections", "3", "--rate", str(size // 10000), "--duration", duration)
            for part in parts]


def end_beats(beats):
    for beat in beats:
        beat.terminate()
    for beat in beats:
        beat.communicate(timeout=systems.LOAD_TIMEOUT_S)  # its figures are of no interest


def fill_beating(bench, cluster, parts, size):
    """Each part is renewed from the moment it is there. Gives registrations a second."""
    beats = []
    began = time.monotonic()
    try:
        for part in parts:
            cluster.fill(part, size, size // 10, ttl="30s")
            beats += start_beats(cluster, [part], size, "1h")
            bench.say("  %s" % part)
        return len(parts) * size / (time.monotonic() - began)
    finally:
        end_beats(beats)


def million(bench):
    """A million leases of 30 s, renewed every 10 s, beside a few readers; none may lapse."""
    size = (100000 if bench.quick else 1000000) // PARTS
    seconds = 30 if bench.quick else 120 * bench.seconds  # 10 minutes, if not told otherwise
    parts = ["m%d" % n for n in range(PARTS)]
    with Muster(bench.folder) as cluster:
        cluster.start()
        filled = fill_beating(bench, cluster, parts, size)
        since = steadiness(cluster)
        beats = start_beats(cluster, parts, size, "%ds" % seconds)
        reading = systems.bench(cluster.urls, "discover", "--prefix", parts[0], "--services",
                                str(size // 10), "--reuse", "--rate", "500", "--duration",
                                "%ds" % seconds)
        beats = [systems.finish_bench(beat) for beat in beats]
        whole = {
            "renewed_per_second": sum(beat["renewed_per_second"] for beat in beats),
            "p99": max(beat["p99"] for beat in beats),
            "max": max(beat["max"] for beat in beats),
            "failed": sum(beat["failed"] for beat in beats),
            "unsent": sum(beat["unsent"] for beat in beats),
            "lapsed": max(replica.metric("expired_total") for replica in cluster),
            **since(),
            "rss_mib": max(measure.rss_bytes(pid) for pid in cluster.pids) / 2 ** 20,
            "disk_mib": measure.folder_bytes(cluster.data_root) / 3 / 2 ** 20,
            "filled": filled,
        }
    columns = [("renewed_per_second", "leases a second"), ("p99", "worst p99 ms"),
               ("max", "max ms"), ("lapsed", "lapsed"), ("changes", "leader changes"),
               ("delay", "loop delay p99 <= ms"), ("failed", "failed"), ("unsent", "never sent"),
               ("rss_mib", "RSS of a replica MiB"), ("disk_mib", "disk of a replica MiB"),
               ("filled", "registered a second")]
    bench.add("million", "{:,} leases of 30 s for {} s, by batches of 1,000".format(
        size * PARTS, seconds), {"heartbeats": [whole], "500 reads a second beside": [reading]},
        columns, None)


def full_load(bench):
    """Elections that nobody asked for, while writes and reads take all the CPU that there is."""
    seconds = 30 if bench.quick else 120 * bench.seconds
    kinds = {
        "register, 96 clients": ["register", "--instances", "10000", "--services", "1000",
                                 "--connections", "96"],
        "heartbeat, 96 clients": ["heartbeat", "--instances", "10000", "--connections", "96"],
        "list 10, 64 clients": ["discover", "--services", "1000", "--connections", "64"]}
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("full", 10000, 1000)
        since = steadiness(cluster)
        loads = {name: systems.start_bench(
            cluster.urls, *arguments, "--prefix", "full", "--reuse", "--duration", "%ds" % seconds)
            for name, arguments in kinds.items()}
        rows = {name: [systems.finish_bench(load)] for name, load in loads.items()}
        rows["the replicas"] = [since()]
        cluster.wait_same_state(60)
    bench.add("full_load", "full load for {} s".format(seconds), rows, [
        ("per_second", "a second"), ("p99", "p99 ms"), ("max", "max ms"), ("failed", "failed"),
        ("changes", "leader changes"), ("delay", "loop delay p99 <= ms")], None)


BACKUP_EVERY_S = 6


def backups_until(replica, path, deadline):
    """By the command, one every few seconds; how many, and how long one took at most."""
    taken, longest = 0, 0
    while time.monotonic() < deadline:
        began = time.monotonic()
        subprocess.run([MUSTER, "--server", replica.url, "backup", "--force", path], check=True,
                       capture_output=True, timeout=systems.LOAD_TIMEOUT_S)
        took = time.monotonic() - began
        taken, longest = taken + 1, max(longest, took)
        time.sleep(max(0, min(BACKUP_EVERY_S - took, deadline - time.monotonic())))
    return {"backups": taken, "longest_s": longest, "mib": os.path.getsize(path) / 2 ** 20}


def backup(bench):
    """A million leases renewed every 10 s: how late the loop is, without backups and with them."""
    size = (100000 if bench.quick else 1000000) // PARTS
    seconds = 10 if bench.quick else 6 * bench.seconds
    parts = ["m%d" % n for n in range(PARTS)]
    path = os.path.join(bench.folder, "backup")
    rows = {"without": [], "of a follower": [], "of the leader": []}
    with Muster(bench.folder) as cluster:
        cluster.start()
        fill_beating(bench, cluster, parts, size)
        for _ in range(bench.rounds):
            for name, measured in rows.items():
                beats = start_beats(cluster, parts, size, "%ds" % seconds)
                deadline = time.monotonic() + seconds
                since = steadiness(cluster)
                whose = cluster.leader() if name == "of the leader" else cluster.followers()[0]
                try:
                    made = {} if name == "without" else backups_until(whose, path, deadline)
                except BaseException:
                    end_beats(beats)
                    raise
                beats = [systems.finish_bench(beat) for beat in beats]
                measured.append({"p99": max(beat["p99"] for beat in beats), **since(), **made})
    bench.add("backup", "{:,} leases, renewed every 10 s; a backup every {} s".format(
        size * PARTS, BACKUP_EVERY_S), rows, [
            ("delay", "loop delay p99 <= ms"), ("p99", "renewal of 1,000 p99 ms"),
            ("changes", "leader changes"), ("backups", "backups"), ("longest_s", "longest s"),
            ("mib", "MiB")], None)


def sizes(cluster):
    return {"rss_mib": max(measure.rss_bytes(pid) for pid in cluster.pids) / 2 ** 20,
            "disk_mib": measure.folder_bytes(cluster.data_root) / 3 / 2 ** 20}


def one_snapshot(cluster):
    """Of each replica, by what it has in its log: they begin at almost the same time. From then on
    until all have it: how long, how late the loops were, and the most memory."""
    def taken():
        return [replica.metric("snapshots_taken_total") for replica in cluster]

    before = taken()
    measure.await_ready("a snapshot begins", lambda: any(
        os.path.exists(os.path.join(replica.data, "snapshot.taken")) for replica in cluster),
        LARGE_WITHIN_S)
    began, since, largest = time.monotonic(), steadiness(cluster), sizes(cluster)
    while not all(now > then for now, then in zip(taken(), before)):
        if time.monotonic() - began > LARGE_WITHIN_S:
            raise RuntimeError("no snapshot within %d s" % LARGE_WITHIN_S)
        largest = {name: max(largest[name], now) for name, now in sizes(cluster).items()}
        time.sleep(0.05)
    return {"seconds": time.monotonic() - began, **since(), **largest}


def until_ready(cluster, replicas, instance):
    """Of replicas that have just been started, and until a write is done."""
    began = time.monotonic()
    measure.await_ready("ready", lambda: all(replica.is_ready() for replica in replicas),
                        LARGE_WITHIN_S)
    ready_s = time.monotonic() - began
    measure.await_ready("a write", lambda: wrote(replicas[0], instance), LARGE_WITHIN_S)
    figures = {"seconds": ready_s, "write_s": time.monotonic() - began, **sizes(cluster)}
    cluster.wait_same_state(LARGE_WITHIN_S)
    return figures


LARGE_WITHIN_S = 600


def four_million(bench):
    """As many as fit into the state that is allowed by default: registered one by one, a snapshot
    while each is renewed every 10 s, and restarts."""
    size = (100000 if bench.quick else 4000000) // PARTS
    parts = ["m%d" % n for n in range(PARTS)]
    rows = {}
    # The quick one's log is too short for a snapshot of its own accord.
    with Muster(bench.folder, *(["--snapshot-log-bytes", "1MiB"] if bench.quick else [])) as cluster:
        cluster.start()
        since, began = steadiness(cluster), time.monotonic()
        for part in parts:
            cluster.fill(part, size, size // 10, connections=512)
            bench.say("  %s" % part)
        took = time.monotonic() - began
        rows["registered"] = {"seconds": took, "per_second": size * PARTS / took, **since(),
                              **sizes(cluster)}
        since = steadiness(cluster)
        beats = start_beats(cluster, parts, size, "1h")
        try:
            time.sleep(2 * bench.seconds)
            rows["renewed every 10 s"] = {**since(), **sizes(cluster)}
            rows["- during a snapshot"] = one_snapshot(cluster)
        finally:
            end_beats(beats)
        follower = cluster.followers()[0]
        follower.kill()
        with systems.Interrupts.hold():
            follower.start()
        rows["a follower killed, started"] = until_ready(cluster, [follower], "m0-1")
        for replica in cluster:
            replica.stop()
        cluster.start(wait=False)
        rows["all stopped, started"] = until_ready(cluster, list(cluster), "m0-1")
    bench.add("four_million", "{:,} instances on three replicas".format(size * PARTS),
              {name: [row] for name, row in rows.items()}, [
                  ("seconds", "seconds"), ("write_s", "until a write is done s"),
                  ("per_second", "a second"), ("delay", "loop delay p99 <= ms"),
                  ("changes", "leader changes"), ("rss_mib", "RSS of a replica MiB"),
                  ("disk_mib", "disk of a replica MiB")], None)


CASES = [memory, failover, restart, million, full_load, backup, four_million]
