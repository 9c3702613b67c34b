"""libmuster in a process of its own, driven line by line (libmuster_driver.c)."""
import os
import queue
import subprocess
import threading

from cluster import ALARMS, BIN, clean_environment

DRIVER = os.path.join(BIN, "libmuster_driver")
(OK, INVALID, NO_MEMORY, SYSTEM, TOO_MANY, FORKED, NOT_FOUND, REFUSED, UNREACHABLE, UNKNOWN,
 TIMED_OUT) = range(11)
PENDING, REGISTERED, DOUBTFUL, DENIED = range(4)
RANDOM, FIRST, ROUND_ROBIN, WEIGHTED = range(4)
PASSING, WARNING, CRITICAL, MAINTENANCE = range(4)
PRESENT, SYNCED, ADDED, UPDATED, HEALTH, REMOVED = range(6)


class Driver:
    def __init__(self, servers, fallback="-", environment=None, command=(), options=()):
        self.process = subprocess.Popen(
            [*command, DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", errors="surrogateescape",
            env=clean_environment(environment))
        self.answers = queue.Queue()
        self.changes = []  # [change, id, health]
        self.states = []   # (id, state, why)
        self.log = []      # (level, line)
        self.errors = []
        self.readers = [threading.Thread(target=self.read, daemon=True),
                        threading.Thread(target=self.read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()
        assert self("open", ",".join(servers) or "-", fallback, *options) == [OK]

    def read(self):
        for line in self.process.stdout:
            if line[0] == "+":
                change, id, health = line[1:].split()
                self.changes.append((int(change), id, int(health)))
            elif line[0] == "!":
                id, state, why = line[1:].rstrip("\n").split(" ", 2)
                self.states.append((id, int(state), why))
            elif line[0] == "#":
                self.log.append(tuple(line[1:].rstrip("\n").split(" ", 1)))
            else:
                self.answers.put(line)
        self.answers.put(None)

    def read_errors(self):
        self.errors.extend(self.process.stderr)

    def send(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()

    def receive(self, within_s=120):
        line = self.answers.get(timeout=within_s)
        assert line is not None, "the driver has ended:\n" + "".join(self.errors)
        error, *rest = line.split()
        return [int(error), *rest]

    def __call__(self, *words):
        self.send(*words)
        return self.receive()

    def discover(self, service, strategy=RANDOM, timeout_ms=5000):
        """(error, id, age in ms, from the fallback)"""
        error, *rest = self("discover", service, strategy, timeout_ms)
        return (error, rest[0], int(rest[3]), rest[4] == "1") if error == OK else (error,)

    def list(self, service, timeout_ms=5000):
        """Health by id."""
        error, *rest = self("list", service, timeout_ms)
        assert error == OK, error
        return {id: int(health) for id, health in (r.rsplit("=", 1) for r in rest[1:])}

    def query(self, service, timeout_ms=5000, **filters):
        """The id of the first match; None if there is none."""
        error, *rest = self("query", service, timeout_ms, *("%s=%s" % f for f in filters.items()))
        assert error in (OK, NOT_FOUND), error
        return rest[0] if error == OK else None

    def close(self, timeout_ms=20000):
        """Closes the client and the process, which must not have reported any error."""
        assert self("close", timeout_ms) == [OK]
        self.process.stdin.close()
        status = self.process.wait(60)
        self.readers[1].join(10)
        errors = "".join(self.errors)
        assert status == 0 and not ALARMS.search(errors), (status, errors)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
