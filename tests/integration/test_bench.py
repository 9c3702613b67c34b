"""muster bench: its figures are correct, no failure is hidden, and it leaves nothing behind."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, await_true, clean_environment

DONE, REFUSED, USAGE, UNREACHABLE, UNKNOWN = range(5)


def command(servers, *arguments):
    return [MUSTER, "--server", ",".join(servers), "bench", *arguments]


def bench(servers, *arguments, timeout=60, environment=None):
    return subprocess.run(command(servers, *arguments), stdin=subprocess.DEVNULL,
                          capture_output=True, encoding="utf-8", timeout=timeout, check=False,
                          env=clean_environment(environment))


def report(servers, *arguments, **settings):
    done = bench(servers, "--output", "json", *arguments, **settings)
    assert done.returncode == DONE, done
    return json.loads(done.stdout)


def total(cluster, name):
    return sum(r.metric(name) for r in cluster)


def instances_of(cluster, prefix):
    return [i for i in cluster[0].instances() if i.startswith(prefix + "-")]


class Fake:
    """A server that answers each request by `respond(number)`: bytes, or None to hang up. Answers
    begin `delay_s` after the request."""

    def __init__(self, respond, delay_s=0.0):
        self.respond, self.delay_s = respond, delay_s
        self.requests = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    try:
                        got = connection.recv(65536)
                    except OSError:
                        return
                    if not got:
                        return
                    data += got
                data = data.split(b"\r\n\r\n", 1)[1]
                with self.lock:
                    number = self.requests
                    self.requests += 1
                time.sleep(self.delay_s)
                answer = self.respond(number)
                try:
                    connection.sendall(answer or b"")
                except OSError:
                    return
                if answer is None:
                    return

    def close(self):
        self.listener.close()


@pytest.fixture
def fake():
    made = []

    def make(respond, **settings):
        made.append(Fake(respond, **settings))
        return made[-1]

    yield make
    for server in made:
        server.close()


def answer(status, body=b"{}"):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


# Against a fake, whose data need no preparing.
READS = ["discover", "--reuse", "--prefix", "x", "--connections", "1"]


def test_the_replicas_count_the_requests_that_bench_counts(shared):
    before = total(shared, "http_requests_total")
    asked = total(shared, "http_requests_total") - before  # the cost of the requests themselves
    got = report([r.url for r in shared], "discover", "--requests", "500", "--instances", "3",
                 "--services", "5", "--connections", "7", "--threads", "3")
    after = total(shared, "http_requests_total")
    assert got["requests"] == got["succeeded"] == 500 and got["failed"] == 0, got
    assert got["latency_ms"]["count"] == 500
    # 15 instances were registered before and removed afterwards.
    assert after - before - 2 * asked == 500 + 2 * 15


def test_the_replicas_renew_the_leases_that_bench_counts(shared):
    before = total(shared, "heartbeats_total")
    got = report([r.url for r in shared], "heartbeat", "--requests", "30", "--instances", "100",
                 "--batch", "40", "--connections", "3")
    # Rounds of 40 + 40 + 20.
    assert (got["succeeded"], got["renewed"]) == (30, 1000), got
    assert total(shared, "heartbeats_total") - before == 3 * 1000, "each replica applies each"


def test_registrations_are_there_with_keep_and_gone_without(shared, name):
    urls = [r.url for r in shared]
    got = report(urls, "register", "--requests", "200", "--prefix", name, "--keep",
                 "--warmup", "0s", "--services", "4")
    assert (got["requests"], got["succeeded"]) == (200, 200), got
    shared.wait_same_state()
    assert len(instances_of(shared, name)) == 200
    # The same ids again: nothing is kept this time.
    got = report(urls, "register", "--requests", "200", "--prefix", name)
    assert got["statuses"]["200"] == 200 and got["not_removed"] == 0, got
    shared.wait_same_state()
    assert instances_of(shared, name) == []


@pytest.mark.parametrize("kind", ["register", "heartbeat", "discover"])
def test_nothing_is_left_behind(shared, name, kind):
    report([r.url for r in shared], kind, "--duration", "300ms", "--warmup", "100ms", "--prefix",
           name)
    shared.wait_same_state()
    assert instances_of(shared, name) == []


def test_an_interrupt_ends_it_with_figures_and_a_clean_registry(shared, name):
    process = subprocess.Popen(
        command([r.url for r in shared], "discover", "--duration", "10m", "--prefix", name,
                "--output", "json"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8", env=clean_environment())
    served = shared[0].metric("http_requests_total") + 300
    await_true("load", lambda: shared[0].metric("http_requests_total") > served, 30)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == DONE and json.loads(out)["succeeded"] > 0, out
    shared.wait_same_state()
    assert instances_of(shared, name) == []


def test_kept_data_can_be_used_again(shared, name):
    urls = [r.url for r in shared]
    report(urls, "discover", "--requests", "5", "--instances", "4", "--services", "2", "--prefix",
           name, "--keep")
    got = report(urls, "heartbeat", "--requests", "2", "--instances", "4", "--services", "2",
                 "--batch", "8", "--prefix", name, "--reuse")
    assert got["renewed"] == 16, got
    assert len(instances_of(shared, name)) == 8
    report(urls, "heartbeat", "--requests", "1", "--instances", "4", "--services", "2",
           "--prefix", name)
    assert instances_of(shared, name) == []


@pytest.mark.parametrize("kind", ["register", "heartbeat", "discover", "watch"])
def test_the_load_is_put_on_one_namespace(shared, name, kind):
    few = [] if kind == "watch" else ["--instances", "3", "--services", "2"]
    report([r.url for r in shared], kind, *few, "--namespace", name, "--keep", "--prefix", name, "--requests", "6")
    count = 1 if kind == "watch" else 6
    space = next(n for n in shared[0].get("/namespaces").json["namespaces"] if n["name"] == name)
    assert space["instances"] == count, space
    assert instances_of(shared, name) == [], "and nothing in the default one"


def test_the_load_shows_its_token(make_cluster, tmp_path):
    replica = make_cluster(1, "--anonymous", "none").start()[0]
    token = replica.request("POST", "/tokens/bootstrap").json["token"]
    refused = bench([replica.url], "discover", "--requests", "5")
    assert refused.returncode == REFUSED and "401" in refused.stdout + refused.stderr, refused
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")
    for by in {"MUSTER_TOKEN": token}, {"MUSTER_TOKEN_FILE": str(tmp_path / "token")}:
        for kind in "discover", "watch":
            got = report([replica.url], kind, "--requests", "5", environment=by)
            assert got["succeeded" if kind == "discover" else "writes"] == 5, got
    endless = bench([replica.url], "discover", "--requests", "5", environment={"MUSTER_TOKEN": "x" * 5000})
    assert endless.returncode == USAGE and "too long" in endless.stderr, endless


def test_linearizable_reads_are_asked_for(shared):
    got = report([shared.followers()[0].url], "discover", "--requests", "100", "--consistency",
                 "linearizable")
    assert got["succeeded"] == 100, got


def test_every_answer_is_counted_by_its_status(fake):
    statuses = [200, 503, 503, 404, 200, 500]
    server = fake(lambda number: answer(statuses[number % 6]))
    got = report([server.url], *READS, "--requests", "60")
    assert (got["requests"], got["succeeded"], got["failed"]) == (60, 20, 40), got
    assert got["statuses"] == {"200": 20, "404": 10, "500": 10, "503": 20}
    assert got["latency_ms"]["count"] == 20
    table = bench([server.url], *READS, "--requests", "60").stdout
    assert re.search(r"status 503 +20\n", table) and re.search(r"errors +40\n", table), table


def test_what_is_broken_off_malformed_or_too_slow_is_counted(fake):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
    server = fake(lambda number: [None, b"nonsense\r\n\r\n", answer(200)][number % 3])
    got = report([server.url], *READS, "--requests", "9")
    assert (got["succeeded"], got["broken"], got["malformed"]) == (3, 3, 3), got
    server = fake(lambda number: answer(200) if number % 2 else cut)
    got = report([server.url], *READS, "--requests", "4", "--timeout", "300ms")
    assert (got["succeeded"], got["timed_out"]) == (2, 2), got
    assert got["requests"] == got["succeeded"] + got["failed"]


def test_an_open_loop_counts_the_wait_for_a_free_connection(fake):
    """20 requests at 100 a second, of which one connection can do 10: the last is due after 0.19 s
    and answered after 2 s. A closed loop would have called that 0.1 s."""
    server = fake(lambda number: answer(200), delay_s=0.1)
    got = report([server.url], *READS, "--requests", "20", "--rate", "100")
    assert got["succeeded"] == 20 and got["late"] >= 18, got
    assert got["latency_ms"]["max"] >= 1700, got
    closed = report([server.url], *READS, "--requests", "20")
    assert closed["latency_ms"]["p50"] < got["latency_ms"]["p50"]


def test_an_open_loop_says_what_was_due_and_never_sent(fake):
    server = fake(lambda number: answer(200), delay_s=0.2)
    got = report([server.url], *READS, "--duration", "1s", "--rate", "100")
    assert got["requests"] + got["unsent"] == 100, got
    assert got["unsent"] > 50


def test_an_open_loop_sends_no_more_than_its_rate(fake):
    server = fake(lambda number: answer(200))
    got = report([server.url], *READS, "--duration", "1s", "--rate", "50", "--threads", "1")
    assert got["requests"] + got["unsent"] == 50 == server.requests + got["unsent"], got


def test_the_warm_up_is_not_counted(fake):
    server = fake(lambda number: answer(200))
    got = report([server.url], *READS, "--duration", "500ms", "--warmup", "500ms", "--rate", "40")
    assert got["requests"] + got["unsent"] == 20, got
    assert server.requests > got["requests"]


def test_a_replica_that_is_down_costs_no_request(shared):
    got = report(["http://127.0.0.1:1", shared[0].url], "discover", "--requests", "200",
                 "--connections", "4")
    assert got["succeeded"] == 200 and got["connect_failures"] > 0, got


def hung(fake):
    """It accepts connections and requests, and never answers."""
    return fake(lambda number: answer(200), delay_s=3600)


@pytest.mark.parametrize("dead", [lambda fake: "http://127.0.0.1:1", lambda fake: hung(fake).url],
                         ids=["refuses", "hangs"])
@pytest.mark.parametrize("kind", ["discover", "heartbeat", "watch"])
def test_a_dead_replica_is_named_and_takes_no_time(shared, fake, name, kind, dead):
    """Not that of its requests, which would be ten seconds for each."""
    url = dead(fake)
    done = bench([shared[0].url, url, shared[1].url], "--output", "json", kind, "--prefix", name,
                 "--duration", "1s", timeout=30)
    assert done.returncode == DONE, done
    assert "muster: %s does not respond" % url in done.stderr
    assert shared[0].url not in done.stderr
    got = json.loads(done.stdout)
    assert got["not_removed"] == 0
    if kind != "watch":
        assert got["elapsed_ms"] < 3000
        by_url = {r["replica"]: r for r in got["by_replica"]}
        assert by_url[url]["succeeded"] == 0 and by_url[shared[1].url]["succeeded"] > 0
    else:
        assert got["elapsed_ms"] < 3000 and got["ready"] >= got["watchers"] // 2


def test_the_duration_holds_though_answers_are_late(fake):
    """Requests in flight are cut off, and are not errors."""
    server = hung(fake)
    done = bench([server.url], "--output", "json", *READS, "--duration", "500ms", timeout=8)
    got = json.loads(done.stdout)
    assert (got["requests"], got["unfinished"], got["failed"]) == (1, 1, 0), got


def test_a_replica_that_dies_under_the_load_is_named(make_cluster):
    with make_cluster(3) as cluster:
        cluster.start()
        victim = cluster.followers()[0]
        process = subprocess.Popen(command([r.url for r in cluster], "discover", "--duration", "3s"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                                   env=clean_environment())
        await_true("some load", lambda: victim.metric("http_requests_total") > 500)
        victim.kill()
        out, err = process.communicate(timeout=40)
        assert process.returncode == DONE, err
        assert any(line.startswith("muster: %s: " % victim.url) for line in err.splitlines()), err
        assert re.search("  %s: [1-9]" % victim.url, out), out


def test_figures_are_consistent_and_complete(shared):
    got = report([r.url for r in shared], "discover", "--duration", "500ms")
    latency = [got["latency_ms"][p] for p in ("p50", "p90", "p99", "p99.9", "max")]
    assert latency == sorted(latency) and latency[0] > 0
    assert got["per_second"] == pytest.approx(got["succeeded"] * 1000 / got["elapsed_ms"])
    assert got["elapsed_ms"] >= 500 and got["body_bytes"] > 0 and got["client_cpu_us"] > 0
    assert (got["kind"], got["loop"], got["replicas"]) == ("discover", "closed", 3)


@pytest.mark.parametrize("via", ["stream", "poll"])
def test_every_watcher_is_told_of_every_write(shared, name, via):
    got = report([r.url for r in shared], "watch", "--via", via, "--watchers", "30", "--requests",
                 "5", "--rate", "50", "--prefix", name)
    assert (got["ready"], got["writes"], got["told"]) == (30, 5, 150), got
    assert (got["failed"], got["missed"], got["refused"]) == (0, 0, 0)
    assert (got["latency_ms"]["count"], got["last_ms"]["count"]) == (150, 5)
    assert got["last_ms"]["max"] >= got["latency_ms"]["p50"]
    assert got["whole_ms"]["max"] >= got["write_ms"]["p50"] > 0
    shared.wait_same_state()
    assert instances_of(shared, name) == []


@pytest.mark.parametrize("via", ["stream", "poll"])
def test_watchers_that_are_refused_are_counted(fake, via):
    server = fake(lambda number: answer(503))
    done = bench([server.url], "watch", "--via", via, "--reuse", "--prefix", "x", "--watchers",
                 "2", "--requests", "1", "--timeout", "300ms", "--output", "json")
    assert done.returncode == REFUSED and "told" in done.stderr, done
    assert server.requests > 2


def stream_of(*blocks):
    body = "".join(blocks).encode()
    return (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n"
            % (len(body), body))


def test_a_watcher_that_is_never_told_is_counted_as_missed(fake):
    """Three streams that start and then stay silent."""
    server = fake(lambda number: stream_of("id: 1.0\n\n") if number < 3 else answer(200))
    done = bench([server.url], "watch", "--reuse", "--prefix", "x", "--watchers", "3",
                 "--requests", "1", "--timeout", "500ms", "--output", "json")
    assert done.returncode == REFUSED and "told" in done.stderr, done
    got = json.loads(done.stdout)
    assert (got["ready"], got["writes"], got["told"], got["missed"]) == (3, 1, 0, 3), got


def test_help_explains_both_loops():
    done = subprocess.run([MUSTER, "bench", "--help"], capture_output=True, encoding="utf-8",
                          timeout=30, check=False)
    assert done.returncode == DONE
    for word in ("Closed loop", "Open loop", "--rate", "p99", "Examples:"):
        assert word in done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["register", "discover"], ["discover", "--connections", "0"],
    ["discover", "--connections", "many"], ["discover", "--connections", "16385"],
    ["discover", "--threads", "0"], ["discover", "--threads", "2", "--connections", "1"],
    ["discover", "--duration", "0s"], ["discover", "--duration", "25h"],
    ["discover", "--requests", "0"], ["discover", "--rate", "0"], ["discover", "--rate", "0.5"],
    ["discover", "--batch", "2"], ["register", "--limit", "2"], ["discover", "--instances", "0"],
    ["register", "--consistency", "stale"], ["discover", "--consistency", "strong"],
    ["heartbeat", "--batch", "10001"], ["heartbeat", "--ttl", "500ms"],
    ["heartbeat", "--ttl", "25h"], ["heartbeat", "--reuse"], ["discover", "--prefix", "A b"],
    ["discover", "--prefix", ""], ["discover", "--instances", "100000", "--services", "100000"],
    ["discover", "--colour", "red"], ["discover", "--watchers", "3"], ["register", "--via", "poll"],
    ["watch", "--via", "mail"], ["watch", "--watchers", "0"], ["watch", "--instances", "5"],
    ["watch", "--connections", "5"], ["watch", "--threads", "1"],
], ids=" ".join)
def test_bad_options_exit_2_and_send_nothing(fake, arguments):
    server = fake(lambda number: answer(200))
    done = bench([server.url], *arguments)
    assert done.returncode == USAGE and done.stderr.strip() and done.stdout == "", done
    assert server.requests == 0


def test_https_is_refused_with_a_sentence():
    done = bench(["https://127.0.0.1:1"], "discover")
    assert done.returncode == USAGE and "http://" in done.stderr


def test_no_replica_reachable_exits_3():
    done = bench(["http://127.0.0.1:1"], "discover", "--duration", "1s")
    assert done.returncode == UNREACHABLE and done.stderr.strip(), done


def test_data_that_cannot_be_prepared_exit_1_with_the_reason(fake):
    server = fake(lambda number: answer(503))
    done = bench([server.url], "discover", "--instances", "2", "--services", "1")
    assert done.returncode == REFUSED and "registered" in done.stderr, done


def test_a_load_without_one_success_exits_1_and_shows_why(fake):
    server = fake(lambda number: answer(503))
    done = bench([server.url], *READS, "--requests", "7")
    assert done.returncode == REFUSED and re.search(r"status 503 +7\n", done.stdout), done


def test_more_connections_than_files_is_said_before_the_load(fake):
    server = fake(lambda number: answer(200))
    done = subprocess.run(
        ["prlimit", "--nofile=200:200", *command([server.url], *READS[:-1], "500")],
        capture_output=True, encoding="utf-8", timeout=60, check=False, env=clean_environment(
            {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}))
    assert done.returncode == USAGE and "ulimit" in done.stderr, done
