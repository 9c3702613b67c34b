"""Replicas with a DNS port, and questions to them."""
import contextlib
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from ports import free_ports

WITHIN_S = 10
DOMAIN = "consul."


def with_dns(cluster, *options):
    """Gives each replica a port, `replica.dns`, from its next start on."""
    for replica in cluster:
        [replica.dns] = free_ports(1)
        replica.environment["MUSTER_DNS"] = "127.0.0.1:%d" % replica.dns
    return cluster


def message(name, type="A", edns=1232, **settings):
    if not name.endswith("."):
        name += "." + DOMAIN
    settings = dict({"use_edns": 0, "payload": edns} if edns else {"use_edns": False}, **settings)
    return dns.message.make_query(name, type, **settings)


def ask(port, name, type="A", edns=1232, tcp=False, host="127.0.0.1", **settings):
    """The response, parsed by dnspython, which refuses what is malformed."""
    how = dns.query.tcp if tcp else dns.query.udp
    got = how(message(name, type, edns, **settings), host, timeout=WITHIN_S, port=port)
    assert got.flags & dns.flags.QR and not got.flags & dns.flags.RA
    return got


def records(section):
    """As lines of text, in order."""
    return [line for rrset in section for line in rrset.to_text().replace(" IN ", " ").splitlines()]


def data(section, type):
    """What follows the type, in order."""
    return [item.to_text() for rrset in section
            if rrset.rdtype == dns.rdatatype.from_text(type) for item in rrset]


def addresses(port, name, **settings):
    return data(ask(port, name, **settings).answer, "A")


def code(response):
    return dns.rcode.to_text(response.rcode())


def register(replica, name, id, host="10.0.0.1", status=None, headers=None, **fields):
    body = dict({"name": name, "id": id, "host": host, "port": 80, "ttl": 3600}, **fields)
    got = replica.request("POST", "/register", body, headers=headers)
    assert got.status in (200, 201), got
    if status:
        got = replica.request("POST", "/heartbeat", {"id": id, "status": status}, headers=headers)
        assert got.status == 200, got


@contextlib.contextmanager
def raw_tcp(port):
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as s:
        yield s


def framed(wire):
    return struct.pack("!H", len(wire)) + wire


def read_framed(s):
    """b"" when the connection ends first."""
    got = b""
    while len(got) < 2 or len(got) < 2 + struct.unpack("!H", got[:2])[0]:
        piece = s.recv(65536)
        if not piece:
            return b""
        got += piece
    return got[2:]
