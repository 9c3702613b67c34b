"""A real RabbitMQ, started by hand in a folder of its own on loopback, and a consumer that keeps
everything that was published.

    with Broker(folder) as broker, Consumer(broker) as consumer:
        broker.kill(); broker.start()
"""
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import pika
import pytest

from cluster import await_true
from ports import free_ports

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
EXCHANGE = "service-registry"
USER, PASSWORD = "guest", "guest"
START_WITHIN_S = 90


def needs_broker():
    if not os.access(SERVER, os.X_OK) or not shutil.which("epmd"):
        pytest.skip("there is no RabbitMQ here (server/prepare.sh tests)")


class Broker:
    def __init__(self, folder, config=""):
        needs_broker()
        self.folder = folder
        self.port, self.tls_port, self._dist, self._names = free_ports(4)
        self.process = None
        os.makedirs(folder, exist_ok=True)
        with open(self._path("rabbitmq.conf"), "w", encoding="utf-8") as file:
            file.write("listeners.tcp.1 = 127.0.0.1:%d\nloopback_users = none\n" % self.port)
            file.write(config.replace("TLS_PORT", str(self.tls_port)))
        with open(self._path("plugins"), "w", encoding="utf-8") as file:
            file.write("[].\n")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._names), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "muster-%d@localhost" % self.port,
            "RABBITMQ_DIST_PORT": str(self._dist), "RABBITMQ_MNESIA_BASE": self._path("mnesia"),
            "RABBITMQ_LOG_BASE": folder, "RABBITMQ_LOGS": self._path("rabbit.log"),
            "RABBITMQ_CONFIG_FILE": self._path("rabbitmq.conf"), "RABBITMQ_PID_FILE": self._path("pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._path("plugins"),
            # Small: there is one core for all.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"}
        # A name server of its own, in the foreground: the broker's would outlive it.
        self.names = subprocess.Popen(["epmd", "-port", str(self._names), "-address", "127.0.0.1"],
                                      env=self.environment, start_new_session=True)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def url(self, password=PASSWORD, scheme="amqp", port=None, host="127.0.0.1"):
        return "%s://%s:%s@%s:%d/%%2f" % (scheme, USER, password, host, port or self.port)

    def begin(self):
        with open(self._path("out"), "ab") as out:
            self.process = subprocess.Popen([SERVER], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env=self.environment, start_new_session=True)

    def start(self):
        self.begin()
        return self.wait_ready()

    def wait_ready(self):
        await_true("the broker answers", self.answers, START_WITHIN_S, 0.2)
        return self

    def answers(self):
        assert self.process.poll() is None, open(self._path("out"), encoding="utf-8").read()[-2000:]
        try:
            connect(self).close()
            return True
        except (pika.exceptions.AMQPError, OSError):
            return False

    def _signal(self, number):
        os.killpg(self.process.pid, number)

    def kill(self):
        """kill -9 of the broker and its helpers."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def pause(self):
        self._signal(signal.SIGSTOP)

    def resume(self):
        self._signal(signal.SIGCONT)

    def control(self, *arguments):
        subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", "-n", self.environment["RABBITMQ_NODENAME"],
                        *arguments], env=self.environment, check=True, timeout=60,
                       stdout=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.kill()
        finally:
            self.names.kill()
            self.names.wait(30)


def connect(broker):
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", broker.port, credentials=pika.PlainCredentials(USER, PASSWORD), heartbeat=0,
        socket_timeout=5, blocked_connection_timeout=5))


class Message:
    def __init__(self, method, properties, body):
        self.key = method.routing_key
        self.redelivered = method.redelivered
        self.properties = properties
        self.id = properties.message_id
        self.json = json.loads(body)


class Consumer:
    """A durable queue with everything of the exchange, read by a thread that comes back when the
    broker does."""

    def __init__(self, broker, queue="everything"):
        self.broker = broker
        self.queue = queue
        self.messages = []
        self._ends = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(30), "the consumer has no queue"
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join(30)

    def _run(self):
        while not self._ends:
            try:
                connection = connect(self.broker)
                self._consume(connection)
                connection.close()
            except (pika.exceptions.AMQPError, OSError):
                time.sleep(0.2)

    def _consume(self, connection):
        channel = connection.channel()
        channel.exchange_declare(EXCHANGE, "topic", durable=True)
        channel.queue_declare(self.queue, durable=True)
        channel.queue_bind(self.queue, EXCHANGE, "#")
        channel.basic_qos(prefetch_count=100)
        self._ready.set()
        for method, properties, body in channel.consume(self.queue, inactivity_timeout=0.1):
            if method is not None:
                self.messages.append(Message(method, properties, body))
                channel.basic_ack(method.delivery_tag)
            if self._ends:
                return
