"""muster status and members: the members, their problems, and a reliable exit status for scripts."""
import http.server
import json
import threading

import pytest

from cluster import await_true
from test_cli import muster

READY, DEGRADED, _, NOBODY, _, NO_QUORUM, MIXED = range(7)


def status(*replicas, **settings):
    return muster("status", servers=[r if isinstance(r, str) else r.url for r in replicas], **settings)


def rows(*replicas):
    done = muster("--output", "json", "status", servers=[r.url for r in replicas])
    return json.loads(done.stdout)


def test_all_ready_exits_0_and_says_nothing(shared):
    done = status(*shared)
    assert (done.returncode, done.stderr) == (READY, "")
    assert len(done.stdout.splitlines()) == 4


def test_a_member_that_is_down_is_named_and_exits_1(make_cluster):
    with make_cluster(3) as cluster:
        cluster.start().wait_acquainted()
        down = cluster.followers()[0]
        asked = next(r for r in cluster if r is not down)
        name = down.health()["name"]
        down.kill()
        done = status(asked)
        assert done.returncode == DEGRADED and down.url in done.stderr
        row = next(line for line in done.stdout.splitlines() if line.startswith(str(down.id)))
        assert name in row and "unreachable" in row and down.url in row
        assert not any(line.startswith("muster: no quorum") for line in done.stderr.splitlines())


def test_without_quorum_every_member_is_named_and_it_exits_5(make_cluster):
    """Even those that this replica has never reached, without a known name or address."""
    with make_cluster(3) as cluster:
        cluster.start()
        survivor = cluster[2]
        for replica in cluster:
            replica.kill()
        survivor.start()
        await_true("it being live", survivor.is_live)
        done = await_true("no leader", lambda: (
            lambda d: d if d.returncode == NO_QUORUM else None)(status(survivor)))
        lines = done.stdout.splitlines()[1:]
        assert sorted(line.split()[0] for line in lines) == ["1", "2", "3"]
        assert "no quorum: 1 of 3 voters" in done.stderr and "2 are needed" in done.stderr
        for replica in cluster[0], cluster[1]:
            assert "member %d (peer 127.0.0.1:%d): " % (replica.id, replica.peer_port) in done.stderr
        found = rows(survivor)
        assert found["clusters"][0]["quorum"] is False and len(found["replicas"]) == 3


def test_replicas_of_different_clusters_are_told_apart_and_exit_6(shared, make_cluster):
    with make_cluster(1) as other:
        other.start()
        done = status(shared[0], other[0])
        assert done.returncode == MIXED and "2 different clusters" in done.stderr
        ids = {r.get("/cluster").json["cluster"] for r in (shared[0], other[0])}
        assert all(id in done.stderr for id in ids)
        # The same id in both clusters is not one member.
        assert len(done.stdout.splitlines()) == 5


def test_nobody_answers_exits_3():
    done = status("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert done.returncode == NOBODY and "no replica reachable" in done.stderr


def test_replicas_that_hang_are_asked_at_once(make_cluster):
    """Each takes three seconds: five of them must not take fifteen."""
    with make_cluster(1) as cluster:
        cluster.start()
        cluster[0].pause()
        hung = ["http://localhost:%d/%d" % (cluster[0].http_port, i) for i in range(5)]
        done = status(*hung, timeout=12)
        assert done.returncode == NOBODY
        cluster[0].resume()


@pytest.fixture
def fake_cluster():
    """A follower that heard of the leader a while ago."""
    member = {"id": 1, "name": "m", "peer": "h:1", "http": "", "version": "1", "role": "voter",
              "leader": True, "reachable": True, "applied_index": 5, "behind": 7, "trouble": ""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"members": [member, {**member, "id": 2, "leader": False}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http://127.0.0.1:%d" % server.server_port
    server.shutdown()
    server.server_close()


def test_members_never_says_that_the_leader_is_behind(fake_cluster):
    lines = muster("members", servers=[fake_cluster]).stdout.splitlines()
    behind = lines[0].split().index("BEHIND")
    assert [line.split()[behind] for line in lines[1:]] == ["0", "7"]


def test_no_replica_says_that_the_leader_is_behind(shared):
    """Each has only the last report of the leader, which is older than what the leader sent with it."""
    for i in range(20):
        shared[0].register("leaders", id="leaders-%d" % (i % 2))
        for replica in shared:
            members = replica.get("/cluster").json["members"]
            assert [m["behind"] for m in members if m["leader"]] in ([0], [])
