"""Descriptors are divided: however many clients connect, log, snapshots and members have theirs."""
import http.client
import json
import os
import re
import socket
import subprocess

import pytest

from cluster import STOP_WITHIN_S, await_true, clean_environment

LARGE = {"k%02d" % i: "v" * 500 for i in range(60)}


def start(replica, limit, pass_fds=()):
    """With at most `limit` descriptors."""
    with open(replica.log_path, "ab") as log:
        replica.process = subprocess.Popen(
            ["sh", "-c", 'ulimit -n %d; exec "$@"' % limit, "sh", *replica.command()],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=pass_fds,
            env=clean_environment(replica.cluster.environment))
    return replica


class Standing:
    """A connection that stays."""

    def __init__(self, replica):
        self.connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=20)
        self.get("/health")

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def register(self, id, **fields):
        body = json.dumps({"id": id, "name": "web", "host": "h", "port": 1, **fields}).encode()
        self.connection.request("POST", "/register", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def crowd(port, count, say=b""):
    made = []
    for _ in range(count):
        try:
            s = socket.create_connection(("127.0.0.1", port), timeout=0.5)
            s.sendall(say)
            made.append(s)
        except OSError:
            break
    return made


def close_all(sockets):
    for s in sockets:
        s.close()


STREAM = b"GET /events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"


@pytest.mark.parametrize("say", [b"", STREAM], ids=["idle", "streams"])
@pytest.mark.parametrize("limit", [80, 256])
def test_clients_cannot_take_what_log_snapshots_and_members_need(make_cluster, limit, say):
    with make_cluster(3, "--snapshot-log-bytes", "64KiB") as cluster:
        for replica in cluster:
            start(replica, limit)
        cluster.wait_ready()
        standing = [Standing(r) for r in cluster]
        crowds = [s for r in cluster for s in crowd(r.http_port, limit + 50, say)]
        try:
            for number in range(300):  # through several segments of the log
                status, body = standing[number % 3].register("web-%d" % (number % 50),
                                                             metadata={**LARGE, "n": str(number)})
                assert status in (200, 201), (status, body)
            # Its health can still be queried, after a moment.
            for replica in cluster:
                await_true("health of %d" % replica.id, replica.is_ready, within_s=30)
            # A member that comes back is admitted.
            cluster[1].kill()
            start(cluster[1], limit).wait_ready()
        finally:
            close_all(crowds)
        for replica in cluster:
            await_true("everybody is served again", replica.is_ready)
            replica.register("web", id="after-%d" % replica.id)


def test_a_client_over_the_limit_is_told_so_and_where_to_go(make_cluster):
    with make_cluster(1, "--http-connections-per-address", "100") as cluster:
        replica = start(cluster[0], 100).wait_ready()
        most = int(replica.metric("http_connections_max"))
        standing = [Standing(replica) for _ in range(most)]

        def refused():
            return replica.post("/register", {"name": "web", "port": 1, "host": "h", "id": "x"})
        got = refused()
        assert (got.status, got.json["error"]) == (503, "overloaded"), got
        assert got.headers["Connection"].lower() == "close" and got.headers["Retry-After"] == "1"
        assert replica.get("/instances/x").status == 503
        assert replica.get("/health/ready").status == 200
        assert replica.metric("http_connections_refused_total") == 2
        assert all(s.get("/instances/x")[0] == 404 for s in standing)  # surely not done
        standing.pop().connection.close()
        await_true("room", lambda: refused().status == 201)


def test_strangers_on_the_peer_port_take_nothing_from_members_and_log(make_cluster):
    with make_cluster(3, "--snapshot-log-bytes", "64KiB") as cluster:
        for replica in cluster:
            start(replica, 100)
        cluster.wait_ready()
        strangers = [s for r in cluster for s in crowd(r.peer_port, 150)]
        try:
            for number in range(100):
                cluster[number % 3].register("web", id="web-%d" % number, metadata=LARGE)
            cluster[1].kill()
            start(cluster[1], 100).wait_ready()
        finally:
            close_all(strangers)


def test_too_few_descriptors_are_a_sentence(make_cluster):
    with make_cluster(1) as cluster:
        replica = start(cluster[0], 30)
        assert replica.process.wait(STOP_WITHIN_S) == 1
        needed = re.search(r"limit on open files is 30 .* at least (\d+) are needed", replica.log())
        assert needed, replica.log()
        start(replica, int(needed.group(1))).wait_ready()
        replica.register("web", id="web-1")


def test_descriptors_that_the_parent_left_open_are_not_given_to_clients(make_cluster):
    with make_cluster(1) as cluster:
        most = start(cluster[0], 200).wait_ready().metric("http_connections_max")
        assert cluster[0].stop() == 0
        left = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
        try:
            start(cluster[0], 200, pass_fds=left).wait_ready()
        finally:
            for fd in left:
                os.close(fd)
        assert cluster[0].metric("http_connections_max") < most - 20  # the others miss some, too
