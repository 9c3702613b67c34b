"""What active checks cost all replicas together: a thousand of each kind, every second."""
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time

import systems
from cluster import Cluster, free_ports, read_line
from systems import Muster

CHECKS = 1000
A_TARGET = 10  # checks of one port
TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "check_target.py")

COLUMNS = [("core_percent", "CPU of all replicas above idle, % of a core"),
           ("us_a_run", "us a run"), ("idle_percent", "idle, % of a core"),
           ("runs_a_second", "runs a second"), ("failed", "failed"), ("written", "written")]


@contextlib.contextmanager
def targets(count):
    process = subprocess.Popen([sys.executable, TARGET, str(count)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, encoding="ascii")
    try:
        yield [int(port) for port in read_line(process).split()]
    finally:
        process.stdin.close()
        process.wait(10)


def register(cluster, checks):
    """An instance a check, without a lease."""
    connection = http.client.HTTPConnection("127.0.0.1", cluster[0].http_port, timeout=30)
    for number, check in enumerate(checks):
        connection.request("POST", "/register", json.dumps({
            "id": "checked-%d" % number, "name": "checked-%d" % (number % 20), "host": "127.0.0.1",
            "port": 80, "checks": [dict(check, id="c", interval="1s")]}))
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError("%d %s" % (answer.status, body[:200]))
    connection.close()


def total(cluster, name):
    return sum(replica.metric(name) for replica in cluster)


def spent(cluster, seconds):
    """CPU time, in seconds, of so long."""
    before, began = systems.measure.cpu_s(cluster.pids), time.monotonic()
    time.sleep(seconds)
    return (systems.measure.cpu_s(cluster.pids) - before) / (time.monotonic() - began)


def measured(bench, checks, options=()):
    seconds = 2 * bench.seconds
    with Muster(bench.folder, *options) as cluster:
        cluster.start()
        idle = spent(cluster, seconds)
        register(cluster, checks)
        systems.measure.await_ready("all are passing", lambda: total(
            cluster, "checks_assigned") == len(checks) and len(cluster[0].get(
                "/instances?health=passing&limit=10000").json["instances"]) == len(checks))
        names = ("checks_run_total", "checks_failed_total", "checks_written_total")
        before, began = [total(cluster, name) for name in names], time.monotonic()
        busy = spent(cluster, seconds)
        after, took = [total(cluster, name) for name in names], time.monotonic() - began
    runs, failed, written = [b - a for a, b in zip(before, after)]
    return {"core_percent": 100 * (busy - idle), "idle_percent": 100 * idle,
            "us_a_run": 1e6 * (busy - idle) / (runs / took), "runs_a_second": runs / took,
            "failed": failed, "written": written}


def checks(bench):
    grpc_port = free_ports(1)[0]
    with targets(CHECKS // A_TARGET) as ports, Cluster(1, ["--grpc", "127.0.0.1:%d" % grpc_port]) as other:
        other.start()
        where = ["127.0.0.1:%d" % ports[n % len(ports)] for n in range(CHECKS)]
        kinds = {
            "HTTP": [{"http": "http://%s/health" % at} for at in where],
            "HTTP, a new connection each": [{"http": "http://%s/close" % at} for at in where],
            "TCP": [{"tcp": at} for at in where],
            "gRPC": [{"grpc": "127.0.0.1:%d" % grpc_port}] * CHECKS,
        }
        bench.alternate("checks", "{:,} active checks every second".format(CHECKS), {
            name: lambda made=made: measured(bench, made) for name, made in kinds.items()
        }, COLUMNS, "core_percent")


CASES = [checks]
