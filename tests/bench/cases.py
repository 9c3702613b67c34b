"""The cases of throughput and latency: writes, heartbeats and reads.

A case takes the bench (bench.py: options, and where rows go) and measures with `bench.alternate`.
"""
import os
import ssl
import subprocess
import time

import measure
import systems
from cluster import MUSTER, await_true, request
from systems import Muster

COLUMNS = [("per_second", "a second"), ("p50", "p50 ms"), ("p99", "p99 ms"), ("p99.9", "p99.9 ms"),
           ("server_cpu_us", "server CPU us"), ("client_cpu_us", "client CPU us"),
           ("failed", "failed")]
BATCH_COLUMNS = [("renewed_per_second", "leases a second")] + COLUMNS


def fresh(prefix):
    """A prefix that no round used before."""
    fresh.count += 1
    return "%s%d" % (prefix, fresh.count)


fresh.count = 0


def write_case(bench, name, title, muster_arguments, peer_operations, clients, at_rates=()):
    """One kind of write, as fast as it goes and at some rates, beside the same of each peer."""
    with Muster(bench.folder) as cluster:
        cluster.start()

        def load(*rate):
            return cluster.load(*muster_arguments(cluster), "--duration", bench.duration,
                                "--connections", str(clients), *rate)
        load()  # warm
        variants = {"muster": load}
        for rate in at_rates:
            variants["muster, %d a second" % rate] = lambda rate=rate: load("--rate", str(rate))
        for peer in bench.peers:
            for operation in filter(peer.can, peer_operations):
                variants[peer.label(operation)] = peer.runner(operation, clients, bench.seconds)
        bench.alternate(name, title, variants, COLUMNS)


def register_256(bench):
    write_case(bench, "register_256", "register, 256 clients over all replicas",
               lambda _: ["register", "--prefix", fresh("r"), "--keep"], ["register"], 256)


def register_1(bench):
    write_case(bench, "register_1", "register, 1 client",
               lambda _: ["register", "--prefix", fresh("r"), "--keep"], ["register"], 1, [5])


def heartbeat_256(bench):
    def arguments(cluster):
        if not cluster[0].get("/services/hb-s0?limit=1").json["instances"]:
            cluster.fill("hb", 1000, 1)
        return ["heartbeat", "--prefix", "hb", "--reuse"]
    write_case(bench, "heartbeat_256", "heartbeat of one, 256 clients over all replicas",
               arguments, ["heartbeat", "ping"], 256)


def heartbeat_batch(bench):
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("hb", 100000, 1000)
        common = ["heartbeat", "--prefix", "hb", "--instances", "100000", "--reuse", "--duration",
                  bench.duration]
        bench.alternate("heartbeat_batch", "100,000 leases renewed in batches, over all replicas", {
            "1,000 in a batch, 12 clients": lambda: cluster.load(
                *common, "--batch", "1000", "--connections", "12"),
            "one at a time, 256 clients": lambda: cluster.load(*common, "--connections", "256"),
        }, BATCH_COLUMNS, "renewed_per_second")


def discover(bench):
    """Against the constant answer of the bare HTTP library; wrk asks the same of both."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("d", 100, 10)
        replica = cluster.followers()[0]
        size = len(replica.get("/services/d-s0").body)
        with systems.Ceiling(2, size) as ceiling:
            discover_beside(bench, replica, ceiling)


def discover_1000(bench):
    """The same with a listing that is sent from memory shared by all readers."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("k", 1000, 1)
        replica = cluster.followers()[0]
        size = len(replica.get("/services/k-s0").body)
        with systems.Ceiling(2, size) as ceiling:
            bench.alternate("discover_1000", "list 1,000 instances, stale, 16 clients, one replica", {
                "ceiling by wrk": lambda: systems.wrk(ceiling.url, 16, bench.seconds,
                                                      [ceiling.process.pid]),
                "muster by wrk": lambda: systems.wrk(replica.url + "/services/k-s0", 16,
                                                     bench.seconds, [replica.process.pid]),
            }, COLUMNS)


def tls(bench):
    """Two followers of one cluster, one of which speaks TLS, asked by the same wrk over connections that stay."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("d", 100, 10)
        plain, secured = cluster.followers()
        folder = os.path.join(cluster.data_root, "tls")
        subprocess.run([MUSTER, "tls", "init", "--out", folder, "a"], timeout=30, check=True, stdout=subprocess.DEVNULL)
        secured.stop()
        secured.start("--tls-cert", folder + "/a.pem", "--tls-key", folder + "/a-key.pem")
        anybody = ssl._create_unverified_context()  # pylint: disable=protected-access
        await_true("it serves", lambda: answers(secured, anybody), within_s=30)
        url = "https://127.0.0.1:%d/services/d-s0" % secured.http_port
        bench.alternate("tls", "list 10 instances, stale, 64 connections that stay, one replica, by wrk", {
            "plain": lambda: systems.wrk(plain.url + "/services/d-s0", 64, bench.seconds, [plain.process.pid]),
            "TLS": lambda: systems.wrk(url, 64, bench.seconds, [secured.process.pid]),
        }, COLUMNS)


def members_tls(bench):
    """Two clusters, one of which encrypts the links between its members, written to in turn."""
    with Muster(bench.folder) as plain, Muster(bench.folder + "/secured") as secured:
        secured.environment = {"MUSTER_CLUSTER_SECRET": "a secret for the benchmark"}
        for cluster in plain, secured:
            cluster.start()

        def load(cluster, connections):
            return lambda: cluster.load("register", "--prefix", fresh("m"), "--keep", "--duration", bench.duration,
                                        "--connections", str(connections))
        for connections in (1, 256):
            bench.alternate("members_tls_%d" % connections, "register, %d clients over all replicas" % connections, {
                "links in plain": load(plain, connections), "links over TLS": load(secured, connections)}, COLUMNS)


def answers(replica, context):
    try:
        return request(replica.http_port, "GET", "/services/d-s0", tls=context).status == 200
    except OSError:
        return False


def discover_beside(bench, replica, ceiling):
    arguments = ["discover", "--prefix", "d", "--reuse", "--duration", bench.duration]
    pids = [replica.process.pid]
    variants = {
        "ceiling": lambda: ceiling.load(*arguments),
        "muster": lambda: measure.with_cpu(
            pids, lambda: systems.bench([replica.url], *arguments)),
        "ceiling by wrk": lambda: systems.wrk(ceiling.url, 64, bench.seconds,
                                              [ceiling.process.pid]),
        "muster by wrk": lambda: systems.wrk(replica.url + "/services/d-s0", 64,
                                             bench.seconds, pids),
    }
    for peer in bench.peers:
        variants[peer.label("list")] = peer.runner("list", 64, bench.seconds)
    variants["muster"]()
    bench.alternate("discover", "list 10 instances, stale, 64 clients, one replica", variants,
                    COLUMNS)


def linearizable(bench):
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("d", 100, 10)
        follower = cluster.followers()[0]
        common = ["discover", "--prefix", "d", "--reuse", "--duration", bench.duration]
        variants = {
            "stale": lambda: cluster.load(*common, urls=[follower.url]),
            "linearizable": lambda: cluster.load(*common, "--consistency", "linearizable",
                                                 urls=[follower.url]),
        }
        for peer in bench.peers:
            if peer.can("list_linearizable"):
                variants[peer.label("list_linearizable")] = peer.runner("list_linearizable", 64,
                                                                        bench.seconds)
        bench.alternate("linearizable", "list 10 instances through a follower, 64 clients",
                        variants, COLUMNS)


def churn(bench):
    """1,000 services of 10; while they change, one instance in each of 100 services a second."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("c", 10000, 1000)
        common = ["discover", "--prefix", "c", "--instances", "10", "--services", "1000",
                  "--reuse", "--duration", bench.duration]
        follower = cluster.followers()[0]

        def changing():
            writer = systems.start_bench(
                cluster.urls, "register", "--prefix", "c", "--instances", "10", "--services",
                "1000", "--reuse", "--rate", "100", "--duration", "%ds" % (bench.seconds + 2))
            time.sleep(1)
            figures = cluster.load(*common, urls=[follower.url])
            figures["changes_failed"] = systems.finish_bench(writer)["failed"]
            return figures
        bench.alternate("churn", "list 10 of 1,000 services, 64 clients, one replica", {
            "quiet": lambda: cluster.load(*common, urls=[follower.url]),
            "10 % of the services change each second": changing,
        }, COLUMNS)


def big_service(bench):
    """What a service of 100,000 costs more than one of 10."""
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("big", 100000, 1)
        cluster.fill("small", 10, 1)

        def change(prefix, instances):
            return cluster.load("register", "--prefix", prefix, "--instances", instances,
                                "--services", "1", "--reuse", "--connections", "1",
                                "--duration", bench.duration)

        def read(prefix):
            return cluster.load("discover", "--prefix", prefix, "--services", "1", "--limit", "10",
                                "--reuse", "--connections", "16", "--duration", bench.duration)
        bench.alternate("big_service_change", "change in a service, 1 client", {
            "of 10": lambda: change("small", "10"),
            "of 100,000": lambda: change("big", "100000"),
        }, COLUMNS)
        bench.alternate("big_service_read", "limit=10 read of a service, 16 clients", {
            "of 10": lambda: read("small"),
            "of 100,000": lambda: read("big"),
        }, COLUMNS)


def growth(bench):
    """The same load with more and more instances in the registry."""
    sizes = [1000, 10000, 100000] + ([] if bench.quick else [1000000])
    rows = {"growth_discover": {}, "growth_change": {}, "growth_heartbeat": {}}
    with Muster(bench.folder) as cluster:
        cluster.start()
        filled = 0
        for size in sizes:
            prefix = "g%d" % size
            cluster.fill(prefix, size - filled, (size - filled) // 10)
            data = ["--prefix", prefix, "--instances", "10", "--services",
                    str((size - filled) // 10), "--reuse", "--duration", bench.duration]
            filled = size
            name = "{:,} instances".format(size)
            for case, load in (
                    ("growth_discover", ["discover", "--connections", "64"]),
                    ("growth_change", ["register", "--connections", "64"]),
                    ("growth_heartbeat", ["heartbeat", "--connections", "12", "--batch", "500"])):
                rows[case][name] = [cluster.load(*load, *data) for _ in range(bench.rounds)]
                bench.say("  %s, %s: %s" % (name, case, measure.short(
                    rows[case][name][-1]["per_second"])))
    bench.add("growth_discover", "list 10 instances, 64 clients, as the registry grows",
              rows["growth_discover"], COLUMNS)
    bench.add("growth_change", "change an instance, 64 clients, as the registry grows",
              rows["growth_change"], COLUMNS)
    bench.add("growth_heartbeat", "batches of 500 heartbeats, 12 clients, as the registry grows",
              rows["growth_heartbeat"], BATCH_COLUMNS, "renewed_per_second")


def idle(bench):
    """10,000 connections that are open and do nothing, over all replicas."""
    connections = 1000 if bench.quick else 10000
    columns = COLUMNS + [("rss_mib", "RSS of all MiB"), ("kib_each", "KiB a connection")]
    with Muster(bench.folder) as cluster:
        cluster.start()
        cluster.fill("d", 100, 10)
        load = ["discover", "--prefix", "d", "--reuse", "--connections", "16", "--duration",
                bench.duration]

        def alone():
            return with_rss(cluster, cluster.load(*load), None, 0)

        def beside():
            before = total_rss(cluster)
            held = systems.start_bench(cluster.urls, "discover", "--prefix", "d", "--reuse",
                                       "--connections", str(connections), "--rate", "10",
                                       "--duration", "%ds" % (bench.seconds + 5))
            time.sleep(3)
            figures = with_rss(cluster, cluster.load(*load), before, connections)
            figures["failed"] += systems.finish_bench(held)["failed"]
            return figures
        alone()
        bench.alternate("idle", "list 10 instances, 16 clients, beside idle connections", {
            "no other connections": alone,
            "{:,} idle connections".format(connections): beside,
        }, columns, "p99")


def total_rss(cluster):
    return sum(measure.rss_bytes(pid) for pid in cluster.pids)


def with_rss(cluster, figures, before, connections):
    rss = total_rss(cluster)
    figures["rss_mib"] = rss / 2 ** 20
    figures["kib_each"] = (rss - before) / 1024 / connections if connections else None
    return figures


CASES = [register_256, register_1, heartbeat_256, heartbeat_batch, discover, discover_1000, tls, members_tls, linearizable, churn,
         big_service, growth, idle]
