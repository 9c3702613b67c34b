"""The environment of a replica: readers of its log, signals, descriptors, foreign variables. None of it
may stop a replica, or prevent its stop."""
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from cluster import (MUSTER, MUSTERD, ROOT, STOP_WITHIN_S, await_true, clean_environment,
                     has_ipv6, read_line)
from test_tls import file, make_certificates, options


class StuckPipe:
    """A full pipe with a stuck reader."""

    def __init__(self):
        self.reader, self.writer = os.pipe()

    def fill(self):
        blind = os.open("/proc/self/fd/%d" % self.writer, os.O_WRONLY | os.O_NONBLOCK)
        try:
            for size in (4096, 1):
                while True:
                    try:
                        os.write(blind, b"." * size)
                    except BlockingIOError:
                        break
        finally:
            os.close(blind)

    def read_until(self, words):
        os.set_blocking(self.reader, False)
        seen = bytearray()

        def found():
            try:
                seen.extend(os.read(self.reader, 1 << 20))
            except BlockingIOError:
                pass
            return words in seen
        await_true("in the log: %r" % words, found)

    def close(self):
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def stuck():
    pipe = StuckPipe()
    yield pipe
    pipe.close()


def start(replica, stderr, prefix=()):
    replica.process = subprocess.Popen([*prefix, *replica.command()], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=stderr,
                                       env=clean_environment(replica.cluster.environment))
    return replica


def speak_nonsense(replica):
    """Something that is logged: a stranger on the peer port."""
    with socket.create_connection(("127.0.0.1", replica.peer_port), timeout=5) as s:
        s.sendall(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100)
        s.settimeout(10)
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass


# --- the log ---

def test_readers_of_all_logs_that_stand_still_stop_no_replica(make_cluster, stuck):
    with make_cluster(3) as cluster:
        for replica in cluster:
            start(replica, stuck.writer)
        cluster.wait_ready()
        stuck.fill()
        for replica in cluster:
            speak_nonsense(replica)
        for number, replica in enumerate(cluster):
            replica.register("web", id="web-%d" % number)
            assert replica.get("/services/web?consistency=linearizable").status == 200
            assert replica.is_ready()
        leader = cluster.leader()
        assert leader.stop() == 0
        rest = next(iter(cluster.running()))
        rest.register("web", id="late")  # which waits for the next leader
        for replica in cluster.running():
            assert replica.stop() == 0


def test_lines_wait_for_a_reader_that_stands_still_and_then_come_out(make_cluster, stuck):
    with make_cluster(1) as cluster:
        replica = start(cluster[0], stuck.writer).wait_ready()
        stuck.fill()
        replica.process.send_signal(signal.SIGHUP)
        replica.register("web", id="web-1")
        assert replica.metric("log_lines_dropped_total") == 0  # there is room for many
        stuck.read_until(b"signal ignored")


def test_a_start_that_is_refused_ends_though_nobody_reads_why(make_cluster, stuck):
    with make_cluster(1) as cluster:
        cluster.start()
        stuck.fill()
        process = subprocess.Popen(cluster[0].command(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=stuck.writer,
                                   env=clean_environment())
        assert process.wait(STOP_WITHIN_S) == 1


# --- signals ---

@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE])
def test_a_signal_that_is_no_order_to_stop_is_noted_and_no_more(make_cluster, number):
    with make_cluster(1) as cluster:
        cluster.start()
        replica = cluster[0]
        replica.process.send_signal(number)
        replica.register("web", id="web-1")
        if number != signal.SIGPIPE:
            await_true("a line", lambda: "signal ignored" in replica.log())
        assert replica.alive()
        # Also during a stop.
        replica.process.send_signal(signal.SIGTERM)
        for _ in range(20):
            replica.process.send_signal(number)
        assert replica.process.wait(STOP_WITHIN_S) == 0


# --- descriptors ---

CLOSED = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]


def test_closed_standard_descriptors_are_filled_before_anything_is_opened(make_cluster):
    with make_cluster(1) as cluster:
        replica = start(cluster[0], subprocess.DEVNULL, CLOSED).wait_ready()
        at = [os.readlink("/proc/%d/fd/%d" % (replica.process.pid, fd)) for fd in range(3)]
        assert at == ["/dev/null"] * 3
        speak_nonsense(replica)
        assert replica.stop() == 0
        for name in os.listdir(replica.data):
            with open(os.path.join(replica.data, name), "rb") as file:
                assert b" info  " not in file.read(), name


def test_the_command_line_prints_nothing_into_its_own_files_and_sockets(shared, tmp_path):
    script = tmp_path / "where"
    script.write_text("#!/bin/sh\nseen=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)\n"
                      "echo \"$seen\" >%s/seen\n" % tmp_path, encoding="utf-8")
    script.chmod(0o755)
    done = subprocess.run(
        [*CLOSED, MUSTER, "--server", shared[0].url, "run", "--name", "closed", "--port", "1", "--",
         str(script)], env=clean_environment(), timeout=60, check=False)
    assert done.returncode == 0
    assert (tmp_path / "seen").read_text(encoding="utf-8").split() == ["/dev/null"] * 3


# --- variables ---

OF_OTHERS = {"SERVER_PORT": "tcp://10.96.3.4:80", "HEARTBEAT_INTERVAL": "often", "SERVER_ID": "x" * 300}


def test_variables_of_others_hurt_nobody_who_does_not_need_them(shared, name):
    with subprocess.Popen(
            [os.path.join(os.path.dirname(MUSTERD), "example_follow"), name],
            env=clean_environment({**OF_OTHERS, "MUSTER_SERVER": shared[0].url}), encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as follows:
        try:
            shared[0].register(name, id=name)
            assert read_line(follows).startswith(("present", "synced"))
        finally:
            follows.kill()
    done = subprocess.run(
        [MUSTER, "--server", shared[0].url, "run", "--name", name, "--id", name + "-run", "--port", "81",
         "--", "true"], env=clean_environment(OF_OTHERS),
        capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_variable_that_is_adopted_and_unusable_is_named(shared, name):
    done = subprocess.run(
        [MUSTER, "--server", shared[0].url, "run", "--name", name, "--port", "81", "--adopt-environment",
         "--", "sleep", "60"],
        env=clean_environment({"HEARTBEAT_INTERVAL": "often"}),
        capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 2
    assert "HEARTBEAT_INTERVAL" in done.stderr


def check(*arguments, **environment):
    """What the image's health check runs."""
    with open(os.path.join(ROOT, "docker", "Dockerfile"), encoding="utf-8") as file:
        command = json.loads(re.search(r"HEALTHCHECK .*?CMD (\[.*?\])", file.read(), re.DOTALL).group(1))
    assert command[0] == "muster"
    return subprocess.run([MUSTER, *command[1:], *arguments], env=clean_environment(environment),
                          stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=30,
                          check=False)


@pytest.mark.parametrize("host", ["", "127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost",
                                  *(["[::]"] if has_ipv6() else [])])
def test_the_image_s_health_check_asks_the_address_that_is_listened_on(make_cluster, host):
    with make_cluster(1) as cluster:
        address = "%s:%d" % (host, cluster[0].http_port)
        cluster[0].start("--http", address)

        def healthy():
            return check(MUSTER_HTTP=address).returncode == 0
        await_true("healthy at " + address, healthy)


class Answers(threading.Thread):
    """A server that returns one status after the other, then repeats the last."""

    def __init__(self, statuses):
        super().__init__(daemon=True)
        self.statuses = list(statuses)
        self.asked = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += connection.recv(4096)
                status = self.statuses[min(self.asked, len(self.statuses) - 1)]
                self.asked += 1
                connection.sendall(b'HTTP/1.1 %d X\r\nConnection: close\r\n\r\n{"message": "answer %d"}' % (
                    status, self.asked))


@pytest.mark.parametrize("statuses, healthy", [((503, 503, 200), True), ((503,), False), ((404,), False)])
def test_the_image_s_health_check_bears_with_an_election_and_no_longer(statuses, healthy):
    server = Answers(statuses)
    done = check(MUSTER_HTTP="127.0.0.1:%d" % server.port)
    server.socket.close()
    assert (done.returncode == 0) == healthy, done
    if healthy:
        assert done.stdout == "ready\n" and server.asked == 3
    else:  # for docker inspect
        assert done.stderr.strip().endswith(": answer %d" % server.asked) and server.asked > 1


def test_the_image_s_health_check_says_that_nobody_answers():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = check(MUSTER_HTTP="127.0.0.1:%d" % port)
    assert done.returncode == 3 and "http://127.0.0.1:%d: " % port in done.stderr, done


def test_the_image_s_health_check_trusts_the_replica_s_own_certificate_and_no_other(make_cluster, tmp_path):
    """Whatever its CA, and also where clients must show a certificate."""
    own, other = (make_certificates(tmp_path / name, "a") for name in ("own", "other"))
    ca = file(own, "ca.pem")
    replica = make_cluster(1, *options(own, "--tls-client-ca", ca, "--tls-client-required"))[0].start()
    address = "127.0.0.1:%d" % replica.http_port
    settings = {"MUSTER_HTTP": address, "MUSTER_TLS_CERT": file(own, "a.pem"),
                "MUSTER_TLS_KEY": file(own, "a-key.pem"), "MUSTER_TLS_CLIENT_CA": ca}
    await_true("healthy", lambda: check(**settings).returncode == 0)
    done = check(**{**settings, "MUSTER_TLS_CERT": file(other, "a.pem"),
                    "MUSTER_TLS_KEY": file(other, "a-key.pem")})
    assert done.returncode == 3, done
    done = check(MUSTER_HTTP=address)  # plain
    assert done.returncode in (1, 3) and done.stdout == "", done
    done = check(**{**settings, "MUSTER_TLS_CERT": "/nowhere.pem"})
    assert done.returncode == 2 and "/nowhere.pem" in done.stderr
