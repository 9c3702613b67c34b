"""ZeroMQ: requests a second, alone and beside the older registry's own server: by our load, which takes little of
the cores, and by processes with pyzmq, as that registry's clients are. Writes beside as many clients of HTTP/1.1."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys

import measure
import systems
from cluster import clean_environment
from ports import free_ports
from systems import Muster

COLUMNS = [("per_second", "a second"), ("p50", "p50 ms"), ("p99", "p99 ms"),
           ("server_cpu_us", "server CPU us"), ("client_cpu_us", "client CPU us"), ("failed", "failed")]
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIENTS = 8
UNDER_WAY = 8
# What HTTP calls it, and `muster bench` takes.
SAME_BY_HTTP = {"renew": ["heartbeat", "--instances", str(CLIENTS)],
                "register": ["register", "--instances", str(CLIENTS), "--services", "1"]}
TITLES = {"health": "health", "discover": "discover", "renew": "renew, on the port of requests",
          "beat": "renew, on the port of heartbeats", "register": "register, an update"}
ORIGINAL = "0.25.11"
KINDS = {"sqlite": "SQLite", "memory": "in memory"}


def load(port, action, seconds, under_way=1):
    done = subprocess.run([os.path.join(systems.BUILD, "bench_zmqload"), str(port), action, str(CLIENTS),
                           str(seconds), str(under_way)], capture_output=True, encoding="utf-8",
                          timeout=seconds + 60, check=True)
    return json.loads(done.stdout)


def by_pyzmq(port, action, seconds):
    """The second opinion: each client a process."""
    running = [subprocess.Popen([sys.executable, os.path.join(HERE, "zmqload.py"), str(port), action,
                                 str(seconds), str(n)],
                                stdout=subprocess.PIPE, encoding="utf-8", env=clean_environment())
               for n in range(CLIENTS)]
    got = [json.loads(p.communicate(timeout=seconds + 60)[0]) for p in running]
    requests = sum(g["requests"] for g in got)
    return {"requests": requests, "failed": sum(g["failed"] for g in got),
            "per_second": sum(g["per_second"] for g in got),
            "p50": sorted(g["p50"] for g in got)[CLIENTS // 2], "p99": max(g["p99"] for g in got),
            "client_cpu_us": sum(g["cpu_s"] for g in got) * 1e6 / max(requests, 1)}


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Original:
    """The older registry's server: one process, without replicas."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.label = "cgse-core %s, %s" % (ORIGINAL, KINDS[kind])
        self.folder = os.path.join(folder, "cgse-%s-%d" % (kind, os.getpid()))
        self.requests, self.events, self.heartbeats = free_ports(3)
        self.process = None

    @property
    def pids(self):
        return [self.process.pid]

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("%s has ended" % self.label)
        return all(map(listens, (self.requests, self.heartbeats)))

    def __enter__(self):
        python = subprocess.run([os.path.join(ROOT, "tests", "integration", "cgse.sh"), ORIGINAL],
                                stdout=subprocess.PIPE, encoding="utf-8", timeout=300, check=True)
        command = [python.stdout.strip(), os.path.join(HERE, "cgse_server.py"), self.kind]
        command += map(str, (self.requests, self.events, self.heartbeats))
        os.makedirs(self.folder)
        try:
            with systems.Interrupts.hold():
                self.process = subprocess.Popen(command, cwd=self.folder, stderr=subprocess.DEVNULL)
            measure.await_ready(self.label, self.answers, 30, 0.1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.folder)


class Ours:
    """The leader of three, for those ports; all three take CPU time."""
    label = "muster"

    def __init__(self, cluster, leader):
        self.cluster = cluster
        self.requests, self.heartbeats = leader.zmq_ports
        self.url = leader.url

    @property
    def pids(self):
        return self.cluster.pids


def by_http(ours, action, seconds):
    return systems.bench([ours.url], *SAME_BY_HTTP[action], "--connections", str(CLIENTS),
                         "--duration", "%ds" % seconds)


def variants_of(server, action, seconds):
    """Ways to ask a server, by their names."""
    port = server.heartbeats if action == "beat" else server.requests
    ways = {"%d clients" % CLIENTS: lambda: load(port, action, seconds),
            "%d, %d under way each" % (CLIENTS, UNDER_WAY): lambda: load(port, action, seconds, UNDER_WAY)}
    if action != "beat":
        ways["%d by pyzmq" % CLIENTS] = lambda: by_pyzmq(port, action, seconds)
    if action in SAME_BY_HTTP and isinstance(server, Ours):
        ways["%d of HTTP/1.1" % CLIENTS] = lambda: by_http(server, action, seconds)
    return {"%s, %s" % (server.label, name):
            lambda way=way: measure.with_cpu(server.pids, way) for name, way in ways.items()}


def zmq(bench):
    """Eight clients of one member of three: reads, renewals, updates."""
    with Muster(bench.folder) as cluster, contextlib.ExitStack() as stack:
        for replica in cluster:
            replica.zmq_ports = free_ports(2)
            replica.environment.update(zip(("MUSTER_ZMQ_REQUESTS", "MUSTER_ZMQ_HEARTBEATS"),
                                           ("127.0.0.1:%d" % port for port in replica.zmq_ports)))
        cluster.start()
        servers = [Ours(cluster, cluster.leader())]
        if bench.with_peers:
            servers += [stack.enter_context(Original(bench.folder, kind)) for kind in KINDS]
        for server in servers:
            load(server.requests, "register", 1)  # the instances; and warm
        for action, title in TITLES.items():
            variants = {}
            for server in servers:
                variants.update(variants_of(server, action, bench.seconds))
            bench.alternate("zmq_" + action, "ZeroMQ: " + title, variants, COLUMNS)


CASES = [zmq]
