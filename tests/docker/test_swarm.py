"""Docker Swarm as api/swarm sees it, with a real daemon in swarm mode: tasks as instances, the port of the
older registry, its events at a real broker, and what happens when daemon, leader or replicas go. Replicas
are those of tests/integration (build/debug or MUSTER_BIN). Takes three minutes."""
import json
import threading
import time

import pytest

import dns_client
from broker import Broker, Consumer
from cluster import Cluster, await_true, request
from ports import free_ports
from swarm_engine import SwarmEngine

LABELS = ("--label", "autoscaler.enabled=true", "--label", "autoscaler.cpu.threshold=62.5", "--label",
          "autoscaler.min=2", "--label", "autoscaler.max=9")


@pytest.fixture(scope="module", name="daemon")
def _daemon(tmp_path_factory):
    daemon = SwarmEngine(str(tmp_path_factory.mktemp("docker")))
    try:
        yield daemon.start().init(free_ports(1)[0])
    finally:
        daemon.stop()


@pytest.fixture(name="cluster")
def _cluster(daemon, request):
    """Three replicas: the first two have the daemon's socket; all have the port."""
    with made(daemon) as cluster:
        cluster.start()
        yield cluster
    for name in daemon.run("service", "ls", "-q").split():
        daemon.run("service", "rm", name)
    await_true("no task is left", lambda: not daemon.run("ps", "-q").strip(), 60)


def made(daemon, *options):
    cluster = dns_client.with_dns(Cluster(3, ["--swarm-refresh", "5s", "--swarm-metrics", "2s", *options]))
    for replica, port in zip(cluster, free_ports(3)):
        replica.swarm_port = port
        replica.environment["MUSTER_SWARM_HTTP"] = "127.0.0.1:%d" % port
    for replica in list(cluster)[:2]:
        replica.environment["MUSTER_DOCKER"] = daemon.url
    return cluster


def ask(replica, path, method="GET"):
    return request(replica.swarm_port, method, path)


def tasks(replica, service="web"):
    """The ids of the instances that discovery gives."""
    return {i["id"] for i in replica.get("/services/" + service).json["instances"]}


def writer(cluster):
    return [r for r in cluster if r.alive() and r.metric("swarm_writes") == 1]


def test_tasks_are_instances_and_the_older_registry_answers_everywhere(daemon, cluster):
    daemon.create("web", 3, *LABELS, "--label", "muster.port=8080")
    daemon.create("job", 1)
    for replica in cluster:
        await_true("three tasks", lambda: len(tasks(replica)) == 3, 30)
        assert tasks(replica) == daemon.running("web")
    one = cluster[2].get("/services/web").json["instances"][0]
    assert one["type"] == "swarm-task" and one["port"] == 8080 and one["zone"] and one["host"] == "127.0.0.1"
    assert len(writer(cluster)) == 1
    # The same list everywhere, as Docker has it.
    spec = json.loads(daemon.run("service", "inspect", "web"))[0]
    for replica in cluster:
        await_true("listed", lambda: ask(replica, "/services").json["metadata"]["count"] == 1, 10)
        entry = ask(replica, "/services/web").json["service"]
        assert entry == {
            "id": spec["ID"], "name": "web", "labels": spec["Spec"]["Labels"], "current_replicas": 3,
            "metric": "cpu", "thresholds": {"cpu": 62.5, "memory": 70.0}, "min_replicas": 2, "max_replicas": 9,
            "created_at": spec["CreatedAt"], "updated_at": spec["UpdatedAt"]}
        assert ask(replica, "/services").json["services"] == [entry]
        assert ask(replica, "/services/job").json == {"error": "service not found"}
        health = ask(replica, "/health")
        assert health.status == 200 and health.json["status"] == "healthy"
        await_true("metrics", lambda: ask(replica, "/services/web/metrics").status == 200, 20)
        metrics = ask(replica, "/services/web/metrics").json["metrics"]
        assert metrics["source"] == "docker" and metrics["memory_bytes"] > 0 and metrics["cpu_pct"] >= 0
        assert set(metrics) == {"cpu_pct", "memory_bytes", "window_seconds", "timestamp", "source"}
    assert ask(cluster[0], "/services", "PUT").status == 405
    # Scaling and removal come by events, not by the interval.
    version = ask(cluster[2], "/cache/stats").json["cache_stats"]["cache_version"]
    daemon.run("service", "scale", "-d", "web=5")
    await_true("five tasks", lambda: len(tasks(cluster[2])) == 5, 15)
    assert ask(cluster[2], "/services/web").json["service"]["current_replicas"] == 5
    assert ask(cluster[2], "/cache/stats").json["cache_stats"]["cache_version"] > version
    # A replica without a daemon takes calls that need one.
    assert ask(cluster[2], "/cache/clear", "POST").status == 200
    await_true("cleared", lambda: ask(cluster[0], "/services").json["metadata"]["count"] == 0, 5)
    assert len(tasks(cluster[2])) == 5
    assert ask(cluster[2], "/cache/refresh", "POST").json["cache_stats"]["refresh_interval_sec"] == 5
    await_true("refreshed", lambda: ask(cluster[1], "/services").json["metadata"]["count"] == 1, 5)
    daemon.run("service", "rm", "web")
    await_true("gone", lambda: tasks(cluster[2]) == set(), 15)
    await_true("from the list, too", lambda: ask(cluster[1], "/services/web").status == 404, 5)


def test_a_daemon_that_stands_still_or_dies_expires_nothing(daemon, cluster):
    daemon.create("web", 4, *LABELS)
    await_true("four tasks", lambda: len(tasks(cluster[2])) == 4, 30)
    before = tasks(cluster[2])
    daemon.pause()
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            began = time.monotonic()
            assert tasks(cluster[0]) == before
            assert time.monotonic() - began < 2, "somebody waits for the daemon"
            time.sleep(0.2)
        await_true("it is said", lambda: ask(cluster[2], "/health").json["status"] == "degraded", 30)
        assert tasks(cluster[2]) == before
    finally:
        daemon.resume()
    await_true("healthy again", lambda: ask(cluster[2], "/health").json["status"] == "healthy", 30)
    await_true("as Docker says", lambda: tasks(cluster[2]) == daemon.running("web") != set(), 60, 0.5)
    gone_while_running = [e for r in cluster for e in r.events() if e["event"] in ("expired", "reaped")
                          and e["instance"]["type"] == "swarm-task"]
    assert gone_while_running == []
    before = tasks(cluster[2])
    daemon.kill()
    time.sleep(3)
    assert tasks(cluster[2]) == before
    daemon.begin()
    await_true("the daemon answers", daemon.answers, 60, 0.5)
    await_true("as Docker says", lambda: tasks(cluster[2]) == daemon.running("web") and len(tasks(cluster[2])) == 4,
               90, 0.5)


def test_another_replica_goes_on_when_the_one_that_writes_is_gone(daemon, cluster):
    daemon.create("web", 4, *LABELS)
    await_true("four tasks", lambda: len(tasks(cluster[2])) == 4, 30)
    for ends in ("kill", "stop", "kill"):
        first, = await_true("one writes", lambda: writer(cluster), 20)
        before = tasks(cluster[2])
        getattr(first, ends)()
        daemon.run("service", "scale", "-d", "web=%d" % (len(before) + 1))
        await_true("the next one writes", lambda: len(tasks(cluster[2])) == len(before) + 1, 40)
        assert before <= tasks(cluster[2])
        first.start().wait_ready()
    for replica in cluster:
        assert replica.stop() == 0
        replica.start().wait_ready()
    await_true("as Docker says", lambda: tasks(cluster[2]) == daemon.running("web") and len(tasks(cluster[2])) == 7, 30)
    assert not [e for e in cluster[2].events() if e["event"] in ("expired", "reaped")
                and e["instance"]["type"] == "swarm-task"]


def doors(replica):
    """How many instances of the service each door gives; DNS as SRV records."""
    return {
        "HTTP": len(tasks(replica)),
        "Consul": len(replica.get("/v1/health/service/web?passing=1").json),
        "DNS": len(dns_client.data(dns_client.ask(replica.dns, "web.service", "SRV", tcp=True).answer, "SRV")),
        "5001": ask(replica, "/services/web").json["service"]["current_replicas"],
    }


def test_a_rolling_update_has_no_gap(daemon, cluster):
    daemon.run("network", "create", "-d", "overlay", "apart")  # an address for each
    daemon.create("web", 10, *LABELS, "--network", "apart", "--update-parallelism", "2", "--update-order", "start-first",
                  "--update-delay", "0s", "--update-monitor", "1s")
    await_true("ten tasks", lambda: len(tasks(cluster[2])) == 10, 60)
    before = tasks(cluster[2])
    seen, ends = [], threading.Event()

    def watch():
        began = time.monotonic()
        while not ends.is_set():
            for replica in cluster:
                seen.append((time.monotonic() - began, replica.id, tasks(replica), doors(replica)))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        daemon.update("web", "--env-add", "VERSION=2")
        await_true("all are new", lambda: not tasks(cluster[2]) & before and len(tasks(cluster[2])) == 10, 110, 0.5)
    finally:
        ends.set()
        watcher.join(30)
    assert min(len(ids) for _, _, ids, _ in seen) >= 10, "a gap"
    fewest = {door: min(found[door] for *_, found in seen) for door in seen[0][3]}
    print("\nthe fewest at each door, of %d looks: %s" % (len(seen), fewest))
    assert min(fewest.values()) >= 10, fewest
    assert tasks(cluster[2]) == daemon.running("web")
    updated = [e for e in cluster[2].events() if e["event"] == "updated" and e["instance"]["type"] == "swarm-task"]
    assert {e["instance"]["weight"] for e in updated} == {2, 4}
    await_true("all have their share", lambda: {i["weight"] for i in cluster[2].instances().values()} == {4}, 15)
    picture(seen)


def picture(seen):
    """When each instance came and went at the third replica: printed with pytest's -s."""
    mine = [(at, ids) for at, replica, ids, _ in seen if replica == 3]
    names = sorted({i for _, ids in mine for i in ids},
                   key=lambda i: (next(at for at, ids in mine if i in ids), max(at for at, ids in mine if i in ids)))
    columns = 60
    last = mine[-1][0]
    step = last / columns
    print("\n%-8s 0 s %s %.0f s" % ("task", " " * (columns - 10), last))
    for name in names:
        line = ""
        for column in range(columns):
            near = min(mine, key=lambda m: abs(m[0] - (column + 0.5) * step))
            line += "#" if name in near[1] else "."
        print("%-8s %s" % (name[:6], line))


def test_what_listeners_of_the_older_registry_wait_for_is_published(daemon, tmp_path):
    with Broker(str(tmp_path / "rabbit")) as broker, Consumer(broker.start()) as consumer:
        with made(daemon, "--amqp-url", broker.url()) as cluster:
            cluster.start()
            await_true("a sink", lambda: any("this replica sends the events" in r.log() for r in cluster))
            daemon.create("pub", 2, *LABELS)
            keys = lambda: [m.key for m in list(consumer.messages)]
            await_true("added", lambda: "service.added" in keys(), 30)
            await_true("metrics", lambda: "metrics.pub" in keys(), 30)
            daemon.run("service", "scale", "-d", "pub=3")
            await_true("updated", lambda: "service.updated" in keys(), 15)
            cluster.leader().kill()
            daemon.run("service", "rm", "pub")
            await_true("removed", lambda: "service.removed" in keys(), 60)
            by_key = {m.key: m.json for m in consumer.messages}
            assert by_key["service.added"]["service"]["name"] == "pub"
            assert by_key["service.updated"]["service"]["current_replicas"] == 3
            assert by_key["service.removed"]["service_name"] == "pub"
            lists = [m.json for m in consumer.messages if m.key == "services.updated"]
            assert lists[0]["services_count"] == len(lists[0]["services"])
            assert by_key["metrics.pub"]["metrics"]["source"] == "docker"
            assert "health.check" in keys()
            assert "registry.registered.pub" in keys() and "registry.deregistered.pub" in keys()
