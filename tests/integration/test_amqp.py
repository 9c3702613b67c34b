"""The sink that publishes events to a real RabbitMQ: routing keys and properties, a broker killed and away,
leaders killed. The long form (--long) adds a broker that stands still, blocks, or speaks TLS, and
all replicas rolled."""
import subprocess
import time

import pytest

from broker import Broker, Consumer, EXCHANGE, connect
from cluster import await_true
from sinks import Writer, await_complete

@pytest.fixture(scope="module", name="broker")
def _broker(tmp_path_factory):
    with Broker(str(tmp_path_factory.mktemp("rabbit"))) as broker:
        yield broker.start()


@pytest.fixture(name="consumer")
def _consumer(broker, request):
    with Consumer(broker, request.node.name[:60]) as consumer:
        yield consumer


def ids(consumer):
    return [m.id for m in list(consumer.messages) if m.key.startswith("registry.")]


def begun(cluster):
    await_true("the sink has begun",
               lambda: any("this replica sends the events" in r.log() for r in cluster if r.alive()))


def test_events_are_published_and_survive_the_leader_and_the_broker(make_cluster, broker, consumer):
    cluster = make_cluster(3, "--amqp-url", broker.url()).start()
    begun(cluster)
    replica = cluster[0]
    replica.register("web", "web-1")
    replica.register("web.eu", "web-2")
    replica.request("DELETE", "/instances/web-1")
    replica.request("POST", "/register", {"name": "web", "id": "a", "host": "10.0.0.1", "port": 1},
                    headers={"X-Muster-Namespace": "shop"})
    await_true("four messages", lambda: len(consumer.messages) == 4)
    assert [m.key for m in consumer.messages] == [
        "registry.registered.web", "registry.registered.web.eu", "registry.deregistered.web",
        "namespace.shop.registered.web"]
    events = replica.events()
    for message, event in zip(consumer.messages, events):
        assert message.json == event and message.id == event["id"]
        assert message.properties.delivery_mode == 2
        assert message.properties.content_type == "application/json"
        assert abs(message.properties.timestamp - time.time()) < 60
    channel = connect(broker).channel()
    channel.exchange_declare(EXCHANGE, "topic", durable=True, passive=True)
    channel.connection.close()
    # The leader dies, then the broker, under load.
    with Writer(cluster) as writer:
        await_true("writes", lambda: writer.done > 100)
        leader = cluster.leader()
        leader.kill()
        before = writer.done
        await_true("writes go on", lambda: writer.done > before + 50, 20)
        leader.start()
        broker.kill()
        before = writer.done
        await_true("writes do not wait for the broker", lambda: writer.done > before + 200, 20)
        broker.start()
        leader.wait_ready()
    repeated = await_complete(lambda: ids(consumer), cluster.leader(), 60)
    print("events", len(set(ids(consumer))), "repeated", repeated)
    lost = [r for r in cluster if "cannot send events" in r.log()]
    assert all(r.log().count("cannot send events") < 20 for r in lost)


def test_what_the_broker_refuses_is_said_without_the_secret(make_cluster, broker):
    cluster = make_cluster(1, "--amqp-url", broker.url(password="not-this-one")).start()
    await_true("the refusal", lambda: "the broker refuses the login" in cluster[0].log())
    cluster[0].register("web", "web-1")
    assert "not-this-one" not in cluster[0].log()
    with open("/proc/%d/cmdline" % cluster[0].process.pid, "rb") as file:
        assert b"not-this-one" not in file.read()


def test_there_was_never_a_broker(make_cluster):
    cluster = make_cluster(1, environment={"RABBITMQ_URL": "amqp://a:b@127.0.0.1:1/x"}).start()
    await_true("it is said", lambda: "cannot send events: trying again" in cluster[0].log())
    cluster[0].register("web", "web-1")
    assert cluster[0].metric("amqp_waiting_events") >= 0
    time.sleep(1)
    assert cluster[0].log().count("cannot send events") == 1


@pytest.mark.long
def test_a_broker_that_stands_still_and_all_replicas_rolled(make_cluster, broker, consumer):
    cluster = make_cluster(3, "--amqp-url", broker.url()).start()
    begun(cluster)
    with Writer(cluster) as writer:
        before = writer.done
        await_true("writes", lambda: writer.done > before + 100)
        broker.pause()
        before, stopped = writer.done, time.monotonic()
        time.sleep(20)
        assert writer.done > before + 500, "the registry waits for the broker"
        broker.resume()
        print("still for", time.monotonic() - stopped)
        await_complete(lambda: ids(consumer), cluster.leader(), 60)
        for replica in cluster:
            assert replica.stop() == 0
            replica.start().wait_ready()
            before = writer.done
            await_true("writes", lambda: writer.done > before + 50)
    repeated = await_complete(lambda: ids(consumer), cluster.leader(), 60)
    print("events", len(set(ids(consumer))), "repeated", repeated)


@pytest.mark.long
def test_a_broker_that_takes_nothing_is_waited_for(make_cluster, broker, consumer):
    cluster = make_cluster(1, "--amqp-url", broker.url()).start()
    begun(cluster)
    cluster[0].register("web", "web-0")
    await_true("one", lambda: len(consumer.messages) == 1)
    broker.control("set_vm_memory_high_watermark", "0.0001")
    try:
        for number in range(2000):
            cluster[0].register("db", "db-%d" % number)
        time.sleep(5)
        assert cluster[0].metric("amqp_waiting_events") > 0
    finally:
        broker.control("set_vm_memory_high_watermark", "0.6")
    await_complete(lambda: ids(consumer), cluster[0], 60)


@pytest.mark.long
def test_a_broker_with_tls_is_checked(make_cluster, tmp_path):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem",
            "-out", "csr.pem", "-subj", "/CN=localhost")
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    openssl("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "cert.pem")
    config = "listeners.ssl.1 = 127.0.0.1:TLS_PORT\n" + "".join(
        "ssl_options.%s = %s\n" % (name, tmp_path / file)
        for name, file in (("cacertfile", "ca.pem"), ("certfile", "cert.pem"), ("keyfile", "key.pem")))
    with Broker(str(tmp_path / "rabbit"), config) as broker, Consumer(broker.start()) as consumer:
        def url(host):
            return broker.url(scheme="amqps", port=broker.tls_port, host=host)
        wrong = make_cluster(1, "--amqp-url", url("localhost")).start()
        await_true("a CA that does not count", lambda: "cannot connect" in wrong[0].log())
        named = make_cluster(1, "--amqp-url", url("127.0.0.1"), "--amqp-ca", str(tmp_path / "ca.pem")).start()
        await_true("another name", lambda: "cannot connect" in named[0].log())
        right = make_cluster(1, "--amqp-url", url("localhost"), "--amqp-ca", str(tmp_path / "ca.pem")).start()
        begun(right)
        right[0].register("web", "web-1")
        await_true("it comes", lambda: len(consumer.messages) == 1)
