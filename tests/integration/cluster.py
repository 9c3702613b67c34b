"""Real musterd processes: started, broken and watched from outside, as an operator would.

    with Cluster(3) as cluster:
        cluster.start()
        cluster.leader().kill()

Standard library only.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from ports import free_ports

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("MUSTER_BIN", os.path.join(ROOT, "build", "debug")))
MUSTERD = os.path.join(BIN, "musterd")
MUSTER = os.path.join(BIN, "muster")

FATAL = 70  # exit status of a running replica that cannot go on safely
REMOVED = 3
READY_WITHIN_S = 30
STOP_WITHIN_S = 30
# Words that must not occur in any log.
ALARMS = re.compile(r"ERROR: (?:Address|Leak|Thread)Sanitizer|runtime error:|broken invariant"
                    r"|Assertion .* failed|double free|free\(\): |malloc\(\): |corrupted "
                    r"|stack smashing|stopping at once")


def await_true(what, condition, within_s=10, every_s=0.05):
    """Polls until `condition()` returns something true, and returns it; otherwise fails with `what`."""
    deadline = time.monotonic() + within_s
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() >= deadline:
            raise AssertionError("not within %g s: %s" % (within_s, what))
        time.sleep(every_s)


def read_line(process, within_s=30):
    """The next complete line that a process prints; "" if it ends first. A process silent for this
    long is killed."""
    timer = threading.Timer(within_s, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def has_ipv6():
    """Whether this machine has the address ::1."""
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
            return True
    except OSError:
        return False


# What is passed on from the environment: the paths of programs, and sanitizer options.
KEPT = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
        "UBSAN_OPTIONS")


def clean_environment(extra=None):
    """`extra`, and nothing else from the environment that could affect the test: no settings of
    Muster or of tools, no locale, no time zone, no proxy."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    kept.update(extra or {})
    return kept


def forget_environment():
    """The same for this process, and for children started without an environment."""
    own = ("MUSTER_BIN", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    for name in set(os.environ) - set(KEPT) - set(own):
        if not name.startswith("PYTEST_"):
            del os.environ[name]
    time.tzset()


def sanitized():
    """Whether the programs are built with a sanitizer."""
    with open(os.path.join(BIN, "CMakeCache.txt"), encoding="utf-8") as file:
        return bool(re.search(r"^MUSTER_SANITIZE:STRING=.+", file.read(), re.MULTILINE))


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return "<%d %s>" % (self.status, self.body[:300])


def request(port, method, path, body=None, headers=None, timeout=15, host="127.0.0.1", tls=None):
    """One HTTP request, over TLS if there is a context for it. A dict or list is sent as JSON, bytes
    as they are."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, bytearray)):
        body = json.dumps(body).encode("utf-8")
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    connection = (http.client.HTTPSConnection(host, port, timeout=timeout, context=tls) if tls else
                  http.client.HTTPConnection(host, port, timeout=timeout))
    try:
        connection.request(method, path, body=body, headers=headers)
        got = connection.getresponse()
        return Answer(got.status, got.headers, got.read())
    finally:
        connection.close()


class Replica:
    def __init__(self, cluster, number, http_port, peer_port, folder):
        self.cluster = cluster
        self.id = number
        self.http_port = http_port
        self.peer_port = peer_port
        self.folder = folder
        self.data = os.path.join(folder, "data-%d" % number)
        self.log_path = os.path.join(folder, "musterd-%d.log" % number)
        self.environment = {}  # in addition to the cluster's
        self.process = None
        self.paused = False
        self.joins = []  # URLs of replicas
        self.expected_ends = []  # lines of its log that would otherwise be alarms

    # --- life ---

    def command(self, *extra):
        if self.joins:
            return [MUSTERD, *(["--id", str(self.id)] if self.id else []), "--data", self.data,
                    "--http", "127.0.0.1:%d" % self.http_port,
                    "--peer", "127.0.0.1:%d" % self.peer_port,
                    "--join", ",".join(self.joins), *self.cluster.options, *extra]
        peer = [] if "--peer" in extra else ["--peer", "127.0.0.1:%d" % self.peer_port]
        http = [] if "--http" in extra else ["--http", "127.0.0.1:%d" % self.http_port]
        cluster = self.cluster.arguments(given="--cluster" in extra)
        return [MUSTERD, "--id", str(self.id), "--data", self.data, *http, *peer, *cluster, *extra]

    def start(self, *extra):
        assert not self.alive(), "replica %d runs already" % self.id
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(*extra), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment({**(self.cluster.environment or {}), **self.environment}))
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, within_s=READY_WITHIN_S):
        def ready():
            assert self.alive(), "replica %d ended with %s:\n%s" % (
                self.id, self.process.returncode, self.log()[-3000:])
            return self.is_ready()
        await_true("replica %d ready" % self.id, ready, within_s)
        return self

    def is_ready(self):
        try:
            return self.get("/health/ready", timeout=2).status == 200
        except OSError:
            return False

    def is_live(self):
        try:
            return self.get("/health/live", timeout=2).status == 200
        except OSError:
            return False

    def wait_exit(self, within_s=STOP_WITHIN_S):
        """Waits for the process to exit by itself, and returns its status."""
        return self.process.wait(within_s)

    def wait_fatal(self, within_s=STOP_WITHIN_S):
        """Waits for it to exit because it cannot go on safely; returns the reason."""
        return self.wait_end(FATAL, "stopping at once", within_s)

    def wait_removed(self, within_s=STOP_WITHIN_S):
        """Waits for it to exit because it is no longer a member; returns the reason."""
        return self.wait_end(REMOVED, "no longer a member", within_s)

    def wait_end(self, expected, words, within_s):
        status = self.wait_exit(within_s)
        lines = self.log().strip().splitlines()
        assert status == expected, (status, lines[-3:])
        self.expected_ends += [line for line in lines if words in line]
        assert self.expected_ends and "reason=" in self.expected_ends[-1], lines[-3:]
        return self.expected_ends[-1].partition("reason=")[2]

    def kill_at_its_end(self, seen):
        """Kills a replica that may have just begun to end by itself: what its log says of that since it
        was `seen` bytes long is no alarm."""
        self.kill()
        self.expected_ends += [line for line in self.log()[seen:].splitlines() if "stopping at once" in line]

    def alarm(self):
        """Alarms in its log, except the exits that a test has waited for."""
        lines = [line for line in self.log().splitlines() if line not in self.expected_ends]
        return ALARMS.search("\n".join(lines))

    def kill(self):
        """kill -9: nothing is flushed."""
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(STOP_WITHIN_S)
        self.paused = False

    def stop(self):
        """SIGTERM, and the exit status."""
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN_S)

    def pause(self):
        """Returns once every thread has stopped, which may take a moment."""
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True
        await_true("replica %d stands still" % self.id, self._stands_still, every_s=0.001)

    def _stands_still(self):
        folder = "/proc/%d/task" % self.process.pid
        try:
            for thread in os.listdir(folder):
                with open(os.path.join(folder, thread, "stat"), encoding="utf-8") as stat:
                    if stat.read().rpartition(")")[2].split()[0] not in "Tt":
                        return False
        except (FileNotFoundError, ProcessLookupError):
            return False  # a thread that ended meanwhile
        return True

    def resume(self):
        if self.paused and self.alive():
            self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    # --- HTTP ---

    def request(self, method, path, body=None, headers=None, timeout=15):
        return request(self.http_port, method, path, body, headers, timeout, tls=self.cluster.tls)

    def get(self, path, timeout=15):
        return self.request("GET", path, timeout=timeout)

    def post(self, path, body, timeout=15):
        return self.request("POST", path, body, timeout=timeout)

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.cluster.tls else "http", self.http_port)

    def health(self):
        return self.get("/health", timeout=5).json

    def state(self):
        """Index and hash of the registry, read atomically."""
        state = self.health()["state"]
        return state["index"], state["hash"]

    def metric(self, name):
        """The value of the metric `muster_<name>`, one without labels."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith("muster_%s " % name):
                return float(line.split()[1])
        raise AssertionError("no metric " + name)

    def is_leader(self):
        try:
            return self.health()["role"] == "leader"
        except (OSError, KeyError, ValueError):
            return False

    def register(self, name, id=None, **fields):
        """Registers, and returns the answer's JSON; fails if refused."""
        body = {"name": name, "host": "10.0.0.1", "port": 8080, **fields}
        if id is not None:
            body["id"] = id
        got = self.post("/register", body)
        assert got.status in (200, 201), got
        return got.json

    def instances(self):
        """All instances by id, whatever their number."""
        found, after = {}, ""
        while True:
            page = self.get("/instances?limit=10000" + after).json
            for instance in page["instances"]:
                found[instance["id"]] = instance
            if len(page["instances"]) < 10000:
                return found
            after = "&after=" + page["instances"][-1]["id"]

    def events(self):
        """All kept events, whatever their number."""
        found = []
        while True:
            after = "&after=" + found[-1]["id"] if found else ""
            page = self.get("/events?limit=10000" + after).json
            assert not (after and page["reset"]), "the events that come next are gone"
            found += page["events"]
            if len(page["events"]) < 10000:
                return found

    def instance_health(self, id):
        """Health of an instance; None if it does not exist."""
        got = self.get("/instances/" + id)
        return got.json["health"] if got.status == 200 else None


class Cluster:
    """Replicas of one cluster, with their data in a temporary folder."""

    def __init__(self, size=3, options=(), environment=None, data_root=None, tls=None):
        self.options = list(options)
        self.environment = environment
        self.tls = tls  # an ssl.SSLContext for clients; the options configure the replicas
        self.folder = tempfile.mkdtemp(prefix="muster-test-")
        ports = free_ports(2 * size)
        self.replicas = [Replica(self, n + 1, ports[2 * n], ports[2 * n + 1],
                                 data_root or self.folder) for n in range(size)]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.shut_down(show=kind is not None)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def arguments(self, given):
        """Options that all replicas share; their list of members, unless it is `given`."""
        found = list(self.options)
        first = [r for r in self.replicas if not r.joins]
        if len(first) > 1 and not given and "--cluster" not in found:
            found += ["--cluster", ",".join("%d=127.0.0.1:%d" % (r.id, r.peer_port)
                                            for r in first)]
        return found

    def add(self, number=0):
        """A replica that joins when it is started; `number` 0: the cluster chooses one. Until then it is
        known here by its position."""
        ports = free_ports(2)
        place = len(self.replicas) + 1
        replica = Replica(self, place, ports[0], ports[1], self.folder)
        replica.joins = [r.url for r in self.replicas]
        replica.id = number
        self.replicas.append(replica)
        return replica

    def start(self, wait=True):
        for replica in self.replicas:
            if not replica.alive():
                replica.start()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        for replica in self.replicas:
            if replica.alive():
                replica.wait_ready()

    def wait_acquainted(self):
        """Waits until each replica has heard from each member: only then does it know their URLs,
        versions and levels. A ready one need not have. Returns what they all say of the members."""
        def told():
            members = [m for r in self.running() for m in r.get("/cluster").json["members"]]
            return members if all(m["level_max"] > 0 for m in members) else None
        return await_true("all have told each other", told)

    def __getitem__(self, index):
        return self.replicas[index]

    def __iter__(self):
        return iter(self.replicas)

    def running(self):
        return [r for r in self.replicas if r.alive() and not r.paused]

    def leader(self, within_s=15):
        return await_true("a leader", lambda: next(
            (r for r in self.running() if r.is_leader()), None), within_s)

    def followers(self):
        leader = self.leader()
        return [r for r in self.running() if r is not leader]

    def wait_same_state(self, within_s=20):
        """Waits until all running replicas are at the same index; their hashes must then be equal.
        Returns that index and hash."""
        def same():
            states = [r.state() for r in self.running()]
            return states if len({index for index, _ in states}) == 1 else None
        states = await_true("all replicas at the same index", same, within_s)
        assert len({hash for _, hash in states}) == 1, states
        return states[0]

    # --- the end of a test ---

    def shut_down(self, show):
        """Stops all processes, which must succeed cleanly; no log may contain an alarm."""
        problems = []
        for replica in self.replicas:
            if replica.alive():
                try:
                    replica.resume()
                    replica.process.send_signal(signal.SIGTERM)
                except ProcessLookupError:
                    pass
        for replica in self.replicas:
            if replica.alive():
                try:
                    status = replica.process.wait(STOP_WITHIN_S)
                    if status != 0:
                        problems.append("replica %d exited with %d on SIGTERM" % (replica.id, status))
                except subprocess.TimeoutExpired:
                    replica.kill()
                    problems.append("replica %d did not stop within %d s of SIGTERM" %
                                    (replica.id, STOP_WITHIN_S))
        for replica in self.replicas:
            alarm = replica.alarm()
            if alarm:
                problems.append("replica %d: '%s' in its log" % (replica.id, alarm.group()))
        if show or problems:
            for replica in self.replicas:
                print("--- log of replica %d\n%s" % (replica.id, replica.log()[-8000:]))
        # A failed test has its own message, which these would hide.
        if problems and not show:
            raise AssertionError("; ".join(problems))
