"""The audit log: one line for each change that was asked for and each client that was refused; no secret;
and what happens when it cannot be written."""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

import pytest

from cluster import MUSTERD, ROOT, await_true, clean_environment
from test_access import ask, bearer, create, make_tokens
from test_disk_full import fill_disk, small_disk  # noqa: F401 (a fixture)

USAGE = 2
CHANGES = []  # method, path, action
for site in ("native", "tbfs"):
    with open(os.path.join(ROOT, "api", site, "routes.def"), encoding="utf-8") as table:
        for kind, method, path, action in re.findall(
                r'^(\w+)\((\w+), "([^"]+)", \w+, (\w+)', table.read(), re.MULTILINE):
            if method != "GET" or kind == "EFFECTS":
                CHANGES.append((method, path, action))


def audited(cluster, *options, folder=None):
    """Each replica gets an audit log of its own: `replica.audit`, a path."""
    for replica in cluster:
        replica.audit = os.path.join(folder or cluster.folder, "audit-%d" % replica.id)
        replica.environment = {"MUSTER_AUDIT_LOG": replica.audit}
    cluster.options += options
    return cluster


def parse(path):
    """Its lines, each a whole JSON object."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


marks = iter(range(1000000))


def lines_of(replica, token=None):
    """All lines up to now: those of a registration made here, which comes last, are left out."""
    id = "mark-%d" % next(marks)
    got = replica.request("POST", "/register", {"id": id, "name": "mark", "host": "h", "port": 1, "ttl": 3600},
                          bearer(token))
    assert got.status == 201, got
    await_true("the line of " + id, lambda: any(l.get("id") == id for l in parse(replica.audit)))
    return [line for line in parse(replica.audit) if line.get("service") != "mark"]


def short(line):
    return tuple(line.get(key) for key in ("action", "service", "id", "principal", "status", "outcome"))


# --- what is in it ---

def test_each_change_of_each_site_has_one_line_for_every_kind_of_asker(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    tokens = make_tokens(replica)
    everything = tokens["everything"]
    known = len(lines_of(replica, everything))
    wanted = []
    assert len(CHANGES) > 15
    for method, path, action in CHANGES:
        for who in ("nobody", "wrong", "malformed", "revoked", "reader", "writer", "everything"):
            replica.request("POST", "/register", {"id": "web-1", "name": "web", "host": "h", "port": 80, "ttl": 3600},
                            bearer(everything))
            wanted.append(("register", "ok"))
            got = ask(replica, method, path, "web", tokens[who])
            outcome = got.json["error"] if got.status >= 400 else "ok"
            if action != "heartbeat" or got.status in (401, 403):
                wanted.append((action, outcome))
    lines = lines_of(replica, everything)[known:]
    assert [(line["action"], line["outcome"]) for line in lines] == wanted
    for line in lines:
        refused = line["outcome"] in ("unauthenticated", "forbidden")
        assert refused == (line["status"] in (401, 403)), line
        assert line["address"] == "127.0.0.1" and line["door"] == "http" and line["replica"] == 1, line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line
    by = {line["principal"] for line in lines}
    ids = {who: text.split("_")[1] for who, text in tokens.items() if text and text.count("_") == 2}
    assert by == {"anonymous", "unknown", ids["everything"], ids["reader"], ids["writer"]}
    claimed = {line.get("claimed") for line in lines if line["principal"] == "unknown"}
    assert claimed == {None, ids["wrong"], ids["revoked"]}
    with open(replica.audit, encoding="utf-8") as file:
        text = file.read()
    for who, token in tokens.items():
        assert not token or token.split("_")[-1] not in text or who == "malformed", who
    assert os.stat(replica.audit).st_mode & 0o777 == 0o600
    assert replica.metric("audit_lines_lost_total") == 0
    await_true("all are counted",
               lambda: replica.metric("audit_lines_total") == len(parse(replica.audit)))


def test_a_line_says_in_which_namespace(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    for space in ("", "shop"):
        query = "?ns=" + space if space else ""
        for method, path, body in (
                ("POST", "/register", {"id": "x", "name": "web", "host": "h", "port": 1}),
                ("POST", "/heartbeat", {"id": "x", "status": "warning"}),
                ("PUT", "/instances/x/maintenance", {"enabled": True}), ("DELETE", "/instances/x", None)):
            assert replica.request(method, path + query, body).status < 300, path
    assert replica.request("PUT", "/namespaces/shop", {"instances_max": 1}).status == 201
    lines = lines_of(replica)
    assert [line.get("namespace") for line in lines[:8]] == [None] * 4 + ["shop"] * 4, lines
    assert {(line["service"], line["id"]) for line in lines[:8]} == {("web", "x")}
    assert (lines[8]["action"], lines[8]["id"]) == ("quota_set", "shop") and "service" not in lines[8]


def test_a_line_says_what_was_changed_and_at_which_index(make_cluster):
    cluster = audited(make_cluster(3))
    replica = cluster.start()[0]
    cluster.wait_acquainted()
    first = replica.request("POST", "/tokens/bootstrap").json
    by, token = first["id"], first["token"]
    indexes = [first["index"]]

    def send(method, path, body=None):
        got = replica.request(method, path, body, bearer(token))
        assert got.status in (200, 201), got
        indexes.append(got.json.get("index"))
        return got

    send("POST", "/register", {"id": "a/\"b", "name": "web", "host": "h", "port": 1, "ttl": 3600})
    made = send("POST", "/register", {"name": "web", "host": "h", "port": 1, "ttl": 3600}).json["id"]
    send("POST", "/register", {"server_id": "old-1", "url": "http://10.0.0.1:1", "ttl": 3600})
    send("PUT", "/instances/%s/maintenance" % made, {"enabled": True, "reason": "a secret"})
    send("DELETE", "/instances/%s?incarnation=0" % made)
    send("DELETE", "/servers/old-1")
    other = create(replica, token, services=[{"name": "web", "access": "write"}], description="secret")
    indexes.append(other["index"])
    send("DELETE", "/tokens/" + other["id"])
    send("POST", "/cluster/state-bytes?bytes=8GiB")
    send("POST", "/cluster/members/2/demote?dry_run=true&force=true")
    send("POST", "/cluster/members/2/demote")
    send("POST", "/cluster/members/2/promote")
    backup = replica.request("GET", "/backup", headers=bearer(token))
    assert backup.status == 200
    transfer = replica.request("POST", "/cluster/transfer?to=9", headers=bearer(token))
    lines = lines_of(replica, token)
    assert [short(line) for line in lines] == [
        ("token_bootstrap", None, by, "anonymous", 201, "ok"),
        ("register", "web", "a/\"b", by, 201, "ok"),
        ("register", "web", made, by, 201, "ok"),
        ("register", "servers", "old-1", by, 200, "ok"),
        ("maintenance", "web", made, by, 200, "ok"),
        ("deregister", "web", made, by, 200, "ok"),
        ("deregister", "servers", "old-1", by, 200, "ok"),
        ("token_create", None, other["id"], by, 201, "ok"),
        ("token_revoke", None, other["id"], by, 200, "ok"),
        ("state_bytes", None, None, by, 200, "ok"),
        ("member_demote", None, "2", by, 200, "ok"),
        ("member_demote", None, "2", by, 200, "ok"),
        ("member_promote", None, "2", by, 200, "ok"),
        ("backup", None, None, by, 200, "ok"),
        ("transfer", None, "9" if transfer.status != 400 else None, by, transfer.status,
         transfer.json["error"])]
    for line, index in zip(lines, indexes):
        if index is not None:
            assert line["index"] == index, line
    assert lines[5]["parameters"] == {"incarnation": "0"}
    assert lines[9]["parameters"] == {"bytes": "8GiB"}
    assert lines[10]["parameters"] == {"dry_run": "true", "force": "true"}
    assert "index" not in lines[10]
    assert lines[13]["index"] > 0
    with open(replica.audit, encoding="utf-8") as file:
        assert "secret" not in file.read()


def test_a_heartbeat_is_in_it_when_it_gives_another_health_or_note(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    replica.register("web", id="web-1", ttl=3600)
    replica.register("web", id="web-2", ttl=3600)
    got = replica.post("/register", {"server_id": "old-1", "url": "http://10.0.0.1:1"})
    assert got.status == 200, got
    for body, seen in (
            ({"id": "web-1"}, False), ({"ids": ["web-1", "web-2", "gone"]}, False),
            ({"id": "web-1", "status": "passing"}, False), ({"id": "web-1", "status": "warning"}, True),
            ({"id": "web-1", "status": "warning"}, False), ({"id": "web-1", "note": "hot"}, True),
            ({"id": "web-1", "note": "hot", "status": "warning"}, False),
            ({"id": "web-1", "status": "passing"}, True), ({"id": "gone"}, False),
            ({"id": "gone", "status": "passing"}, True), ({"server_id": "old-1"}, False)):
        known = len(lines_of(replica))
        answer = replica.post("/heartbeat", body)
        lines = lines_of(replica)[known:]
        assert [line["action"] for line in lines] == ["heartbeat"] * seen, body
        if seen:
            assert lines[0]["status"] == answer.status and lines[0]["id"] == body["id"], lines
            assert lines[0].get("service") == (None if body["id"] == "gone" else "web")


def test_web_pages_and_other_names_are_refusals_also_of_reads(make_cluster):
    replica = audited(make_cluster(1, "--anonymous", "none")).start()[0]
    token = replica.request("POST", "/tokens/bootstrap").json["token"]
    reader = create(replica, token, services=[{"name": "db", "access": "read"}])
    known = len(lines_of(replica, token))

    def ask_as(method, path, status, **headers):
        got = replica.request(method, path, None, {key.replace("_", "-"): value for key, value in headers.items()})
        assert got.status == status, got

    ask_as("DELETE", "/instances/web-1", 403, Origin="https://evil.example", **bearer(token))
    ask_as("DELETE", "/instances/web-1", 421, Host="evil.example:9000", **bearer(token))
    ask_as("GET", "/services/web", 421, Host="evil.example", Accept_Language="en", **bearer(token))
    ask_as("GET", "/services/web", 401)
    ask_as("GET", "/services/web?tag=%s" % token, 403, **bearer(reader["token"]))
    ask_as("DELETE", "/tokens/" + token, 404, **bearer(token))  # its user took the text for the id
    ask_as("GET", "/services", 200, **bearer(token))
    ask_as("GET", "/nowhere", 404)
    lines = lines_of(replica, token)[known:]
    id = token.split("_")[1]
    assert [short(line) for line in lines] == [
        ("deregister", None, "web-1", None, 403, "forbidden"),
        ("deregister", None, "web-1", None, 421, "wrong_host"),
        ("service", "web", None, None, 421, "wrong_host"),
        ("service", "web", None, "anonymous", 401, "unauthenticated"),
        ("service", "web", None, reader["id"], 403, "forbidden"),
        ("token_revoke", None, "mst_%s_***" % id, id, 404, "not_found")]
    with open(replica.audit, encoding="utf-8") as file:
        text = file.read()
    assert token.split("_")[2] not in text and reader["token"].split("_")[2] not in text


def test_of_requests_that_come_too_fast_one_a_second_has_a_line(make_cluster):
    replica = audited(make_cluster(1, "--rate-local", "--rate-writes", "1", "--http-threads", "1")).start()[0]
    statuses = []
    while statuses.count(429) < 50:
        statuses.append(replica.request("DELETE", "/instances/web-%d" % len(statuses)).status)
        assert len(statuses) < 2000
    assert replica.stop() == 0
    lines = parse(replica.audit)
    slow = [line for line in lines if line["status"] == 429]
    assert [line["status"] for line in lines if line["status"] != 429] == [404] * statuses.count(404)
    assert 0 < len(slow) <= 50 and all(line["outcome"] == "rate_limited" for line in slow), slow
    assert len(slow) + sum(line.get("held_back", 0) for line in slow) <= statuses.count(429)
    assert slow[0]["principal"] == "anonymous" and slow[0]["action"] == "deregister"


# --- replicas that die, and clients that leave ---

def test_every_acknowledged_write_has_one_line_though_the_leader_is_killed(make_cluster):
    cluster = audited(make_cluster(3)).start()
    leader = cluster.leader()
    kept = leader.register("web", id="of-the-leader")
    await_true("its line", lambda: [l for l in parse(leader.audit) if l["index"] == kept["index"]])
    answers, stop = {}, threading.Event()

    def write(replica):
        number = 0
        while not stop.is_set():
            number += 1
            id = "%d-%d" % (replica.id, number)
            got = replica.post("/register", {"id": id, "name": "web", "host": "h", "port": 1}, timeout=30)
            answers[id] = (replica, got.status)

    others = [replica for replica in cluster if replica is not leader]
    threads = [threading.Thread(target=write, args=(replica,), daemon=True) for replica in others]
    for thread in threads:
        thread.start()
    await_true("some writes", lambda: len(answers) > 20)
    leader.kill()
    count = len(answers)
    await_true("writes go on", lambda: len(answers) > count + 20, 30)
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for replica in others:
        lines = {line["id"]: line["status"] for line in lines_of(replica)}
        wanted = {id: status for id, (asked, status) in answers.items() if asked is replica}
        assert lines == wanted
    leader.start().wait_ready()
    assert [line["id"] for line in lines_of(leader)] == ["of-the-leader"]


def test_a_write_whose_client_has_left_has_its_line(make_cluster):
    cluster = audited(make_cluster(3, "--write-timeout", "1s")).start()
    replica = cluster[0]
    for other in cluster.replicas[1:]:
        other.kill()
    text = json.dumps({"id": "web-1", "name": "web", "host": "h", "port": 1}).encode()
    submitted = replica.metric("writes_submitted_total")
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=20) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(b"POST /register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await_true("it waits for a leader", lambda: replica.metric("writes_submitted_total") > submitted)
    line = await_true("its line", lambda: parse(replica.audit))[0]
    assert line["client_gone"] is True and line["id"] == "web-1" and line["service"] == "web", line
    assert (line["status"], line["outcome"]) in ((503, "no_leader"), (504, "outcome_unknown")), line
    assert len(parse(replica.audit)) == 1


def test_the_lines_of_the_last_requests_are_there_after_a_stop(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    for number in range(200):
        replica.register("web", id="web-%d" % number)
    assert replica.stop() == 0
    assert [line["id"] for line in parse(replica.audit)] == ["web-%d" % n for n in range(200)]


# --- where it goes ---

def test_a_renamed_file_is_opened_again_on_sighup(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    replica.register("web", id="web-1")
    await_true("a line", lambda: parse(replica.audit))
    os.rename(replica.audit, replica.audit + ".1")
    replica.register("web", id="web-2")
    await_true("it goes to the renamed file", lambda: len(parse(replica.audit + ".1")) == 2)
    replica.process.send_signal(signal.SIGHUP)
    await_true("a new file", lambda: os.path.exists(replica.audit))
    replica.register("web", id="web-3")
    await_true("it goes to the new file", lambda: [l["id"] for l in parse(replica.audit)] == ["web-3"])
    assert [line["id"] for line in parse(replica.audit + ".1")] == ["web-1", "web-2"]
    assert "signal ignored" not in replica.log()


def test_a_path_that_cannot_be_opened_again_leaves_the_old_file_in_use(make_cluster):
    replica = audited(make_cluster(1)).start()[0]
    os.rename(replica.audit, replica.audit + ".1")
    os.mkdir(replica.audit)
    replica.process.send_signal(signal.SIGHUP)
    await_true("it says so", lambda: "the audit log cannot be opened again" in replica.log())
    replica.register("web", id="web-1")
    await_true("a line", lambda: [l["id"] for l in parse(replica.audit + ".1")] == ["web-1"])


def test_stderr_takes_it_between_the_lines_of_the_log(make_cluster):
    replica = make_cluster(1, "--audit-log", "stderr", "--log-level", "debug", "--audit-required").start()[0]
    for number in range(100):
        replica.register("web", id="web-%d" % number)

    def found():
        return [json.loads(line)["id"] for line in replica.log().splitlines() if line.startswith('{"time"')]
    await_true("all lines", lambda: found() == ["web-%d" % n for n in range(100)])
    assert replica.stop() == 0


def test_syslog_gets_each_line_with_the_facility_auth(make_cluster):
    if os.path.lexists("/dev/log") or not os.access("/dev", os.W_OK):
        pytest.skip("/dev/log is in use, or cannot be made here")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.settimeout(20)
        try:
            daemon.bind("/dev/log")
        except OSError as error:
            pytest.skip("/dev/log cannot be made: %s" % error)
        try:
            replica = make_cluster(1, "--audit-log", "syslog").start()[0]
            replica.register("web", id="web-1")
            got = daemon.recv(65536)
            assert replica.stop() == 0
        finally:
            os.unlink("/dev/log")
    assert got.startswith(b"<38>") and b"musterd[" in got, got  # auth, info
    assert json.loads(got[got.index(b"{"):].rstrip(b"\0\n"))["id"] == "web-1"


@pytest.mark.parametrize("arguments, status, says", [
    (["--audit-required"], USAGE, "needs --audit-log"),
    (["--audit-required", "--audit-log", "syslog"], USAGE, "syslog does not say"),
    (["--audit-log", ""], USAGE, "must not be empty"),
    (["--audit-log", "/nowhere/audit"], 1, "--audit-log: cannot open /nowhere/audit"),
    (["--audit-log", "/"], 1, "Is a directory")])
def test_an_audit_log_that_cannot_be_ends_the_start(tmp_path, arguments, status, says):
    done = subprocess.run([MUSTERD, "--data", str(tmp_path / "d"), *arguments], capture_output=True,
                          encoding="utf-8", timeout=20, check=False, env=clean_environment())
    assert done.returncode == status and says in done.stderr, done


# --- when it cannot be written ---

def test_on_a_full_disk_lines_wait_and_none_is_lost_or_torn(small_disk, make_cluster):  # noqa: F811
    replica = audited(make_cluster(1), folder=small_disk).start()[0]
    replica.register("web", id="web-0")
    await_true("a line", lambda: parse(replica.audit))
    filler = fill_disk(small_disk)
    try:
        number = 0
        while replica.metric("audit_failing") == 0:  # what its last block has room for is used first
            number += 1
            replica.register("web", id="web-%d" % number)
            assert number < 1000
        for number in range(number + 1, number + 100):
            replica.register("web", id="web-%d" % number)
        await_true("it says so", lambda: "the audit log cannot be written" in replica.log())
    finally:
        os.unlink(filler)
    await_true("it is written again", lambda: replica.metric("audit_failing") == 0)
    assert [line["id"] for line in lines_of(replica)] == ["web-%d" % n for n in range(number + 1)]
    assert replica.metric("audit_lines_lost_total") == 0
    assert "the audit log is written again" in replica.log()
    assert replica.stop() == 0


def test_a_required_log_that_fails_stops_changes_and_nothing_else(make_cluster):
    cluster = audited(make_cluster(1, "--ttl", "2s"), "--audit-required")
    replica = cluster[0]
    os.symlink("/dev/full", replica.audit)
    cluster.start()
    replica.register("web", id="web-1")  # its line is the first that fails
    await_true("the failure is known", lambda: replica.metric("audit_failing") == 1)
    for method, path, body in (
            ("POST", "/register", {"name": "web", "host": "h", "port": 1}),
            ("POST", "/register", {"server_id": "old-1", "url": "http://10.0.0.1:1"}),
            ("POST", "/heartbeat", {"id": "web-1", "status": "critical"}),
            ("PUT", "/instances/web-1/maintenance", {"enabled": True}),
            ("DELETE", "/instances/web-1", None), ("POST", "/tokens/bootstrap", None),
            ("POST", "/cluster/transfer", None), ("GET", "/backup", None)):
        got = replica.request(method, path, body)
        assert (got.status, got.json["error"]) == (503, "audit_unavailable"), (path, got)
        assert got.headers["Retry-After"], path
    # It is not taken out because nobody may write that it was heard from.
    for _ in range(20):
        got = replica.post("/heartbeat", {"id": "web-1"})
        assert got.status == 200 and got.json["renewed"] == 1, got
    assert replica.instance_health("web-1") == "passing"
    assert replica.get("/health/ready").status == 200
    os.unlink(replica.audit)
    replica.process.send_signal(signal.SIGHUP)
    await_true("it can be written", lambda: replica.metric("audit_failing") == 0)
    replica.register("web", id="web-2", ttl=3600)
    lines = lines_of(replica)
    assert short(lines[0]) == ("register", "web", "web-1", "anonymous", 201, "ok")
    assert [line["outcome"] for line in lines[1:-1]] == ["audit_unavailable"] * 8
    assert short(lines[-1]) == ("register", "web", "web-2", "anonymous", 201, "ok")
    assert replica.metric("audit_lines_lost_total") == 0


def test_a_log_that_hangs_holds_nobody_up(make_cluster):
    """A pipe that nobody reads, as a disk that does not answer."""
    cluster = audited(make_cluster(1))
    replica = cluster[0]
    os.mkfifo(replica.audit)
    reader = os.open(replica.audit, os.O_RDONLY | os.O_NONBLOCK)
    try:
        cluster.start()
        connection = http.client.HTTPConnection("127.0.0.1", replica.http_port, timeout=15)
        for number in range(1000):  # more than a pipe holds
            connection.request("PUT", "/instances/web-%d/maintenance" % number, b'{"enabled": true}',
                               {"Content-Type": "application/json"})
            got = connection.getresponse()
            got.read()
            assert got.status == 404
        connection.close()
        await_true("it is known", lambda: replica.metric("audit_failing") == 1)
        text = b""

        def read_all():
            nonlocal text
            try:
                text += os.read(reader, 1 << 20)
            except BlockingIOError:
                pass
            return text.count(b'"maintenance"') >= 1000
        await_true("all lines", read_all, 20)
        assert replica.stop() == 0
    finally:
        os.close(reader)
