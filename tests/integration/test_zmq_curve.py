"""ZeroMQ under CURVE: who may connect, what they may do, and nothing for anybody else."""
import os
import signal
import socket
import subprocess

import pytest

from cluster import MUSTER, await_true, clean_environment

zmq = pytest.importorskip("zmq", reason="python3-zmq is not installed")
pytest.importorskip("zmq.auth")
if not zmq.has("curve"):
    pytest.skip("this libzmq has no CURVE", allow_module_level=True)

from ports import free_ports  # noqa: E402
from zmq_ports import GREETING, Subscriber, Talker, command, with_ports  # noqa: E402

SERVER = zmq.curve_keypair()
STORE, READER, STRANGER = (zmq.curve_keypair() for _ in range(3))


def curve_cluster(make_cluster, tmp_path, *options, clients=True):
    """One replica with CURVE beside its plain ports, and the two clients that it knows."""
    cluster = with_ports(make_cluster(1, *options))
    key, known = tmp_path / "server.key_secret", tmp_path / "clients"
    key.write_text('metadata\ncurve\n    public-key = "%s"\n    secret-key = "%s"\n'
                   % tuple(k.decode() for k in SERVER), encoding="ascii")
    known.write_text("# who may connect\n\nstore %s\nreader\t%s # reads\n"
                     % (STORE[0].decode(), READER[0].decode()), encoding="ascii")
    for replica in cluster:
        ports = replica.curve = dict(zip(("requests", "heartbeats", "events"), free_ports(3)))
        replica.environment.update(
            {"MUSTER_ZMQ_CURVE_" + k.upper(): "127.0.0.1:%d" % v for k, v in ports.items()})
        replica.environment["MUSTER_ZMQ_CURVE_KEY"] = str(key)
        if clients:
            replica.environment["MUSTER_ZMQ_CURVE_CLIENTS"] = str(known)
    return cluster.start()[0]


def as_client(pair, server=SERVER[0]):
    def set_keys(s):
        s.curve_publickey, s.curve_secretkey = pair
        s.curve_serverkey = server
    return set_keys


def is_answered(talker, within_ms=1500):
    talker.socket.rcvtimeo = within_ms
    talker.send(action="health")
    try:
        return talker.receive()["success"]
    except zmq.Again:
        return False


def test_clients_that_it_knows_are_served_in_every_form(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    for form in ("req", "typed", "plain", "delimited"):
        for port in ("requests", "heartbeats"):
            with Talker(replica.curve[port], form, setup=as_client(STORE)) as t:
                assert t.ask("health")["success"]
    with Talker(replica.curve["requests"], setup=as_client(STORE)) as t, \
            Subscriber(replica.curve["events"], setup=as_client(READER)) as s:
        s.until_heard(t)
        id = t.register("web", id="web-1", metadata={"k%d" % n: "v" * 500 for n in range(40)})
        assert s.next_of("web")[1]["service_info"]["metadata"]["k39"] == "v" * 500
        for n in range(500):
            t.send(action="get", service_id=id)
        for n in range(500):
            assert t.receive()["service"]["id"] == id
        info = t.ask("info")
        assert info["req_port"] == replica.curve["requests"]
        assert info["pub_port"] == replica.curve["events"]


def test_nobody_else_is_served(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    wrong = zmq.curve_keypair()[0]
    for setup in (as_client(STRANGER), as_client(STORE, wrong), None, set_plain):
        with Talker(replica.curve["requests"], setup=setup) as t:
            assert not is_answered(t)
    with Talker(replica.zmq.requests, setup=as_client(STORE)) as t:
        assert not is_answered(t)  # nor does a plain port speak it
    assert "none of --zmq-curve-clients" in replica.log()
    assert replica.metric("zmq_requests_total") == 0
    with Talker(replica.curve["requests"], setup=as_client(STORE)) as t:
        assert is_answered(t, 10000)


def reload(replica, said="keys of CURVE read again"):
    """After changes of the files: returns what the log says to it."""
    before = replica.log().count(said)
    replica.process.send_signal(signal.SIGHUP)
    await_true("the log says: " + said, lambda: replica.log().count(said) > before)
    return replica.log().rsplit(said, 1)[1].splitlines()[0]


def test_a_list_that_changed_counts_after_a_sighup(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    known = tmp_path / "clients"
    port = replica.curve["requests"]
    with Talker(port, setup=as_client(STORE)) as store, Talker(port, setup=as_client(READER)) as reader, \
            Subscriber(replica.curve["events"], setup=as_client(READER)) as s, \
            Talker(replica.zmq.requests) as plain:
        s.until_heard(store)
        assert is_answered(reader, 10000)
        known.write_text("reader %s\nstranger %s\n"
                         % (READER[0].decode(), STRANGER[0].decode()), encoding="ascii")
        with Talker(port, setup=as_client(STRANGER)) as stranger:
            assert not is_answered(stranger)  # nobody said so yet
        assert "clients=2 closed=1" in reload(replica)
        assert not is_answered(store)
        for talker in (reader, plain):
            assert is_answered(talker, 10000)
        with Talker(port, setup=as_client(STRANGER)) as stranger:
            stranger.register("web", id="web-1")
            assert s.next_of("web")[0] == "register"
        # Under another name it is somebody else, and has to come again.
        known.write_text("writer %s\n" % READER[0].decode(), encoding="ascii")
        assert "clients=1 closed=" in reload(replica)
        assert "closed=0" not in replica.log().splitlines()[-1]
        assert is_answered(reader) or is_answered(reader, 10000)


def test_a_broken_file_changes_nothing(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    failed = "what was read before goes on to count"
    with Talker(replica.curve["requests"], setup=as_client(STORE)) as store:
        assert is_answered(store, 10000)
        (tmp_path / "clients").write_text("store %s\nbroken\n" % STRANGER[0].decode(), encoding="ascii")
        assert "line 2" in reload(replica, failed)
        (tmp_path / "clients").unlink()
        assert "No such file" in reload(replica, failed)
        (tmp_path / "server.key_secret").write_text("no key", encoding="ascii")
        assert "40 characters" in reload(replica, "the key cannot be read again")
        assert is_answered(store, 10000)
        with Talker(replica.curve["requests"], setup=as_client(READER)) as reader:
            assert is_answered(reader, 10000)


def test_the_replicas_own_key_can_be_replaced(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    other = zmq.curve_keypair()
    with Talker(replica.curve["requests"], setup=as_client(STORE)) as store:
        assert is_answered(store, 10000)
        (tmp_path / "server.key_secret").write_text(other[1].decode() + "\n", encoding="ascii")
        said = reload(replica)
        assert other[0].decode() in said and "closed=0" in said
        assert is_answered(store, 10000)  # on its connection
        with Talker(replica.curve["requests"], setup=as_client(READER, other[0])) as reader:
            assert is_answered(reader, 10000)
        with Talker(replica.curve["requests"], setup=as_client(READER)) as reader:
            assert not is_answered(reader)


def set_plain(s):
    s.plain_username = s.plain_password = b"x"


def make_key(folder, *words):
    return subprocess.run([MUSTER, "zmq-key", *words], cwd=folder, capture_output=True, timeout=30,
                          encoding="utf-8", check=False, env=clean_environment())


def test_keys_that_the_command_line_made_are_good(make_cluster, tmp_path):
    lines = [make_key(tmp_path, *words).stdout
             for words in (("server",), ("a.b", "--out", "own"), ("reader",))]
    files = [tmp_path / name for name in ("server.key_secret", "own", "reader.key_secret")]
    assert all(f.stat().st_mode & 0o777 == 0o600 for f in files)
    pairs = [zmq.auth.load_certificate(f) for f in files]
    assert lines[1] == "a.b %s\n" % pairs[1][0].decode()
    before = files[0].read_bytes()
    again = make_key(tmp_path, "server")
    assert (again.returncode, again.stdout) == (1, "") and "File exists" in again.stderr
    assert files[0].read_bytes() == before
    for words in ((), ("a", "b"), ("a/b",), ("",)):
        assert make_key(tmp_path, *words).returncode == 2
    (tmp_path / "known").write_text("".join(lines[1:]), encoding="ascii")
    port, = free_ports(1)
    make_cluster(1, "--zmq-curve-requests", "127.0.0.1:%d" % port, "--zmq-curve-key", str(files[0]),
                 "--zmq-curve-clients", str(tmp_path / "known")).start()
    for pair in pairs[1:]:
        with Talker(port, setup=as_client(pair, pairs[0][0])) as t:
            assert is_answered(t, 10000)


def test_without_a_list_whoever_knows_the_servers_key_is_nobody(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path, "--anonymous", "none", clients=False)
    with Talker(replica.curve["requests"], setup=as_client(STRANGER)) as t:
        assert is_answered(t, 10000)
        assert "--anonymous" in t.ask("list")["error"]


def test_policies_say_what_the_holder_of_a_key_may(make_cluster, tmp_path):
    log = tmp_path / "audit"
    replica = curve_cluster(make_cluster, tmp_path, "--anonymous", "none", "--audit-log", str(log))
    token = replica.post("/tokens/bootstrap", {}).json["token"]
    auth = {"Authorization": "Bearer " + token}
    for subject, scopes in (("store", [{"prefix": "data", "access": "write"}]),
                            ("reader", [{"prefix": "other", "access": "read"}])):
        made = replica.request("POST", "/policies", {"subject": subject, "services": scopes}, auth)
        assert made.status == 201, made.body
    with Talker(replica.curve["requests"], setup=as_client(STORE)) as store, \
            Talker(replica.curve["requests"], setup=as_client(READER)) as reader, \
            Talker(replica.zmq.requests) as nobody, \
            Subscriber(replica.curve["events"], setup=as_client(READER)) as deaf, \
            Subscriber(replica.curve["events"], setup=as_client(STORE)) as s:
        heard = []
        s.socket.rcvtimeo = 50
        for n in range(200):
            store.register("data store", id="data-%d" % n)
            try:
                heard.append(s.next())
                break
            except zmq.Again:
                pass
        assert heard and heard[0][1]["service_id"].startswith("data-")
        info = {"name": "web", "host": "h", "port": 1}
        assert not store.ask("register", service_info=info)["success"]
        assert not reader.ask("register", service_info={**info, "name": "data x"})["success"]
        assert store.ask("get", service_id="data-0")["success"]
        assert not reader.ask("get", service_id="data-0")["success"]
        assert not nobody.ask("get", service_id="data-0")["success"]
        assert store.ask("renew", service_id="data-0")["success"]
        assert store.ask("deregister", service_id="data-0")["success"]
        deaf.socket.rcvtimeo = 300
        with pytest.raises(zmq.Again):
            deaf.next()
    await_true("the audit log names it", lambda: '"cert:store"' in log.read_text(encoding="utf-8"))


def test_what_breaks_the_handshake_is_cut_off(make_cluster, tmp_path):
    replica = curve_cluster(make_cluster, tmp_path)
    greeting = GREETING.replace(b"NULL" + bytes(16), b"CURVE" + bytes(15))
    for said in (GREETING, greeting + command(b"READY", b""), greeting + command(b"HELLO", bytes(194)),
                 greeting + command(b"HELLO", b"\1\0" + os.urandom(192)),
                 greeting + command(b"INITIATE", os.urandom(248)), greeting + b"\0\7MESSAGE" + bytes(40)):
        with socket.create_connection(("127.0.0.1", replica.curve["requests"]), timeout=10) as s:
            s.sendall(said)
            got = b""
            try:
                while some := s.recv(4096):
                    got += some
            except ConnectionResetError:
                pass
            assert b"WELCOME" not in got
    assert replica.metric("zmq_connections_cut_total") == 6


@pytest.mark.parametrize("clients, error", [
    ("store", "line 1"), ("store " + "x" * 39, "line 1"), ("st*re " + "0" * 40, "line 1"),
    ("a %s\nb %s" % ("0" * 40, "0" * 40), "twice"), ("\n# x\nstore " + "~" * 40, "line 3")])
def test_a_list_of_clients_that_is_none_ends_the_start(make_cluster, tmp_path, clients, error):
    cluster = with_ports(make_cluster(1, "--zmq-curve-requests", "127.0.0.1:%d" % free_ports(1)[0],
                                      "--zmq-curve-key", str(tmp_path / "key"),
                                      "--zmq-curve-clients", str(tmp_path / "clients")))
    (tmp_path / "key").write_text(SERVER[1].decode() + "\n", encoding="ascii")
    (tmp_path / "clients").write_text(clients, encoding="ascii")
    cluster[0].start()
    assert cluster[0].wait_exit() == 1
    assert "--zmq-curve-clients" in cluster[0].log() and error in cluster[0].log()
