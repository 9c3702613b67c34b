"""Event streams as a client reads them (server-sent events), and clients that follow one at any
replica. Standard library only."""
import http.client
import json
import random
import socket
import threading
from urllib.parse import urlencode

GONE = ("deregistered", "reaped")


class Ended(Exception):
    """The replica ended the stream, or died."""


class Stream:
    """One connection. Iterating gives (id or None, event, data); a bookmark has the event None."""

    def __init__(self, port, query=None, last_id=None, timeout=5, receive_bytes=None,
                 headers=None, tls=None):
        self.connection = (http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls) if tls
                           else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout))
        if receive_bytes is not None:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self.connection.sock.settimeout(timeout)
            self.connection.sock.connect(("127.0.0.1", port))
        headers = {"Accept": "text/event-stream", **(headers or {})}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        path = "/events" + ("?" + urlencode(query, doseq=True) if query else "")
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.connection.close()

    def __iter__(self):
        return self

    def _line(self):
        try:
            line = self.answer.readline()
        except (http.client.HTTPException, ConnectionError) as broken:
            raise Ended(str(broken)) from None
        if not line.endswith(b"\n"):
            raise Ended("cut within a line" if line else "in order")
        return line[:-1].decode("utf-8")

    def __next__(self):
        id = event = data = None
        while True:
            line = self._line()
            field, _, value = line.partition(": ")
            if line == "":
                if data is not None:
                    return id, event, json.loads(data)
                if id is not None:
                    return id, None, None
            elif line.startswith(":"):
                self.comments += 1
            elif field == "id":
                id = value
            elif field == "event":
                event = value
            elif field == "data":
                data = value

    def until(self, wanted):
        """Everything up to and including the first event of that kind."""
        got = []
        for id, event, data in self:
            got.append((id, event, data))
            if event == wanted:
                return got


class Follower(threading.Thread):
    """Follows a stream through the replicas, hopping at random, and records what it receives: `events`
    as (id, kind), and with snapshot a `copy` of the present instances."""

    def __init__(self, replicas, seed, query, last_id=None):
        super().__init__(daemon=True)
        self.ports = [r.http_port for r in replicas]
        self.random = random.Random(seed)
        self.query = query
        self.last_id = last_id
        self.events = []
        self.copy = {}
        self.hops = 0
        self.resets = 0
        self.synced = False
        self.quit = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.quit.set()
        self.join(10)

    def run(self):
        while not self.quit.is_set():
            self.hops += 1
            try:
                with Stream(self.random.choice(self.ports), self.query, self.last_id, 2) as stream:
                    if stream.status == 200:
                        self._read(stream, self.random.expovariate(1 / 40))
                    else:
                        assert stream.status == 503, stream.status
            except (Ended, OSError, http.client.HTTPException):
                self.quit.wait(0.05)

    def _read(self, stream, most):
        """Some events, then another replica; leaves a silent stream after the time-out."""
        if self.last_id is None:
            self.copy, self.synced = {}, False
        for id, event, data in stream:
            if event is not None:
                self._take(id, event, data)
                most -= 1
            if id is not None:
                self.last_id = id
            if most < 0 or self.quit.is_set():
                return

    def _take(self, id, event, data):
        if event == "reset":
            self.resets += 1
            self.copy, self.synced = {}, False
        elif event == "synced":
            self.synced = True
        else:
            instance = data["instance"]
            if event in GONE:
                self.copy.pop(instance["id"], None)
            else:
                self.copy[instance["id"]] = instance
            if event != "present":
                self.events.append((id, event))
