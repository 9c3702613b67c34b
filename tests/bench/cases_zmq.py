"""ZeroMQ: requests a second of clients that ask one after the other, each a process with pyzmq as the older
registry's are."""
import json
import os
import subprocess
import sys

import measure
from cluster import clean_environment
from ports import free_ports
from systems import Muster

ACTIONS = ("health", "discover", "renew", "register")
COLUMNS = [("per_second", "a second"), ("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"),
           ("server_cpu_us", "server CPU us"), ("failed", "failed")]
LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "zmqload.py")


def load(port, action, clients, seconds):
    running = [subprocess.Popen([sys.executable, LOAD, str(port), action, str(seconds), str(n)],
                                stdout=subprocess.PIPE, encoding="utf-8", env=clean_environment())
               for n in range(clients)]
    got = [json.loads(p.communicate(timeout=seconds + 60)[0]) for p in running]
    return {"requests": sum(g["requests"] for g in got), "failed": sum(g["failed"] for g in got),
            "per_second": sum(g["per_second"] for g in got),
            "p50_ms": sorted(g["p50_ms"] for g in got)[clients // 2],
            "p99_ms": max(g["p99_ms"] for g in got)}


def zmq(bench):
    """Eight clients of one member of three: reads, renewals, updates."""
    seconds = 2 if bench.quick else 5
    with Muster(bench.folder) as cluster:
        for replica in cluster:
            [replica.zmq_port] = free_ports(1)
            replica.environment["MUSTER_ZMQ_REQUESTS"] = "127.0.0.1:%d" % replica.zmq_port
        cluster.start()
        leader = cluster.leader()
        for action in ACTIONS:
            rounds = [measure.with_cpu([leader.process.pid],
                                       lambda a=action: load(leader.zmq_port, a, 8, seconds))
                      for _ in range(bench.rounds)]
            bench.add("zmq_" + action, "ZeroMQ: %s, 8 clients" % action, {"muster": rounds}, COLUMNS,
                      "per_second")


CASES = [zmq]
