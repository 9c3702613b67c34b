"""The tools that people use with gRPC, by Go's client and the replica's reflection: grpcurl by hand, ghz for load."""
import fcntl
import json
import os
import subprocess

import pytest

from cluster import ROOT, await_true, clean_environment
from go_programs import install

FOLDER = os.path.join(ROOT, "build", "grpc-tools")
TOOLS = {"grpcurl": "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4", "ghz": "github.com/bojand/ghz/cmd/ghz@v0.93.0"}
SERVICE = "muster.v1.Registry/"

# The first test waits for a build, too.
pytestmark = pytest.mark.timeout(900)


def tool(name):
    """Its path; built once."""
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, name)
    with open(FOLDER + "/lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return path if os.path.exists(path) else install(TOOLS[name], FOLDER)


def address(replica):
    return "127.0.0.1:%d" % replica.http_port


def command(replica, method, *messages, options=()):
    said = ["-d", "\n".join(json.dumps(message) for message in messages)] if messages else []
    return [tool("grpcurl"), "-plaintext", *options, *said, address(replica), *method.split(" ")]


def documents(text):
    """JSON one after the other."""
    found, decoder, text = [], json.JSONDecoder(), text.lstrip()
    while text.startswith("{"):
        try:
            document, end = decoder.raw_decode(text)
        except ValueError:
            break  # it is still being written
        found.append(document)
        text = text[end:].lstrip()
    return found


def grpcurl(replica, method, *messages, options=(), code=0):
    done = subprocess.run(command(replica, method, *messages, options=options), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8", timeout=60, check=False, env=clean_environment())
    assert done.returncode == code, done.stdout
    return done.stdout


def call(replica, method, *messages):
    return documents(grpcurl(replica, SERVICE + method, *messages))


def instance(name, id, port=8080):
    return {"instance": {"name": name, "id": id, "host": "10.0.0.1", "port": port, "ttlMs": 60000}}


def test_grpcurl_finds_its_way_by_reflection(shared):
    services = grpcurl(shared[0], "list").split()
    assert {"muster.v1.Registry", "grpc.health.v1.Health", "registry_service.RegistryService"} <= set(services)
    described = grpcurl(shared[1], "describe muster.v1.Registry")
    assert "rpc KeepAlive ( stream .muster.v1.HeartbeatRequest ) returns ( stream .muster.v1.HeartbeatReply );" in described
    assert "repeated string ids = 1;" in grpcurl(shared[2], "describe muster.v1.HeartbeatRequest")
    assert documents(grpcurl(shared[0], "grpc.health.v1.Health/Check")) == [{"status": "SERVING"}]


def test_grpcurl_registers_watches_and_renews_while_the_leader_dies(make_cluster, name, tmp_path):
    cluster = make_cluster(3).start()
    follower = cluster.followers()[0]
    assert call(follower, "Register", instance(name, "one"))[0]["created"] is True
    assert call(follower, "Heartbeat", {"ids": ["one", "none"]})[0]["unknown"] == ["none"]
    assert [r["renewed"] for r in call(follower, "KeepAlive", {"ids": ["one"]}, {"ids": ["one"]})] == [1, 1]
    failed = grpcurl(follower, SERVICE + "Discover", {"filter": {"service": name + "-not"}}, code=64 + 5)
    assert "Code: NotFound" in failed and "no_healthy_instance: " in failed
    seen = str(tmp_path / "watched")
    with open(seen, "w", encoding="utf-8") as file:
        watch = subprocess.Popen(command(follower, SERVICE + "Watch", {"filter": {"service": name}}), stdout=file,
                                 env=clean_environment())

    def watched():
        with open(seen, encoding="utf-8") as file:
            return [d["event"]["type"] + " " + d["event"]["instance"]["id"] if "event" in d else next(iter(d))
                    for d in documents(file.read())]

    try:
        await_true("the snapshot is there", lambda: watched() == ["PRESENT one", "synced"])
        cluster.leader().kill()
        assert call(follower, "Heartbeat", {"ids": ["one"]})[0]["renewed"] == 1
        assert call(follower, "Register", instance(name, "two", 8081))[0]["created"] is True
        assert call(follower, "Discover", {"filter": {"service": name}, "read": {"linearizable": True}})[0]["instance"]
        call(follower, "Deregister", {"id": "one"})
        await_true("what happened since was seen", lambda: watched()[2:4] == ["REGISTERED two", "DEREGISTERED one"])
    finally:
        watch.kill()
        watch.wait(10)
    listed = call(follower, "List", {"filter": {"service": name}})[0]
    assert [i["id"] for i in listed["instances"]] == ["two"]


def ghz(replica, method, message, *options):
    run = [tool("ghz"), "--insecure", "--call", SERVICE + method, "-d", json.dumps(message), "-c", "64", "--connections", "4",
           "-O", "json", *options, address(replica)]
    return subprocess.Popen(run, stdout=subprocess.PIPE, env=clean_environment())


def figures(process):
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out)


def test_ghz_loses_no_call_when_the_leader_dies(make_cluster, name):
    """Through a follower, whose writes wait for the next leader."""
    cluster = make_cluster(3).start()
    follower = cluster.followers()[0]
    follower.register(name, name)
    beats = ghz(follower, "Heartbeat", {"ids": [name]}, "-z", "6s", "--duration-stop", "wait")
    await_true("there is load", lambda: follower.metric("heartbeats_total") > 200)
    cluster.leader().kill()
    got = figures(beats)
    print("ghz: heartbeats %.0f a second, longest %.0f ms" % (got["rps"], got["slowest"] / 1e6))
    assert got["statusCodeDistribution"] == {"OK": got["count"]} and got["count"] > 200
    got = figures(ghz(follower, "Discover", {"filter": {"service": name}}, "-n", "2000"))
    print("ghz: discover %.0f a second" % got["rps"])
    assert got["statusCodeDistribution"] == {"OK": 2000}
