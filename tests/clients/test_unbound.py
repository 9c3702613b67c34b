"""unbound in front, as a resolver for programs that know no port: it asks in random case (0x20), from the top
(RFC 9156), and over TCP where an answer is cut."""
import os
import shutil
import subprocess

import dns.message
import dns.query
import pytest

from cluster import await_true, clean_environment
from dns_client import addresses, ask, code, data, register, with_dns
from ports import free_ports

CONFIG = """
server:
    interface: 127.0.0.1@%(port)d
    port: %(port)d
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "%(folder)s"
    pidfile: ""
    use-syslog: no
    use-caps-for-id: yes
    qname-minimisation: yes
    qname-minimisation-strict: yes
    harden-below-nxdomain: yes
    do-not-query-localhost: no
    module-config: "iterator"
    local-zone: "10.in-addr.arpa." nodefault
stub-zone:
    name: consul
%(servers)s
stub-zone:
    name: 10.in-addr.arpa
%(servers)s
remote-control:
    control-enable: no
"""


@pytest.fixture
def front(make_cluster, tmp_path):
    """Three replicas, and a port of unbound before them."""
    cluster = with_dns(make_cluster(3)).start()
    [port] = free_ports(1)
    servers = "\n".join("    stub-addr: 127.0.0.1@%d" % replica.dns for replica in cluster)
    path = tmp_path / "conf"
    path.write_text(CONFIG % {"port": port, "folder": tmp_path, "servers": servers}, encoding="ascii")
    program = shutil.which("unbound", path="/usr/sbin:" + os.environ.get("PATH", ""))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([program, "-d", "-c", str(path)], stdout=log, stderr=log,
                                   env=clean_environment())
    try:
        yield cluster, port
    finally:
        process.terminate()
        process.wait(20)


def asked(port, name, type="A"):
    """Its answer, which it has from elsewhere."""
    query = dns.message.make_query(name, type)
    got, _ = dns.query.udp_with_fallback(query, "127.0.0.1", timeout=10, port=port)
    return got


def test_programs_behind_a_resolver_find_services_also_when_replicas_die(front):
    cluster, port = front
    leader = cluster.leader()
    for n in range(300):
        register(leader, "big", "big-%d" % n, "10.2.%d.%d" % (n // 100, n % 100))
    register(leader, "Web", "web-1", "10.0.0.1", tags=["v1"])
    for replica in cluster:
        await_true("all at replica %d" % replica.id,
                   lambda r=replica: addresses(r.dns, "v1.web.service") == ["10.0.0.1"])
    for name in ("web.service.consul.", "v1.WEB.service.dc1.consul.", "0a000001.addr.consul."):
        assert data(asked(port, name).answer, "A") == ["10.0.0.1"], name
    assert len(data(asked(port, "_web._tcp.service.consul.", "SRV").answer, "SRV")) == 1
    assert len(data(asked(port, "big.service.consul.").answer, "A")) == 300
    assert data(asked(port, "1.0.0.10.in-addr.arpa.", "PTR").answer, "PTR") == \
        ["Web.service.dc1.consul."]
    assert code(asked(port, "none.service.consul.")) == "NXDOMAIN"
    leader.kill()
    for _ in range(20):
        assert data(asked(port, "web.service.consul.").answer, "A") == ["10.0.0.1"]
    register(cluster.leader(), "late", "late-1", "10.0.0.9")
    await_true("what came since", lambda: data(asked(port, "late.service.consul.").answer, "A") ==
               ["10.0.0.9"], 20)
    assert code(ask(cluster.running()[0].dns, "example.com.")) == "REFUSED"
