"""The door of Docker Swarm without a swarm: the older registry's port on replicas that have no daemon, and daemons
that hang, lie, or are not there. With a real one: tests/docker/test_swarm.py."""
import os
import socket
import subprocess
import threading
import time

import pytest

from cluster import await_true, request
from ports import free_ports


@pytest.fixture(name="make")
def _make(make_cluster):
    def make(size=1, *options, **settings):
        cluster = make_cluster(size, *options, **settings)
        for replica, port in zip(cluster, free_ports(size)):
            replica.swarm_port = port
            replica.environment["MUSTER_SWARM_HTTP"] = "127.0.0.1:%d" % port
        return cluster
    return make


def ask(replica, path, method="GET", headers=None):
    return request(replica.swarm_port, method, path, headers=headers)


class Daemon:
    """A socket that behaves as `answer` says: takes a connection, once for each."""

    def __init__(self, folder, answer):
        self.path = os.path.join(folder, "docker.sock")
        self.asked = 0
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(16)
        self._held = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            self._held.append(connection)
            try:
                self._answer(connection)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        for connection in self._held:
            connection.close()


def reply(body, status="200 OK"):
    def answer(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                           % (status.encode(), len(body), body))
        connection.close()
    return answer


def test_the_port_answers_as_the_older_registry_without_a_daemon(make):
    cluster = make(3).start()
    for replica in cluster:
        index = ask(replica, "/").json
        assert set(index) == {"service", "version", "description", "endpoints", "timestamp"}
        assert set(index["endpoints"]) == {"health", "services", "service", "metrics", "cache", "events"}
        health = ask(replica, "/health")
        assert health.status == 200 and health.json["status"] == "degraded" and health.json["warnings"]
        assert health.json["publisher"] == {"enabled": False, "connected": False}
        stats = {"services_count": 0, "metrics_count": 0, "last_refresh": 0.0, "cache_version": 0,
                 "refresh_interval_sec": 30}
        assert health.json["cache"] == stats
        listed = ask(replica, "/services").json
        assert listed["services"] == [] and set(listed["metadata"]) == {"count", "cache_version", "last_refresh", "timestamp"}
        for path in ("/services/web", "/services/web/metrics"):
            got = ask(replica, path)
            assert got.status == 404 and got.json == {"error": "service not found"}
        assert ask(replica, "/services/web/metrics", "POST").status == 404
        assert ask(replica, "/cache/stats").json["cache_stats"] == stats
        assert set(ask(replica, "/cache/refresh", "POST").json) == {"message", "cache_stats", "timestamp"}
        assert set(ask(replica, "/cache/clear", "POST").json) == {"message", "timestamp"}
        events = ask(replica, "/events").json
        assert events["exchange"] is None and len(events["available_events"]) == 6
        assert ask(replica, "/services", "DELETE").status == 405
        assert ask(replica, "/nothing").status == 404
        # Nothing of it is on the main port, nor the other way round.
        assert replica.get("/cache/stats").status == 404 and ask(replica, "/instances").status == 404
        assert replica.get("/services").json["services"] == []


def test_the_port_speaks_http_2(make):
    cluster = make().start()
    done = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-w", "%{http_version}",
                           "http://127.0.0.1:%d/services" % cluster[0].swarm_port], capture_output=True, timeout=20,
                          check=True, encoding="utf-8")
    assert done.stdout.startswith('{"services":[]') and done.stdout.endswith("}2")


def test_permissions_are_those_of_the_main_port(make):
    cluster = make(1, "--anonymous", "none").start()
    assert ask(cluster[0], "/health").status == 200
    for path, method in (("/services", "GET"), ("/services/web", "GET"), ("/cache/clear", "POST"), ("/", "GET")):
        got = ask(cluster[0], path, method)
        assert got.status == 401 and set(got.json) == {"error"}, got


@pytest.mark.parametrize("answer, reason", [
    (lambda connection: None, "Timeout was reached"),
    (lambda connection: connection.close(), ""),
    (reply(b"[]", "503 Service Unavailable"), "the daemon answers 503"),
    (reply(b'{"message": "This node is not a swarm manager."}'), "cannot be read"),
    (reply(b"[" * 200000), "cannot be read"),
], ids=["hangs", "closes", "is no manager", "lies", "lies deeply"])
def test_a_daemon_that_is_none_changes_nothing_and_is_said_once(make, tmp_path, answer, reason):
    with Daemon(str(tmp_path), answer) as daemon:
        cluster = make(1, "--docker", "unix://" + daemon.path).start()
        cluster[0].register("web", "web-1")
        await_true("it is said", lambda: "cannot list the swarm" in cluster[0].log(), 20)
        began = time.monotonic()
        for _ in range(20):
            assert cluster[0].get("/services/web").json["instances"]
            assert ask(cluster[0], "/services").status == 200
        assert time.monotonic() - began < 5
        await_true("it is tried again", lambda: cluster[0].metric("swarm_failures_total") >= 1)
        assert reason in cluster[0].log()
        assert cluster[0].log().count("cannot list the swarm") <= 2
        assert cluster[0].metric("swarm_daemon") == 0
        began = time.monotonic()
        assert cluster[0].stop() == 0
        assert time.monotonic() - began < 10


def test_a_daemon_that_is_not_there_is_waited_for(make, tmp_path):
    path = str(tmp_path / "docker.sock")
    cluster = make(1, "--docker", "unix://" + path).start()
    await_true("it is said", lambda: "cannot list the swarm" in cluster[0].log(), 20)
    assert ask(cluster[0], "/health").json["status"] == "degraded"
    with Daemon(str(tmp_path), reply(b"[]")) as daemon:
        await_true("it is asked", lambda: daemon.asked > 3, 20)
