"""How long after a write its watchers know of it: event streams and long-polls."""
import systems
import watchers
from systems import Muster

COLUMNS = [("last p50", "last told, p50 ms"), ("last p99", "last told, p99 ms"),
           ("p50", "each, p50 ms"), ("p99", "each, p99 ms"), ("write p50", "write, p50 ms"),
           ("whole p50", "write to last, p50 ms"), ("writes", "writes"),
           ("told", "told"), ("missed", "missed"), ("failed", "failed writes"),
           ("server_cpu_us", "server CPU us a watcher told"),
           ("client_cpu_us", "client CPU us a watcher told")]


def watch(bench):
    counts = [1, 100, 1000] + ([] if bench.quick else [10000])
    with Muster(bench.folder) as cluster:
        cluster.start()

        def measured(via, watchers):
            spent = systems.measure.cpu_s(cluster.pids)
            figures = systems.bench(cluster.urls, "watch", "--via", via, "--watchers",
                                    str(watchers), "--duration", bench.duration)
            spent = systems.measure.cpu_s(cluster.pids) - spent
            # Connecting and the first answers are in it, too.
            figures["server_cpu_us"] = spent * 1e6 / figures["told"]
            return figures
        bench.alternate("watch", "from a write's acknowledgement to its watchers, 5 writes a "
                        "second at most", {
                            "{:,} by {}".format(watchers, name): (
                                lambda via=via, watchers=watchers: measured(via, watchers))
                            for via, name in (("stream", "event streams"), ("poll", "long-polls"))
                            for watchers in counts
                        }, COLUMNS, "last p50")


PEER_COLUMNS = [("last p50", "last told after the answer, p50 ms"), ("last p99", "worst ms"),
                ("whole p50", "write to last, p50 ms"), ("writes", "writes")]


def muster_watchers(cluster, count, seconds):
    ports = iter(range(1, 1 << 30))

    def write():
        watchers.post(cluster[0].url + "/register", {
            "name": "watched", "id": "watched-1", "host": "h", "port": 1 + next(ports) % 60000})
    request = (b"GET /events?service=watched HTTP/1.1\r\nHost: muster\r\n"
               b"Accept: text/event-stream\r\n\r\n")
    addresses = [("127.0.0.1", r.http_port) for r in cluster]
    return watchers.measured(addresses, request, count, write, seconds)


def peer_watchers(bench, peer, count):
    """Nothing where it does not come so far."""
    try:
        return peer.watchers(count, bench.seconds)
    except (RuntimeError, OSError) as error:
        bench.say("  %s with %d watchers: %s" % (peer.name, count, error))
        return {}


def watch_peers(bench):
    """By the same plain watchers, which cost more than those of `watch`."""
    counts = [1, 100, 1000] + ([] if bench.quick else [10000])
    with Muster(bench.folder) as cluster:
        cluster.start()
        for count in counts:
            variants = {"Muster": lambda count=count: muster_watchers(cluster, count,
                                                                      bench.seconds)}
            for peer in bench.peers:
                if peer.can("watch"):
                    variants[peer.label("watch")] = (
                        lambda peer=peer, count=count: peer_watchers(bench, peer, count))
            bench.alternate("watch_peers_%d" % count,
                            "from a write to the last of {:,} watchers".format(count), variants,
                            PEER_COLUMNS, "last p50")


CASES = [watch, watch_peers]
