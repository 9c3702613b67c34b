"""How long after a write its watchers know of it: event streams and long-polls."""
import systems
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


CASES = [watch]
