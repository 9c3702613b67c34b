"""The three replicas of docker/compose.yml, used as in its README. Takes a minute or two: containers are
stopped, killed and recreated."""
import os
import signal

from cluster import await_true
from engine import run
from writers import Heartbeater, Writers

KEPT = ["kept-%d" % n for n in range(20)]


def keep(compose):
    """Instances with a short lease, and a client that renews them through all replicas."""
    for id in KEPT:
        got = compose.replicas[0].post("/register", {"id": id, "name": "kept", "host": "10.0.0.9",
                                                     "port": 1, "ttl": 6})
        assert got.status in (200, 201), got
    return Heartbeater(compose.replicas, KEPT)


def assert_nothing_lost(compose, writers, heartbeater):
    assert writers.odd == []
    assert heartbeater.lost == [], "a lease that was renewed in time was lost"
    for replica in compose.replicas:
        held = replica.instances()
        lost = [id for id, port in writers.acknowledged.items()
                if id not in held or held[id]["port"] != port]
        assert lost == [], "%s lost %d of %d" % (replica.name, len(lost), len(writers.acknowledged))
        assert [held[id]["health"] for id in KEPT] == ["passing"] * len(KEPT)
        expired = [e["instance"]["id"] for e in replica.get(
            "/events?service=kept&event=expired&after=1.0").json["events"]]
        assert expired == [], "leases expired though they were renewed in time"


def test_every_port_takes_writes_and_shows_those_of_the_others(compose):
    for number, replica in enumerate(compose.replicas):
        id = "shared-%d" % number
        got = replica.post("/register", {"id": id, "name": "shared", "host": "10.0.0.1",
                                         "port": 80, "ttl": 3600})
        assert got.status == 201, got
        for other in compose.replicas:
            seen = other.get("/instances/%s?min_index=%d" % (id, got.json["index"]))
            assert seen.status == 200, (other.name, seen)


def test_nothing_is_lost_when_the_leader_is_killed_and_restarted_by_the_engine(compose):
    compose.wait_healthy()
    leader = compose.leader()
    with keep(compose) as heartbeater, Writers(compose.replicas, 3, prefix="kill") as writers:
        await_true("writes under way", lambda: writers.count() > 100, 30)
        restarts = int(leader.inspect(".RestartCount"))
        # From outside the container: after `docker kill` the engine would not restart it.
        os.kill(int(leader.inspect(".State.Pid")), signal.SIGKILL)
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 100, 30)
        await_true("the engine starts it again",
                   lambda: int(leader.inspect(".RestartCount")) > restarts, 30)
        compose.wait_healthy()
        await_true("it serves again", leader.is_ready, 30)
        writers.stop()
        assert_nothing_lost(compose, writers, heartbeater)


def test_a_rolling_upgrade_under_load_loses_no_write_and_lets_no_lease_expire(compose):
    compose.wait_healthy()
    with keep(compose) as heartbeater, Writers(compose.replicas, 3, prefix="roll") as writers:
        for replica in compose.replicas:
            before, old = writers.count(), replica.container()
            await_true("writes under way", lambda: writers.count() > before + 50, 30)
            # A new container on the old volume, as with a new image.
            compose.run("up", "-d", "--no-build", "--no-deps", "--force-recreate", replica.name)
            assert replica.container() != old
            compose.wait_healthy()
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 50, 30)
        writers.stop()
        assert_nothing_lost(compose, writers, heartbeater)


def test_a_replica_goes_on_from_the_backup_of_its_volume_as_the_manual_says(compose):
    replica = compose.replicas[1]
    volume = "%s_data-2" % compose.project
    got = compose.replicas[0].post("/register", {"id": "moved", "name": "moved", "host": "10.0.0.1",
                                                 "port": 80, "ttl": 3600})
    assert got.status in (200, 201), got
    compose.run("stop", replica.name)
    archive = "docker run --rm -v %s:/from:ro -v %s-copy:/to --user root --entrypoint sh %s -c " \
        "'tar -C /from -c . | tar -C /to -x'" % (volume, volume, compose.environment["MUSTER_IMAGE"])
    back = archive.replace("-v %s:/from:ro -v %s-copy:/to" % (volume, volume),
                           "-v %s-copy:/from:ro -v %s:/to" % (volume, volume))
    try:
        run("sh", "-c", archive)
        run("sh", "-c", back.replace("'tar", "'find /to -mindepth 1 -delete; tar"))
        compose.run("start", replica.name)
        compose.wait_healthy()
        assert replica.get("/instances/moved?min_index=%d" % got.json["index"]).status == 200
    finally:
        run("docker", "volume", "rm", "-f", volume + "-copy")


def roles(replica):
    return {m["id"]: m["role"] for m in replica.get("/cluster").json["members"]}


def muster(compose, *arguments):
    return compose.run("exec", "-T", "muster-1", "muster", *arguments)


def test_two_replicas_more_join_get_votes_and_are_taken_out_again(compose):
    compose.wait_healthy()
    first = compose.replicas[0]
    with keep(compose) as heartbeater, Writers(compose.replicas, 3, prefix="grow") as writers:
        await_true("writes under way", lambda: writers.count() > 100, 30)
        compose.run("--profile", "grow", "up", "-d", "--no-build", "muster-4", "muster-5")
        for replica in compose.joining:
            await_true(replica.name + " healthy", replica.is_healthy, 60, 0.2)
        assert roles(first) == {1: "voter", 2: "voter", 3: "voter", 4: "standby", 5: "standby"}
        for id in ("4", "5"):
            muster(compose, "member", "promote", id)
        assert list(roles(first).values()) == ["voter"] * 5
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 100, 30)
        for id in ("5", "4"):
            muster(compose, "member", "remove", id)
        before = writers.count()
        await_true("writes go on", lambda: writers.count() > before + 100, 30)
        compose.run("--profile", "grow", "rm", "-sf", "muster-4", "muster-5")
        writers.stop()
    assert roles(first) == {1: "voter", 2: "voter", 3: "voter"}
    assert_nothing_lost(compose, writers, heartbeater)


def test_replicas_that_are_scaled_up_join_by_themselves(compose):
    compose.wait_healthy()
    first = compose.replicas[0]
    compose.run("--profile", "scale", "up", "-d", "--no-build", "--scale", "muster-more=2", "muster-more")
    await_true("two standbys", lambda: list(roles(first).values()) == ["voter"] * 3 + ["standby"] * 2,
               60)
    containers = compose.run("ps", "-q", "muster-more").split()
    for container in containers:
        await_true("healthy", lambda id=container: run(
            "docker", "inspect", "-f", "{{.State.Health.Status}}", id).strip() == "healthy", 60, 0.2)
    for id in sorted(roles(first))[3:]:
        muster(compose, "member", "remove", str(id))
    compose.run("--profile", "scale", "rm", "-sfv", "muster-more")
    assert len(containers) == 2 and roles(first) == {1: "voter", 2: "voter", 3: "voter"}
