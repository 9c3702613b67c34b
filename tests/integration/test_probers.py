"""Which replica runs which active check: each one, by one replica at a time, while replicas are killed,
stand still and stop. A target notes who asked it, and when."""
import http.server
import re
import signal
import threading
import time

import pytest

from cluster import await_true
from test_backup import back_up

CHECKS = 12
INTERVAL_S = 1.0
TAKEOVER_S = 2.0
AGENT = re.compile(r"member (\d+)")


class Target:
    """A server that notes (time, path, member) of each request."""

    def __init__(self):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                member = AGENT.search(self.headers.get("User-Agent", ""))
                seen.append((time.monotonic(), self.path, int(member.group(1))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def since(self, moment):
        """path -> members that asked for it, in order."""
        asked = {}
        for at, path, member in list(self.seen):
            if at >= moment:
                asked.setdefault(path, []).append(member)
        return asked

    def await_all(self, moment, members, within_s):
        """Every check was run since then, by these."""
        await_true("all checks are run by %s" % sorted(members),
                   lambda: len(self.since(moment)) == CHECKS and
                   {m for who in self.since(moment).values() for m in who} <= set(members), within_s)

    def assert_no_overlap(self):
        """No check went back to a member that had lost it, while another ran it: the runs of two members never
        alternate faster than the set of members changes."""
        for path in {path for _, path, _ in self.seen}:
            runs = [(at, member) for at, asked, member in self.seen if asked == path]
            for a, b, c in zip(runs, runs[1:], runs[2:]):
                assert not (a[1] == c[1] != b[1] and c[0] - a[0] < INTERVAL_S), (path, runs)


@pytest.fixture
def target():
    with Target() as target:
        yield target


def begin(cluster, target):
    """All checks run, spread over all replicas."""
    cluster.wait_ready()
    checks = [{"id": "c%d" % n, "http": "http://127.0.0.1:%d/c%d" % (target.port, n), "interval": INTERVAL_S,
               "timeout": 1} for n in range(CHECKS)]
    for n in range(0, CHECKS, 6):
        got = cluster[0].post("/register", {"id": "web-%d" % n, "name": "web", "host": "127.0.0.1",
                                            "port": target.port, "checks": checks[n:n + 6]})
        assert got.status == 201, got
    begun = time.monotonic()
    target.await_all(begun, [r.id for r in cluster], 20)
    time.sleep(2 * INTERVAL_S)
    return owners(target, time.monotonic() - 1.5 * INTERVAL_S)


def owners(target, moment):
    return {path: who[-1] for path, who in target.since(moment).items()}


def test_each_check_is_run_by_one_replica_and_all_have_some(make_cluster, target):
    cluster = make_cluster(3).start()
    before = begin(cluster, target)
    assert set(before.values()) == {1, 2, 3}, before
    time.sleep(3)
    now = target.since(time.monotonic() - 3)
    assert {path: set(who) for path, who in now.items()} == {path: {who} for path, who in before.items()}
    await_true("all is well", lambda: cluster[1].instance_health("web-0") == "passing")
    target.assert_no_overlap()


@pytest.mark.parametrize("which", ["leader", "follower"])
def test_the_checks_of_one_that_is_killed_are_taken_over_in_time(make_cluster, target, which):
    cluster = make_cluster(3).start()
    before = begin(cluster, target)
    victim = cluster.leader() if which == "leader" else cluster.followers()[0]
    others = [r.id for r in cluster if r is not victim]
    victim.kill()
    killed = time.monotonic()
    lost = [path for path, who in before.items() if who == victim.id]
    # Two seconds, and up to an interval until their turn; and what a busy machine adds.
    await_true("all are run by others", lambda: all(path in target.since(killed + 0.2) for path in lost),
               TAKEOVER_S + INTERVAL_S + 5)
    first = [min(at for at, path, _ in target.seen if path == lost_one and at > killed + 0.2) - killed
             for lost_one in lost]
    print("%s killed: its %d checks were run by others after %.2f to %.2f s" % (
        which, len(lost), min(first), max(first)))
    target.await_all(time.monotonic(), others, 10)
    kept = [path for path, who in before.items() if who != victim.id]
    for path in kept:  # nobody else's have moved
        assert set(target.since(killed).get(path, [])) <= {before[path]}, path
    # It comes back, and gets its own back.
    victim.start().wait_ready()
    await_true("it has its checks again",
               lambda: owners(target, time.monotonic() - 1.5 * INTERVAL_S) == before, 20)
    target.assert_no_overlap()


def test_one_that_stood_still_runs_nothing_that_others_have_taken_over(make_cluster, target):
    cluster = make_cluster(3).start()
    before = begin(cluster, target)
    paused = cluster.followers()[0]
    paused.pause()
    target.await_all(time.monotonic() + 4, [r.id for r in cluster if r is not paused], 20)
    woken = time.monotonic()
    paused.resume()
    await_true("it has its checks again",
               lambda: owners(target, time.monotonic() - 1.5 * INTERVAL_S) == before, 20)
    # What it ran, it ran as the one that runs it: nobody else has since.
    for path, who in target.since(woken).items():
        if before[path] == paused.id:
            first = who.index(paused.id)
            assert set(who[first:]) == {paused.id}, (path, who)
    target.assert_no_overlap()


def test_one_that_stops_gives_its_checks_away_at_once(make_cluster, target):
    cluster = make_cluster(3).start()
    begin(cluster, target)
    leaver = cluster.followers()[0]
    leaver.process.send_signal(signal.SIGTERM)
    leaver.wait_exit()
    stopped = time.monotonic()
    target.await_all(stopped + 0.5, [r.id for r in cluster if r is not leaver], 15)
    target.assert_no_overlap()


def test_a_cluster_from_a_backup_runs_them_by_itself(make_cluster, target, tmp_path):
    """Its state names the members of before, of which there is one."""
    cluster = make_cluster(3).start()
    begin(cluster, target)
    back_up(cluster[0], tmp_path / "b")
    for replica in cluster:
        replica.kill()
    restored = make_cluster(1)[0]
    restored.id = 7
    restored.start("--restore", str(tmp_path / "b")).wait_ready()
    target.await_all(time.monotonic(), [7], 15)
