#!/usr/bin/env python3
"""Runs the benchmarks and prints their tables. Started by run.sh; see README.md."""
import argparse
import contextlib
import functools
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("MUSTER_BIN", os.path.join(ROOT, "build", "release"))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "integration")]

import builds  # noqa: E402
import cases  # noqa: E402
import cases_checks  # noqa: E402
import cases_consul  # noqa: E402
import cases_dns  # noqa: E402
import cases_grpc  # noqa: E402
import cases_zmq  # noqa: E402
import cases_life  # noqa: E402
import cases_watch  # noqa: E402
import cluster  # noqa: E402
import measure  # noqa: E402
import systems  # noqa: E402


ERRORS = (RuntimeError, AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError)


class Bench:
    """Options, and the rows so far. Rows are saved after each case: what was measured is kept when
    a later case fails."""

    def __init__(self, options):
        self.quick = options.quick
        self.rounds = options.rounds or (1 if options.quick else 5)
        self.seconds = options.seconds or (2 if options.quick else 5)
        self.folder = os.path.abspath(options.folder)
        self.with_peers = options.with_peers
        self.stack = contextlib.ExitStack()  # what lives until the end
        self.builds = {}  # programs to compare, the present one last; none: it alone
        self.turn = None  # the name of the build that is measured now
        self.compared = {}  # of one case, by its tables: the rows of all turns
        self.result = {"command": " ".join(sys.argv), "machine": measure.machine(ROOT),
                       "rounds": self.rounds, "seconds": self.seconds, "cases": {}}
        self.path = os.path.join(self.folder, "result-%s.json" % time.strftime("%Y%m%d-%H%M%S"))

    @functools.cached_property
    def peers(self):
        """etcd and ZooKeeper, from the first case on that asks for them."""
        if not self.with_peers:
            return []
        import peers
        return [self.stack.enter_context(peer) for peer in peers.make(self.folder)]

    @property
    def duration(self):
        return "%ds" % self.seconds

    @staticmethod
    def say(text):
        print(text, file=sys.stderr, flush=True)

    def run(self, case):
        """A case. To compare builds, each of them in turn in every round, with replicas of its own.
        Returns whether all of it could be measured."""
        if not self.builds:
            return self.attempt(case)
        done, rounds = True, self.rounds
        self.rounds, self.compared = 1, {}
        for number in range(rounds):
            for self.turn, cluster.MUSTERD in self.builds.items():
                self.say("  round %d, %s" % (number + 1, self.turn))
                done = self.attempt(case) and done
        self.rounds, self.turn = rounds, None
        for name, table in self.compared.items():
            joined = {build: {variant: measure.join(measured) for variant, measured in rows.items()}
                      for build, rows in table["builds"].items()}
            self.save(name, {"title": table["title"], "builds": joined})
            print(measure.table_of_builds("%s (%s)" % (table["title"], name), joined,
                                          table["columns"]), flush=True)
        return done

    def attempt(self, case):
        try:
            case(self)
            return True
        except ERRORS as error:
            self.say("  FAILED: %s" % error)
            return False

    def alternate(self, case, title, variants, columns, compared="per_second"):
        """Measures each variant in turn, round by round, so that what else the machine does falls
        on all of them alike."""
        rounds = {name: [] for name in variants}
        for number in range(self.rounds):
            for name, run in variants.items():
                figures = run()
                rounds[name].append(figures)
                self.say("  round %d, %s: %s" % (number + 1, name,
                                                 measure.short(figures.get(compared))))
        self.add(case, title, rounds, columns, compared)

    def add(self, case, title, rounds, columns, compared="per_second"):
        if self.turn:
            table = self.compared.setdefault(case, {
                "title": title, "columns": columns, "builds": {name: {} for name in self.builds}})
            for variant, measured in rounds.items():
                table["builds"][self.turn].setdefault(variant, []).extend(measured)
            return
        joined = {name: measure.join(measured) for name, measured in rounds.items()}
        self.save(case, {"title": title, "variants": joined})
        print(measure.table("%s (%s)" % (title, case), joined, columns, compared), flush=True)

    def save(self, case, figures):
        self.result["cases"][case] = figures
        measure.save(self.path, self.result)


def parse(names):
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=(
        "Measures three replicas on this machine. It never passes or fails on speed."))
    parser.add_argument("--quick", action="store_true", help="each case once, short and small")
    parser.add_argument("--with-peers", action="store_true",
                        help="other registries beside it (installs them)")
    parser.add_argument("--before", action="append", default=[], metavar="COMMIT|MUSTERD", help=(
        "measure each case with a build of this commit, or with this program, and with the present"
        " build, in turn in every round; can be repeated"))
    parser.add_argument("--only", metavar="CASE[,CASE]", help="of: " + ", ".join(names))
    parser.add_argument("--rounds", type=int, help="how often each variant is measured [5]")
    parser.add_argument("--seconds", type=int, help="how long each time [5]")
    parser.add_argument("--folder", default=os.environ.get(
        "BENCH_DIR", os.path.join(ROOT, "build", "bench")),
        help="for data and results, on the disk to be measured [BENCH_DIR, build/bench]")
    options = parser.parse_args()
    chosen = options.only.split(",") if options.only else names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error("no such case: %s" % ", ".join(unknown))
    if options.before and options.with_peers:
        parser.error("--before and --with-peers do not go together")
    return options, chosen


def main():
    known = {case.__name__: case for case in cases.CASES + cases_life.CASES +
             cases_watch.CASES + cases_dns.CASES + cases_grpc.CASES + cases_zmq.CASES +
             cases_consul.CASES + cases_checks.CASES}
    options, chosen = parse(list(known))
    # No proxy, no setting of etcd or of Java from the outside.
    cluster.forget_environment()
    bench = Bench(options)
    # What runs is ended and removed on the way out.
    signal.signal(signal.SIGINT, systems.Interrupts.handle)
    signal.signal(signal.SIGTERM, systems.Interrupts.handle)
    os.makedirs(bench.folder, exist_ok=True)
    if options.before:
        try:
            bench.builds = builds.find(bench.folder, options.before)
        except ERRORS as error:
            sys.exit("--before %s: %s" % (", ".join(options.before), error))
    print("## %(cores)d x %(cpu)s, Linux %(kernel)s, commit %(commit)s,"
          " load before %(load_before).2f" % bench.result["machine"])
    failed = []
    with bench.stack:
        for name in chosen:
            bench.say("%s %s" % (time.strftime("%H:%M:%S"), name))
            if not bench.run(known[name]):
                failed.append(name)
    bench.say("figures in %s" % bench.path)
    if failed:
        bench.say("not measured: %s" % ", ".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
