"""The cases of Consul's clients: what they ask most, through the API that they know."""
import socket
import threading
import time

import systems
from cases import COLUMNS
from cluster import request
from systems import Muster

WATCHERS = 1000


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


CASES = [consul, consul_fanout]
