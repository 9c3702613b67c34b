"""Many concurrent clients that register until the cluster is full, and the checks then."""
import http.client
import itertools
import json
import os
import shutil
import subprocess
import threading
import time

from cluster import MUSTER, await_true, clean_environment

FIELDS = {"name": "web", "host": "h", "port": 1, "ttl": 36000}


class Filler:
    """All registrations have the same size, so one requested after a refusal must be refused, too."""

    def __init__(self, replicas, prefix, clients=64, tags=20):
        self.replicas = list(replicas)
        self.prefix = prefix
        self.metadata = {"k%02d" % n: "v" * 500 for n in range(tags)}
        self.accepted = []  # (asked at, index)
        self.refused = []  # answered at
        self.odd = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                         for n in range(clients)]

    def body(self, id):
        return {"id": id, "metadata": self.metadata, **FIELDS}

    def fill(self, within_s):
        """Until every client was refused."""
        deadline = time.monotonic() + within_s
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        assert not any(t.is_alive() for t in self._threads), "not full within %d s" % within_s
        assert not self.odd, self.odd[:5]
        assert len(self.refused) == len(self._threads)
        late = [a for a in self.accepted if a[0] > min(self.refused)]
        assert not late, "taken after others were refused: %s" % late[:5]
        return self

    def _run(self, number):
        replica = self.replicas[number % len(self.replicas)]
        connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=60)
        while True:
            text = json.dumps(self.body("%s-%07d" % (self.prefix, next(self._numbers))))
            again = False
            while True:
                asked = time.monotonic()
                connection.request("POST", "/register", text, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                told = json.loads(answer.read())
                if answer.status not in (503, 504):
                    break
                again = True  # too busy, or perhaps done: retry
                time.sleep(0.05)
            with self._lock:
                if answer.status == 507 and told["error"] == "full":
                    self.refused.append(time.monotonic())
                    break
                if answer.status == 201 or (again and answer.status == 200):
                    self.accepted.append((asked, told["index"]))
                else:
                    self.odd.append((answer.status, told))
                    break
        connection.close()


def state(replica):
    return replica.health()["state"]


def wait_bound(cluster, most):
    await_true("a bound of %d" % most,
               lambda: {state(r)["bytes_max"] for r in cluster.running()} == {most})


def check_full(cluster, filler, most, count, within_s=60):
    """All are equal, full, have all that was acknowledged, and refuse one more."""
    cluster.wait_same_state(within_s)
    states = [state(r) for r in cluster]
    one = states[0]["bytes"] / count
    assert len({s["bytes"] for s in states}) == 1, states
    assert most - 2 * one < states[0]["bytes"] <= most, (states[0], most, one)
    for number, replica in enumerate(cluster):
        got = replica.post("/register", filler.body("%s-more-%02d" % (filler.prefix, number)))
        assert (got.status, got.json["error"]) == (507, "full"), got
        services = {s["name"]: s["instances"] for s in replica.get("/services").json["services"]}
        assert services == {FIELDS["name"]: count}
        assert replica.post("/heartbeat", {"id": "%s-0000000" % filler.prefix}).json["renewed"] == 1
    return cluster.wait_same_state(within_s)


def check_counted(replica, path):
    """The counted size is within 1 % of a snapshot's; returns both. `path` must not exist."""
    subprocess.run([MUSTER, "--server", replica.url, "backup", path], check=True, timeout=300,
                   stdout=subprocess.DEVNULL, env=clean_environment())
    counted, stored = state(replica)["bytes"], os.path.getsize(path)
    os.unlink(path)
    assert abs(stored - counted) < counted / 100, (stored, counted)
    return counted, stored


def live_a_life(cluster, folder, most, raised, within_s):
    """Fills it, restarts it, sends it to an emptied follower, raises the bound while it runs, and fills it again.
    Yields a description after each step."""
    wait_bound(cluster, most)
    first = Filler(cluster, "first").fill(within_s)
    count = len(first.accepted)
    full = check_full(cluster, first, most, count, within_s)
    yield "filled by %d instances, state %s" % (count, full[1])
    yield "counted %d bytes, a snapshot has %d" % check_counted(cluster[0], os.path.join(folder, "first"))
    for replica in cluster:
        assert replica.stop() == 0
    cluster.start()
    check_full(cluster, first, most, count, within_s)
    yield "restarted, and still full"
    follower = cluster.followers()[0]
    follower.kill()
    shutil.rmtree(follower.data)
    follower.start().wait_ready(within_s)
    assert follower.metric("snapshots_installed_total") == 1
    check_full(cluster, first, most, count, within_s)
    yield "sent to an emptied follower, and still full"
    got = follower.post("/cluster/state-bytes?bytes=%d" % raised, None)
    assert got.status == 200 and got.json["bytes_max"] == raised, got
    wait_bound(cluster, raised)
    second = Filler(cluster, "later").fill(within_s)
    count += len(second.accepted)
    check_full(cluster, second, raised, count, within_s)
    yield "raised while it runs, and filled again: %d instances" % count
    yield "counted %d bytes, a snapshot has %d" % check_counted(cluster[0], os.path.join(folder, "second"))
