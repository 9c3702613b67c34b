"""Replicas with ZeroMQ ports, and clients that speak each of the wire's forms."""
import json
import struct

import zmq

from ports import free_ports

WAIT_MS = 10000


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + b"\x00" + bytes(31)


def frame(body, flags=0):
    """As ZMTP 3 has it."""
    if len(body) > 255:
        return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def command(name, data):
    return frame(bytes([len(name)]) + name + data, 4)


def ready(type):
    return command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(type)) + type)


class Ports:
    """Gives a replica its three ports, from its next start on."""

    def __init__(self, replica, reply=None):
        self.requests, self.heartbeats, self.events = free_ports(3)
        replica.environment.update(
            MUSTER_ZMQ_REQUESTS="tcp://127.0.0.1:%d" % self.requests,
            MUSTER_ZMQ_HEARTBEATS="127.0.0.1:%d" % self.heartbeats,
            MUSTER_ZMQ_EVENTS="tcp://127.0.0.1:%d" % self.events,
            **({"MUSTER_ZMQ_REPLY": reply} if reply else {}))


def with_ports(cluster, reply=None):
    """The same for each replica, which is then `replica.zmq`."""
    for replica in cluster:
        replica.zmq = Ports(replica, reply)
    return cluster


def alone(make_cluster, *options, reply=None):
    return with_ports(make_cluster(1, *options), reply).start()[0]


class Talker:
    """One socket to one port. `form`: what its messages look like."""

    FORMS = {"req": (zmq.REQ, []), "typed": (zmq.DEALER, [b"REQ"]), "plain": (zmq.DEALER, []),
             "delimited": (zmq.DEALER, [b""])}

    def __init__(self, port, form="typed", identity=None, setup=None):
        kind, self.before = self.FORMS[form]
        self.socket = zmq.Context.instance().socket(kind)
        self.socket.linger = 0
        self.socket.rcvtimeo = WAIT_MS
        if setup:
            setup(self.socket)
        if identity:
            self.socket.setsockopt(zmq.IDENTITY, identity)
        self.socket.connect("tcp://127.0.0.1:%d" % port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, **request):
        self.socket.send_multipart([*self.before, json.dumps(request).encode()])

    def frames(self):
        return self.socket.recv_multipart()

    def receive(self):
        return json.loads(self.frames()[-1])

    def ask(self, action, **fields):
        self.send(action=action, **fields)
        return self.receive()

    def register(self, name, ttl=30, **fields):
        info = {"name": name, "host": "10.0.0.1", "port": 8080, **fields}
        got = self.ask("register", service_info=info, ttl=ttl)
        assert got["success"], got
        return got["service_id"]


class Subscriber:
    def __init__(self, port, topic=b"", setup=None):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.linger = 0
        self.socket.rcvtimeo = WAIT_MS
        self.socket.subscribe(topic)
        if setup:
            setup(self.socket)
        self.socket.connect("tcp://127.0.0.1:%d" % port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def next(self):
        topic, text = self.socket.recv_multipart()
        event = json.loads(text)
        assert event["type"] == topic.decode() and list(event) == ["type", "timestamp", "data"]
        return topic.decode(), event["data"]

    def next_of(self, prefix):
        """The next one of an id that begins like this."""
        while True:
            topic, data = self.next()
            if data["service_id"].startswith(prefix):
                return topic, data

    def until_heard(self, talker):
        """Subscribing takes a moment. Returns once events arrive, and drops those of this."""
        self.socket.rcvtimeo = 50
        for n in range(200):
            id = talker.register("probe", id="probe-%d" % n)
            talker.ask("deregister", service_id=id)
            try:
                while True:
                    topic, data = self.next()
                    if topic == "deregister" and data["service_id"] == id:
                        self.socket.rcvtimeo = WAIT_MS
                        return self
            except zmq.Again:
                continue
        raise AssertionError("no event arrives")
