"""Limits on rates: who comes too fast is told when to come again, and nobody else notices. Clients are told
apart by their addresses on the loopback, for which the limits are switched on here."""
import contextlib
import http.client
import json
import socket
import subprocess

import pytest

from cluster import MUSTER, await_true, clean_environment
from driver import OK, Driver
from test_tls import context, make_certificates, options

ONE, OTHER = "127.0.0.2", "127.0.0.3"
OFF = ("--rate-requests", "0", "--rate-writes", "0", "--rate-connections", "0")


class Client:
    """One connection from an address, opened again when it was closed."""

    def __init__(self, replica, address, token=None, keeps=True):
        self.connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=15,
                                                     source_address=(address, 0))
        self.headers = {"Authorization": "Bearer " + token} if token else {}
        self.keeps = keeps

    def __call__(self, method, path, body=None):
        headers = {**self.headers, "Content-Type": "application/json"}
        try:
            self.connection.request(method, path, body=json.dumps(body) if body else None, headers=headers)
            got = self.connection.getresponse()
            got.body = got.read()
            return got
        finally:
            if not self.keeps:
                self.connection.close()

    def until_refused(self, method, path, body=None, most=2000):
        """Calls until there is a 429; returns it, and how many there were before."""
        for before in range(most):
            got = self(method, path, body)
            if got.status == 429:
                return got, before
            assert got.status < 300, (got.status, got.body)
        raise AssertionError("never refused")

    def close(self):
        self.connection.close()


@pytest.fixture
def client():
    with contextlib.ExitStack() as stack:
        def make(*arguments, **settings):
            return stack.enter_context(contextlib.closing(Client(*arguments, **settings)))
        yield make


@pytest.fixture
def limited(make_cluster):
    def start(*options):
        return make_cluster(1, "--rate-local", *OFF, *options).start()[0]
    return start


def check_refusal(got, words):
    assert got.status == 429
    said = json.loads(got.body)
    assert said["error"] == "rate_limited" and words in said["message"], said
    assert 1 <= int(got.headers["Retry-After"]) <= 60


def register(id):
    return {"id": id, "name": "web", "host": "10.0.0.1", "port": 80}


def test_requests_of_one_address_are_limited_and_others_are_not(limited, client):
    replica = limited("--rate-requests", "2")
    one, other = client(replica, ONE), client(replica, OTHER)
    got, before = one.until_refused("GET", "/services")
    assert before >= 20  # ten seconds' worth
    check_refusal(got, "requests of this address")
    assert other("GET", "/services").status == 200
    for path in ("/health", "/health/live", "/health/ready"):
        for _ in range(50):
            assert one("GET", path).status == 200
    await_true("one may again", lambda: one("GET", "/services").status == 200)
    assert replica.metric("http_rate_limited_total") >= 1
    assert 'a client is over a limit on rates' in replica.log() and ONE in replica.log()


def test_calls_that_there_are_not_are_counted_too(limited, client):
    replica = limited("--rate-requests", "2")
    one = client(replica, ONE)
    statuses = [one("GET", "/nothing").status for _ in range(200)]
    assert statuses[0] == 404 and 429 in statuses


def test_writes_are_limited_and_reads_and_heartbeats_go_on(limited, client):
    replica = limited("--rate-writes", "1")
    one, other = client(replica, ONE), client(replica, OTHER)
    assert one("POST", "/register", register("first")).status == 201
    for n in range(200):
        got = one("POST", "/register", register("web-%d" % n))
        if got.status == 429:
            break
    check_refusal(got, "writes of this address")
    for _ in range(100):  # also many at a time, and with a new health
        assert one("POST", "/heartbeat", {"ids": ["first"]}).status == 200
        assert one("POST", "/heartbeat", {"id": "first", "status": "warning"}).status == 200
    assert one("GET", "/instances/web-%d" % n).status == 404  # surely not done
    assert other("POST", "/register", register("web-%d" % n)).status == 201
    # The older registry's servers are clients, too.
    servers = [one("POST", "/register", {"server_id": "s%d" % n, "url": "node-1"}).status
               for n in range(60)]
    assert 429 in servers
    await_true("one may again", lambda: one("POST", "/register", register("again")).status == 201)


def test_a_token_has_a_limit_of_its_own_wherever_it_is_used(limited, client):
    replica = limited("--rate-requests", "2")
    root = replica.request("POST", "/tokens/bootstrap").json["token"]
    made = replica.request("POST", "/tokens", {"services": [{"name": "web", "access": "read"}]},
                           {"Authorization": "Bearer " + root})
    assert made.status == 201, made
    token = made.json["token"]
    clients = [client(replica, "127.0.0.%d" % n, token=token) for n in range(10, 20)]
    for _ in range(50):
        refused = [got for got in (c("GET", "/services") for c in clients) if got.status == 429]
        if refused:
            break
    check_refusal(refused[0], "requests with this token")
    assert client(replica, "127.0.0.30")("GET", "/services").status == 200
    assert client(replica, "127.0.0.30", token=root)("GET", "/services").status == 200


def test_wrong_tokens_are_slowed_and_good_ones_of_the_same_address_are_not(limited, client):
    replica = limited()
    root = replica.request("POST", "/tokens/bootstrap").json["token"]
    assert replica.request("POST", "/register", register("a"), {"Authorization": "Bearer " + root}
                           ).status == 201
    wrong = root[:-1] + ("a" if root[-1] != "a" else "b")
    guesser, good = client(replica, ONE, token=wrong), client(replica, OTHER, token=root)
    statuses = [guesser("GET", "/services").status for _ in range(30)]
    assert statuses[:10] == [401] * 10 and 429 in statuses[10:]
    assert set(statuses) == {401, 429}
    check_refusal(next(got for got in (guesser("GET", "/services") for _ in range(100)) if got.status == 429),
                  "wrong tokens")
    assert good("GET", "/services").status == 200
    assert guesser("GET", "/health").status == 200
    unknown = client(replica, "127.0.0.4", token="nonsense")
    statuses = [unknown("GET", "/services").status for _ in range(300)]
    assert statuses[0] == 401 and 429 in statuses
    assert client(replica, "127.0.0.4", token=root)("GET", "/services").status == 200
    assert replica.metric("logins_failed_total") >= 300


def test_new_connections_of_one_address_are_limited(limited, client):
    replica = limited("--rate-connections", "1")
    one = client(replica, ONE, keeps=False)
    assert [one("GET", "/services").status for _ in range(5)] == [200] * 5
    got, _ = one.until_refused("GET", "/services")
    check_refusal(got, "connections of this address")
    assert got.headers["Connection"] == "close"
    assert one("GET", "/health").status == 200
    assert client(replica, OTHER)("GET", "/services").status == 200
    await_true("one may again", lambda: one("GET", "/services").status == 200)


def test_a_connection_over_the_limit_is_closed_before_it_costs_a_handshake(make_cluster, tmp_path):
    folder = make_certificates(tmp_path / "tls", "a")
    trusting = context(folder)
    replica = make_cluster(1, "--rate-local", *OFF, "--rate-connections", "1", *options(folder),
                           tls=trusting).start()[0]

    def shakes_hands(address):
        with socket.create_connection(("127.0.0.1", replica.http_port), 15, (address, 0)) as plain:
            try:
                with trusting.wrap_socket(plain, server_hostname="localhost"):
                    return True
            except OSError:
                return False

    assert [shakes_hands(ONE) for _ in range(5)] == [True] * 5
    assert not all(shakes_hands(ONE) for _ in range(300))
    assert shakes_hands(OTHER)
    await_true("one may again", lambda: shakes_hands(ONE))

    def are_counted():
        try:
            return replica.metric("http_connections_closed_total") >= 1
        except OSError:
            return False  # this address, too, is over its limit after the start
    await_true("they are counted", are_counted)


def test_clients_on_this_machine_have_no_limits_by_default(make_cluster, client):
    replica = make_cluster(1, *OFF, "--rate-requests", "1", "--rate-connections", "1").start()[0]
    one = client(replica, "127.0.0.1", keeps=False)
    assert {one("GET", "/services").status for _ in range(100)} == {200}
    assert replica.metric("http_rate_limited_total") == 0


# --- the clients of the project ---

def test_muster_waits_and_tries_again(limited, client):
    replica = limited("--rate-writes", "1")
    client(replica, "127.0.0.1").until_refused("POST", "/register", {"name": "web", "host": "h", "port": 1})
    for n in range(5):
        done = subprocess.run(
            [MUSTER, "--server", replica.url, "--timeout", "30s", "register", "web", "--port", "80",
             "--host", "10.0.0.1"], capture_output=True, encoding="utf-8", timeout=60, check=False,
            env=clean_environment())
        assert done.returncode == 0, done
    assert replica.metric("http_rate_limited_total") >= 2


def test_libmuster_registers_all_though_they_are_too_many_at_once(limited):
    replica = limited("--rate-writes", "1")
    c = Driver([replica.url])
    try:
        assert c("register", "web", "web", 80, 60000, 16)[0] == OK
        assert c("wait", 50000) == [OK]
        assert replica.metric("http_rate_limited_total") >= 1
        assert len(replica.instances()) == 16
    finally:
        c.end()
