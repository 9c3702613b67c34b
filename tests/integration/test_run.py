"""muster run: a program that is registered while it runs."""
import http.server
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, await_true, clean_environment, read_line

USAGE = 2
SLEEP = ["sleep", "600"]


class Run:
    def __init__(self, servers, options, program, environment=None):
        self.process = subprocess.Popen(
            [MUSTER, "--server", ",".join(servers), "run", *options, "--", *program],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            env=clean_environment(environment))

    def end(self, within_s=20):
        """(status, stdout, stderr)"""
        out, err = self.process.communicate(timeout=within_s)
        return self.process.returncode, out, err

    def error_line(self, within_s=30):
        """The next line on stderr; "" if it ends first, or is killed for silence."""
        timer = threading.Timer(within_s, self.process.kill)
        timer.start()
        try:
            return next(self.process.stderr, "")
        finally:
            timer.cancel()

    def kill(self):
        """SIGTERM first: so that it ends what it has started."""
        if self.process.poll() is None:
            children = self.children()
            self.process.terminate()
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                subprocess.run(["kill", "-9", *children], timeout=30, check=False)
                self.process.kill()
        self.process.communicate(timeout=30)

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid),
                  encoding="ascii") as file:
            return file.read().split()


@pytest.fixture
def run(shared, name):
    """run(options, program): registered as `name`, in a service of that name."""
    made = []

    def start(options=(), program=SLEEP, servers=None, **settings):
        servers = servers if servers is not None else [r.url for r in shared]
        made.append(Run(servers, ["--name", name, "--id", name, "--port", "80", *options], program,
                        **settings))
        return made[-1]

    yield start
    for one in made:
        one.kill()


def instance(shared, name):
    got = shared[0].get("/instances/%s?consistency=linearizable" % name)
    return got.json if got.status == 200 else None


def await_health(shared, name, health, within_s=15):
    def there():
        got = instance(shared, name)
        return got if got is not None and got["health"] == health else None
    return await_true("%s %s" % (name, health), there, within_s)


def test_a_program_is_registered_as_long_as_it_runs(shared, run, name):
    r = run(["--host", "10.9.8.7", "--tag", "a", "--meta", "k=v", "--ttl", "7s", "--zone", "z",
             "--weight", "0"])
    got = await_health(shared, name, "passing")
    assert (got["host"], got["port"], got["tags"], got["metadata"], got["ttl"], got["zone"],
            got["weight"]) == ("10.9.8.7", 80, ["a"], {"k": "v"}, 7, "z", 0)
    r.process.terminate()
    status, out, err = r.end()
    assert (status, out) == (128 + signal.SIGTERM, ""), err
    assert instance(shared, name) is None


@pytest.mark.parametrize("script, expected", [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137),
                                              ("kill -USR1 $$", 138)])
def test_its_status_is_the_programs(shared, run, name, script, expected):
    status, _, err = run(program=["sh", "-c", "sleep 0.3; " + script]).end()
    assert status == expected, err
    assert instance(shared, name) is None


def test_the_program_has_stdin_stdout_and_its_arguments(run):
    status, out, _ = run(program=["sh", "-c", "cat; echo $0 $1; echo e >&2; ls /proc/self/fd", "--x",
                                  "y z"]).end()
    assert status == 0 and out.startswith("--x y z\n0\n1\n2\n")
    assert len(out.split()) == 7, "descriptors that are not its own: " + out


@pytest.mark.parametrize("program, expected", [(["/nonexistent/program"], 127),
                                               (["/etc/passwd"], 126)])
def test_a_program_that_cannot_be_started_is_not_registered(shared, run, name, program, expected):
    status, _, err = run(program=program).end()
    assert status == expected and program[0] in err
    assert instance(shared, name) is None


@pytest.mark.parametrize("sig", ["HUP", "INT", "TERM", "QUIT", "USR1", "USR2", "WINCH"])
def test_signals_are_passed_on(run, sig):
    script = "trap 'echo got; exit 5' %s; echo ready; while :; do sleep 0.05; done" % sig
    r = run(program=["sh", "-c", script])
    assert read_line(r.process) == "ready\n"
    r.process.send_signal(getattr(signal, "SIG" + sig))
    status, out, _ = r.end()
    assert (status, out) == (5, "got\n")


def test_the_lease_is_kept_and_taken_again(shared, run, name):
    run(["--ttl", "3s"])
    first = await_health(shared, name, "passing")
    time.sleep(7)  # time itself: the lease would have expired twice
    assert instance(shared, name)["index"] == first["index"]
    shared[1].request("DELETE", "/instances/" + name)
    again = await_health(shared, name, "passing")
    assert again["incarnation"] > first["incarnation"]


def test_draining_hides_it_before_the_signal(shared, run, name):
    script = "trap 'echo got; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    r = run(["--drain", "6s"], ["sh", "-c", script])
    assert read_line(r.process) == "ready\n"
    await_health(shared, name, "passing")
    r.process.terminate()
    got = await_health(shared, name, "maintenance", 5)
    assert got["reason"] == "stopping"
    assert r.process.poll() is None
    assert r.end()[:2] == (0, "got\n")
    assert instance(shared, name) is None


def test_a_second_signal_does_not_wait_for_draining(shared, run, name):
    r = run(["--drain", "60s"])
    await_health(shared, name, "passing")
    r.process.terminate()
    await_health(shared, name, "maintenance")
    r.process.terminate()
    assert r.end()[0] == 128 + signal.SIGTERM


def test_one_that_does_not_stop_is_killed(run):
    r = run(["--stop-timeout", "300ms"], ["sh", "-c", "trap '' TERM; echo ready;"
                                          "while :; do sleep 0.1; done"])
    assert read_line(r.process) == "ready\n"
    r.process.terminate()
    status, _, err = r.end()
    assert status == 137 and "killing" in err


@pytest.fixture
def web():
    """A web server whose answer can be changed."""
    class Handler(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(Handler.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Handler.url = "http://127.0.0.1:%d/ready" % server.server_port
    yield Handler
    server.shutdown()
    server.server_close()


FAST = ["--check-interval", "100ms", "--check-timeout", "2s", "--unhealthy-after", "2"]


def test_an_http_check_decides_the_health(shared, run, name, web):
    web.status = 500
    run(["--check", web.url, *FAST])
    got = await_health(shared, name, "critical")
    await_true("its note", lambda: "500" in instance(shared, name)["note"])
    assert got["health"] == "critical"
    web.status = 204
    assert await_health(shared, name, "passing")["note"] == ""
    web.status = 404
    assert "404" in await_health(shared, name, "critical")["note"]


def test_with_a_check_nobody_is_sent_to_a_program_that_is_starting(shared, run, name, tmp_path):
    ready = tmp_path / "ready"
    run(["--check", "test -e %s" % ready, *FAST])
    await_true("registered", lambda: instance(shared, name))
    assert instance(shared, name)["health"] == "critical"
    ready.touch()
    await_health(shared, name, "passing")


def test_a_tcp_check_decides_the_health(shared, run, name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        run(["--check", "tcp://127.0.0.1:%d" % port, *FAST])
        await_health(shared, name, "passing")
    await_health(shared, name, "critical")


def test_a_command_check_shows_what_it_prints(shared, run, name, tmp_path):
    script = tmp_path / "check"
    script.write_text("echo disk is full; echo more; exit 2\n", encoding="ascii")
    run(["--check", "sh %s" % script, *FAST])
    await_true("its note", lambda: (instance(shared, name) or {}).get("note") == "disk is full")
    script.write_text("yes | head -c 1000000; exit 0\n", encoding="ascii")
    await_health(shared, name, "passing")
    script.write_text("exit 3\n", encoding="ascii")
    assert "3" in await_health(shared, name, "critical")["note"]


def test_a_check_that_hangs_is_ended_with_its_children(shared, run, name, tmp_path):
    pid = tmp_path / "pid"
    run(["--check", "sleep 600 & echo $! > %s; wait" % pid, "--check-interval", "100ms",
         "--check-timeout", "300ms"])
    await_true("its note", lambda: "timed out" in (instance(shared, name) or {}).get("note", ""))
    first = pid.read_text(encoding="ascii").strip()
    await_true("another check", lambda: pid.read_text(encoding="ascii").strip() not in ("", first))
    await_true("its end", lambda: not os.path.exists("/proc/%s" % first))


def test_the_program_runs_on_without_a_registry(run):
    r = run(program=["sh", "-c", "sleep 1; echo done"], servers=["http://127.0.0.1:1"])
    status, out, err = r.end()
    assert (status, out) == (0, "done\n") and "not deregistered" in err


def test_a_registry_that_does_not_answer_is_reported_at_growing_distance(run):
    r = run(servers=["http://127.0.0.1:1"])
    began, times = time.monotonic(), []
    for _ in range(2):
        line = r.error_line()
        assert "no registry answers: http://127.0.0.1:1: " in line, line
        times.append(time.monotonic() - began)
    assert times[0] >= 1.5 and times[1] - times[0] >= 3, times


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_without_a_registry_it_neither_drains_nor_waits(run, sig):
    """It is never in discovery, and nobody sees it leave."""
    r = run(["--drain", "60s"], servers=["http://127.0.0.1:1", "http://127.0.0.1:2"])
    assert "no registry answers" in r.error_line()
    began = time.monotonic()
    r.process.send_signal(sig)
    status, _, err = r.end()
    assert status == 128 + sig and "not deregistered" in err
    assert time.monotonic() - began < 4


def test_it_stops_soon_though_the_registry_has_gone(make_cluster, name):
    with make_cluster(1) as cluster:
        cluster.start()
        r = Run([cluster[0].url], ["--name", name, "--id", name, "--port", "80"], SLEEP)
        try:
            assert r.error_line().endswith(" is registered\n")
            cluster[0].kill()
            began = time.monotonic()
            r.process.send_signal(signal.SIGTERM)
            status, _, err = r.end()
            assert status == 128 + signal.SIGTERM and "Its lease will expire" in err
            assert time.monotonic() - began < 4
        finally:
            r.kill()


def test_a_registration_that_is_refused_is_said_and_the_program_runs_on(shared):
    r = Run([shared[0].url], ["--name", "x", "--id", "..", "--port", "1"],
            ["sh", "-c", "sleep 1; echo done"])
    status, out, err = r.end()
    assert (status, out) == (0, "done\n") and "refuses .." in err


@pytest.mark.parametrize("arguments", [
    [], ["--name", "x", "--port", "1"], ["--name", "x", "--", "true"], ["--port", "1", "--", "true"],
    ["--name", "x", "--port", "99999", "--", "true"],
    ["--name", "x", "--port", "1", "--drain", "long", "--", "true"],
    ["--name", "x", "--port", "1", "--unhealthy-after", "0", "--", "true"],
    ["--name", "x", "--port", "1", "--check", "", "--", "true"],
    ["--name", "x", "--port", "1", "--check", "tcp://x", "--", "true"],
    ["--name", "x", "--port", "1", "--check-interval", "1ms", "--", "true"],
    ["--name", "x" * 256, "--port", "1", "--", "sleep", "60"],
], ids=lambda a: " ".join(a)[:40])
def test_wrong_usage_of_run_exits_2(arguments):
    done = subprocess.run([MUSTER, "run", *arguments], capture_output=True, encoding="utf-8", timeout=30,
                          check=False, env=clean_environment())
    assert done.returncode == USAGE and done.stderr, done
