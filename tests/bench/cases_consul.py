"""The cases of Consul's clients: what they ask most, through the API that they know."""
import http.client
import itertools
import json
import socket
import threading
import time

import measure
import systems
from cases import COLUMNS
from cluster import request
from systems import Muster

WATCHERS = 1000
SERVICES_A_NODE = 10
WRITERS = 300  # more than can be on their way in an election
WRITE_EVERY_S = 0.005
WRITE_FOR_S = 4
KILL_AFTER_S = 1.5
WRITE_WITHIN_S = 9
FILL_WITHIN_S = 900


def put(replica, path, body=None):
    got = request(replica.http_port, "PUT", "/v1" + path, body)
    assert got.status == 200, got


def register(replica, name, count):
    for n in range(count):
        put(replica, "/agent/service/register", {"ID": "%s-%d" % (name, n), "Name": name, "Address": "10.0.0.%d" % (n + 1),
                                                 "Port": 80, "Check": {"TTL": "10m", "Status": "passing"}})


def consul(bench):
    """Register, pass and health/service of ten, as fast as they go, at one replica; beside the native listing."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        replica = cluster.followers()[0]
        pids = cluster.pids
        url = replica.url + "/v1/"
        writes = {"register, 64 clients": lambda: systems.wrk(url + "agent/service/register", 64, bench.seconds, pids,
                                                              "consul.lua"),
                  "pass, 64 clients": lambda: systems.wrk(url + "agent/check/pass", 64, bench.seconds, pids,
                                                          "consul.lua")}
        writes["register, 64 clients"]()  # those that are passed
        bench.alternate("consul_writes", "Consul's API: writes through a follower", writes, COLUMNS)
        register(replica, "ten", 10)
        bench.alternate("consul_reads", "list 10 instances, 64 clients, one replica", {
            "/v1/health/service": lambda: systems.wrk(url + "health/service/ten?passing", 64, bench.seconds,
                                                      [replica.process.pid]),
            "/v1/catalog/service": lambda: systems.wrk(url + "catalog/service/ten", 64, bench.seconds,
                                                       [replica.process.pid]),
            "/services": lambda: systems.wrk(replica.url + "/services/ten", 64, bench.seconds, [replica.process.pid]),
        }, COLUMNS)


def wait_all(replica, path, count):
    """Sockets of so many blocking reads."""
    index = request(replica.http_port, "GET", path).headers["X-Consul-Index"]
    sockets = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", replica.http_port))
        s.sendall(("GET %s&index=%s&wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (path, index)).encode())
        sockets.append(s)
    return sockets


def consul_fanout(bench):
    """How long until 1,000 blocking reads of a service have seen a change of it."""
    rounds = []
    with Muster(bench.folder) as cluster:
        cluster.start()
        replica = cluster.followers()[0]
        register(replica, "ten", 10)
        for n in range(max(3, bench.rounds)):
            sockets = wait_all(replica, "/v1/health/service/ten?passing", WATCHERS)
            time.sleep(0.5)
            begun = time.monotonic()
            changer = threading.Thread(target=put, args=(
                replica, "/agent/check/%s/service:ten-0" % ("warn" if n % 2 == 0 else "pass")))
            changer.start()
            took_ms = []
            for s in sockets:
                assert s.recv(65536)
                took_ms.append(1000 * (time.monotonic() - begun))
                s.close()
            changer.join(10)
            rounds.append({"first_ms": min(took_ms), "last_ms": max(took_ms)})
    bench.add("consul_fanout", "1,000 blocking reads of a service see a change", {"muster": rounds},
              [("first_ms", "first ms"), ("last_ms", "last ms")], "last_ms")


def catalog_body(n, nodes):
    """A service with a check, as many on each node."""
    node = n % nodes
    return json.dumps({
        "Node": "node-%d" % node, "Address": "10.0.%d.%d" % (node // 250, node % 250 + 1),
        "Service": {"ID": "web-%d" % n, "Service": "web-%d" % (n % 100), "Port": 8080, "Tags": ["v1"]},
        "Check": {"CheckID": "service:web-%d" % n, "Name": "alive", "Status": "passing", "ServiceID": "web-%d" % n}})


def fill(replicas, count):
    """So many by catalog/register, from several threads."""
    numbers = itertools.count()

    def write(replica):
        connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=60)
        for n in iter(lambda: next(numbers), None):
            if n >= count:
                return
            connection.request("PUT", "/v1/catalog/register", catalog_body(n, count // SERVICES_A_NODE))
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status

    threads = [threading.Thread(target=write, args=(replicas[n % len(replicas)],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(FILL_WITHIN_S)


def consul_memory(bench):
    """Memory and disk of a replica for each service with a check, ten a node."""
    size = 10000 if bench.quick else 50000
    rounds = []
    for _ in range(1 if bench.quick else 3):
        with Muster(bench.folder) as cluster:
            cluster.start()
            before = [measure.rss_bytes(pid) for pid in cluster.pids]
            begun = time.monotonic()
            fill(list(cluster), size)
            took_s = time.monotonic() - begun
            grown = [measure.rss_bytes(pid) - b for pid, b in zip(cluster.pids, before)]
            rounds.append({"rss_each": sum(grown) / len(grown) / size,
                           "state_each": cluster[0].metric("state_bytes") / size,
                           "disk_each": measure.folder_bytes(cluster.data_root) / 3 / size,
                           "per_second": size / took_s})
    bench.add("consul_memory", "memory and disk with {:,} services by catalog/register".format(size),
              {"muster": rounds}, [("rss_each", "bytes a service"), ("state_each", "of the state"),
                                   ("disk_each", "on disk"), ("per_second", "registered a second")], "rss_each")


def write_while(replicas, break_leader):
    """A catalog/register every 5 ms to the replicas in turn: when each was acknowledged, and how many were not."""
    numbers = itertools.count()
    acknowledged, failed = [], []
    begun = time.monotonic() + 0.2

    def write(connection):
        for n in iter(lambda: next(numbers), None):
            due = begun + n * WRITE_EVERY_S
            if due > begun + WRITE_FOR_S:
                return
            time.sleep(max(0, due - time.monotonic()))
            try:
                connection.request("PUT", "/v1/catalog/register", catalog_body(n % 100, 10))
                answer = connection.getresponse()
                answer.read()
                (acknowledged if answer.status == 200 else failed).append(time.monotonic())
            except (OSError, http.client.HTTPException):
                failed.append(time.monotonic())
                connection.close()

    threads = [threading.Thread(target=write, args=(http.client.HTTPConnection(
        "127.0.0.1", replicas[n % len(replicas)].http_port, timeout=WRITE_WITHIN_S),)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    time.sleep(max(0, begun + KILL_AFTER_S - time.monotonic()))
    break_leader()
    for thread in threads:
        thread.join(WRITE_FOR_S + WRITE_WITHIN_S)
    return sorted(acknowledged), len(failed)


def consul_gap(bench):
    """The longest time without an acknowledged catalog/register when the leader dies."""
    rounds = []
    with Muster(bench.folder) as cluster:
        cluster.start()
        for _ in range(3 if bench.quick else 20):
            cluster.wait_same_state(60)
            leader = cluster.leader()
            others = [r for r in cluster if r is not leader]
            times, failed = write_while(others, leader.kill)
            gap_s = max((b - a for a, b in zip(times, times[1:])), default=float("nan"))
            rounds.append({"gap_ms": 1000 * gap_s, "writes": len(times), "failed": failed})
            with systems.Interrupts.hold():
                leader.start()
            cluster.wait_ready()
    bench.add("consul_gap", "catalog/register every 5 ms, kill -9 of the leader", {"muster": rounds},
              [("gap_ms", "gap ms"), ("writes", "acknowledged"), ("failed", "failed")], "gap_ms")


CASES = [consul, consul_fanout, consul_memory, consul_gap]
