"""gRPC by Debian's grpcio: every call, its outcomes, streams, the older name server's programs, and a leader
that dies."""
import json
import re
import struct
import subprocess
import sys
import threading
import time

import pytest

from cluster import BIN, ROOT, await_true, clean_environment
from h2wire import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Wire, frame
from ports import free_ports
from test_access import bootstrap, create
from test_tls import certificates, context, file, options  # noqa: F401 (fixture)

with open(BIN + "/CMakeCache.txt", encoding="utf-8") as cache:
    if re.search("MUSTER_(H2|GRPC):BOOL=OFF", cache.read()):
        pytest.skip("built without gRPC", allow_module_level=True)

grpc = pytest.importorskip("grpc")
from grpc_client import FOLDER, Client, code_of, ds, m, rs  # noqa: E402

PASSING, WARNING, CRITICAL, MAINTENANCE = 1, 2, 3, 4


@pytest.fixture
def client(shared):
    with Client(shared[0].http_port) as made:
        yield made


# --- unary calls ---


def test_an_instance_registers_renews_is_found_and_goes(shared, client, name):
    made = client.register(name, tags=["b", "a"], metadata={"k": "v"}, weight=7, zone="z", ttl_ms=3600000, type="t")
    assert made.created and made.id.startswith(name + "-") and made.ttl_ms == 3600000
    seen = shared[0].get("/instances/" + made.id).json
    assert (seen["tags"], seen["metadata"], seen["weight"], seen["ttl"]) == (["b", "a"], {"k": "v"}, 7, 3600)
    beat = client.registry.Heartbeat(m.HeartbeatRequest(ids=[made.id, name + "-none"]))
    assert (beat.renewed, list(beat.unknown)) == (1, [name + "-none"])
    client.registry.Heartbeat(m.HeartbeatRequest(ids=[made.id], health=WARNING, note="slow"))
    found = client.registry.Discover(m.DiscoverRequest(filter=m.Filter(service=name), strategy=m.WEIGHTED))
    assert (found.instance.id, found.instance.health, found.instance.note) == (made.id, WARNING, "slow")
    assert found.instance.incarnation == made.incarnation and dict(found.instance.metadata) == {"k": "v"}
    again = client.register(name, made.id, incarnation=made.incarnation, port=9)
    assert not again.created and again.incarnation == made.incarnation
    client.registry.Deregister(m.DeregisterRequest(id=made.id))
    assert code_of(lambda: client.registry.Deregister(m.DeregisterRequest(id=made.id)))[0] == "NOT_FOUND"


def test_pages_hold_everything_once_and_filters_select(client, name):
    for n in range(5):
        client.register(name, "%s-%d" % (name, n), zone="z%d" % (n % 2), tags=["t%d" % n], metadata={"n": str(n)})
    found, after = [], ""
    while True:
        page = client.registry.List(m.ListRequest(filter=m.Filter(service=name), limit=2, after=after))
        assert len(page.instances) <= 2
        found += [i.id for i in page.instances]
        after = page.next
        if not after:
            break
    assert found == ["%s-%d" % (name, n) for n in range(5)]

    def ids(**fields):
        return [i.id[-1] for i in client.registry.List(m.ListRequest(filter=m.Filter(service=name, **fields))).instances]

    assert ids(zone="z1") == ["1", "3"] and ids(tags=["t3"]) == ["3"] and ids(metadata={"n": "4"}) == ["4"]
    client.registry.Heartbeat(m.HeartbeatRequest(ids=[name + "-0"], health=CRITICAL))
    assert ids() == ["1", "2", "3", "4"] and ids(health=[CRITICAL]) == ["0"]


def test_reads_are_as_fresh_as_asked_by_message_or_metadata(shared, client, name):
    with Client(shared[1].http_port) as other, Client(shared[2].http_port) as third:
        for n in range(10):
            index = client.register(name, "%s-%d" % (name, n)).index
            by_index = other.registry.List(m.ListRequest(filter=m.Filter(service=name), read=m.Read(min_index=index)))
            assert len(by_index.instances) == n + 1
            linear, call = third.registry.List.with_call(m.ListRequest(filter=m.Filter(service=name)),
                                                         metadata=[("muster-consistency", "linearizable")])
            assert len(linear.instances) == n + 1
            head = dict(call.initial_metadata())
            assert int(head["muster-index"]) >= index and head["muster-leader"] in "123"
    assert code_of(lambda: client.registry.List(m.ListRequest(), metadata=[("muster-consistency", "x")]))[0] == \
        "INVALID_ARGUMENT"


def test_what_is_refused_is_told_as_the_table_says(client, name):
    registry = client.registry
    made = client.register(name, name)
    rows = [
        (lambda: registry.Register(m.RegisterRequest()), "INVALID_ARGUMENT", "instance"),
        (lambda: client.register("", "x"), "INVALID_ARGUMENT", "name"),
        (lambda: client.register(name, port=70000), "INVALID_ARGUMENT", "port"),
        (lambda: client.register(name, port=0), "INVALID_ARGUMENT", "port"),
        (lambda: client.register(name, host="a b"), "INVALID_ARGUMENT", "host"),
        (lambda: client.register(name + "\0x"), "INVALID_ARGUMENT", "name"),
        (lambda: client.register(name, tags=["t"] * 65), "INVALID_ARGUMENT", "tags"),
        (lambda: client.register(name, ttl_ms=5), "INVALID_ARGUMENT", "ttl_ms"),
        (lambda: client.register(name, health=MAINTENANCE), "INVALID_ARGUMENT", "health"),
        (lambda: client.register(name, name, incarnation=made.incarnation - 1), "ABORTED", "conflict"),
        (lambda: registry.Heartbeat(m.HeartbeatRequest()), "INVALID_ARGUMENT", "ids"),
        (lambda: registry.Heartbeat(m.HeartbeatRequest(ids=["a"] * 10001)), "INVALID_ARGUMENT", "ids"),
        (lambda: registry.Heartbeat(m.HeartbeatRequest(ids=["a", "b"], note="n")), "INVALID_ARGUMENT", "ids"),
        (lambda: registry.Heartbeat(m.HeartbeatRequest(ids=[name], incarnation=1)), "ABORTED", "conflict"),
        (lambda: registry.Discover(m.DiscoverRequest(filter=m.Filter(service=name + "-no"))), "NOT_FOUND",
         "no_healthy_instance"),
        (lambda: registry.List(m.ListRequest(limit=10001)), "INVALID_ARGUMENT", "limit"),
        (lambda: client.bytes_unary("/muster.v1.Registry/Nothing", b""), "UNIMPLEMENTED", "no such path"),
        (lambda: client.bytes_unary("/muster.v1.Registry/Heartbeat", b"\xff\xff"), "INVALID_ARGUMENT", "protobuf"),
        (lambda: client.bytes_unary("/muster.v1.Registry/Heartbeat", b"x" * 2000000), "RESOURCE_EXHAUSTED", "too_large"),
        (lambda: registry.Heartbeat(m.HeartbeatRequest(ids=[name] * 200), compression=grpc.Compression.Gzip), "UNIMPLEMENTED",
         "compressed"),
    ]
    for number, (call, code, words) in enumerate(rows):
        got = code_of(call)
        assert got[0] == code and words in got[1], (number, got)


def test_permissions_namespaces_and_limits_are_those_of_every_door(make_cluster, name):
    replica = make_cluster(1, "--anonymous", "none").start()[0]
    root = bootstrap(replica)

    def bearer(token):
        return [("authorization", "Bearer " + token)]

    reader = create(replica, root, services=[{"name": name, "access": "read"}])["token"]
    instance = m.RegisterRequest(instance=m.Instance(id="i", name=name, host="h", port=1))
    with Client(replica.http_port) as client:
        registry = client.registry
        assert code_of(lambda: registry.Register(instance))[0] == "UNAUTHENTICATED"
        assert code_of(lambda: registry.Register(instance, metadata=bearer("mst_x_y")))[0] == "UNAUTHENTICATED"
        assert code_of(lambda: registry.Register(instance, metadata=bearer(reader)))[0] == "PERMISSION_DENIED"
        registry.Register(instance, metadata=bearer(root))
        registry.Register(instance, metadata=[*bearer(root), ("x-muster-namespace", "shop")])
        assert len(registry.List(m.ListRequest(filter=m.Filter(service=name)), metadata=bearer(reader)).instances) == 1
        assert code_of(lambda: registry.List(m.ListRequest(filter=m.Filter(service="other")),
                                             metadata=bearer(reader)))[0] == "PERMISSION_DENIED"
        assert code_of(lambda: next(registry.Watch(m.WatchRequest(filter=m.Filter(service="other")),
                                                   metadata=bearer(reader))))[0] == "PERMISSION_DENIED"
        assert code_of(lambda: list(registry.KeepAlive(iter([m.HeartbeatRequest(ids=["i"])]),
                                                       metadata=bearer(reader))))[0] in ("PERMISSION_DENIED",)


def test_a_deadline_ends_what_waits(make_cluster, name):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    survivor = cluster.followers()[0]
    for replica in cluster:
        if replica is not survivor:
            replica.pause()
    with Client(survivor.http_port) as client:
        began = time.monotonic()
        read = m.ListRequest(read=m.Read(linearizable=True))
        assert code_of(lambda: client.registry.List(read, timeout=1))[0] == "DEADLINE_EXCEEDED"
        assert time.monotonic() - began < 5
    for replica in cluster:
        replica.resume()
    assert leader.alive()


# --- streams ---


def watch(client, **fields):
    return client.registry.Watch(m.WatchRequest(**fields))


def test_a_watch_has_a_snapshot_then_events_and_is_resumed_at_any_replica(shared, client, name):
    client.register(name, name + "-1")
    stream = watch(client, filter=m.Filter(service=name))
    first, synced = next(stream), next(stream)
    assert (first.event.type, first.event.instance.id) == (m.Event.PRESENT, name + "-1")
    assert synced.WhichOneof("what") == "synced" and synced.synced.position.index > 0
    client.register(name, name + "-2")
    client.registry.Heartbeat(m.HeartbeatRequest(ids=[name + "-2"], health=CRITICAL))
    client.registry.Deregister(m.DeregisterRequest(id=name + "-1"))
    got = [next(stream).event for _ in range(3)]
    assert [e.type for e in got] == [m.Event.REGISTERED, m.Event.STATUS, m.Event.DEREGISTERED]
    stream.cancel()
    for replica in shared:
        with Client(replica.http_port) as other:
            resumed = watch(other, filter=m.Filter(service=name), after=got[0].position)
            assert [next(resumed).event for _ in range(2)] == got[1:]
            foreign = m.Position(index=got[0].position.index, place=got[0].position.place ^ 1 << 40)
            assert next(watch(other, filter=m.Filter(service=name), after=foreign)).WhichOneof("what") == "reset"


def test_a_hundred_watches_on_one_channel_get_every_event(client, name):
    streams = [watch(client, filter=m.Filter(service=name)) for _ in range(100)]
    for stream in streams:
        assert next(stream).WhichOneof("what") == "synced"
    for n in range(3):
        client.register(name, "%s-%d" % (name, n))
    for stream in streams:
        assert [next(stream).event.instance.id for _ in range(3)] == ["%s-%d" % (name, n) for n in range(3)]
        stream.cancel()


def test_keep_alive_answers_each_beat_in_order_and_its_end_ends_no_lease(shared, client, name):
    ids = ["%s-%d" % (name, n) for n in range(3)]
    for id in ids:
        client.register(name, id)
    beats = [m.HeartbeatRequest(ids=[ids[n % 3]] + (["none-%d" % n] if n % 7 == 0 else [])) for n in range(2000)]
    beats[1000] = m.HeartbeatRequest(ids=[ids[0]], health=WARNING, note="n")
    answers = list(client.registry.KeepAlive(iter(beats)))
    assert [list(a.unknown) for a in answers] == [[u for u in b.ids if u.startswith("none")] for b in beats]
    assert all(a.renewed == 1 for a in answers)
    assert shared[0].get("/instances/" + ids[0]).json["note"] == "n"
    assert sorted(shared[0].instance_health(id) for id in ids) == ["passing", "passing", "warning"]
    conflict = client.registry.KeepAlive(iter([m.HeartbeatRequest(ids=[ids[0]]),
                                               m.HeartbeatRequest(ids=[ids[0]], incarnation=1)]))
    assert next(conflict).renewed == 1 and code_of(lambda: next(conflict))[0] == "ABORTED"
    assert code_of(lambda: list(client.registry.KeepAlive(iter([m.HeartbeatRequest()]))))[0] == "INVALID_ARGUMENT"


def test_streams_end_with_unavailable_when_the_replica_stops(make_cluster, name):
    replica = make_cluster(1).start()[0]
    with Client(replica.http_port) as client:
        client.register(name, name)
        stream = watch(client, filter=m.Filter(service=name))
        next(stream), next(stream)
        release = threading.Event()

        def beats():
            yield m.HeartbeatRequest(ids=[name])
            release.wait(30)

        talk = client.registry.KeepAlive(beats())
        assert next(talk).renewed == 1
        stopped = threading.Thread(target=replica.stop)
        stopped.start()
        assert code_of(lambda: next(stream))[0] == "UNAVAILABLE"
        assert code_of(lambda: next(talk))[0] == "UNAVAILABLE"
        release.set()
        stopped.join(30)


def test_messages_may_come_byte_by_byte_and_end_early(shared, client, name):
    client.register(name, name)
    body = m.HeartbeatRequest(ids=[name]).SerializeToString()
    message = struct.pack("!BI", 0, len(body)) + body
    fields = (("content-type", "application/grpc+proto"), ("te", "trailers"))
    with Wire(shared[0].http_port) as wire:
        wire.ask(1, END_HEADERS, method="POST", path="/muster.v1.Registry/KeepAlive", fields=fields)
        for byte in message * 2:
            wire.send(frame(DATA, 0, 1, bytes((byte,))))
        got = b""
        while len(got) < 2 * 5 + 8:
            kind, _, stream, payload = wire.frame()
            got += payload if (kind, stream) == (DATA, 1) else b""
        wire.send(frame(DATA, END_STREAM, 1, message[:7]))
        while True:
            kind, flags, _, _ = wire.frame()
            if kind == HEADERS and flags & END_STREAM:
                break
        wire.ask(3, END_HEADERS, method="POST", path="/muster.v1.Registry/Heartbeat", fields=fields)
        wire.send(frame(DATA, END_STREAM, 3, message[:-1]))
        assert wire.status(3) == 200 and wire.head["grpc-status"] == "3"
        wire.ask(5, END_HEADERS, method="POST", path="/muster.v1.Registry/KeepAlive", fields=fields)
        wire.send(frame(DATA, 0, 5, message) + frame(RST_STREAM, 0, 5, bytes(4)))
        wire.ask(7)
        assert wire.status(7) == 200


def test_what_a_stream_took_when_it_ends_is_given_back_to_the_others(shared, client, name):
    """More than the window of the connection, on streams that are each ended with what they sent."""
    client.register(name, name)
    body = m.HeartbeatRequest(ids=[name] * 700).SerializeToString()
    message = struct.pack("!BI", 0, len(body)) + body
    fields = (("content-type", "application/grpc"), ("te", "trailers"))
    sent = 0
    with Wire(shared[0].http_port) as wire:
        for n in range(200):
            wire.ask(2 * n + 1, END_HEADERS, method="POST", path="/muster.v1.Registry/KeepAlive", fields=fields)
            wire.send(frame(DATA, 0, 2 * n + 1, message[:16000]) + frame(RST_STREAM, 0, 2 * n + 1, bytes(4)))
            sent += min(len(message), 16000)
            wire.ask(401 + 2 * n) if n == 199 else None
            time.sleep(0.001)
        assert sent > 2 << 20
        assert wire.status(401 + 398) == 200


# --- the other services ---


def text(number, value):
    return bytes((number << 3 | 2, len(value))) + value.encode()


def test_health_follows_the_replica(make_cluster):
    cluster = make_cluster(3).start()
    replica = cluster.followers()[0]
    with Client(replica.http_port) as client:
        check = "/grpc.health.v1.Health/Check"
        assert client.bytes_unary(check, b"") == b"\x08\x01"
        assert client.bytes_unary(check, text(1, "muster.v1.Registry")) == b"\x08\x01"
        assert code_of(lambda: client.bytes_unary(check, text(1, "nothing")))[0] == "NOT_FOUND"
        stream = client.channel.unary_stream("/grpc.health.v1.Health/Watch")
        unknown = stream(text(1, "nothing"), timeout=30)
        assert next(unknown) == b"\x08\x03"
        unknown.cancel()
        followed = stream(b"", timeout=60)
        assert next(followed) == b"\x08\x01"
        others = [r for r in cluster if r is not replica]
        for other in others:
            other.pause()
        assert next(followed) == b"\x08\x02"
        for other in others:
            other.resume()
        assert next(followed) == b"\x08\x01"
        followed.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_has_every_service_and_its_file(client, version):
    path = "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version
    asked = [text(7, "*"), text(4, "muster.v1.Registry"), text(4, "muster.v1.Registry.Watch"), text(4, "muster.v1.Event"),
             text(3, "muster/v1/registry.proto"), text(4, "muster.v1.No"), text(4, "discovery_service.QueryReply")]
    got = list(client.bytes_talk(path, asked))
    assert len(got) == len(asked)
    for service in (b"muster.v1.Registry", b"grpc.health.v1.Health", b"registry_service.RegistryService",
                    b"discovery_service.DiscoveryService", b"grpc.reflection.v1.ServerReflection"):
        assert service in got[0]
    for answer in got[1:5]:
        assert b"muster/v1/registry.proto" in answer and b"DiscoverReply" in answer
    assert b"no such" in got[5] and b"querySuccess" in got[6]


def test_programs_of_the_older_name_server_run_unmodified_on_its_port(make_cluster, name):
    port = free_ports(1)[0]
    replica = make_cluster(1, "--grpc", "127.0.0.1:%d" % port).start()[0]
    with Client(port) as client:
        def record(number, **fields):
            return rs.RecordRequest(**{"serverId": number, "serverIp": "10.0.0.%d" % (number % 100), "serverPort": 80,
                                       "service": name, **fields})
        for number in (1, 2, -3, 0):
            assert client.old.discovery(record(number, overloaded=number != 2)).success
        assert client.old.discovery(record(9, service="")).success
        assert code_of(lambda: client.old.discovery(record(1, serverIp="")))[0] == "INVALID_ARGUMENT"
        assert code_of(lambda: client.old.discovery(record(1, serverPort=0)))[0] == "INVALID_ARGUMENT"
        assert client.old.heartBeat(rs.RenewRequest(serverId=1, overloaded=True)).success
        assert code_of(lambda: client.old.heartBeat(rs.RenewRequest(serverId=77)))[0] == "NOT_FOUND"
        for _ in range(10):
            found = client.finder.findServer(ds.QueryRequest(service=name))
            assert (found.serverId, found.serverIp, found.serverPort, found.querySuccess) == (2, "10.0.0.2", 80, True)
        client.old.heartBeat(rs.RenewRequest(serverId=2, overloaded=True))
        assert client.finder.findServer(ds.QueryRequest(service=name)).querySuccess
        assert not client.finder.findServer(ds.QueryRequest(service="nobody")).querySuccess
        assert client.finder.findServer(ds.QueryRequest(service="")).serverId == 9
        assert client.finder.warnServerError(ds.ServerError(serverId=-3)).querySuccess
        assert not client.finder.warnServerError(ds.ServerError(serverId=1234)).querySuccess
        assert client.bytes_unary("/grpc.health.v1.Health/Check", b"") == b"\x08\x01"
    assert replica.metric("grpc_complaints_total") == 2
    assert replica.instance_health("bazar--3") == "warning"
    assert json.loads(replica.get("/instances/bazar-1").body)["ttl"] == 60


def test_tls_and_its_own_port(make_cluster, certificates):  # noqa: F811
    port = free_ports(1)[0]
    replica = make_cluster(1, *options(certificates), "--grpc", "127.0.0.1:%d" % port, tls=context(certificates)).start()[0]
    with open(file(certificates, "ca.pem"), "rb") as ca:
        credentials = grpc.ssl_channel_credentials(ca.read())
    for at in (port, replica.http_port):
        with Client(at, credentials) as client:
            assert client.register("a", "a-%d" % at).created
            assert next(watch(client)).event.type == m.Event.PRESENT


# --- the README, and a leader that dies ---


def test_the_python_client_of_the_readme_runs(shared):
    with open(ROOT + "/api/grpc/README.md", encoding="utf-8") as readme:
        code = re.search(r"```python\n(.*?)```", readme.read(), re.DOTALL).group(1)
    code = code.replace("127.0.0.1:9000", "127.0.0.1:%d" % shared[1].http_port)
    got = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=60, check=True,
                         env=clean_environment({"PYTHONPATH": FOLDER}))
    assert got.stdout.decode().split() == ["10.0.0.1", "8080", "event", "synced"]


def test_leases_and_watches_survive_a_leader_that_dies(make_cluster, name):
    cluster = make_cluster(3).start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    with Client(follower.http_port) as client:
        ids = ["%s-%d" % (name, n) for n in range(20)]
        for id in ids:
            client.register(name, id, ttl_ms=5000)
        stream = watch(client, filter=m.Filter(service=name))
        while next(stream).WhichOneof("what") != "synced":
            pass
        stop, answers, refused = threading.Event(), [], []

        def beats():
            while not stop.wait(0.2):
                yield m.HeartbeatRequest(ids=ids)

        def keep():
            while not stop.is_set():
                try:
                    for answer in client.registry.KeepAlive(beats()):
                        answers.append(answer.renewed)
                except grpc.RpcError as error:
                    refused.append(error.code().name)

        keeper = threading.Thread(target=keep)
        keeper.start()
        await_true("beats are answered", lambda: len(answers) > 3)
        leader.kill()
        seen = len(answers)
        await_true("beats are answered again", lambda: len(answers) > seen + 20, 60)
        made = client.register(name, name + "-last")
        assert made.created
        event = next(stream).event
        assert (event.type, event.instance.id) == (m.Event.REGISTERED, name + "-last"), event
        stop.set()
        keeper.join(30)
        assert set(answers) == {20} and set(refused) <= {"UNAVAILABLE", "UNKNOWN"}


@pytest.mark.long
@pytest.mark.timeout(700)  # the module proxy, and a build of gRPC for Go
def test_the_go_client_of_the_readme_runs(shared):
    program = subprocess.run([ROOT + "/tests/integration/grpc_go.sh"], stdout=subprocess.PIPE, timeout=600,
                             check=True).stdout.decode().strip()
    got = subprocess.run([program, "127.0.0.1:%d" % shared[2].http_port], stderr=subprocess.PIPE, timeout=60, check=True,
                         env=clean_environment())
    assert got.stderr.decode().split()[-2:] == ["1", "<nil>"]


@pytest.mark.long
@pytest.mark.timeout(300)  # every replica is stopped and started again, twice
def test_no_event_and_no_lease_is_lost_while_replicas_are_rolled(make_cluster, name):
    cluster = make_cluster(3).start()
    stop, halt, synced, seen, made, codes = (*(threading.Event() for _ in range(3)), [], [], set())

    def is_over():
        return stop.is_set() and set(seen) >= set(made)

    def follow():
        position = None
        while not is_over():
            for replica in cluster:
                try:
                    with Client(replica.http_port) as client:
                        call = watch(client, filter=m.Filter(service=name), after=position)
                        for reply in call:
                            what = reply.WhichOneof("what")
                            assert what != "reset"
                            if what == "event" and reply.event.type == m.Event.REGISTERED:
                                seen.append(reply.event.instance.id)
                            position = getattr(reply, what).position
                            synced.set()
                            if is_over():
                                return
                except grpc.RpcError as error:
                    codes.add(error.code().name)

    def register():
        n = 0
        while not halt.is_set():
            n += 1
            try:
                with Client(cluster[n % 3].http_port) as client:
                    made.append(client.register(name, "%s-%d" % (name, n), ttl_ms=3600000).id)
            except grpc.RpcError as error:
                codes.add(error.code().name)

    threads = [threading.Thread(target=follow), threading.Thread(target=register)]
    threads[0].start()
    assert synced.wait(30)
    threads[1].start()
    await_true("some are registered", lambda: len(made) > 20)
    for _ in range(2):
        for replica in cluster:
            replica.stop()
            replica.start().wait_ready()
    halt.set()
    threads[1].join(60)
    with Client(cluster[0].http_port) as client:
        made.append(client.register(name, name + "-last", ttl_ms=3600000).id)  # so that the follower looks
    stop.set()
    threads[0].join(60)
    assert not threads[0].is_alive() and sorted(set(made) - set(seen)) == []
    assert len(seen) == len(set(seen))
    assert codes <= {"UNAVAILABLE", "UNKNOWN", "CANCELLED"}, codes
