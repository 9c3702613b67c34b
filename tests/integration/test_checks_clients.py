"""Checks from the command line, from programs of libmuster: defined, shown, heard from."""
import json
import os
import signal
import subprocess

import pytest

from cluster import MUSTER, await_true, clean_environment
from test_cli import DONE, REFUSED, USAGE, cli, in_json  # noqa: F401
from test_libmuster import client  # noqa: F401

NOBODY = "127.0.0.1:1"
URL = "http://%s/" % NOBODY


def checks_of(replica, id):
    return {c["id"]: c for c in replica.get("/instances/" + id).json["checks"]}


# --- the command line ---

def test_register_defines_checks(shared, cli, name):  # noqa: F811
    done = cli("register", name, "--port", "80", "--host", "10.0.0.1", "--id", name,
               "--check", "http=%s,interval=24h,timeout=3s,rise=2,warn=1,fall=3,method=HEAD,skip_verify,name=a\\, b" % URL,
               "--check", "grpc=%s/x,interval=24h,tls,server_name=a.example,deregister_after=1h" % NOBODY,
               "--check", json.dumps({"id": "j", "http": URL, "interval": "24h", "headers": {"A": "1"}}),
               "--check", "ttl=1h,status=passing,notes=of mine")
    assert done.returncode == DONE, done
    got = checks_of(shared[0], name)
    assert sorted(got) == ["grpc", "http", "j", "ttl"]
    assert {k: got["http"][k] for k in ("http", "interval", "timeout", "rise", "warn", "fall", "method", "name")} == {
        "http": URL, "interval": 86400, "timeout": 3, "rise": 2, "warn": 1, "fall": 3, "method": "HEAD", "name": "a, b"}
    assert got["http"]["tls"]["skip_verify"] is True
    assert got["grpc"]["tls"] == {"enabled": True, "skip_verify": False, "server_name": "a.example"}
    assert (got["grpc"]["deregister_after"], got["j"]["headers"]) == (3600, {"A": ["1"]})
    assert (got["ttl"]["status"], got["ttl"]["notes"]) == ("passing", "of mine")
    done = cli("register", name, "--port", "80", "--host", "10.0.0.1", "--id", name, "--check", "none")
    assert done.returncode == DONE and checks_of(shared[0], name) == {}


@pytest.mark.parametrize("check", ["", "http", "http=", "10.0.0.1:80", "tcp=a:1,colour=red", "tcp=a:1,rise=two", "tcp=a:1,",
                                   "tcp=a:1,tcp=b:1", "http=%s,skip_verify=maybe" % URL, "{", "{\"tcp\": 1, \"tcp\": 2}"])
def test_a_malformed_check_is_refused_with_a_sentence(cli, name, check):  # noqa: F811
    done = cli("register", name, "--port", "80", "--check", check)
    assert done.returncode in (USAGE, REFUSED) and len(done.stderr.splitlines()) <= 2, done
    assert done.returncode == USAGE or "checks[0]" in done.stderr


def test_what_the_registry_refuses_names_the_field(cli, name):  # noqa: F811
    done = cli("register", name, "--port", "80", "--check", "tcp=a:1,interval=1ms")
    assert done.returncode == REFUSED and "interval" in done.stderr, done


def test_checks_are_shown_and_heard_from(cli, name):  # noqa: F811
    assert cli("register", name, "--port", "80", "--id", name, "--check", "id=mine,ttl=1h",
               "--check", "tcp=%s,interval=24h,status=passing" % NOBODY).returncode == DONE
    assert cli("heartbeat", name, "--check", "mine", "--status", "warning", "--note", "busy").returncode == DONE
    assert cli("heartbeat", name, "--check", "tcp").returncode == REFUSED
    shown = cli("show", name)
    assert shown.returncode == DONE
    line, = [row for row in shown.stdout.splitlines() if " mine " in row]
    assert line.split()[:4] == [name, "mine", "ttl", "warning"] and line.endswith("busy")
    assert [c["id"] for c in in_json(cli, "show", name)["checks"]] == ["mine", "tcp"]
    listed = cli("list", "--service", name, "--checks")
    assert line in listed.stdout and NOBODY in listed.stdout
    assert "checks" in in_json(cli, "list", "--service", name, "--checks")["instances"][0]
    assert "checks" not in in_json(cli, "list", "--service", name)["instances"][0]
    assert cli("show", name + "-x").returncode == REFUSED
    assert cli("show").returncode == USAGE


def test_run_has_checks_that_the_replicas_run(shared, name):
    command = [MUSTER, "--server", shared[0].url, "run", "--name", name, "--port", "80", "--id", name,
               "--active-check", "tcp=%s,interval=24h" % NOBODY, "--", "sleep", "60"]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE) as running:
        try:
            await_true("it is there", lambda: shared[0].get("/instances/" + name).status == 200)
            got = shared[0].get("/instances/" + name).json
            assert (got["ttl"], got["health"], [c["id"] for c in got["checks"]]) == (0, "critical", ["tcp"])
        finally:
            os.kill(running.pid, signal.SIGTERM)
            running.wait(20)
            running.stderr.close()
    assert shared[0].get("/instances/" + name).status == 404
    both = subprocess.run([*command[:-3], "--check", "true", "--", "true"], env=clean_environment(), capture_output=True,
                          encoding="utf-8", timeout=20, check=False)
    assert both.returncode == USAGE, both


# --- libmuster ---

def test_a_program_of_libmuster_defines_checks(shared, name, client):  # noqa: F811
    c = client(shared)
    wanted = json.dumps([{"tcp": NOBODY, "interval": "24h"}], separators=(",", ":"))
    assert c("register", name, name, 80, 0, 1, "{")[0] == 1  # MUSTER_INVALID
    assert c("register", name, name, 80, 3000, 1, wanted)[0] == 0
    assert c("wait", 10000)[0] == 0
    got = shared[0].get("/instances/%s?consistency=linearizable" % name).json
    assert (got["ttl"], got["health"], [c["id"] for c in got["checks"]]) == (3, "critical", ["tcp"])
    shared[0].request("DELETE", "/instances/" + name)
    await_true("registered again", lambda: shared[0].get("/instances/" + name).status == 200, within_s=30)
    assert [c["id"] for c in shared[0].get("/instances/" + name).json["checks"]] == ["tcp"]
