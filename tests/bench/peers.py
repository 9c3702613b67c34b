"""etcd and ZooKeeper as Debian ships them: three members each, on the same disk, with their default
durability and time-outs.

etcd is driven through its HTTP/JSON gateway, which costs more than its gRPC. ZooKeeper is driven
through its own C client (zkload.c), pings by its protocol (zkping.c).
"""
import base64
import json
import os
import shutil
import socket
import subprocess
import urllib.request

import measure
import systems
import watchers
from ports import free_ports

ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"
HEAP = "-Xmx1000m"
# Until the Java compiler has seen the code, ZooKeeper is several times slower.
WARM_UP_S = 15


def make(folder):
    return [Etcd(folder), ZooKeeper(folder)]


class Peer:
    """Three processes with their data in a folder that goes away with them."""
    name = ""
    operations = {}

    def __init__(self, folder):
        self.folder = os.path.join(folder, "%s-%d" % (self.name.lower(), os.getpid()))
        self.ports = free_ports(9)
        self.processes = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        try:
            for number in range(3):
                with systems.Interrupts.hold(), open(
                        os.path.join(self.folder, "log-%d" % number), "wb") as log:
                    self.processes.append(subprocess.Popen(
                        self.command(number), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                        cwd=self.folder))
            measure.await_ready(self.name, lambda: all(self.ready(n) for n in range(3)), 60,
                                0.1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pids(self):
        return [process.pid for process in self.processes]

    @property
    def members(self):
        return ",".join("127.0.0.1:%d" % port for port in self.ports[:3])

    def can(self, operation):
        return operation in self.operations

    def label(self, operation):
        return "%s: %s" % (self.name, self.operations[operation])


class Etcd(Peer):
    name = "etcd"
    operations = {
        "register": "put of 200 B on a lease, by the gateway (wrk)",
        "heartbeat": "put of 5 B, by the gateway (wrk)",
        "list": "serializable range of 10 on all members, by the gateway (wrk)",
        "list_linearizable": "linearizable range of 10 on all members, by the gateway (wrk)",
        "watch": "watches of a key on all members, by the gateway",
    }
    runs = 0

    def command(self, number):
        client, peer = self.url(number), "http://127.0.0.1:%d" % self.ports[3 + number]
        cluster = ",".join("e%d=http://127.0.0.1:%d" % (n, self.ports[3 + n]) for n in range(3))
        return ["etcd", "--name", "e%d" % number, "--data-dir", "data-%d" % number,
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", cluster, "--initial-cluster-state", "new", "--logger", "zap",
                "--log-level", "error"]

    def url(self, number):
        return "http://127.0.0.1:%d" % self.ports[number]

    def ready(self, number):
        try:
            with urllib.request.urlopen(self.url(number) + "/health", timeout=1) as got:
                return json.load(got).get("health") == "true"
        except (OSError, ValueError):
            return False

    def call(self, path, body):
        request = urllib.request.Request(self.url(0) + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as got:
            return json.load(got)

    def put(self, key):
        def encoded(data):
            return base64.b64encode(data).decode()
        self.call("/v3/kv/put", {"key": encoded(key.encode()), "value": encoded(b"v" * 200)})

    def watchers(self, count, seconds):
        key = base64.b64encode(b"watched").decode()
        body = json.dumps({"create_request": {"key": key}}).encode()
        request = (b"POST /v3/watch HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n"
                   b"Content-Length: %d\r\n\r\n" % len(body)) + body
        addresses = [("127.0.0.1", port) for port in self.ports[:3]]
        return watchers.measured(addresses, request, count, lambda: self.put("watched"), seconds)

    def runner(self, operation, clients, seconds):
        for number in range(10):
            self.put("list/%d" % number)
        # One lease for all, as a client with many instances would have; it outlives the benchmark.
        lease = self.call("/v3/lease/grant", {"TTL": 86400})["ID"]

        def run():
            Etcd.runs += 1
            prefix = "" if operation.startswith("list") else "run%d/" % Etcd.runs
            os.environ.update(ETCD_MEMBERS=self.members, ETCD_OPERATION=operation,
                              ETCD_PREFIX=prefix, ETCD_LEASE=lease)
            return systems.wrk(self.url(0), clients, seconds, self.pids, "etcd.lua",
                               min(3, clients))
        return run


class ZooKeeper(Peer):
    name = "ZooKeeper"
    operations = {
        "register": "create ephemeral of 200 B (zkload)",
        "heartbeat": "setData of 5 B (zkload)",
        "ping": "session ping, not in the log (zkping)",
        "list": "getChildren and 10 getData on all members (zkload)",
    }

    def command(self, number):
        data = os.path.join(self.folder, "data-%d" % number)
        os.makedirs(data)
        with open(os.path.join(data, "myid"), "w", encoding="ascii") as file:
            file.write("%d\n" % (number + 1))
        lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", "dataDir=" + data,
                 "clientPortAddress=127.0.0.1", "clientPort=%d" % self.ports[number],
                 "admin.enableServer=false", "maxClientCnxns=0",
                 "4lw.commands.whitelist=srvr"]
        lines += ["server.%d=127.0.0.1:%d:%d" % (n + 1, self.ports[3 + n], self.ports[6 + n])
                  for n in range(3)]
        config = os.path.join(self.folder, "zoo-%d.cfg" % number)
        with open(config, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        return ["java", HEAP, "-cp", ZOOKEEPER_JAR,
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", config]

    def ready(self, number):
        try:
            with socket.create_connection(("127.0.0.1", self.ports[number]), 1) as connection:
                connection.sendall(b"srvr")
                answer = b""
                while True:
                    got = connection.recv(4096)
                    if not got:
                        break
                    answer += got
                return b"Mode: leader" in answer or b"Mode: follower" in answer
        except OSError:
            return False

    def runner(self, operation, clients, seconds):
        program = "bench_zkping" if operation == "ping" else "bench_zkload"
        command = [os.path.join(systems.BUILD, program), self.members]
        command += [] if operation == "ping" else [operation]

        def load(seconds):
            done = subprocess.run([*command, str(clients), str(seconds)], capture_output=True,
                                  encoding="utf-8", timeout=seconds + 90, check=False)
            if done.returncode != 0:
                raise RuntimeError("%s %s: %s" % (program, operation, done.stderr))
            return json.loads(done.stdout)
        load(WARM_UP_S)
        return lambda: measure.with_cpu(self.pids, lambda: load(seconds))
