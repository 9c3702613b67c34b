#!/usr/bin/env python3
"""Keeps many instances registered and discovered while replicas are restarted one after the other."""
import argparse
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                                "integration"))
# pylint: disable=wrong-import-position
from cluster import MUSTER, Cluster, await_true, clean_environment  # noqa: E402
from driver import OK, PASSING, PRESENT, SYNCED, Driver  # noqa: E402


def resident_kib(process):
    with open("/proc/%d/status" % process.pid, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


class Observer(threading.Thread):
    """`muster watch`, for its report on the streams: the background of a failure."""

    def __init__(self, urls):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(
            [MUSTER, "--server", ",".join(urls), "watch", "web"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", env=clean_environment())
        self.lines = []

    def run(self):
        for line in self.process.stderr:
            self.lines.append("%s %s" % (time.strftime("%H:%M:%S"), line.rstrip()))

    def end(self):
        self.process.terminate()
        self.process.wait(30)


class Finder(threading.Thread):
    """Queries continuously, and records the worst result."""

    def __init__(self, driver):
        super().__init__(daemon=True)
        self.driver = driver
        self.going = True
        self.asked = 0
        self.failed = []
        self.oldest_ms = 0

    def run(self):
        while self.going:
            got = self.driver.discover("web", timeout_ms=0)
            self.asked += 1
            if got[0] != OK or got[3]:
                self.failed.append((time.strftime("%H:%M:%S"), got))
            else:
                self.oldest_ms = max(self.oldest_ms, got[2])
            time.sleep(0.005)


def find_faults(watcher, instances):
    """Reported events that should not have happened."""
    told = watcher.changes[instances + 1:]
    return [t for t in told if t[2] > PASSING or t[0] not in (PRESENT, SYNCED)]


def soak(arguments, cluster):
    began = time.monotonic()
    cluster.start()
    urls = [r.url for r in cluster]
    server, watcher, observer = Driver(urls), Driver(urls), Observer(urls)
    observer.start()
    try:
        count = arguments.instances
        assert server("register", "web", "w", 80, arguments.ttl * 1000, count)[0] == OK
        assert server("wait", 120000) == [OK]
        print("%d instances registered after %.1f s" % (count, time.monotonic() - began))
        await_true("all in the copy", lambda: len(watcher.list("web")) == count, 60)
        assert watcher("follow", "web") == [OK]
        await_true("all told", lambda: len(watcher.changes) > count, 60)
        finder = Finder(watcher)
        finder.start()
        first_kib = resident_kib(server.process), resident_kib(watcher.process)
        restarts = 0
        began = time.monotonic()
        while time.monotonic() - began < arguments.seconds:
            replica = cluster[restarts % 3]
            how = "SIGTERM" if restarts % 2 else "kill -9"
            if restarts % 2:
                replica.stop()
            else:
                replica.kill()
            time.sleep(1)
            replica.start().wait_ready(60)
            restarts += 1
            print(time.strftime("%H:%M:%S"), "%4d s: replica %d back after %s; asked %d times, oldest copy %d ms" % (
                time.monotonic() - began, replica.id, how, finder.asked, finder.oldest_ms),
                flush=True)
            time.sleep(max(0, began + restarts * arguments.every - time.monotonic()))
        finder.going = False
        finder.join(30)
        found = {i["health"] for i in cluster[0].instances().values()}
        problems = find_faults(watcher, count)[:10] + finder.failed[:10]
        if len(cluster[0].instances()) != count or found != {"passing"}:
            problems.append("%d instances in the end, %s" % (len(cluster[0].instances()), found))
        if finder.oldest_ms > arguments.age_max * 1000:
            problems.append("a copy was %d ms old" % finder.oldest_ms)
        last_kib = resident_kib(server.process), resident_kib(watcher.process)
        print("%d restarts, %d answers, oldest copy %d ms; memory of the server %d -> %d KiB, of the "
              "watcher %d -> %d KiB" % (restarts, finder.asked, finder.oldest_ms, first_kib[0],
                                        last_kib[0], first_kib[1], last_kib[1]))
        server.close()
        watcher.close()
        return problems + (observer.lines if problems else [])
    finally:
        observer.end()
        server.end()
        watcher.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--every", type=int, default=20, help="seconds between restarts")
    parser.add_argument("--ttl", type=int, default=10, help="of each lease, in seconds")
    parser.add_argument("--age-max", type=int, default=20,
                        help="of an answer, in seconds: streams say something every 15 s")
    arguments = parser.parse_args()
    with Cluster(3) as cluster:
        problems = soak(arguments, cluster)
    for problem in problems:
        print(problem)
    print("FAILED" if problems else "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
