"""The muster command: effects, output and exit status."""
import http.server
import json
import subprocess
import threading

import pytest

from cluster import MUSTER, clean_environment

DONE, REFUSED, USAGE, UNREACHABLE, UNKNOWN = range(5)


def muster(*arguments, servers=None, environment=None, timeout=30):
    command = [MUSTER]
    if servers is not None:
        command += ["--server", ",".join(servers)]
    return subprocess.run(command + list(arguments), stdin=subprocess.DEVNULL,
                          capture_output=True, encoding="utf-8", timeout=timeout, check=False,
                          env=clean_environment(environment))


@pytest.fixture
def cli(shared):
    def run(*arguments, **settings):
        return muster(*arguments, servers=[r.url for r in shared], **settings)
    return run


def in_json(cli, *arguments):
    done = cli("--output", "json", *arguments)
    assert done.returncode == DONE, done
    return json.loads(done.stdout)


def test_the_life_of_an_instance_from_the_command_line(shared, cli, name):
    done = cli("register", name, "--port", "8080", "--host", "10.1.2.3", "--id", name,
               "--type", "http", "--tag", "a", "--tag", "b", "--meta", "k=v=w", "--ttl", "5m",
               "--zone", "z", "--weight", "3")
    assert done.returncode == DONE and name in done.stdout, done
    seen = shared[0].get("/instances/%s?consistency=linearizable" % name).json
    assert (seen["name"], seen["host"], seen["port"], seen["type"]) == (name, "10.1.2.3", 8080,
                                                                        "http")
    assert (seen["tags"], seen["metadata"], seen["ttl"]) == (["a", "b"], {"k": "v=w"}, 300)
    assert (seen["zone"], seen["weight"]) == ("z", 3)

    assert cli("heartbeat", name).returncode == DONE
    assert cli("maintenance", name, "on", "--reason", "disk").returncode == DONE
    assert shared[0].get("/instances/%s?consistency=linearizable" % name).json[
        "health"] == "maintenance"
    assert cli("discover", name).returncode == REFUSED
    assert cli("maintenance", name, "off").returncode == DONE
    done = cli("discover", name, "--strategy", "first", "--tag", "a")
    assert done.returncode == DONE and "10.1.2.3" in done.stdout and "8080" in done.stdout
    assert cli("deregister", name).returncode == DONE
    assert cli("deregister", name).returncode == REFUSED


def test_tables_have_a_heading_and_the_values(shared, cli, name):
    shared[0].register(name, id=name, tags=["blue"])
    shared.wait_same_state()
    for arguments in (["services"], ["list"], ["list", "--service", name]):
        done = cli(*arguments)
        assert done.returncode == DONE, done
        lines = done.stdout.splitlines()
        assert len(lines) >= 2 and name in done.stdout
        assert lines[0].split()[0].isupper(), lines[0]


def test_list_filters(shared, cli, name):
    shared[0].register(name, id=name + "-up")
    shared[0].register(name, id=name + "-down", health="critical")
    shared.wait_same_state()
    done = cli("list", "--service", name, "--health", "critical")
    assert name + "-down" in done.stdout and name + "-up" not in done.stdout


def test_status_and_members_show_every_replica_and_the_leader(shared, cli):
    for command in ("status", "members"):
        done = cli(command)
        assert done.returncode == DONE, done
        assert "leader" in done.stdout.lower()
        assert len(done.stdout.splitlines()) >= 4, done.stdout


@pytest.mark.parametrize("command", [["services"], ["list"], ["status"], ["members"]])
def test_json_output_is_json(cli, command):
    assert in_json(cli, *command) is not None


def test_json_output_of_writes_and_discover(shared, cli, name):
    assert in_json(cli, "register", name, "--port", "1", "--id", name)["id"] == name
    assert in_json(cli, "heartbeat", name)["renewed"] == 1
    shared.wait_same_state()
    assert in_json(cli, "discover", name)["id"] == name


def test_help_and_version():
    for arguments in (["--help"], ["register", "--help"], ["--version"]):
        done = muster(*arguments)
        assert done.returncode == DONE and done.stdout, (arguments, done)
    for command in ("register", "heartbeat", "deregister", "maintenance", "services", "list",
                    "discover", "status", "members"):
        assert command in muster("--help").stdout


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["--frobnicate", "list"], ["register"], ["register", "x"],
    ["register", "x", "--port"], ["register", "x", "--port", "http"],
    ["register", "x", "--port", "80", "--meta", "novalue"],
    ["register", "x", "--port", "80", "--colour", "red"], ["heartbeat"], ["deregister"],
    ["maintenance", "x"], ["maintenance", "x", "maybe"], ["discover"],
    ["list", "unexpected"], ["--output", "xml", "list"], ["--server", "", "list"],
    ["--server", "ftp://x", "list"],
], ids=" ".join)
def test_wrong_usage_exits_2_with_one_sentence(arguments):
    done = muster(*arguments)
    assert done.returncode == USAGE, done
    assert done.stderr.strip() and done.stdout == ""


def test_what_the_server_refuses_exits_1_with_its_sentence(cli, name):
    for arguments, word in ((["n" * 256, "--port", "80"], "name"), ([name, "--port", "0"], "port"),
                            ([name, "--port", "65536"], "port")):
        done = cli("register", *arguments)
        assert done.returncode in (REFUSED, USAGE) and word in done.stderr, done
    done = cli("heartbeat", name)
    assert done.returncode == REFUSED and done.stderr.strip()
    done = cli("discover", name)
    assert done.returncode == REFUSED and done.stderr.strip()


def test_no_replica_reachable_exits_3():
    done = muster("list", servers=["http://127.0.0.1:1", "http://127.0.0.1:2"])
    assert done.returncode == UNREACHABLE and done.stderr.strip()


def answering(status, json_body):
    """A server that answers every request with the same."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps(json_body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def test_a_host_alone_means_port_9000():
    done = muster("list", servers=["127.213.9.1"])
    assert done.returncode == UNREACHABLE and "http://127.213.9.1:9000: " in done.stderr


@pytest.mark.parametrize("host, shown", [("::1", "[::1]:80"), ("[::1]", "[::1]:80"),
                                         ("fe80::1", "[fe80::1]:80"), ("10.0.0.1", "10.0.0.1:80"),
                                         ("db.example", "db.example:80")])
def test_an_ipv6_address_has_one_pair_of_brackets(json_server, host, shown):
    """Whatever the spelling in the registry."""
    instance = {"id": "a", "name": "web", "host": host, "port": 80, "health": "passing"}
    url = json_server({"instances": [instance], **instance})
    assert muster("discover", "web", servers=[url]).stdout == shown + "\n"
    assert shown in muster("list", servers=[url]).stdout.splitlines()[1].split()


@pytest.fixture
def json_server():
    """A server that answers every request with 200 and one body."""
    servers = []

    def start(body):
        servers.append(answering(200, body))
        return "http://127.0.0.1:%d" % servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def fake_server():
    """A server that answers every request with one status and error code."""
    servers = []

    def start(status, code):
        servers.append(answering(status, {"error": code, "message": "as told"}))
        return "http://127.0.0.1:%d" % servers[-1].server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_unknown_outcome_exits_4(fake_server):
    url = fake_server(504, "outcome_unknown")
    done = muster("register", "x", "--port", "80", servers=[url])
    assert done.returncode == UNKNOWN and done.stderr.strip(), done


def test_a_dead_replica_is_passed_over(shared, name):
    servers = ["http://127.0.0.1:1", shared[1].url]
    done = muster("register", name, "--port", "80", "--id", name, servers=servers)
    assert done.returncode == DONE, done
    assert muster("list", servers=servers).returncode == DONE


def test_a_replica_without_a_leader_is_passed_over(shared, fake_server, name):
    servers = [fake_server(503, "no_leader"), shared[2].url]
    done = muster("register", name, "--port", "80", "--id", name, servers=servers)
    assert done.returncode == DONE, done
    assert shared[2].instance_health(name) == "passing"


@pytest.mark.parametrize("variable", ["MUSTER_SERVER", "REGISTRY_URL"])
def test_the_environment_names_the_replicas(shared, variable):
    done = muster("list", environment={variable: shared[0].url})
    assert done.returncode == DONE, done


def test_text_of_others_cannot_play_with_the_terminal(shared, cli, name):
    """C1 controls pass some checks as printable, but are commands to some terminals."""
    body = {"id": name, "name": name, "host": "h", "port": 1, "zone": "\u009b2J"}
    if shared[0].post("/register", body).status == 201:
        shared.wait_same_state()
        assert "\u009b" not in cli("list", "--service", name).stdout
