"""What strangers can make the ZeroMQ door hold: connections, parts of messages, subscriptions,
answers that nobody reads."""
import os
import socket
import struct
import time

import pytest

from cluster import await_true, sanitized

zmq = pytest.importorskip("zmq", reason="python3-zmq is not installed")

from zmq_ports import GREETING, Talker, alone, command, frame, ready  # noqa: E402

MORE = 1
# A sanitizer keeps what was freed for a while.
GROWTH_MAX = (64 if sanitized() else 16) << 20


class Raw:
    """A connection that speaks ZMTP byte by byte."""

    def __init__(self, port, type=b"DEALER"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.sendall(GREETING + ready(type))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def is_closed(self, within_s=10):
        self.socket.settimeout(within_s)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except socket.timeout:
            return False
        except OSError:
            return True

    def until(self, part):
        got = b""
        while part not in got:
            some = self.socket.recv(65536)
            assert some, got
            got += some
        return got


def resident(replica):
    with open("/proc/%d/statm" % replica.process.pid, encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def processor_s(replica):
    with open("/proc/%d/stat" % replica.process.pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(replica):
    return len(os.listdir("/proc/%d/fd" % replica.process.pid))


def test_thousands_of_connections_are_bounded_and_http_goes_on(make_cluster):
    replica = alone(make_cluster, "--zmq-connections", "100")
    with Talker(replica.zmq.requests) as t:
        assert t.ask("health")["success"]
        before = descriptors(replica)
        crowd = []
        for n in range(3000):
            s = socket.socket()
            s.connect(("127.0.0.1", (replica.zmq.requests, replica.zmq.events)[n % 2]))
            crowd.append(s)
            if len(crowd) == 500:
                assert descriptors(replica) <= before + 110
                assert replica.get("/health/ready").status == 200
                while len(crowd) > 200:
                    crowd.pop(0).close()
        assert replica.metric("zmq_connections_max") == 100
        assert replica.metric("zmq_connections_refused_total") > 1000  # some were gone before they were looked at
        assert t.ask("health")["success"]  # one who is there already is served
        await_true("the silent are cut off", lambda: replica.metric("zmq_connections") <= 1)
        used = processor_s(replica)
        time.sleep(1)
        assert processor_s(replica) - used < 0.5  # with all of them still open at their ends
        with Talker(replica.zmq.requests) as new:
            assert new.ask("health")["success"]
        for s in crowd:
            s.close()


def test_one_address_leaves_connections_to_others(make_cluster):
    replica = alone(make_cluster, "--zmq-connections", "40")
    crowd = [Raw(replica.zmq.requests) for _ in range(60)]
    await_true("30 are there", lambda: replica.metric("zmq_connections") == 30)
    with socket.create_connection(("127.0.0.1", replica.zmq.requests), 5, ("127.0.0.2", 0)) as other:
        assert other.recv(10) == GREETING[:8] + b"\x01\x7f"
    for c in crowd:
        c.socket.close()


@pytest.mark.parametrize("size", [1, 60000])
@pytest.mark.parametrize("port", ["requests", "events"])
def test_a_message_without_an_end_is_cut_off_with_bounded_memory(make_cluster, size, port):
    replica = alone(make_cluster)
    before = resident(replica)
    part = frame(b"x" * size, MORE)
    for _ in range(20):
        with Raw(getattr(replica.zmq, port), {"requests": b"DEALER", "events": b"SUB"}[port]) as raw:
            with pytest.raises(OSError):
                for _ in range((64 << 20) // len(part)):
                    raw.socket.sendall(part)
    await_true("all are cut off", lambda: replica.metric("zmq_connections") == 0)
    assert replica.metric("zmq_connections_cut_total") >= 20
    assert replica.metric("zmq_unread_bytes") == 0
    assert resident(replica) - before < GROWTH_MAX


def test_messages_of_many_that_are_not_complete_share_a_budget(make_cluster):
    replica = alone(make_cluster, "--zmq-connections", "1000")
    part = frame(b"x" * 60000, MORE)
    crowd = [Raw(replica.zmq.requests) for _ in range(600)]
    for raw in crowd:
        try:
            raw.socket.sendall(part)
        except OSError:
            pass
    assert replica.metric("zmq_unread_bytes") <= 32 << 20
    await_true("some are cut off", lambda: replica.metric("zmq_connections_cut_total") > 0)
    with Talker(replica.zmq.requests) as t:
        assert t.ask("health")["success"]  # what is whole needs none of it
    for raw in crowd:
        raw.socket.close()
    await_true("it is free again", lambda: replica.metric("zmq_unread_bytes") == 0)


@pytest.mark.parametrize("sent", [b"", GREETING, GREETING + ready(b"DEALER") + frame(b"x", MORE)],
                         ids=["nothing", "a greeting", "a part of a message"])
def test_the_silent_are_cut_off(make_cluster, sent):
    replica = alone(make_cluster)
    with socket.create_connection(("127.0.0.1", replica.zmq.requests)) as s:
        s.sendall(sent)
        await_true("it is there", lambda: replica.metric("zmq_connections") == 1)
        await_true("it is cut off", lambda: replica.metric("zmq_connections") == 0, within_s=30)


def test_requests_may_come_byte_by_byte_with_pings_between_their_frames(make_cluster):
    replica = alone(make_cluster)
    with Raw(replica.zmq.requests) as raw:
        for byte in (frame(b"REQ", MORE) + command(b"PING", b"\0\0context") +
                     frame(b'{"action": "health"}')):
            raw.socket.sendall(bytes([byte]))
        assert command(b"PONG", b"context") in raw.until(b'"success":true')


@pytest.mark.parametrize("bad", [
    command(b"ERROR", b"\0"), command(b"PING", b"\0"), command(b"PING", b"\0\0" + b"x" * 17),
    b"\x04\x00", b"\x04\x02\x05x", b"\x80\x00", b"\x02" + struct.pack(">Q", 2**63)], ids=range(7))
def test_what_breaks_the_protocol_is_cut_off(make_cluster, bad):
    replica = alone(make_cluster)
    with Raw(replica.zmq.requests) as raw:
        raw.socket.sendall(bad)
        assert raw.is_closed()
    await_true("it is counted", lambda: replica.metric("zmq_connections_cut_total") == 1)


@pytest.mark.parametrize("type, port", [(b"SUB", "requests"), (b"DEALER", "events"),
                                        (b"PAIR", "requests"), (b"", "requests")])
def test_a_socket_of_the_wrong_kind_is_refused(make_cluster, type, port):
    replica = alone(make_cluster)
    with Raw(getattr(replica.zmq, port), type) as raw:
        assert raw.is_closed()


def test_subscriptions_are_bounded_and_end(make_cluster):
    replica = alone(make_cluster)
    with Raw(replica.zmq.events, b"SUB") as raw, Talker(replica.zmq.requests) as t:
        raw.until(b"PUB")
        raw.socket.sendall(frame(b"\x01reg") + frame(b"\x01dereg") + frame(b"\x00reg") +
                           command(b"SUBSCRIBE", b"exp") + command(b"CANCEL", b"exp") +
                           command(b"PING", b"\0\0"))
        raw.until(command(b"PONG", b""))
        id = t.register("web")
        t.ask("deregister", service_id=id)
        got = raw.until(b"service_info")
        assert got.startswith(frame(b"deregister", MORE))
        raw.socket.sendall(frame(b"\x01x") * 100)
        assert raw.is_closed()


def churn(replica, sockets, at_once=200):
    """Sockets under a few identities, some of them at the same time."""
    for first in range(0, sockets, at_once):
        some = [Talker(replica.zmq.requests, identity=b"client-%d" % ((first + n) % 150))
                for n in range(at_once)]
        for s in some:
            s.send(action="health")
        for s in some:
            assert s.receive()["success"]
        for s in some:
            s.socket.close()


def test_sockets_under_the_same_identities_leave_nothing(make_cluster, pytestconfig):
    replica = alone(make_cluster)
    with Talker(replica.zmq.requests) as t:
        assert t.ask("health")["success"]
        before = descriptors(replica)
        churn(replica, 10000 if pytestconfig.getoption("--long") else 1000)
        await_true("their connections are gone", lambda: replica.metric("zmq_connections") == 1,
                   within_s=30)
        assert descriptors(replica) <= before + 2
        assert t.ask("health")["success"]
