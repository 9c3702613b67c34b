"""The systems under load: three replicas of Muster, and the bare HTTP server as the ceiling."""
import contextlib
import json
import os
import subprocess
import sys

import cluster as replicas
import measure
from cluster import MUSTER, Cluster, clean_environment, read_line

BUILD = os.path.dirname(MUSTER)
LOAD_TIMEOUT_S = 1800
# A replica with a million instances on a busy machine stops slower than one of the tests.
replicas.STOP_WITHIN_S = 180


class Interrupts:
    """SIGINT and SIGTERM end the run, but never between the start of a process and the moment when
    somebody knows that it has to be ended."""
    held = False
    pending = None

    @classmethod
    def handle(cls, number, _):
        if cls.held:
            cls.pending = number
        else:
            sys.exit(128 + number)

    @classmethod
    @contextlib.contextmanager
    def hold(cls):
        cls.held = True
        try:
            yield
        finally:
            cls.held = False
        if cls.pending:
            sys.exit(128 + cls.pending)


class Muster(Cluster):
    """Three replicas, with their data below the folder of the benchmark."""

    def __init__(self, folder, *options):
        data = os.path.join(folder, "muster-%d" % os.getpid())
        subprocess.run(["rm", "-rf", data], timeout=LOAD_TIMEOUT_S, check=True)
        os.makedirs(data)
        super().__init__(3, ["--ttl", "1h", *options], data_root=data)
        self.data_root = data

    def __exit__(self, kind, *rest):
        try:
            super().__exit__(kind, *rest)
        finally:
            subprocess.run(["rm", "-rf", self.data_root], timeout=LOAD_TIMEOUT_S, check=True)

    def start(self, wait=True):
        with Interrupts.hold():
            super().start(wait=False)
        if wait:
            self.wait_ready()
        return self

    @property
    def urls(self):
        return [r.url for r in self]

    @property
    def pids(self):
        return [r.process.pid for r in self if r.alive()]

    def load(self, *arguments, urls=None):
        """A run of `muster bench`, its figures with the replicas' CPU time."""
        return measure.with_cpu(self.pids, lambda: bench(urls or self.urls, *arguments))

    def fill(self, prefix, instances, services, ttl="1h", connections=64):
        """Registers `instances` in all, and waits until every replica has them."""
        got = bench(self.urls, "register", "--prefix", prefix, "--requests", str(instances),
                    "--services", str(services), "--ttl", ttl, "--connections", str(connections),
                    "--keep")
        if got["failed"]:
            # On a busy machine some of a million come too late; preparing data tries again.
            bench(self.urls, "discover", "--prefix", prefix, "--services", str(services),
                  "--instances", str(instances // services), "--ttl", ttl, "--requests", "1",
                  "--keep")
        self.wait_same_state(60)
        return got


def bench_command(urls, *arguments):
    return [MUSTER, "--server", ",".join(urls), "--output", "json", "bench", *arguments]


def bench(urls, *arguments):
    done = subprocess.run(bench_command(urls, *arguments), capture_output=True, encoding="utf-8",
                          timeout=LOAD_TIMEOUT_S, check=False, env=clean_environment())
    if not done.stdout:
        raise RuntimeError("muster bench %s: %s" % (" ".join(arguments), done.stderr))
    return flat(json.loads(done.stdout))


def start_bench(urls, *arguments):
    """One that runs beside others; `finish_bench` has its figures."""
    return subprocess.Popen(bench_command(urls, *arguments), stdout=subprocess.PIPE, encoding="utf-8",
                            env=clean_environment())


def finish_bench(process):
    out, _ = process.communicate(timeout=LOAD_TIMEOUT_S)
    return flat(json.loads(out))


def flat(report):
    """Latencies beside the other figures."""
    for kind, before in (("latency_ms", ""), ("last_ms", "last "), ("write_ms", "write "),
                         ("whole_ms", "whole ")):
        latency = report.pop(kind, {})
        for name, value in latency.items():
            # Of nothing there is no percentile.
            report[before + name] = value if latency["count"] else None
    return report


class Ceiling:
    """libmicrohttpd with a constant answer of `size` bytes."""

    def __init__(self, threads, size):
        self.threads = threads
        self.size = size
        self.process = None
        self.url = ""

    def __enter__(self):
        try:
            with Interrupts.hold():
                self.process = subprocess.Popen(
                    [os.path.join(BUILD, "bench_ceiling"), str(self.threads), str(self.size)],
                    stdout=subprocess.PIPE, encoding="utf-8")
            self.url = "http://127.0.0.1:%d" % int(read_line(self.process))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.wait(10)

    def load(self, *arguments):
        return measure.with_cpu([self.process.pid], lambda: bench([self.url], *arguments))


def wrk(url, connections, seconds, pids, script=None, threads=1):
    """The second opinion. Its figures under the names that ours have."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = ["wrk", "-t%d" % threads, "-c%d" % connections, "-d%ds" % seconds, "--latency",
               "-s", os.path.join(here, script or "wrk.lua"), url]

    def run():
        before = os.times()
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True,
                              timeout=seconds + 60)
        after = os.times()
        figures = json.loads(done.stdout.rsplit("FIGURES ", 1)[1])
        spent = (after.children_user + after.children_system -
                 before.children_user - before.children_system)
        figures["client_cpu_us"] = spent * 1e6 / max(figures["requests"], 1)
        return figures
    return measure.with_cpu(pids, run)
