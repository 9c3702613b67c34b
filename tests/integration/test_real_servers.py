"""What a new user does first: three web servers, plain curl, and a leader that dies."""
import json
import shutil
import subprocess
import sys

import pytest

from cluster import await_true, clean_environment
from ports import free_ports


def curl(*arguments):
    done = subprocess.run(["curl", "-s", "--max-time", "15", *arguments], capture_output=True,
                          encoding="utf-8", timeout=30, check=False, env=clean_environment())
    return done.stdout


@pytest.fixture
def web_servers():
    """Three real web servers, as (port, process)."""
    servers = [(port, subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=clean_environment()))
        for port in free_ports(3)]
    yield servers
    for _, process in servers:
        process.kill()
        process.wait(30)


def test_web_servers_are_found_while_the_leader_dies_and_one_of_them_too(make_cluster, web_servers):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    cluster = make_cluster(3).start()
    leader, followers = cluster.leader(), cluster.followers()
    for n, (port, _) in enumerate(web_servers):
        # As anyone would type it, content type and all.
        got = curl("-X", "POST", followers[0].url + "/register", "-d", json.dumps(
            {"id": "web-%d" % n, "name": "web", "host": "127.0.0.1", "port": port, "ttl": 3,
             "reap_after": 2}))
        assert json.loads(got)["id"] == "web-%d" % n
    alive = [0, 1, 2]

    def heartbeat(replica):
        for n in alive:
            curl("-X", "POST", replica.url + "/heartbeat", "-d", json.dumps({"id": "web-%d" % n}))

    def found(replica):
        """Ports returned by discovery, each of which must answer as a web server."""
        heartbeat(replica)  # this takes its time on a busy machine
        ports = set()
        for _ in range(20):
            instance = json.loads(curl(replica.url + "/services/web/discover"))
            if "port" in instance:  # a follower may not have applied the registrations yet
                ports.add(instance["port"])
        for port in ports:
            assert "Directory listing" in curl("http://127.0.0.1:%d/" % port)
        return ports

    everyone = {port for port, _ in web_servers}
    await_true("all found through a follower", lambda: found(followers[1]) == everyone)
    leader.kill()
    assert found(followers[0]) == everyone
    assert found(followers[1]) == everyone

    stopped_port, stopped = web_servers[2]
    stopped.kill()
    alive.remove(2)

    def only_two_left():
        heartbeat(followers[0])
        left = {i["port"] for i in json.loads(curl(followers[1].url + "/services/web"))["instances"]}
        assert left >= everyone - {stopped_port}
        return left == everyone - {stopped_port}
    await_true("the stopped one is out of discovery", only_two_left, 10)
    assert found(followers[0]) == everyone - {stopped_port}
