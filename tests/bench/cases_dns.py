"""DNS: questions a second, beside other servers with the same names in a zone that does not change (knot and nsd,
where they are installed), each with one thread for them."""
import json
import os
import shutil
import signal
import subprocess
import time

import dns_zone
import measure
import systems
from cluster import Cluster, await_true
from ports import free_ports

COLUMNS = [("per_second", "a second"), ("server_cpu_us", "server CPU us"),
           ("client_cpu_us", "client CPU us"), ("lost", "lost"), ("failed", "failed")]
SERVICES = 100
INSTANCES = 10
UNDER_WAY = 256


def generated(port, kind, seconds):
    """By our own load generator, which takes less of the other core than dnsperf."""
    done = subprocess.run([os.path.join(systems.BUILD, "bench_dnsload"), str(port), str(SERVICES), kind,
                           str(seconds), str(UNDER_WAY)], capture_output=True, encoding="utf-8",
                          timeout=seconds + 60, check=True)
    return json.loads(done.stdout)


def by_dnsperf(port, kind, seconds, folder):
    """The second opinion."""
    path = os.path.join(folder, "dnsperf-%d" % os.getpid())
    with open(path, "w", encoding="ascii") as file:
        file.writelines("s%d.service.consul %s\n" % (n, kind) for n in range(SERVICES))
    try:
        done = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", path, "-l",
                               str(seconds), "-c", "8", "-q", "500", "-e"], capture_output=True,
                              encoding="utf-8", timeout=seconds + 60, check=True)
    finally:
        os.unlink(path)
    figures = {line.split(":")[0].strip(): line.split(":")[1].split()[0]
               for line in done.stdout.splitlines() if ":" in line and line.split(":")[1].split()}
    return {"requests": int(figures["Queries completed"]), "lost": int(figures["Queries lost"]),
            "per_second": float(figures["Queries per second"]), "failed": 0}


class Other:
    """Another server, with the zone of dns_zone.py."""

    def __init__(self, name, folder):
        self.folder = os.path.join(folder, "%s-%d" % (name, os.getpid()))
        os.makedirs(self.folder)
        [self.port] = free_ports(1)
        self.command = dns_zone.server(name, self.folder, self.port, SERVICES, INSTANCES)
        self.process = None

    def __enter__(self):
        with systems.Interrupts.hold(), open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder,
                                            start_new_session=True)
        time.sleep(0.1)
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        shutil.rmtree(self.folder)

    @property
    def pids(self):
        """It and its children: nsd answers in one."""
        return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and
                self.is_mine(int(pid))]

    def is_mine(self, pid):
        try:
            return os.getpgid(pid) == self.process.pid
        except ProcessLookupError:
            return False


def dns(bench):
    data = os.path.join(bench.folder, "muster-%d" % os.getpid())
    os.makedirs(data)
    [port] = free_ports(1)
    try:
        with Cluster(1, ["--ttl", "1h", "--dns", "127.0.0.1:%d" % port], data_root=data) as cluster:
            with systems.Interrupts.hold():
                cluster.start(wait=False)
            cluster.wait_ready()
            for n in range(SERVICES * INSTANCES):
                cluster[0].register("s%d" % (n // INSTANCES), "i%d" % n,
                                    host=dns_zone.address(n // INSTANCES, n % INSTANCES))
            measure_all(bench, port, [cluster[0].process.pid])
    finally:
        shutil.rmtree(data)


def measure_all(bench, port, pids):
    variants = {}

    def add(label, port, pids):
        for kind in ("A", "SRV"):
            variants["%s, %s of %d" % (label, kind, INSTANCES)] = lambda kind=kind: \
                measure.with_cpu(pids(), lambda: generated(port, kind, bench.seconds))
    add("muster", port, lambda: pids)
    if shutil.which("dnsperf"):
        variants["muster, A of %d, by dnsperf" % INSTANCES] = lambda: \
            measure.with_cpu(pids, lambda: by_dnsperf(port, "A", bench.seconds, bench.folder))
    others = []
    try:
        for name in dns_zone.installed():
            others.append(Other(name, bench.folder).__enter__())
            other = others[-1]
            await_true(name, lambda p=other.port: generated(p, "A", 1)["requests"] > 0, 30)
            add(name, other.port, lambda other=other: other.pids)
        bench.alternate("dns", "DNS questions over UDP, one thread that answers", variants, COLUMNS)
    finally:
        for other in others:
            other.__exit__()


CASES = [dns]
