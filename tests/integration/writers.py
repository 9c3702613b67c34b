"""Clients that write continuously and record exactly what was acknowledged."""
import http.client
import json
import threading
import time


class Writers:
    """Threads that register instances through replicas, moving on to the next one on any failure.

    `acknowledged` maps an id to the port that it was registered with, for every 2xx received.
    """

    def __init__(self, replicas, threads=4, padding=0, prefix="w"):
        self.ports = [r.http_port for r in replicas]
        self.acknowledged = {}
        self.times = []  # times of acknowledgement
        self.refused = set()  # ids answered with 503: surely not done
        self.unknown = 0
        self.odd = []  # unexpected answers
        self.padding = padding
        self.prefix = prefix
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                         for n in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def count(self):
        with self._lock:
            return len(self.acknowledged)

    def largest_gap_s(self, since):
        """The longest time without an acknowledgement, among those after `since`."""
        with self._lock:
            moments = [since] + sorted(t for t in self.times if t >= since)
        return max((b - a for a, b in zip(moments, moments[1:])), default=float("inf"))

    def _run(self, number):
        target, sequence = number, 0
        connection = None
        while not self._stop.is_set():
            if connection is None:
                port = self.ports[target % len(self.ports)]
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            id = "%s-%d-%d" % (self.prefix, number, sequence)
            value = 1 + sequence % 65535
            sequence += 1
            try:
                status, body = self._register(connection, id, value)
            except (OSError, http.client.HTTPException):
                status, body = None, None
            with self._lock:
                if status in (200, 201):
                    self.acknowledged[id] = value
                    self.times.append(time.monotonic())
                    continue
                if status == 504 or status is None:
                    self.unknown += 1
                elif status == 503:
                    self.refused.add(id)
                else:
                    self.odd.append((status, body))
            connection.close()
            connection = None
            target += 1
            time.sleep(0.01)
        if connection is not None:
            connection.close()

    def _register(self, connection, id, value):
        metadata = {"pad%d" % n: "x" * 500 for n in range(self.padding)}
        body = json.dumps({"id": id, "name": "load", "host": "10.0.0.1", "port": value,
                           "ttl": 3600, "metadata": metadata})
        connection.request("POST", "/register", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


class Heartbeater:
    """Keeps instances alive through any of the replicas, like a good client: a short time-out, then
    the next replica."""

    def __init__(self, replicas, ids, every_s=1.0):
        self.ports = [r.http_port for r in replicas]
        self.ids = ids
        self.every_s = every_s
        self.lost = []  # ids reported as unknown
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)

    def _run(self):
        target = 0
        while not self._stop.is_set():
            port = self.ports[target % len(self.ports)]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.8)
            try:
                connection.request("POST", "/heartbeat", json.dumps({"ids": self.ids}),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status == 200:
                    self.lost += json.loads(body)["unknown"]
                    self._stop.wait(self.every_s)
                    continue
            except (OSError, http.client.HTTPException, ValueError):
                pass
            finally:
                connection.close()
            target += 1
            self._stop.wait(0.05)
