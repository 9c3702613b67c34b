"""Watches of gRPC whose readers are slow: whole messages, and an end with a reason."""
import concurrent.futures
import re
import struct

import pytest

from cluster import BIN, await_true
from h2wire import (ACK, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS,
                    WINDOW_UPDATE, Wire, frame)

with open(BIN + "/CMakeCache.txt", encoding="utf-8") as cache:
    if re.search("MUSTER_(H2|GRPC):BOOL=OFF", cache.read()):
        pytest.skip("built without gRPC", allow_module_level=True)

grpc = pytest.importorskip("grpc")
from grpc_client import Client, m  # noqa: E402

FIELDS = (("content-type", "application/grpc"), ("te", "trailers"))
FILLER = {"k%d" % n: "v" * 400 for n in range(10)}
COUNT = 40  # of 4 KiB each: more than a window of HTTP/2
EVENTS = 2000  # more than grpcio keeps of what nobody reads


def message(request):
    body = request.SerializeToString()
    return struct.pack("!BI", 0, len(body)) + body


def replies(data):
    """The whole messages, and what is left."""
    found = []
    while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[1:5], "big"):
        end = 5 + int.from_bytes(data[1:5], "big")
        found.append(m.WatchReply.FromString(data[5:end]))
        data = data[end:]
    return found, data


def room(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def fill(replica, name):
    for n in range(COUNT):
        replica.register(name, "%s-%02d" % (name, n), metadata=FILLER)


def ids(name):
    return ["%s-%02d" % (name, n) for n in range(COUNT)]


class Watch:
    """Reads only what its windows let come, and gives none of them back by itself."""

    def __init__(self, replica, name, window):
        self.wire = Wire(replica.http_port, hello=False, timeout=60)
        self.wire.send(PREFACE + frame(SETTINGS, 0, 0, b"\0\4" + window.to_bytes(4, "big")))
        self.wire.ask(1, END_HEADERS, method="POST", path="/muster.v1.Registry/Watch", fields=FIELDS)
        self.wire.send(frame(DATA, END_STREAM, 1, message(m.WatchRequest(filter=m.Filter(service=name)))))
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()

    def take(self):
        """The next frame that counts: the size of a piece; how it ended: the trailers, or the code of a reset."""
        while True:
            kind, flags, stream, payload = self.wire.frame()
            if (kind, stream) == (DATA, 1):
                self.data += payload
                return len(payload)
            if (kind, stream) == (HEADERS, 1) and flags & END_STREAM:
                return self.wire.head
            if (kind, stream) == (RST_STREAM, 1):
                return {"reset": int.from_bytes(payload, "big")}
            if kind == PING and not flags & ACK:
                self.wire.send(frame(PING, ACK, 0, payload))

    def end(self):
        while not isinstance(got := self.take(), dict):
            pass
        return got

    def take_all(self):
        """What comes until nothing more does."""
        self.wire.socket.settimeout(1)
        try:
            while True:
                self.take()
        except TimeoutError:
            self.wire.socket.settimeout(60)


@pytest.mark.parametrize("window", [65535, 30000, 1000, 1])
def test_a_window_that_is_full_holds_whole_messages_and_loses_nothing(shared, name, window):
    """Messages that are short for the window are never split; long ones come in pieces."""
    fill(shared[0], name)
    with Watch(shared[0], name, window) as watch:
        watch.take_all()
        found, rest = replies(watch.data)
        assert len(found) < COUNT and len(watch.data) <= window
        assert (rest == b"") == (window >= 30000)
        watch.wire.send(room(0, 1 << 20) + room(1, 1000))
        watch.take_all()
        watch.wire.send(room(1, 1 << 20))
        while len(replies(watch.data)[0]) < COUNT + 1:
            watch.take()
        found, rest = replies(watch.data)
        assert [r.event.instance.id for r in found[:-1]] == ids(name) and found[-1].WhichOneof("what") == "synced"
        assert rest == b""


def test_a_window_of_the_connection_that_is_full_holds_up_no_watch_for_good(shared, name):
    fill(shared[0], name)
    with Watch(shared[0], name, 1 << 20) as watch:
        watch.take_all()
        assert replies(watch.data)[1] == b"" and len(watch.data) <= 65535
        watch.wire.send(room(0, 1 << 20))
        while len(replies(watch.data)[0]) < COUNT + 1:
            watch.take()


@pytest.mark.long
@pytest.mark.timeout(200)  # a reader may stand still for 30 s
def test_a_reader_that_stands_still_is_told_so_and_goes_on_without_loss(make_cluster, name):
    replica = make_cluster(1).start()[0]
    fill(replica, name)
    with (Watch(replica, name, 65535) as slow, Watch(replica, name, 1000) as cut, Client(replica.http_port) as client,
          concurrent.futures.ThreadPoolExecutor(2) as pool):
        ends = [pool.submit(slow.end), pool.submit(cut.end)]
        late = client.registry.Watch(m.WatchRequest(filter=m.Filter(service=name)))
        next(late)
        for n in range(EVENTS):
            replica.register(name, "%s-%02d" % (name, n % COUNT), metadata=FILLER, port=9000 + n)
        trailers, reset = (end.result(100) for end in ends)
        assert (trailers["grpc-status"], trailers["grpc-message"][:10]) == ("8", "too_slow: ")
        assert replies(slow.data)[1] == b""
        assert reset == {"reset": ENHANCE_YOUR_CALM}  # in the middle of a message there is no place for a reason
        await_true("all are cut off", lambda: replica.metric("streams_cut_total") == 3, 60, 0.5)
        told = []
        with pytest.raises(grpc.RpcError) as failed:
            for reply in late:
                told.append(reply)
        assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, failed.value
        assert failed.value.details().startswith("too_slow: ")
        kinds = [r.WhichOneof("what") for r in told]
        assert "synced" in kinds and len(told) < COUNT + EVENTS
        last = told[-1]
        again = client.registry.Watch(m.WatchRequest(filter=m.Filter(service=name),
                                                     after=getattr(last, last.WhichOneof("what")).position))
        ports = [r.event.instance.port for r in told[kinds.index("synced") + 1:]]
        while len(ports) < EVENTS:
            ports.append(next(again).event.instance.port)
        assert ports == [9000 + n for n in range(EVENTS)]
        again.cancel()
