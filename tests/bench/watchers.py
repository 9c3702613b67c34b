"""Watchers of anything that answers with an endless HTTP body: many connections in one thread, the
same for every system, so that what they cost is the same, too."""
import json
import resource
import select
import socket
import statistics
import time
import urllib.request

CONNECT_WITHIN_S = 120
TOLD_WITHIN_S = 60
DRAIN_BYTES = 65536


class Watchers:
    """Connections over all addresses in turn, each with its request sent and its first bytes read."""

    def __init__(self, addresses, request, count):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.epoll = select.epoll()
        self.sockets = {}
        self.greeted = False
        try:
            for number in range(count):
                opened = socket.create_connection(addresses[number % len(addresses)], 30)
                opened.sendall(request)
                opened.setblocking(False)
                self.sockets[opened.fileno()] = opened
                self.epoll.register(opened.fileno(), select.EPOLLIN)
                if number % 100 == 99:
                    self.drain()
            self._await_all(CONNECT_WITHIN_S)
            # What comes after the greeting of the last ones.
            time.sleep(0.2)
            self.drain()
        except BaseException:
            self.close()
            raise

    def close(self):
        for opened in self.sockets.values():
            opened.close()
        self.epoll.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self, number):
        try:
            if self.sockets[number].recv(DRAIN_BYTES) == b"":
                raise RuntimeError("a watcher's connection was closed")
        except BlockingIOError:
            pass

    def drain(self):
        for number, _ in self.epoll.poll(0, max(1, len(self.sockets))):
            self._read(number)

    def _await_all(self, within_s):
        """Until each has been sent something; those that were already have nothing to read."""
        waiting = set(self.sockets)
        deadline = time.monotonic() + within_s
        while waiting:
            got = self.epoll.poll(0.5, len(self.sockets))
            for number, _ in got:
                self._read(number)
                waiting.discard(number)
            if not got and not self.greeted:
                break  # the others were greeted while the last ones were connected
            if time.monotonic() > deadline:
                raise RuntimeError("%d watchers were told nothing" % len(waiting))
        self.greeted = True

    def tell(self, write):
        """Seconds from the acknowledgement of the write, and from its beginning, until the last
        watcher has read what it was told."""
        began = time.monotonic()
        write()
        acknowledged = time.monotonic()
        self._await_all(TOLD_WITHIN_S)
        told = time.monotonic()
        return told - acknowledged, told - began


def measured(addresses, request, count, write, seconds):
    """Figures of writes one after the other, two a second."""
    after, whole = [], []
    with Watchers(addresses, request, count) as watchers:
        deadline = time.monotonic() + max(seconds, 1)
        while time.monotonic() < deadline or len(after) < 3:
            told = watchers.tell(write)
            after.append(told[0] * 1000)
            whole.append(told[1] * 1000)
            time.sleep(0.2)
            watchers.drain()
    after.sort()
    return {"last p50": statistics.median(after), "last p99": after[-1],
            "whole p50": statistics.median(whole), "writes": len(after)}


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as got:
        return json.load(got)
