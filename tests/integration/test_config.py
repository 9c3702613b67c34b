"""musterd's options: flag beats environment beats file; mistakes are one line and exit status 2."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from cluster import MUSTERD, ROOT, await_true, clean_environment, has_ipv6, request

FLAGS = ["id", "name", "data", "http", "peer", "advertise-http", "advertise-peer", "cluster",
         "cluster-secret", "cluster-secret-file", "cluster-secret-old", "peer-ca", "peer-cert", "peer-key", "peer-tls",
         "join", "voters", "replace-after", "ttl", "reap-after", "tbfs-service", "tbfs-reap-after", "checks-allow", "checks-ca",
         "consul-http", "zmq-requests", "zmq-heartbeats", "zmq-events", "zmq-curve-requests", "zmq-curve-heartbeats", "zmq-curve-events",
         "zmq-curve-key", "zmq-curve-clients", "zmq-reply", "zmq-connections", "zmq-unique-types", "docker", "swarm-http", "swarm-refresh", "swarm-metrics",
         "swarm-label-enabled", "swarm-label-metric", "swarm-label-cpu", "swarm-label-memory", "swarm-label-min",
         "swarm-label-max", "amqp-url", "amqp-url-file", "amqp-exchange", "amqp-ca",
         "webhook-url", "webhook-secret-file", "webhook-ca", "dns", "dns-domain", "datacenter",
         "dns-ttl", "dns-negative-ttl", "dns-warning", "dns-near", "dns-udp-bytes", "dns-rate", "grpc",
         "write-timeout", "election-timeout", "heartbeat-interval",
         "snapshot-log-bytes", "events-kept", "state-bytes", "http-threads", "http-connections",
         "http-connections-per-address", "rate-requests", "rate-writes", "rate-connections", "rate-local",
         "allow-host", "cors", "anonymous", "bootstrap-token-file", "audit-log", "audit-required",
         "tls-cert", "tls-key", "tls-client-ca", "tls-client-required", "tls-principal",
         "log-level", "log-format", "config"]


def musterd(*arguments, environment=None, cwd=None):
    return subprocess.run([MUSTERD, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          encoding="utf-8", timeout=20, check=False, cwd=cwd,
                          env=clean_environment(environment))


def test_help_lists_every_option_and_version_is_one_line():
    done = musterd("--help")
    assert done.returncode == 0 and done.stderr == ""
    for flag in FLAGS:
        assert "--" + flag in done.stdout, flag
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
    done = musterd("--version")
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", done.stdout) and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("arguments", [
    ["--unknown", "1"], ["stray"], ["--id"], ["--id", "0"], ["--id", "-1"], ["--id", "x"],
    ["--http", "nonsense"], ["--http", "127.0.0.1:0"], ["--http", "127.0.0.1:65536"],
    ["--http", "127.0.0.1:x"], ["--peer", "127.0.0.1"], ["--ttl", "0"], ["--ttl", "-5s"],
    ["--ttl", "25h"], ["--ttl", "soon"], ["--reap-after", "-1"], ["--tbfs-reap-after", "500ms"],
    ["--tbfs-service", ""], ["--tbfs-service", "n" * 256], ["--tbfs-service", ".."], ["--write-timeout", "0"],
    ["--consul-http", "8500"], ["--zmq-requests", "tcp://a"], ["--zmq-events", "ipc:///a"], ["--zmq-heartbeats", ":0"], ["--zmq-reply", "NO"],
    ["--docker", "unix://a"], ["--docker", "ftp://a"], ["--docker", "tcp://"], ["--docker", "unix:///" + "a" * 108],
    ["--docker", "tcp://a/b"], ["--swarm-http", "5001"], ["--swarm-refresh", "100ms"], ["--swarm-metrics", "2h"],
    ["--swarm-label-enabled", ""], ["--swarm-label-min", "l" * 129],
    ["--amqp-url", "http://a"], ["--amqp-url", "amqp://a:b@c:0/"], ["--amqp-url", "amqp://a:b@c:70000/"], ["--amqp-url", ""],
    ["--amqp-url", "amqp://a:b@/"], ["--amqp-exchange", ""], ["--amqp-exchange", "e" * 256],
    ["--amqp-url", "amqp://a:b@c/" + "v" * 256], ["--amqp-url-file", "/nowhere/url"], ["--amqp-url-file", "/dev/null"],
    ["--amqp-url", "amqp://a:b@c/d", "--amqp-url-file", "/nowhere/url"], ["--webhook-url", "ftp://a"],
    ["--webhook-url", "http://"], ["--webhook-url", "http://a b/"], ["--webhook-secret-file", "/dev/null"],
    ["--webhook-url", "http://a/", "--webhook-secret-file", "/nowhere/secret"],
    ["--dns", "127.0.0.1"], ["--dns-domain", "a..b"], ["--dns-domain", "."], ["--datacenter", "a.b"],
    ["--dns-near", "10.0.0.0/33=x"], ["--dns-udp-bytes", "511"], ["--dns-ttl", "500ms"],
    ["--dns-rate", "-1"], ["--checks-allow", "everywhere"], ["--checks-allow", "10.0.0.0/33"],
    ["--election-timeout", "1ms"], ["--election-timeout", "100ms", "--heartbeat-interval", "100ms"],
    ["--http-threads", "0"], ["--http-threads", "65"],
    ["--http-connections", "3"], ["--http-connections-per-address", "0"], ["--rate-requests", "-1"],
    ["--rate-writes", "1000001"], ["--rate-connections", "many"], ["--log-level", "loud"],
    ["--log-format", "xml"], ["--snapshot-log-bytes", "65535"], ["--snapshot-log-bytes", "x"],
    ["--events-kept", "15"], ["--events-kept", "262145"], ["--events-kept", "many"],
    ["--cluster", "1=a:1,1=b:2"], ["--cluster", "1=a:1,2=a:1"], ["--cluster", "2=a:1,3=b:1"],
    ["--cluster", "1"], ["--cluster", "1=a"], ["--cluster", "x=a:1"], ["--cluster", "1=a:0"],
    ["--cluster", ",".join("%d=h%d:1" % (n, n) for n in range(1, 11))],
    ["--name", "n" * 256], ["--name", "a\nb"], ["--config", "/nowhere/musterd.conf"],
    ["--cluster-secret", "s" * 257], ["--cluster-secret", "s" * 15],
    ["--cluster-secret-file", "/nowhere/secret"], ["--cluster-secret-file", "/dev/null"], ["--join", "nonsense://a"],
    ["--join", "http://127.0.0.1:9000", "--cluster", "1=a:9100"], ["--voters", "4"],
], ids=lambda a: " ".join(a)[:40])
def test_a_mistake_is_one_line_and_exit_2_before_anything_is_written(arguments, tmp_path):
    data = tmp_path / "data"
    done = musterd("--data", str(data), *arguments)
    assert done.returncode == 2, done
    assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("musterd: ")
    option = next((a for a in reversed(arguments) if a.startswith("--")), arguments[0])
    assert option.lstrip("-") in done.stderr or arguments[-1] in done.stderr, done.stderr
    assert not data.exists()


@pytest.mark.parametrize("text, word", [
    ("ttl = 0\n", "ttl"), ("colour = red\n", "colour"), ("ttl\n", None), ("= 5\n", None),
    ("ttl = 5s\nttl = 6s\n", "ttl"), ("\0\0\0", None), ("x" * 10000, None),
])
def test_a_mistake_in_the_file_names_file_and_line(tmp_path, text, word):
    file = tmp_path / "musterd.conf"
    file.write_text(text, encoding="utf-8")
    done = musterd("--data", str(tmp_path / "data"), "--config", str(file))
    assert done.returncode == 2, done
    assert "musterd.conf" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    assert word is None or word in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_mistake_in_the_environment_names_the_variable(tmp_path):
    done = musterd("--data", str(tmp_path / "data"), environment={"MUSTER_TTL": "soon"})
    assert done.returncode == 2 and "MUSTER_TTL" in done.stderr


def default_ttl(cluster):
    replica = cluster.start()[0]
    return replica.post("/register", {"name": "x", "host": "h", "port": 1}).json["ttl"]


def test_flag_beats_environment_beats_file(make_cluster, tmp_path):
    file = tmp_path / "musterd.conf"
    file.write_text("# a comment\n\nttl = 41s\nlog-level = debug\n", encoding="utf-8")
    flag = ["--ttl", "43s"]
    variable = {"MUSTER_TTL": "42s"}
    from_file = ["--config", str(file)]
    assert default_ttl(make_cluster(1)) == 30
    assert default_ttl(make_cluster(1, *from_file)) == 41
    assert default_ttl(make_cluster(1, *from_file, environment=variable)) == 42
    assert default_ttl(make_cluster(1, *from_file, *flag, environment=variable)) == 43
    assert default_ttl(make_cluster(1, environment={"HEARTBEAT_TIMEOUT": "44"})) == 44


def test_log_format_json_is_a_json_object_a_line(make_cluster):
    replica = make_cluster(1, "--log-format", "json").start()[0]
    for line in replica.log().splitlines():
        assert {"time", "level", "area", "event"} <= set(json.loads(line))


@pytest.mark.parametrize("address, reached", [
    ("[::1]:%d", "::1"), (":%d", "127.0.0.1"), (":%d", "::1"), ("localhost:%d", "127.0.0.1"),
])
def test_it_listens_where_it_is_told(make_cluster, address, reached):
    if reached == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    replica = make_cluster(1)[0]
    replica.start("--http", address % replica.http_port)

    def answers():
        try:
            with socket.create_connection((reached, replica.http_port), timeout=2) as s:
                s.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                return s.recv(100).startswith(b"HTTP/1.1 200")
        except OSError:
            return False
    await_true("it answers", answers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(make_cluster, number):
    replica = make_cluster(1).start()[0]
    replica.process.send_signal(number)
    assert replica.wait_exit() == 0


def test_the_service_manager_is_told(make_cluster, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(20)
        replica = make_cluster(1, environment={"NOTIFY_SOCKET": path})[0].start()
        assert s.recv(4096).decode().startswith("READY=1")
        replica.wait_ready()
        assert replica.stop() == 0
        assert "STOPPING=1" in s.recv(4096).decode()


def test_without_any_option_it_is_a_whole_registry(tmp_path):
    for port in (9000, 9100):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                pytest.skip("port %d is in use on this machine" % port)
    process = subprocess.Popen([MUSTERD], cwd=tmp_path, env=clean_environment(),
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ready():
            try:
                return request(9000, "GET", "/health/ready", timeout=2).status == 200
            except OSError:
                return False
        await_true("ready", ready, 20)
        assert request(9000, "POST", "/register",
                       {"name": "web", "host": "h", "port": 1}).status == 201
        assert os.path.isdir(tmp_path / "muster-data")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)


def test_every_key_of_config_def_is_known_to_this_test():
    with open(os.path.join(ROOT, "server", "config.def"), encoding="utf-8") as file:
        keys = re.findall(r'KEY\(\.name = "([^"]+)"', file.read())
    assert sorted(keys) == sorted(FLAGS)
