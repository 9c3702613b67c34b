"""TLS between members: with a secret or with certificates it is on, and a stranger on the port or on the
path gets nothing. Clusters are moved to it, and secrets and certificates replaced, while they run."""
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import hello
from cluster import MUSTERD, await_true, clean_environment
from test_tls import make_certificates
from writers import Writers

SECRET, OTHER = "correct horse battery staple", "another secret of the cluster"
SWITCHED = {"MUSTER_CLUSTER_SECRET": SECRET}


class Path:
    """Stands at the address of a member, and passes on what comes, in pieces of `size`; records it, and
    alters what it is asked to."""

    def __init__(self, port, alter=lambda side, number, data: data):
        self.port, self.alter = port, alter
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.said = []  # of each connection: {"to": bytes, "from": bytes}
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.listener.getsockname()[1]

    def _accept(self):
        while self.open:
            try:
                one = self.listener.accept()[0]
                other = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            except OSError:
                continue
            threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one, other):
        said = {"to": b"", "from": b""}
        self.said.append(said)
        ways = {one: ("to", other), other: ("from", one)}
        try:
            while self.open:
                for ready in select.select(list(ways), [], [], 0.5)[0]:
                    side, to = ways[ready]
                    data = ready.recv(65536)
                    if not data:
                        return
                    data = self.alter(side, len(said[side]), data)
                    said[side] += data
                    to.sendall(data)
        except OSError:
            pass
        finally:
            one.close()
            other.close()

    def close(self):
        self.open = False
        self.listener.close()


@pytest.fixture
def paths():
    made = []

    def make(*arguments):
        made.append(Path(*arguments))
        return made[-1]
    yield make
    for path in made:
        path.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("members"), "1:a", "2:b", "3:c", "--client", "ops")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("strangers"), "1:a", "2:b", "3:c")


def shown_by(folder, name, ca="ca.pem"):
    return ["--peer-ca", os.path.join(str(folder), ca), "--peer-cert", os.path.join(str(folder), name + ".pem"),
            "--peer-key", os.path.join(str(folder), name + "-key.pem")]


def start_certified(cluster, folder, *more):
    for replica, name in zip(cluster, "abc"):
        replica.start(*shown_by(folder, name), *more)
    cluster.wait_ready()
    return cluster


def refusals(replica):
    return [line for line in replica.log().splitlines() if "connection refused" in line or "connection not made" in line]


def await_refusal(replica, *words):
    return await_true(words, lambda: [line for line in refusals(replica) if all(word in line for word in words)])


def answer_to(port, data, within_s=5):
    """All that comes back before the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=within_s) as s:
        try:
            s.sendall(data)
            return hello.receive(s, 100000)
        except ConnectionResetError:
            return b""


# --- what is on the wire ---


@pytest.mark.parametrize("kind", ["secret", "certificates"])
def test_nothing_readable_is_on_the_path(make_cluster, certificates, paths, kind):
    cluster = make_cluster(3, environment=SWITCHED if kind == "secret" else None)
    path = paths(cluster[1].peer_port)
    list_of_all = ",".join(["1=127.0.0.1:%d" % cluster[0].peer_port, "2=" + path.address,
                            "3=127.0.0.1:%d" % cluster[2].peer_port])
    for replica, name in zip(cluster, "abc"):
        more = shown_by(certificates, name) if kind == "certificates" else []
        replica.start("--cluster", list_of_all, "--advertise-peer", path.address if replica.id == 2 else
                      "127.0.0.1:%d" % replica.peer_port, *more)
    cluster.wait_ready()
    for number in range(20):
        cluster[0].register("readable-name", id="readable-id-%d" % number)
    cluster.wait_same_state()
    identity = bytes.fromhex(cluster[0].get("/cluster").json["cluster"])
    said = b"".join(one[side] for one in path.said for side in ("to", "from"))
    assert len(said) > 2000 and len(path.said) >= 2
    for word in (b"readable", b"MST", SECRET.encode(), identity, b"muster-1"):
        assert word not in said
    assert all(one["to"][:3] == b"\x16\x03\x01" for one in path.said if one["to"])


@pytest.mark.parametrize("kind", ["secret", "certificates"])
def test_a_stranger_on_the_port_gets_an_alert_at_most(make_cluster, certificates, kind):
    cluster = make_cluster(3, environment=SWITCHED if kind == "secret" else None)
    if kind == "secret":
        cluster.start()
    else:
        start_certified(cluster, certificates)
    facts = hello.Facts(bytes(16), 2, 7, 7, 1, 3, 1)
    plain = hello.encode_hello(facts, 1, os.urandom(16))
    assert answer_to(cluster[0].peer_port, plain) == b""
    await_refusal(cluster[0], "without TLS")
    for data in (b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + os.urandom(70000), b"\x16",
                 b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"):
        got = answer_to(cluster[0].peer_port, data)
        assert len(got) <= 7 and got[:1] in (b"", b"\x15"), got
    assert cluster[0].is_ready()
    cluster[0].register("web", id="web")
    cluster.wait_same_state()


def talk(port, *options):
    """What openssl's client says of the session."""
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % port, *options], input="", timeout=20,
                          capture_output=True, encoding="utf-8", errors="replace", check=False,
                          env=clean_environment())
    return done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_older_versions_other_protocols_and_wrong_keys_are_refused(make_cluster, certificates, strangers):
    cluster = make_cluster(1, environment=SWITCHED).start()
    for options in (["-tls1_2", "-psk", "00" * 32], ["-tls1_3"], ["-tls1_3", "-alpn", "muster-member"],
                    ["-tls1_3", "-alpn", "muster-member", "-psk_identity", "muster-00000000", "-psk", "11" * 32]):
        said = talk(cluster[0].peer_port, *options)
        assert " alert " in said and "no peer certificate available" in said, (options, said)
    await_refusal(cluster[0], "TLS: ")
    cluster[0].stop()
    # With certificates: no version below, no protocol but ours, nobody without a certificate of ours.
    certified = make_cluster(1)[0].start(*shown_by(certificates, "a")).wait_ready()
    ours = ["-cert", os.path.join(str(certificates), "ops.pem"), "-key", os.path.join(str(certificates), "ops-key.pem")]
    theirs = ["-cert", os.path.join(str(strangers), "b.pem"), "-key", os.path.join(str(strangers), "b-key.pem")]
    for options in (["-tls1_2", *ours], ["-tls1_3", "-alpn", "http/1.1", *ours], ["-tls1_3", *ours],
                    ["-tls1_3", "-alpn", "muster-member"], ["-tls1_3", "-alpn", "muster-member", *theirs]):
        talk(certified.peer_port, *options)
    await_true("each is refused", lambda: certified.metric("peer_connections_refused_total") >= 5)


# --- who is let in ---


def test_a_member_with_another_secret_is_kept_out_and_the_log_says_what_to_look_at(make_cluster):
    cluster = make_cluster(3, environment=SWITCHED).start()
    wrong = cluster[2]
    wrong.kill()
    wrong.environment = {"MUSTER_CLUSTER_SECRET": OTHER}
    wrong.start()
    for replica in wrong, cluster[0]:
        await_refusal(replica, "TLS: ", "secret")
    assert wrong.get("/health/ready").status == 503
    cluster[0].register("web", id="web")
    wrong.kill()
    wrong.environment = {}
    wrong.start().wait_ready()
    cluster.wait_same_state()


def test_a_certificate_counts_for_the_member_that_it_names_only(make_cluster, certificates):
    cluster = start_certified(make_cluster(3), certificates)
    liar = cluster[2]
    liar.kill()
    for name, words in ("b", ["wrong certificate", "member 3"]), ("ops", ["purpose"]):
        liar.start(*shown_by(certificates, name))
        await_refusal(cluster[0], *words)
        await_true("it is live", liar.is_live)
        assert liar.get("/health/ready").status == 503
        liar.kill()
    liar.start(*shown_by(certificates, "c")).wait_ready()
    cluster.wait_same_state()


def test_a_certificate_without_ids_counts_for_the_host_that_it_names(make_cluster, tmp_path):
    folder = make_certificates(tmp_path / "tls", "a", "--client", "ops")  # 127.0.0.1, for all three
    cluster = make_cluster(3)
    for replica in cluster:
        replica.start(*shown_by(folder, "a"))
    cluster.wait_ready()
    cluster[1].kill()
    cluster[1].start(*shown_by(folder, "ops"))
    await_refusal(cluster[0], "purpose")
    await_true("it is live", cluster[1].is_live)
    assert cluster[1].get("/health/ready").status == 503


def test_a_certificate_of_another_authority_is_refused_by_both_sides(make_cluster, certificates, strangers):
    cluster = start_certified(make_cluster(3), certificates)
    cluster[2].kill()
    cluster[2].start(*shown_by(strangers, "c"))
    await_refusal(cluster[0], "TLS: ", "certificate")
    await_refusal(cluster[2], "TLS: ", "certificate")
    assert cluster[2].get("/health/ready").status == 503


def test_a_member_joins_with_certificates(make_cluster, certificates, tmp_path):
    folder = tmp_path / "tls"
    shutil.copytree(str(certificates), str(folder))
    make_certificates(folder, "4:d")
    cluster = start_certified(make_cluster(3), folder)
    new = cluster.add()
    new.start(*shown_by(folder, "d")).wait_ready()
    new.register("web", id="web")
    cluster.wait_same_state()


def test_a_proxy_that_alters_or_replays_harms_nobody(make_cluster, paths):
    """It stands before member 2: links through it break, and are made again once it lets be."""
    state = {"alter": False}

    def alter(_, number, data):
        return data[:-1] + bytes([data[-1] ^ 1]) if state["alter"] and number > 3000 else data
    cluster = make_cluster(3, environment=SWITCHED)
    path = paths(cluster[1].peer_port, alter)
    list_of_all = ",".join(["1=127.0.0.1:%d" % cluster[0].peer_port, "2=" + path.address,
                            "3=127.0.0.1:%d" % cluster[2].peer_port])
    for replica in cluster:
        replica.start("--cluster", list_of_all, "--advertise-peer", path.address if replica.id == 2 else
                      "127.0.0.1:%d" % replica.peer_port)
    cluster.wait_ready()
    state["alter"] = True
    for number in range(20):
        cluster[0].register("web", id="web-%d" % number)
    await_refusal(cluster[1], "TLS: ", "altered")
    recorded = [one["to"] for one in path.said if len(one["to"]) > 500]
    assert recorded
    for said in recorded:
        got = answer_to(cluster[1].peer_port, said)
        assert b"web" not in got and b"MST" not in got
    state["alter"] = False
    await_true("all ready", lambda: all(r.is_ready() for r in cluster), 30)
    cluster[1].register("web", id="last")
    cluster.wait_same_state()
    assert len(cluster[2].instances()) == 21


# --- while it runs ---


def assert_nothing_lost(cluster, writers):
    cluster.wait_same_state()
    found = {id: instance["port"] for id, instance in cluster[0].instances().items()}
    assert writers.count() > 100 and not writers.odd and not writers.refused & set(found)
    assert {id: found.get(id) for id in writers.acknowledged} == writers.acknowledged


def restart_each(cluster, environment, options):
    """Member by member, as an operator does it."""
    cluster.environment = environment
    for replica, more in zip(cluster, options):
        replica.stop()
        replica.start(*more)
        replica.wait_ready()
        await_true("all are linked", lambda: all(
            m["trouble"] == "" for r in cluster.running() for m in r.get("/cluster").json["members"]), 20)


def is_secured(replica):
    """Whether it refuses a plain hello."""
    facts = hello.Facts(bytes(16), 2, 7, 7, 1, 3, 1)
    return answer_to(replica.peer_port, hello.encode_hello(facts, replica.id, os.urandom(16))) == b""


def test_a_running_cluster_is_moved_from_plain_to_a_secret_then_to_certificates_and_loses_nothing(
        make_cluster, certificates):
    cluster = make_cluster(3).start()
    certified = [shown_by(certificates, name) for name in "abc"]
    with Writers(cluster, threads=2) as writers:
        moving = {"MUSTER_CLUSTER_SECRET": SECRET, "MUSTER_CLUSTER_SECRET_OLD": "none", "MUSTER_PEER_TLS": "optional"}
        restart_each(cluster, moving, [[]] * 3)
        assert not is_secured(cluster[0])
        restart_each(cluster, SWITCHED, [[]] * 3)
        assert all(is_secured(r) for r in cluster)
        restart_each(cluster, dict(SWITCHED, MUSTER_PEER_TLS="optional"), certified)
        restart_each(cluster, SWITCHED, certified)
        assert all(is_secured(r) for r in cluster)
    assert_nothing_lost(cluster, writers)


def test_a_secret_is_replaced_while_the_cluster_runs(make_cluster):
    cluster = make_cluster(3, environment=SWITCHED).start()
    with Writers(cluster, threads=2) as writers:
        restart_each(cluster, {"MUSTER_CLUSTER_SECRET": OTHER, "MUSTER_CLUSTER_SECRET_OLD": SECRET}, [[]] * 3)
        restart_each(cluster, {"MUSTER_CLUSTER_SECRET": OTHER}, [[]] * 3)
    assert_nothing_lost(cluster, writers)
    cluster[2].kill()
    cluster.environment = SWITCHED
    cluster[2].start()
    await_refusal(cluster[0], "TLS: ", "secret")


def test_authorities_and_certificates_are_replaced_while_links_stay_up(make_cluster, certificates, tmp_path):
    """First both authorities count, then each member gets its new certificate, then the old one goes."""
    folder, new = tmp_path / "tls", make_certificates(tmp_path / "new", "1:a", "2:b", "3:c")
    shutil.copytree(str(certificates), str(folder))
    for name in "abc":
        shutil.copy(str(folder / "ca.pem"), str(folder / ("ca-%s.pem" % name)))
    cluster = make_cluster(3)
    for replica, name in zip(cluster, "abc"):
        replica.start(*shown_by(folder, name, "ca-%s.pem" % name))
    cluster.wait_ready()

    def put(name, text):
        at = folder / (name + ".new")
        at.write_text(text, encoding="ascii")
        os.chmod(str(at), 0o600)
        os.replace(str(at), str(folder / name))

    def reload(replica):
        seen = replica.log().count("certificate read again")
        replica.process.send_signal(signal.SIGHUP)
        await_true("read again", lambda: replica.log().count("certificate read again") > seen)
    old_ca, new_ca = (certificates / "ca.pem").read_text(encoding="ascii"), (new / "ca.pem").read_text(encoding="ascii")
    with Writers(cluster, threads=2) as writers:
        for replica, name in zip(cluster, "abc"):
            put("ca-%s.pem" % name, old_ca + new_ca)
            reload(replica)
        for replica, name in zip(cluster, "abc"):
            for end in (".pem", "-key.pem"):
                put(name + end, (new / (name + end)).read_text(encoding="ascii"))
            reload(replica)
        for replica, name in zip(cluster, "abc"):
            put("ca-%s.pem" % name, new_ca)
            reload(replica)
            replica.stop()
            replica.start(*shown_by(folder, name, "ca-%s.pem" % name)).wait_ready()
    assert_nothing_lost(cluster, writers)


# --- secrets stay inside ---


def test_the_secret_is_neither_in_the_environment_nor_in_the_arguments_of_the_process(make_cluster):
    cluster = make_cluster(3, "--cluster-secret-old", OTHER, environment=SWITCHED).start()
    for replica in cluster:
        for file in ("environ", "cmdline"):
            with open("/proc/%d/%s" % (replica.process.pid, file), "rb") as f:
                text = f.read()
            assert SECRET.encode() not in text and OTHER.encode() not in text, file
        assert SECRET not in replica.log() and OTHER not in replica.log()
        with open("/proc/%d/status" % replica.process.pid, encoding="ascii") as f:
            assert "Name:\tmusterd" in f.read()


@pytest.mark.parametrize("options, words", [
    (["--peer-tls", "optional"], "--cluster-secret or --peer-ca"),
    (["--cluster-secret-old", SECRET], "--cluster-secret"),
    (["--cluster-secret", SECRET, "--cluster-secret-old", "none"], "--peer-tls optional"),
    (["--cluster-secret", SECRET, "--cluster-secret-old", "short"], "16 to 256 bytes"),
    (["--peer-ca", "/nowhere.pem"], "--peer-cert"),
    (["--peer-cert", "/nowhere.pem"], "--peer-key"),
    (["--peer-cert", "/nowhere.pem", "--peer-key", "/nowhere.pem"], "--peer-ca"),
])
def test_options_that_contradict_each_other_are_refused_in_words(tmp_path, options, words):
    done = subprocess.run([MUSTERD, "--data", str(tmp_path / "data"), *options], capture_output=True, timeout=20,
                          encoding="utf-8", env=clean_environment(), check=False)
    assert done.returncode == 2 and words in done.stderr, done
    assert SECRET not in done.stderr


def test_files_that_are_no_certificate_are_named_at_the_start(tmp_path, certificates):
    for files in (shown_by(tmp_path, "a"), shown_by(certificates, "a", "a-key.pem")):
        done = subprocess.run([MUSTERD, "--data", str(tmp_path / "data"), *files], capture_output=True, timeout=20,
                              encoding="utf-8", env=clean_environment(), check=False)
        assert done.returncode == 1 and ".pem" in done.stderr, done
