"""Prometheus (Debian's), with `http_sd_configs`: it scrapes who registers and drops who leaves, while the leader
dies."""
import subprocess

from cluster import await_true, clean_environment, request
from dns_proxies import programs
from ports import free_ports

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: registered
    http_sd_configs:
      - {url: "http://127.0.0.1:%d/sd/prometheus?tag=metrics", refresh_interval: 1s}
      - {url: "http://127.0.0.1:%d/sd/prometheus?tag=metrics", refresh_interval: 1s}
    relabel_configs:
      - {source_labels: [__meta_muster_service], target_label: service}
      - {source_labels: [__meta_muster_health], regex: maintenance, action: drop}
"""


def seen(port):
    """What Prometheus has scraped: service and health of each target."""
    try:
        got = request(port, "GET", "/api/v1/targets?state=active").json["data"]["activeTargets"]
    except (OSError, ValueError):
        return None
    return [(t["labels"].get("service"), t["health"]) for t in got]


def test_it_scrapes_who_registers_also_when_the_leader_dies(make_cluster, tmp_path):
    [at] = free_ports(1)
    with programs([("127.0.0.1", at)]):
        scrape(make_cluster(3).start(), at, tmp_path)


def scrape(cluster, program, tmp_path):
    leader = cluster.leader()
    other = cluster.followers()[0]
    [port] = free_ports(1)
    (tmp_path / "prometheus.yml").write_text(CONFIG % (leader.http_port, other.http_port),
                                             encoding="utf-8")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", "--config.file=%s" % (tmp_path / "prometheus.yml"),
             "--storage.tsdb.path=%s" % (tmp_path / "data"),
             "--web.listen-address=127.0.0.1:%d" % port],
            stdout=log, stderr=log, env=clean_environment())
    try:
        leader.register("app", "app-1", host="127.0.0.1", port=program, tags=["metrics"])
        await_true("the program is scraped", lambda: seen(port) == [("app", "up")], 60)
        leader.kill()
        await_true("a new leader", lambda: any(r.is_leader() for r in cluster.running()), 30)
        other.register("gone", "gone-1", host="127.0.0.1", port=free_ports(1)[0], tags=["metrics"])
        await_true("the next one is found", lambda: sorted(seen(port) or []) == [
            ("app", "up"), ("gone", "down")], 30)
        assert other.request("DELETE", "/instances/gone-1").status == 200
        await_true("it is dropped", lambda: seen(port) == [("app", "up")], 30)
    finally:
        process.terminate()
        process.wait(30)
