"""The DNS door, as resolvers and programs see it: every kind of name, what fits and what does not, hostile
questions and connections, and questions recorded from the registry that it is compatible with."""
import fnmatch
import ipaddress
import json
import os
import random
import re
import socket
import subprocess
import time

import pytest

from cluster import await_true, clean_environment, has_ipv6

pytest.importorskip("dns", reason="python3-dnspython is not installed")

import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402

from dns_client import (WITHIN_S, addresses, ask, code, data, framed, message, raw_tcp,  # noqa: E402
                        read_framed, records, register, with_dns)
from ports import free_ports  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SOA = "consul. 0 SOA ns.consul. hostmaster.consul. "


@pytest.fixture(scope="module")
def replica(module_cluster):
    """One healthy replica with DNS, for tests that use names of their own."""
    return with_dns(module_cluster(1)).start()[0]


def alone(make_cluster, *options, **settings):
    return with_dns(make_cluster(1, *options, **settings)).start()[0]


def is_nothing(response, expected):
    return (code(response) == expected and not response.answer and
            [line.startswith(SOA) for line in records(response.authority)] == [True])


# --- names ---

def test_a_service_is_its_passing_instances(replica, name):
    for n, status in enumerate([None, "warning", "critical", None]):
        register(replica, name, "%s-%d" % (name, n), "10.1.0.%d" % n, status)
    assert replica.request("PUT", "/instances/%s-3/maintenance" % name,
                           {"enabled": True}).status == 200
    assert addresses(replica.dns, name + ".service") == ["10.1.0.0"]
    assert is_nothing(ask(replica.dns, name + ".service", "AAAA"), "NOERROR")
    assert is_nothing(ask(replica.dns, name + ".service", "MX"), "NOERROR")
    assert is_nothing(ask(replica.dns, name + ".service", "CNAME"), "NOERROR")


def test_what_is_on_a_node_in_maintenance_is_no_answer(replica, name):
    """Consul's API says so, and is the one that knows nodes."""
    caller = {"X-Registry-Node": name + ".node"}
    for n, headers in enumerate([caller, {}]):
        assert replica.request("PUT", "/v1/agent/service/register", {
            "ID": "%s-%d" % (name, n), "Name": name, "Address": "10.1.4.%d" % n, "Port": 1}, headers).status == 200
    assert len(addresses(replica.dns, name + ".service")) == 2
    assert replica.request("PUT", "/v1/agent/maintenance?enable=true", headers=caller).status == 200
    assert addresses(replica.dns, name + ".service") == ["10.1.4.1"]
    assert replica.request("PUT", "/v1/agent/maintenance?enable=false", headers=caller).status == 200
    assert len(addresses(replica.dns, name + ".service")) == 2


def test_warning_is_better_than_nothing(replica, name):
    register(replica, name, name + "-1", "10.1.1.1", "warning")
    register(replica, name, name + "-2", "10.1.1.2", "critical")
    assert addresses(replica.dns, name + ".service") == ["10.1.1.1"]
    register(replica, name, name + "-3", "10.1.1.3")
    assert addresses(replica.dns, name + ".service") == ["10.1.1.3"]


def test_no_instance_no_name(replica, name):
    register(replica, name, name, status="critical")
    for asked in (name, "missing-" + name, "tag." + name):
        assert is_nothing(ask(replica.dns, asked + ".service"), "NXDOMAIN")


def test_an_instance_that_leaves_is_not_answered_any_more(replica, name):
    register(replica, name, name)
    assert addresses(replica.dns, name + ".service") == ["10.0.0.1"]
    assert replica.request("DELETE", "/instances/" + name).status == 200
    assert is_nothing(ask(replica.dns, name + ".service"), "NXDOMAIN")


def test_tags_by_prefix_and_as_rfc_2782_says(replica, name):
    register(replica, name, name + "-1", "10.1.2.1", tags=["V1", "blue", "a.b"])
    register(replica, name, name + "-2", "10.1.2.2", tags=["V2", "blue"])
    port = replica.dns
    assert addresses(port, "v1.%s.service" % name) == ["10.1.2.1"]
    assert sorted(addresses(port, "blue.%s.service" % name)) == ["10.1.2.1", "10.1.2.2"]
    assert addresses(port, "a.b.%s.service" % name) == ["10.1.2.1"]
    assert len(data(ask(port, "_%s._tcp.service" % name, "SRV").answer, "SRV")) == 2
    assert len(data(ask(port, "_%s._v2.service" % name, "SRV").answer, "SRV")) == 1
    assert is_nothing(ask(port, "_%s._udp.service" % name, "SRV"), "NXDOMAIN")
    assert is_nothing(ask(port, "v3.%s.service" % name), "NXDOMAIN")


def test_srv_has_port_weight_and_addresses(replica, name):
    register(replica, name, name + "-1", "10.1.3.1", port=8001, weight=7)
    register(replica, name, name + "-2", "2001:db8::1", port=8002, weight=9)
    register(replica, name, name + "-3", "host.example.test", port=8003)
    got = ask(replica.dns, name + ".service", "SRV")
    assert sorted(data(got.answer, "SRV")) == [
        "1 1 8003 host.example.test.", "1 7 8001 0a010301.addr.dc1.consul.",
        "1 9 8002 20010db8000000000000000000000001.addr.dc1.consul."]
    assert sorted(records(got.additional)) == [
        "0a010301.addr.dc1.consul. 0 A 10.1.3.1",
        "20010db8000000000000000000000001.addr.dc1.consul. 0 AAAA 2001:db8::1"]
    for target, type in (("0a010301.addr", "A"), ("0a010301.addr.dc1", "A"),
                         ("20010db8000000000000000000000001.addr.dc1", "AAAA")):
        assert len(data(ask(replica.dns, target, type).answer, type)) == 1
    assert is_nothing(ask(replica.dns, "0a010301.addr", "AAAA"), "NOERROR")
    assert is_nothing(ask(replica.dns, "0a01030.addr"), "NOERROR")


def test_a_host_name_is_a_cname_and_stands_alone(replica, name):
    register(replica, name, name + "-1", "host.example.test")
    register(replica, name, name + "-2", "other.example.test")
    for type in ("A", "AAAA", "ANY", "CNAME"):
        [target] = data(ask(replica.dns, name + ".service", type).answer, "CNAME")
        assert target in ("host.example.test.", "other.example.test.")
    register(replica, name, name + "-3", "10.1.4.3")
    assert records(ask(replica.dns, name + ".service").answer) == \
        ["%s.service.consul. 0 A 10.1.4.3" % name]


def test_case_does_not_matter_and_comes_back(replica, name):
    register(replica, name.upper() + "-x", name, "10.1.5.1", tags=["Blue"])
    for asked in (name.lower() + "-X", name.upper() + "-x", name.title() + "-x"):
        got = ask(replica.dns, "bLue.%s.SERVICE.Dc1" % asked)
        assert records(got.answer) == ["bLue.%s.SERVICE.Dc1.consul. 0 A 10.1.5.1" % asked]


def test_names_with_dots_and_names_that_are_keywords(replica, name):
    register(replica, "%s.api" % name, name, "10.1.6.1")
    assert addresses(replica.dns, "%s.api.service" % name) == ["10.1.6.1"]
    register(replica, "service", name + "-s", "10.1.6.2")
    assert addresses(replica.dns, "service.service") == ["10.1.6.2"]


def test_namespaces_have_names_of_their_own(replica, name):
    register(replica, name, name, "10.1.7.1")
    register(replica, name, name, "10.1.7.2", headers={"X-Muster-Namespace": "shop"})
    assert addresses(replica.dns, name + ".service") == ["10.1.7.1"]
    assert addresses(replica.dns, name + ".service.default.ns") == ["10.1.7.1"]
    for end in (".shop.ns", ".shop.ns.dc1.dc", ".shop.ns.default.ap.dc1.dc"):
        assert addresses(replica.dns, name + ".service" + end) == ["10.1.7.2"]
    assert is_nothing(ask(replica.dns, name + ".service.other.ns"), "NXDOMAIN")
    assert is_nothing(ask(replica.dns, name + ".service.shop.ns.dc2.dc"), "NXDOMAIN")
    assert data(ask(replica.dns, "2.7.1.10.in-addr.arpa.", "PTR").answer, "PTR") == \
        [name + ".service.shop.ns.dc1.dc.consul."]


def test_nodes_and_addresses_point_back(replica, name):
    host = "10.1.8.%d" % random.randrange(256)
    register(replica, name, name, host, metadata={"node": "Box-" + name})
    assert addresses(replica.dns, "box-%s.node" % name) == [host]
    assert addresses(replica.dns, "BOX-%s.node.dc1" % name) == [host]
    assert is_nothing(ask(replica.dns, host + ".node"), "NXDOMAIN")
    back = ipaddress.ip_address(host).reverse_pointer + "."
    assert data(ask(replica.dns, back, "PTR").answer, "PTR") == [name + ".service.dc1.consul."]
    assert replica.request("DELETE", "/instances/" + name).status == 200
    assert code(ask(replica.dns, back, "PTR")) == "REFUSED"
    assert is_nothing(ask(replica.dns, "box-%s.node" % name), "NXDOMAIN")


def test_the_domain_itself_and_what_is_between(replica):
    assert records(ask(replica.dns, "consul.", "SOA").answer)[0].startswith(SOA)
    got = ask(replica.dns, "consul.", "NS")
    assert records(got.answer) == ["consul. 0 NS muster-1.node.dc1.consul."]
    assert records(got.additional) == ["muster-1.node.dc1.consul. 0 A 127.0.0.1"]
    assert addresses(replica.dns, "muster-1.node") == ["127.0.0.1"]
    # Resolvers take a name that does not exist to mean that nothing below it does (RFC 8020).
    for between in ("consul.", "service", "service.dc1", "dc1", "node", "addr.dc1", "_tcp.service"):
        assert is_nothing(ask(replica.dns, between), "NOERROR"), between
    for other in ("dc2", "service.dc2", "x.query", "x"):
        assert is_nothing(ask(replica.dns, other), "NXDOMAIN"), other


def test_what_is_not_ours_is_refused(replica):
    for asked, type in (("example.com.", "A"), ("9.9.9.9.in-addr.arpa.", "PTR"),
                        ("consul.example.", "A"), (".", "NS"), ("consul.", "AXFR")):
        tcp = type == "AXFR"
        got = dns.query.tcp(message(asked, type), "127.0.0.1", timeout=WITHIN_S, port=replica.dns) \
            if tcp else ask(replica.dns, asked, type)
        assert code(got) == "REFUSED" and not got.answer and not got.flags & dns.flags.AA
    assert code(ask(replica.dns, "version.bind.", "TXT", rdclass="CH")) == "REFUSED"


# --- what fits ---

@pytest.fixture(scope="module")
def big(replica):
    """A service of 300 instances."""
    for n in range(300):
        register(replica, "big", "big-%d" % n, "10.2.%d.%d" % (n // 100, n % 100), port=9000 + n)
    return {"10.2.%d.%d" % (n // 100, n % 100) for n in range(300)}


@pytest.mark.parametrize("edns, most", [(0, 29), (512, 29), (1232, 74), (4096, 253)])
@pytest.mark.parametrize("type", ["A", "SRV"])
def test_what_is_cut_says_so_and_is_never_empty(replica, big, edns, most, type):
    got = ask(replica.dns, "big.service", type, edns=edns)
    count = len(data(got.answer, type))
    assert got.flags & dns.flags.TC
    assert count == most if type == "A" else 0 < count < most
    assert got.edns == (0 if edns else -1)
    assert len(got.to_wire()) <= (edns or 512)


@pytest.mark.parametrize("type", ["A", "SRV"])
def test_over_tcp_there_is_all_of_it(replica, big, type):
    got = ask(replica.dns, "big.service", type, tcp=True)
    assert not got.flags & dns.flags.TC
    assert len(data(got.answer, type)) == 300
    assert set(data(got.answer if type == "A" else got.additional, "A")) == big


def test_clients_that_see_the_cut_come_again_over_tcp(replica, big):
    got, by_tcp = dns.query.udp_with_fallback(message("big.service"), "127.0.0.1",
                                              timeout=WITHIN_S, port=replica.dns)
    assert by_tcp and set(data(got.answer, "A")) == big
    for program in (["dig", "@127.0.0.1", "-p", str(replica.dns), "+short", "big.service.consul"],
                    ["kdig", "@127.0.0.1", "-p", str(replica.dns), "+short", "big.service.consul"],
                    ["host", "-p", str(replica.dns), "-t", "A", "big.service.consul", "127.0.0.1"]):
        done = subprocess.run(program, capture_output=True, encoding="utf-8", timeout=60,
                              env=clean_environment())
        assert done.returncode == 0, done
        assert {line.split()[-1] for line in done.stdout.splitlines() if "10.2." in line} == big


def test_parts_and_orders_differ_from_answer_to_answer(replica, big, name):
    parts = {tuple(addresses(replica.dns, "big.service", edns=0)) for _ in range(20)}
    assert len(parts) > 5
    for n in range(4):
        register(replica, name, "%s-%d" % (name, n), "10.1.9.%d" % n)
    firsts = set()
    for _ in range(60):
        got = addresses(replica.dns, name + ".service")
        assert sorted(got) == ["10.1.9.%d" % n for n in range(4)]
        firsts.add(got[0])
    assert len(firsts) == 4


def test_an_address_is_told_once(replica, name):
    for n in range(5):
        register(replica, name, "%s-%d" % (name, n), "10.1.10.1", port=100 + n)
    assert addresses(replica.dns, name + ".service") == ["10.1.10.1"]
    got = ask(replica.dns, name + ".service", "SRV")
    assert len(data(got.answer, "SRV")) == 5 and len(records(got.additional)) == 1


# --- options ---

def test_ttls_domain_and_datacenter_are_options(make_cluster):
    replica = alone(make_cluster, "--dns-ttl", "7s", "--dns-negative-ttl", "3s", "--dns-domain",
                    "sd.example.com", "--datacenter", "eu-1", "--dns-warning")
    register(replica, "web", "web-1", "10.0.0.1", "warning")
    register(replica, "web", "web-2", "10.0.0.2")
    got = ask(replica.dns, "web.service.eu-1.sd.example.com.", "SRV")
    assert len(got.answer[0]) == 2 and got.answer[0].ttl == 7
    assert "0a000001.addr.eu-1.sd.example.com. 7 A 10.0.0.1" in records(got.additional)
    got = ask(replica.dns, "none.service.sd.example.com.")
    assert got.authority[0].ttl == 3 and got.authority[0][0].minimum == 3
    assert code(ask(replica.dns, "web.service.consul.")) == "REFUSED"


def test_near_ones_come_first(make_cluster):
    replica = alone(make_cluster, "--dns-near", "127.0.0.0/8=here,::1/128=here")
    for n in range(6):
        register(replica, "web", "web-%d" % n, "10.0.0.%d" % n, zone="here" if n < 2 else "there")
    for _ in range(10):
        got = addresses(replica.dns, "web.service")
        assert set(got[:2]) == {"10.0.0.0", "10.0.0.1"} and len(got) == 6
    by_priority = [line.split()[0] for line in
                   data(ask(replica.dns, "web.service", "SRV").answer, "SRV")]
    assert sorted(by_priority) == ["1"] * 2 + ["2"] * 4


def test_the_nearest_subnet_comes_first(make_cluster):
    replica = alone(make_cluster, "--dns-near", "subnet")
    for host in ("10.0.0.1", "127.0.9.1", "127.0.0.9"):
        register(replica, "web", host, host)
    assert addresses(replica.dns, "web.service") == ["127.0.0.9", "127.0.9.1", "10.0.0.1"]


def test_a_port_in_use_ends_the_start(make_cluster):
    replica = with_dns(make_cluster(1))[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", replica.dns))
        done = subprocess.run(replica.command(), capture_output=True, encoding="utf-8", timeout=60,
                              env=clean_environment(replica.environment))
    assert done.returncode == 1 and "--dns" in done.stderr


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6")
def test_both_families_on_every_address_answer_from_where_they_were_asked(make_cluster):
    replica = make_cluster(1)[0]
    [port] = free_ports(1)
    replica.environment["MUSTER_DNS"] = ":%d" % port
    replica.start()
    replica.wait_ready()
    register(replica, "web", "web-1", "10.0.0.1")
    for host in ("127.0.0.1", "127.0.0.77", "::1"):
        for tcp in (False, True):
            # dnspython refuses an answer from another address than it asked.
            assert addresses(port, "web.service", host=host, tcp=tcp) == ["10.0.0.1"]


# --- who may ask ---

def test_who_asks_is_nobody(make_cluster):
    replica = alone(make_cluster, "--anonymous", "none")
    for asked in ("web.service", "consul.", "muster-1.node", "0a000001.addr"):
        got = ask(replica.dns, asked)
        assert code(got) == "REFUSED" and not got.answer and not got.authority


def test_every_replica_answers_also_without_a_leader(make_cluster):
    cluster = with_dns(make_cluster(3)).start()
    register(cluster[0], "web", "web-1", "10.0.0.1")
    for replica in cluster:
        await_true("the instance at replica %d" % replica.id,
                   lambda r=replica: addresses(r.dns, "web.service") == ["10.0.0.1"])
        await_true("all nodes at replica %d" % replica.id, lambda r=replica:
                   len(data(ask(r.dns, "consul.", "NS").answer, "NS")) == 3)
    cluster[0].kill()
    cluster[1].kill()
    assert addresses(cluster[2].dns, "web.service") == ["10.0.0.1"]
    assert len(data(ask(cluster[2].dns, "consul.", "NS").answer, "NS")) == 3


# --- the hostile ---

def udp(port, wire, within_s=0.3):
    """The answer; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(within_s)
        s.sendto(wire, ("127.0.0.1", port))
        try:
            return s.recv(65536)
        except socket.timeout:
            return None


def test_junk_is_not_answered_or_called_malformed(replica):
    good = message("web.service").to_wire()
    assert udp(replica.dns, b"") is None
    assert udp(replica.dns, good[:11]) is None
    assert udp(replica.dns, good[:2] + bytes([good[2] | 0x80]) + good[3:]) is None
    assert udp(replica.dns, good + bytes(2000)) is None
    loop = good[:12] + b"\xc0\x0c" + good[-4:]
    for wire, expected in ((good[:20], 1), (loop, 1), (good[:2] + b"\x28\x00" + good[4:], 4),
                           (good[:4] + b"\x00\x02" + good[6:], 1)):
        assert udp(replica.dns, wire, WITHIN_S)[3] & 15 == expected
    # OPT is at the end: its version.
    other = good[:-5] + b"\x01" + good[-4:]
    assert code(dns.message.from_wire(udp(replica.dns, other, WITHIN_S))) == "BADVERS"


def test_any_bytes_leave_it_alive(replica):
    dice = random.Random(4)
    good = message("web.service", "SRV").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _ in range(3000):
            wire = bytearray(good)
            for _ in range(dice.randrange(1, 6)):
                wire[dice.randrange(len(wire))] = dice.randrange(256)
            s.sendto(bytes(wire[:dice.randrange(len(wire) + 1)]), ("127.0.0.1", replica.dns))
    assert code(ask(replica.dns, "none.service")) == "NXDOMAIN"


def test_an_address_that_is_written_on_many_questions_is_not_flooded(make_cluster):
    replica = alone(make_cluster, "--rate-local", "--dns-rate", "20")
    for n in range(40):
        register(replica, "web", "web-%d" % n, "10.0.0.%d" % n)
    wire = message("web.service", edns=4096).to_wire()
    got = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        for _ in range(200):
            s.sendto(wire, ("127.0.0.1", replica.dns))
        try:
            while True:
                got.append(s.recv(65536))
        except socket.timeout:
            pass
    full = [answer for answer in got if len(answer) > len(wire)]
    slips = [answer for answer in got if len(answer) <= len(wire)]
    assert 10 <= len(full) < 60 and 50 <= len(slips) <= 110
    assert all(answer[2] & 2 for answer in slips)  # TC: an asker who is there comes over TCP
    assert len(addresses(replica.dns, "web.service", tcp=True)) == 40
    assert replica.metric("dns_rate_limited_total") > 100


def test_questions_over_tcp_may_follow_each_other_and_come_in_pieces(replica, name):
    register(replica, name, name)
    wire = framed(message(name + ".service").to_wire())
    with raw_tcp(replica.dns) as s:
        s.sendall(wire * 20)
        got = b""
        while got.count(b"\x0a\x00\x00\x01") < 20:
            got += s.recv(65536)
        for byte in wire:
            s.sendall(bytes([byte]))
        assert read_framed(s)
        s.sendall(wire)
        s.shutdown(socket.SHUT_WR)
        assert read_framed(s) and s.recv(1) == b""


def test_a_client_that_does_not_read_is_cut_off_and_holds_nobody_up(replica, big):
    wire = framed(message("big.service", "SRV").to_wire())
    with raw_tcp(replica.dns) as s:
        s.settimeout(0.2)
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += s.send(wire * 100)
        except socket.timeout:
            pass
        assert code(ask(replica.dns, "none.service", tcp=True)) == "NXDOMAIN"
        await_true("the end of it", lambda: replica.metric("dns_connections") == 0, 30)


def test_idle_connections_end_and_their_number_is_bounded(replica):
    began = time.monotonic()
    held = [socket.create_connection(("127.0.0.1", replica.dns), timeout=30) for _ in range(90)]
    try:
        await_true("a refusal", lambda:
                   replica.metric("dns_connections_refused_total") >= 26)
        assert replica.metric("dns_connections") <= 64
        assert code(ask(replica.dns, "none.service")) == "NXDOMAIN"
        assert held[0].recv(1) == b"" and 8 < time.monotonic() - began < 25
    finally:
        for s in held:
            s.close()


def test_a_question_too_long_for_tcp_ends_the_connection(replica):
    with raw_tcp(replica.dns) as s:
        s.sendall(b"\xff\xff" + bytes(100))
        assert s.recv(1) == b""


# --- recorded questions ---

# What is answered otherwise, each for a reason in the table of api/dns/README.md: questions and what of
# the answer differs.
DIFFERENT = {
    "no TXT": [("* SRV", "additional"), ("@node.node A", "additional"), ("@node.node AAAA", "additional"),
               ("@node.node AAAA", "authority"), ("@node.node TXT", "answer"),
               ("@node.node TXT", "authority")],
    "weight": [("golddns.service SRV", "answer"), ("_golddns._tcp.service* SRV", "answer")],
    "no node": [("goldnoaddr.service SRV", "answer")],
    "PTR": [("1.0.0.127.in-addr.arpa. PTR", "answer")],
    "not ours": [("9.9.0.127.in-addr.arpa. PTR", "rcode"), ("9.9.0.127.in-addr.arpa. PTR", "flags"),
                 ("example.test. A", "edns")],
    "apex": [("@zone ANY", "answer"), ("@zone ANY", "authority"), ("@zone ANY", "additional"),
             ("@zone ANY", "rcode")],
    "cut": [("goldbig.service A edns=0 udp", "answer"), ("goldbig.service A edns=0 udp", "flags"),
            ("goldbig.service * edns=512 udp", "answer"), ("goldbig.service * edns=512 udp", "flags"),
            ("goldbig.service * edns=512 udp", "edns"), ("goldbig.service SRV edns=4096 udp", "edns")],
}
FLAGS = ("QR", "AA", "TC", "RD", "RA")


def asked_as(question):
    name, type, edns, how = question.split()
    if not name.endswith("."):
        name = name.replace("@node", "muster-1").replace("@zone", "") + ".consul."
    return name.lstrip("."), type, int(edns[5:]), how == "tcp"


def as_recorded(lines):
    text = "\n".join(lines).replace("muster-1.node", "<node>.node").replace("consul.", "<zone>.")
    text = re.sub(r"(hostmaster\.<zone>\. )[0-9]+", r"\1<serial>", text).lower()
    return sorted(text.splitlines())


def summary(section):
    """Of many records only their number was recorded."""
    if isinstance(section, dict):
        return section["count"]
    return as_recorded(section) if len(section) <= 5 else len(section)


def differences(port, question, expected):
    name, type, edns, tcp = asked_as(question)
    got = ask(port, name, type, edns=edns, tcp=tcp)
    mine = {"rcode": code(got), "edns": got.edns >= 0,
            "flags": " ".join(f for f in FLAGS if f in dns.flags.to_text(got.flags).split())}
    sections = {"answer": got.answer, "authority": got.authority, "additional": got.additional}
    mine.update({key: summary(records(section)) for key, section in sections.items()})
    return [key for key, value in mine.items()
            if value != (summary(expected[key]) if key in sections else expected[key])]


def test_recorded_questions_are_answered_alike_or_better_for_a_known_reason(make_cluster):
    replica = alone(make_cluster, "--name", "muster-1", "--dns-warning")
    with open(os.path.join(HERE, "dns_recorded.json"), encoding="utf-8") as file:
        recorded = json.load(file)
    for instance in recorded["instances"]:
        register(replica, **instance)
    await_true("the replica is a node", lambda: addresses(replica.dns, "muster-1.node"))
    met, unknown = set(), []
    for question, expected in recorded["answers"].items():
        for key in differences(replica.dns, question, expected):
            rules = {(pattern, what) for rules in DIFFERENT.values() for pattern, what in rules
                     if what == key and fnmatch.fnmatch(question, pattern + "*")}
            met |= rules
            if not rules:
                unknown.append((question, key))
    assert not unknown
    # What is not different any more leaves the table.
    assert met == {rule for rules in DIFFERENT.values() for rule in rules}
