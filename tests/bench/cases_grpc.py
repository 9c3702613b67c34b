"""HTTP/2 and gRPC beside HTTP/1.1: lists, unary heartbeats, streams of heartbeats, programs with many leases. The load is
h2load, but for streams and such programs, which a process with Python sends (keepers.py; it may be the limit there)."""
import json
import os
import subprocess
import sys

import measure
import systems
from cluster import clean_environment
from h2load import h2load
from keepers import beat
from systems import Muster

COLUMNS = [("per_second", "a second"), ("server_cpu_us", "server CPU us"), ("failed", "failed")]
LEASES = [*COLUMNS[:2], ("client_cpu_us", "client CPU us")]
GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
KEEPERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keepers.py")


def keepers(kind, port, prefix, count, leases, batch, ahead, seconds):
    """Processes' worth of leases: `count` connections, each of `leases` by heartbeats of `batch`."""
    arguments = [str(a) for a in (port, count, leases, batch, ahead, seconds)]
    done = subprocess.run([sys.executable, KEEPERS, kind, *arguments, prefix], stdout=subprocess.PIPE,
                          env=clean_environment(), timeout=seconds + 60, check=True)
    return json.loads(done.stdout)


def measured(bench, key, title, variants, pids, columns=COLUMNS):
    """Every variant once in each round."""
    rows = {name: [] for name in variants}
    for _ in range(bench.rounds):
        for name, run in variants.items():
            rows[name].append(measure.with_cpu(pids(name), run))
    bench.add(key, title, rows, columns, "per_second")


def grpc(bench):
    """64 and 256 callers of the leader of three, and lists of ten beside another server's ceiling."""
    seconds = 2 if bench.quick else 5
    with Muster(bench.folder) as cluster:
        cluster.start()
        leader = cluster.leader()
        url = leader.url
        ids = ["grpc-%d" % n for n in range(64)]
        for id in ids:
            leader.register("grpc", id)
        for n in range(10):
            leader.register("ten", "ten-%d" % n)
        size = len(leader.get("/services/ten").body)
        pids = [r.process.pid for r in cluster]
        json_beat = json.dumps({"id": ids[0]}).encode()
        json_type = (("content-type", "application/json"),)

        def by_json(clients, streams, version="h2c"):
            return lambda: h2load(url + "/heartbeat", seconds, clients, streams, json_beat, json_type, version)

        def by_grpc(clients, streams):
            return lambda: h2load(url + "/muster.v1.Registry/Heartbeat", seconds, clients, streams, beat(ids[:1]), GRPC)

        measured(bench, "grpc_heartbeat", "Heartbeats of one, 64 callers", {
            "HTTP/1.1": by_json(64, 1, "1.1"),
            "h2c, 4 connections": by_json(4, 16),
            "gRPC, 4 connections": by_grpc(4, 16),
            "gRPC, 1 connection": by_grpc(1, 64),
            "KeepAlive, 4 streams": lambda: keepers("stream", leader.http_port, "grpc-", 4, 16, 1, 4000, seconds),
        }, lambda name: pids)
        measured(bench, "grpc_heartbeat_256", "Heartbeats of one, 256 callers", {
            "HTTP/1.1": by_json(256, 1, "1.1"),
            "gRPC, 4 connections": by_grpc(4, 64),
        }, lambda name: pids)
        with systems.Ceiling(2, size) as ceiling:
            measured(bench, "grpc_list", "Lists of ten, 64 callers", {
                "ceiling, HTTP/1.1": lambda: h2load(ceiling.url, seconds, 64, 1, version="1.1"),
                "HTTP/1.1": lambda: h2load(url + "/services/ten", seconds, 64, 1, version="1.1"),
                "h2c": lambda: h2load(url + "/services/ten", seconds, 4, 16),
            }, lambda name: [ceiling.process.pid] if name.startswith("ceiling") else [leader.process.pid])


def grpc_leases(bench):
    """A program with many leases: batches over HTTP/1.1, as libmuster sends them, beside KeepAlive."""
    seconds = 2 if bench.quick else 5
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("many", 10000, 1)
        pids = [r.process.pid for r in cluster]
        port = cluster.leader().http_port

        def kept(kind, leases, batch, ahead=1):
            return lambda: keepers(kind, port, "many-", 1, leases, batch, ahead, seconds)

        for leases in (1000, 10000):
            measured(bench, "grpc_leases_%d" % leases, "Leases of a program with %d" % leases, {
                "HTTP/1.1, one heartbeat of all": kept("post", leases, leases),
                "KeepAlive, one message of all": kept("stream", leases, leases),
                "KeepAlive, a message for each": kept("stream", leases, 1, leases),
            }, lambda name: pids, LEASES)


CASES = [grpc, grpc_leases]
