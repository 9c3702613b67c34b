"""TLS for clients: what a replica with a certificate serves, whom it refuses, and how certificates are
replaced while it runs. The certificates are those of `muster tls init`."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, MUSTERD, await_true, clean_environment, request
from test_cli import DONE, muster

REFUSED, USAGE, UNREACHABLE = 1, 2, 3


def make_certificates(folder, *arguments):
    done = muster("tls", "init", "--out", str(folder), *arguments)
    assert done.returncode == DONE, done
    return folder


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls"), "a", "--client", "ops")


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Of another authority."""
    return make_certificates(tmp_path_factory.mktemp("strangers"), "a", "--client", "ops")


def file(folder, name):
    return os.path.join(str(folder), name)


def options(folder, *more):
    return ["--tls-cert", file(folder, "a.pem"), "--tls-key", file(folder, "a-key.pem"), *more]


def context(ca, client=None):
    made = ssl.create_default_context(cafile=file(ca, "ca.pem"))
    if client is not None:
        made.load_cert_chain(file(client, "ops.pem"), file(client, "ops-key.pem"))
    return made


@pytest.fixture
def replica(make_cluster, certificates):
    return make_cluster(1, *options(certificates), tls=context(certificates)).start()[0]


# --- what it serves ---


def test_three_replicas_serve_reads_writes_streams_and_long_answers_over_tls(make_cluster, certificates):
    cluster = make_cluster(3, *options(certificates), tls=context(certificates)).start()
    first, second, third = cluster
    filler = {"m%d" % n: "x" * 500 for n in range(4)}
    for n in range(300):
        first.register("web", "web-%03d" % n, metadata=filler)
    at = first.register("web", "last")["index"]
    got = second.get("/instances?min_index=%d" % at)
    assert len(got.json["instances"]) == 301 and len(got.body) > 600000
    assert third.get("/instances/last?min_index=%d" % at).status == 200
    wait = threading.Thread(target=lambda: (time.sleep(0.3), first.register("db", "db-1")))
    wait.start()
    with socket.create_connection(("127.0.0.1", second.http_port), timeout=20) as plain:
        with cluster.tls.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            stream.sendall(b"GET /events?after=%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
                           % first.events()[-1]["id"].encode())
            text = b""
            while b"db-1" not in text:
                piece = stream.recv(65536)
                assert piece, text[-1000:]
                text += piece
    wait.join(30)
    cluster.leader().kill()
    rest = next(r for r in cluster if r.alive())
    assert rest.register("web", "after")["id"] == "after"


def test_a_body_of_a_megabyte_and_requests_sent_ahead_are_read_whole(replica):
    got = replica.post("/heartbeat", {"ids": ["none-" + "x" * 100 + "%04d" % n for n in range(9000)]})
    assert len(got.json["unknown"]) == 9000, got
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as plain:
        with replica.cluster.tls.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            tls.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
            text = b""
            while text.count(b'{"live":true}') < 200:
                piece = tls.recv(65536)
                assert piece
                text += piece
            tls.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            rest = b""
            while True:
                piece = tls.recv(65536)  # ends with a close_notify: else an error
                if not piece:
                    break
                rest += piece
            assert rest.endswith(b'{"live":true}')


def test_http_1_1_is_agreed_on_and_sessions_are_resumed(replica):
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as plain:
        offering = context(os.path.dirname(replica.cluster.options[1]))
        offering.set_alpn_protocols(["http/1.0", "http/1.1"])
        with offering.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert tls.version() == "TLSv1.3"
            tls.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            tls.recv(65536)
            session = tls.session
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as plain:
        with offering.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls:
            assert tls.session_reused


# --- whom it refuses ---


def test_tls_1_1_is_refused_and_1_2_is_not(replica):
    for version, taken in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        old = context(os.path.dirname(replica.cluster.options[1]))
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = version
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        try:
            assert request(replica.http_port, "GET", "/health/live", tls=old).status == 200
            assert taken
        except ssl.SSLError:
            assert not taken


def test_http_without_tls_is_told_so(replica):
    got = request(replica.http_port, "GET", "/services")
    assert (got.status, got.json["error"]) == (400, "tls_required")
    assert "https://" in got.json["message"]
    assert replica.metric("tls_handshakes_failed_total") == 1


@pytest.mark.parametrize("sent", [b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16\x03\x01\x02\x00",
                                  b"ssh-2.0\r\n", b""])
def test_what_is_no_handshake_gets_nothing_and_hurts_nobody(replica, sent):
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as raw:
        try:
            raw.sendall(sent)
            raw.shutdown(socket.SHUT_WR)
            got = raw.recv(65536)
            assert got == b"" or got[0] == 21  # an alert
        except OSError:
            pass  # it was closed meanwhile
    await_true("one connection", lambda: replica.metric("http_connections") == 1)
    assert replica.get("/health/ready").status == 200


def test_a_handshake_that_stands_still_is_over_in_time_and_holds_nobody_up(replica):
    held = [socket.create_connection(("127.0.0.1", replica.http_port), timeout=30) for _ in range(50)]
    for raw in held[:25]:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert replica.get("/health/ready").status == 200
    began = time.monotonic()
    for raw in held:
        try:
            assert raw.recv(100) == b""
        except ConnectionResetError:
            pass
        raw.close()
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("required", [False, True])
def test_a_clients_certificate_counts_when_the_ca_signed_it(make_cluster, certificates, strangers, required):
    more = ["--tls-client-ca", file(certificates, "ca.pem"), *(["--tls-client-required"] if required else [])]
    cluster = make_cluster(1, *options(certificates, *more), tls=context(certificates, certificates))
    replica = cluster.start()[0]
    assert replica.get("/services").status == 200
    for client, taken in ((None, not required), (strangers, False)):
        try:
            got = request(replica.http_port, "GET", "/services", tls=context(certificates, client))
            assert taken and got.status == 200
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            assert not taken


@pytest.mark.parametrize("arguments, says", [
    (["--tls-cert", "a.pem"], "go together"), (["--tls-key", "a.pem"], "go together"),
    (["--tls-client-ca", "a.pem"], "needs --tls-cert"), (["--tls-client-required"], "needs --tls-client-ca"),
    (["--tls-client-required=maybe"], "yes or no")])
def test_options_that_contradict_each_other_are_refused(tmp_path, arguments, says):
    done = subprocess.run([MUSTERD, "--data", str(tmp_path / "d"), *arguments], capture_output=True,
                          encoding="utf-8", timeout=20, check=False, env=clean_environment())
    assert done.returncode == USAGE and says in done.stderr, done


def test_a_certificate_that_cannot_be_read_is_named_and_nothing_is_begun(tmp_path, certificates):
    for arguments in (["--tls-cert", "/nowhere/a.pem", "--tls-key", file(certificates, "a-key.pem")],
                      ["--tls-cert", file(certificates, "a.pem"), "--tls-key", file(certificates, "ops-key.pem")]):
        done = subprocess.run([MUSTERD, "--data", str(tmp_path / "d"), *arguments], capture_output=True,
                              encoding="utf-8", timeout=20, check=False, env=clean_environment())
        assert done.returncode == 1 and ("/nowhere/a.pem" in done.stderr or "a.pem" in done.stderr), done
        assert not (tmp_path / "d").exists()


# --- how certificates are replaced ---


def serial(replica, ca):
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as plain:
        with context(ca).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
            return tls.getpeercert()["serialNumber"]


def put_in_place(fresh, folder):
    """As tools do it: key and certificate one after the other, each by a rename."""
    for name in ("a-key.pem", "a.pem"):
        shutil.copy(file(fresh, name), file(folder, name + ".new"))
        os.rename(file(folder, name + ".new"), file(folder, name))


@pytest.mark.parametrize("by", ["SIGHUP", "itself"])
def test_a_new_certificate_counts_and_no_request_fails_meanwhile(make_cluster, tmp_path, by):
    folder, fresh = tmp_path / "in-use", tmp_path / "fresh"
    make_certificates(folder, "a")
    shutil.copytree(str(folder), str(fresh))
    for name in ("a.pem", "a-key.pem"):
        os.unlink(file(fresh, name))
    make_certificates(fresh, "a")
    replica = make_cluster(1, *options(folder), tls=context(folder)).start()[0]
    before = serial(replica, folder)
    end = threading.Event()
    failed, done = [], []

    def load(new_connections):
        connection = None
        while not end.is_set():
            try:
                if new_connections:
                    assert replica.get("/services").status == 200
                else:
                    connection = connection or socket_of(replica)
                    connection.sendall(b"GET /services HTTP/1.1\r\nHost: x\r\n\r\n")
                    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                done.append(1)
            except Exception as error:  # noqa: any failure counts
                failed.append(error)

    threads = [threading.Thread(target=load, args=(n % 2 == 0,)) for n in range(4)]
    for thread in threads:
        thread.start()
    await_true("there is load", lambda: len(done) > 10 or failed)
    put_in_place(fresh, folder)
    if by == "SIGHUP":
        replica.process.send_signal(signal.SIGHUP)
    await_true("the new certificate", lambda: serial(replica, folder) != before, within_s=30)
    before_the_end = len(done)
    await_true("the load goes on", lambda: len(done) > before_the_end + 20 or failed, within_s=30)
    end.set()
    for thread in threads:
        thread.join(60)
    assert not failed, failed[:3]
    assert "certificate read again" in replica.log()


def socket_of(replica):
    plain = socket.create_connection(("127.0.0.1", replica.http_port), timeout=20)
    return replica.cluster.tls.wrap_socket(plain, server_hostname="127.0.0.1")


def test_a_bad_certificate_changes_nothing_and_is_told(make_cluster, tmp_path, strangers):
    folder = make_certificates(tmp_path / "in-use", "a")
    replica = make_cluster(1, *options(folder), tls=context(folder)).start()[0]
    before = serial(replica, folder)
    shutil.copy(file(strangers, "a.pem"), file(folder, "a.pem"))  # not the key's
    replica.process.send_signal(signal.SIGHUP)
    await_true("it is told", lambda: "cannot be read again" in replica.log())
    assert replica.metric("tls_reload_failures_total") >= 1
    assert serial(replica, folder) == before


def test_when_the_certificate_ends_is_in_the_metrics_and_soon_is_a_warning(make_cluster, tmp_path):
    for days, warned in (("300", False), ("3", True)):
        folder = make_certificates(tmp_path / days, "a", "--days", days)
        replica = make_cluster(1, *options(folder), tls=context(folder)).start()[0]
        left = replica.metric("tls_certificate_end_seconds") - time.time()
        assert abs(left - int(days) * 86400) < 3600
        assert ("ends soon" in replica.log()) == warned


# --- its clients ---


def test_the_command_line_speaks_tls_to_all_members(make_cluster, certificates, strangers):
    cluster = make_cluster(3, *options(certificates, "--tls-client-ca", file(certificates, "ca.pem"),
                                       "--tls-client-required"), tls=context(certificates, certificates)).start()
    good = {"MUSTER_CACERT": file(certificates, "ca.pem"), "MUSTER_CERT": file(certificates, "ops.pem"),
            "MUSTER_KEY": file(certificates, "ops-key.pem")}
    done = muster("register", "web", "--id", "web-1", "--port", "80", servers=[cluster[0].url], environment=good)
    assert done.returncode == DONE, done
    cluster.wait_acquainted()
    done = muster("--output", "json", "status", servers=[cluster[0].url], environment=good)
    assert done.returncode == DONE, done
    rows = json.loads(done.stdout)["replicas"]
    assert sorted(row["address"] for row in rows) == sorted(r.url for r in cluster), rows
    for environment in ({}, {"MUSTER_CACERT": file(strangers, "ca.pem")},
                        {"MUSTER_CACERT": "/nowhere/ca.pem"}):
        done = muster("register", "web", "--id", "web-2", "--port", "80", servers=[cluster[0].url],
                      environment=environment, timeout=60)
        assert done.returncode == UNREACHABLE, (environment, done)  # surely not done
    assert cluster[0].get("/instances/web-2").status == 404


def test_a_member_joins_through_replicas_that_speak_tls(make_cluster, certificates):
    cluster = make_cluster(1, *options(certificates), tls=context(certificates),
                           environment={"MUSTER_CACERT": file(certificates, "ca.pem")}).start()
    joined = cluster.add().start().wait_ready()
    assert joined.get("/cluster/members").status == 200


def test_the_program_that_muster_run_checks_is_not_shown_the_certificate(make_cluster, certificates):
    replica = make_cluster(1, *options(certificates), tls=context(certificates)).start()[0]
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asking.load_cert_chain(file(certificates, "a.pem"), file(certificates, "a-key.pem"))
    asking.load_verify_locations(file(certificates, "ca.pem"))
    asking.verify_mode = ssl.CERT_OPTIONAL
    came = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        program = subprocess.Popen(
            [MUSTER, "--server", replica.url, "run", "--name", "web", "--port", str(port), "--check",
             "https://127.0.0.1:%d/" % port, "--check-interval", "200ms", "--", "sleep", "60"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=clean_environment({"MUSTER_CACERT": file(certificates, "ca.pem"),
                                   "MUSTER_CERT": file(certificates, "ops.pem"),
                                   "MUSTER_KEY": file(certificates, "ops-key.pem")}))
        try:
            listener.settimeout(20)
            for _ in range(2):
                plain = listener.accept()[0]
                plain.settimeout(10)
                try:
                    with asking.wrap_socket(plain, server_side=True) as tls:
                        came.append(tls.getpeercert())
                except OSError:
                    came.append(None)  # broken off: the CA is the replicas' alone
        finally:
            program.terminate()
            program.wait(20)
    assert came == [None, None]


# --- muster tls init ---


def test_tls_init_writes_nothing_over_and_takes_the_authority_that_is_there(tmp_path):
    folder = make_certificates(tmp_path / "tls", "a=a.example,10.0.0.1")
    before = {name: open(file(folder, name), "rb").read() for name in os.listdir(str(folder))}
    done = muster("tls", "init", "--out", str(folder), "a")
    assert done.returncode == REFUSED and "a-key.pem: File exists" in done.stderr, done
    make_certificates(folder, "b", "--client", "ops")
    after = {name: open(file(folder, name), "rb").read() for name in os.listdir(str(folder))}
    assert {name: after[name] for name in before} == before
    assert sorted(after) == sorted(["ca.pem", "ca-key.pem", "a.pem", "a-key.pem", "b.pem", "b-key.pem",
                                    "ops.pem", "ops-key.pem"])
    for name in after:
        assert os.stat(file(folder, name)).st_mode & 0o777 == (0o600 if "-key" in name else 0o644), name


@pytest.mark.parametrize("arguments", [[], ["../a"], ["ca"], ["a/b"], ["a=b c"], ["a=http://b"], ["--days", "0", "a"],
                                       ["--days", "99999", "a"], ["--client", "x/y"], ["::1"],
                                       ["a" * 65], ["a=" + ",".join("h%d" % n for n in range(40))]])
def test_tls_init_refuses_names_that_are_none(tmp_path, arguments):
    done = muster("tls", "init", "--out", str(tmp_path / "tls"), *arguments)
    assert done.returncode == USAGE, done
    assert not (tmp_path / "tls").exists()
