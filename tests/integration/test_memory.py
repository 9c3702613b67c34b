"""However many clients read slowly, and whatever they request: responses use a bounded share of memory,
equal ones are in memory once, and all of it is freed."""
import contextlib
import socket

import pytest

from cluster import Cluster, await_true, sanitized

MIB = 1 << 20
ANSWERS_MAX = 256 * MIB
BODIES_MAX = 64 * MIB
INSTANCES = 100
LARGE = {"k%02d%s" % (i, "x" * 100): "v" * 500 for i in range(60)}
READERS = 200


@pytest.fixture(name="replica", scope="module")
def large_replica():
    """One replica, with a service whose listing is almost 4 MB."""
    with Cluster(1, ["--ttl", "1h"]) as cluster:
        replica = cluster.start()[0]
        for i in range(INSTANCES):
            replica.register("big", "big-%03d" % i, metadata=LARGE)
        yield replica


def rss(replica):
    with open("/proc/%d/status" % replica.process.pid, encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


@contextlib.contextmanager
def slow_readers(replica, targets):
    """Clients that read only the first line of the response. Returns their statuses."""
    with contextlib.ExitStack() as open_ones:
        readers = []
        for target in targets:
            reader = open_ones.enter_context(socket.socket())
            reader.settimeout(30)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", replica.http_port))
            reader.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
            readers.append(reader)
        yield [int(reader.recv(12)[9:]) for reader in readers]


def await_given_back(replica, before):
    await_true("the memory of the answers is not counted any more",
               lambda: replica.metric("http_answers_bytes") == 0)
    if not sanitized():
        await_true("the memory is the system's again", lambda: rss(replica) < before + 32 * MIB)


@pytest.mark.parametrize("target", ["/services/big", "/instances", "/services/big?limit=100",
                                    "/instances?meta.k00%s=%s" % ("x" * 100, "v" * 500)])
def test_many_slow_readers_of_the_same_hold_it_once(replica, target):
    size = len(replica.get(target).body)
    assert size > 3 * MIB
    before = rss(replica)
    with slow_readers(replica, [target] * READERS) as statuses:
        assert set(statuses) == {200}
        # At most once per thread.
        assert size <= replica.metric("http_answers_bytes") <= 3 * size
        if not sanitized():
            assert rss(replica) < before + 64 * MIB
    await_given_back(replica, before)


def test_the_kernel_holds_little_of_what_slow_readers_do_not_read(replica):
    def unsent():
        with open("/proc/net/tcp", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        return [int(row[4].split(":")[0], 16) for row in rows
                if row[1].endswith(":%04X" % replica.http_port) and row[3] == "01"]
    with slow_readers(replica, ["/services/big"] * 50):
        queues = unsent()
        assert len(queues) >= 50
        assert max(queues) < MIB


def test_slow_readers_of_versions_that_are_past_hold_no_more_than_allowed(replica):
    def change_and_ask():
        for i in range(READERS):
            if i % 2 == 0:
                replica.register("big", "big-000", port=1000 + i,
                                 metadata=LARGE)
            yield "/services/big"
    before = rss(replica)
    with slow_readers(replica, change_and_ask()) as statuses:
        held = replica.metric("http_answers_bytes")
        assert ANSWERS_MAX / 2 < held < ANSWERS_MAX + 16 * MIB
        assert set(statuses) == {200, 503}
    await_given_back(replica, before)


def test_answers_over_the_total_are_refused_and_small_and_vital_ones_are_not(replica):
    before, refused = rss(replica), replica.metric("http_memory_refused_total")
    targets = ["/instances?limit=%d" % (100 + i) for i in range(READERS)]
    with slow_readers(replica, targets) as statuses:
        assert statuses.count(200) * 3 * MIB < ANSWERS_MAX
        assert statuses.count(503) == READERS - statuses.count(200) > 0
        assert replica.metric("http_memory_refused_total") - refused == statuses.count(503)
        answer = replica.get("/instances")
        assert answer.status == 503
        assert answer.json["error"] == "overloaded"
        assert answer.headers["Retry-After"] == "1"
        assert replica.get("/services").status == 200
        assert replica.get("/health").status == 200
        replica.register("small")
    await_given_back(replica, before)
    assert replica.get("/instances").status == 200


def test_bodies_that_are_being_received_hold_no_more_than_allowed(replica):
    whole = {"ids": ["x%0200d" % i for i in range(4000)]}
    head = (b"POST /heartbeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n")
    before = rss(replica)
    assert replica.request("POST", "/heartbeat", whole).status == 200
    with contextlib.ExitStack() as open_ones:
        for _ in range(READERS):
            sender = open_ones.enter_context(socket.create_connection(
                ("127.0.0.1", replica.http_port), timeout=30))
            sender.sendall(head + b" " * 900000)
        await_true("so many are refused", lambda: replica.metric("http_bodies_bytes") > BODIES_MAX / 2)
        answer = replica.request("POST", "/heartbeat", whole)
        assert answer.status == 503
        assert answer.json["error"] == "overloaded"
        assert replica.metric("http_bodies_bytes") <= BODIES_MAX
        replica.register("small")
        if not sanitized():
            assert rss(replica) < before + BODIES_MAX + 64 * MIB
