"""Two versions in one cluster, as in a rolling upgrade: the level of the replicated format rises once all
support it; until then each may be downgraded; afterwards an older version is refused before it votes."""
import os
import time

from cluster import BIN, await_true
from test_cli import muster
from test_failover import assert_all_there
from writers import Writers

NEWEST = 5
INSTANCE = {"id": "x", "name": "web", "host": "h", "port": 1}
POLICY = {"subject": "web", "metrics": True}
OLDER = os.path.join(BIN, "musterd_level1")


def older(replica):
    """Switches it to the older version from its next start on."""
    command = type(replica).command
    replica.command = lambda *extra: [OLDER] + command(replica, *extra)[1:]


def newer(replica):
    del replica.command


def restart(replica, change):
    assert replica.stop() == 0
    change(replica)
    replica.start().wait_ready()


def level(replica):
    return replica.health()["level"]


def test_a_rolling_upgrade_and_back_and_forth_again(make_cluster):
    cluster = make_cluster(3)
    for replica in cluster:
        older(replica)
    cluster.start()
    with Writers(cluster.replicas) as writers:
        await_true("writes under way", lambda: writers.count() > 100)
        for replica in cluster.replicas[:2]:
            restart(replica, newer)
        # One still runs the older version: what it does not support is not used.
        time.sleep(1)
        assert {level(r) for r in cluster} == {1}
        got = cluster[0].request("POST", "/cluster/state-bytes?bytes=8GiB")
        assert got.status == 503 and got.json["error"] == "level_too_low", got
        for method, path, body in (("POST", "/register?ns=shop", INSTANCE), ("POST", "/heartbeat?ns=shop", {"id": "x"}),
                                   ("PUT", "/namespaces/shop", {"instances_max": 1}), ("POST", "/policies", POLICY),
                                   ("DELETE", "/policies/web", None)):
            got = cluster[0].request(method, path, body)
            assert got.status == 503 and got.json["error"] == "level_too_low", (path, got)
        assert cluster[0].get("/services?ns=shop").json["services"] == []
        # So all can be downgraded.
        for replica in cluster.replicas[:2]:
            restart(replica, older)
        for replica in cluster:
            restart(replica, newer)
        await_true("the level rises", lambda: {level(r) for r in cluster} == {NEWEST}, 20)
        writers.stop()
    assert writers.odd == []
    cluster.wait_same_state()
    for replica in cluster:
        assert_all_there(writers.acknowledged, replica)
    assert cluster[0].request("POST", "/cluster/state-bytes?bytes=8GiB").status == 200
    assert cluster[0].post("/register?ns=shop", INSTANCE).status == 201
    assert cluster[0].post("/policies", POLICY).status == 409  # the first token is missing


def test_a_version_that_does_not_speak_the_level_is_refused_before_it_votes(make_cluster):
    cluster = make_cluster(3).start()
    await_true("the level rises", lambda: {level(r) for r in cluster} == {NEWEST}, 20)
    old = cluster.followers()[0]
    assert old.stop() == 0
    older(old)
    old.start()
    assert old.wait_exit() == 1
    assert "level %d" % NEWEST in old.log().splitlines()[-1] and "start the version that wrote it" in old.log()
    newer(old)
    old.start().wait_ready()
    cluster.wait_same_state()


def test_status_says_who_holds_an_upgrade_back(make_cluster):
    cluster = make_cluster(3)
    older(cluster[2])
    cluster.start().wait_acquainted()
    lines = muster("--server", cluster[0].url, "status").stdout.splitlines()
    at = lines[0].index("UP TO"), lines[0].index("VERSION")
    rows = {line.split()[0]: (line[at[0]:].split()[0], line[at[1]:].split()[0]) for line in lines[1:4]}
    assert rows["1"][0] == str(NEWEST) and rows["3"] == ("1", "0.0.9"), lines
    metrics = cluster[0].get("/metrics").body.decode()
    assert "\nmuster_level 1\n" in metrics and "\nmuster_level_max %d\n" % NEWEST in metrics
