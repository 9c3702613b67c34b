"""Replicas whose file calls kill them, or fail: faults.c, preloaded.

    plan = faults.plan(replica, at=3, do="kill", after="snapshot.received")
    replica.start()
    ...
    plan.calls()   what was counted
    plan.forget()  the next start is an ordinary one
"""
import itertools
import os
import subprocess

from cluster import clean_environment

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults.c")


class Plan:
    def __init__(self, replica, folder, settings):
        self.replica = replica
        self.armed = os.path.join(folder, "armed")
        self.log = os.path.join(folder, "calls")
        replica.environment = {**settings, "FAULT_DIR": replica.data, "FAULT_ARMED": self.armed,
                               "FAULT_LOG": self.log}

    def arm(self):
        with open(self.armed, "w", encoding="ascii"):
            return self

    def calls(self):
        """(call, name of its file) of each counted call."""
        try:
            with open(self.log, encoding="ascii") as file:
                return [tuple(line.split()[1:]) for line in file]
        except FileNotFoundError:
            return []

    def forget(self):
        self.replica.environment = {}


class Faults:
    def __init__(self, folder):
        self.folder = str(folder)
        self.library = os.path.join(self.folder, "faults.so")
        self.numbers = itertools.count()
        subprocess.run(["cc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-o", self.library, SOURCE,
                        "-ldl"], check=True, timeout=60, env=clean_environment())

    def plan(self, replica, at=0, do="kill", after="", on="", name="", times=1):
        """The at-th call kills the process (`do`: instead of the call; late: after it), or it and
        `times` - 1 more fail with EIO or ENOSPC, or are slow. Counts the calls in `on` (empty: all) on
        files whose names contain `name`, from the creation of a file whose name contains `after`, or
        from arm()."""
        folder = os.path.join(self.folder, str(next(self.numbers)))
        os.mkdir(folder)
        asan = os.environ.get("ASAN_OPTIONS", "")
        return Plan(replica, folder, {
            "LD_PRELOAD": self.library,
            # The library is loaded before the sanitizer's, which allows it here.
            "ASAN_OPTIONS": asan + (":" if asan else "") + "verify_asan_link_order=0",
            "FAULT_AT": str(at), "FAULT_DO": do, "FAULT_AFTER": after,
            "FAULT_ON": "".join(" %s " % call for call in on.split()),
            "FAULT_NAME": name, "FAULT_TIMES": str(times)})


def turning_points(calls):
    """Numbers of the calls worth crashing at: of a run of similar calls, the ends and one in
    between."""
    found, at = [], 1
    for _, run in itertools.groupby(calls):
        length = len(list(run))
        found += sorted({at, at + length // 2, at + length - 1})
        at += length
    return found
