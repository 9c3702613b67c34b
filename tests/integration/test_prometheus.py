"""Service discovery for Prometheus: the list of targets in its format, and the real Prometheus, which scrapes a
program that registers and drops it when it leaves."""
import http.server
import shutil
import subprocess
import threading

import pytest

from cluster import await_true, clean_environment, request
from ports import free_ports

META = "__meta_muster_"


def groups(replica, query="", headers=None):
    got = replica.request("GET", "/sd/prometheus" + query, headers=headers)
    assert got.status == 200 and got.headers["Content-Type"].startswith("application/json")
    found = got.json
    for group in found:
        assert sorted(group) == ["labels", "targets"] and len(group["targets"]) == 1
        assert all(isinstance(value, str) for value in group["labels"].values())
    return found


def ids(replica, query="", headers=None):
    return [group["labels"][META + "id"] for group in groups(replica, query, headers)]


def test_a_target_has_everything_that_is_known_of_it(shared, name):
    shared[0].register(name, name, host="2001:db8::1", port=9100, type="db", zone="eu-a", weight=3,
                       tags=["a", "b"], metadata={"team-name": "core", "team.name": "other", "ü": "x"})
    assert groups(shared[0], "?service=" + name) == [{
        "targets": ["[2001:db8::1]:9100"],
        "labels": {META + key: value for key, value in {
            "service": name, "namespace": "default", "id": name, "type": "db", "zone": "eu-a",
            "health": "passing", "host": "2001:db8::1", "port": "9100", "weight": "3",
            "tags": ",a,b,", "metadata_team_name": "core", "metadata___": "x"}.items()}}]


def test_targets_are_selected_by_service_type_tag_and_health(shared, name):
    for n, fields in enumerate([{"type": name}, {"tags": [name, "x"]}, {"metadata": {"k": name}}]):
        shared[0].register("%s-%d" % (name, n), "%s-%d" % (name, n), **fields)
    shared[0].post("/heartbeat", {"id": name + "-0", "status": "critical"})
    assert ids(shared[0], "?type=" + name) == [name + "-0"]
    assert ids(shared[0], "?type=%s&health=passing,warning" % name) == []
    assert ids(shared[0], "?tag=%s&tag=x" % name) == [name + "-1"]
    assert ids(shared[0], "?meta.k=" + name) == [name + "-2"]
    assert ids(shared[0], "?service=%s-1" % name) == [name + "-1"]
    assert ids(shared[0], "?service=none-" + name) == []
    assert {name + "-%d" % n for n in range(3)} <= set(ids(shared[0]))
    assert groups(shared[0], "?service=%s-0" % name)[0]["labels"][META + "health"] == "critical"


def test_what_is_known_is_not_sent_again(shared, name):
    shared[0].register(name, name)
    first = shared[0].request("GET", "/sd/prometheus")
    again = shared[0].request("GET", "/sd/prometheus",
                              headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304 and not again.body
    shared[0].register(name, name + "-2")
    assert shared[0].request("GET", "/sd/prometheus",
                             headers={"If-None-Match": first.headers["ETag"]}).status == 200


def test_a_wrong_parameter_is_named(shared):
    for query in ("?health=bad", "?job=x", "?service=a&service=b"):
        got = shared[0].get("/sd/prometheus" + query)
        assert got.status == 400 and query[1:].split("=")[0] in got.json["message"] + \
            got.json.get("field", "")


def test_only_what_may_be_read_is_listed_and_only_of_one_namespace(make_cluster):
    replica = make_cluster(1, "--anonymous", "none").start()[0]
    token = replica.request("POST", "/tokens/bootstrap").json["token"]
    root = {"Authorization": "Bearer " + token}
    for service, space in (("web", None), ("db", None), ("web", "shop")):
        headers = dict(root, **({"X-Muster-Namespace": space} if space else {}))
        body = {"name": service, "id": service, "host": "10.0.0.1", "port": 1}
        assert replica.request("POST", "/register", body, headers=headers).status == 201
    made = replica.request("POST", "/tokens", {"services": [{"name": "web", "access": "read"}]},
                           headers=root)
    assert made.status == 201, made
    limited = {"Authorization": "Bearer " + made.json["token"]}
    assert replica.get("/sd/prometheus").status == 401
    assert sorted(ids(replica, headers=root)) == ["db", "web"]
    assert ids(replica, headers=limited) == ["web"]
    assert ids(replica, "?service=db", headers=limited) == []
    [group] = groups(replica, "?ns=shop", headers=root)
    assert group["labels"][META + "namespace"] == "shop"


# --- the real one ---

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


class Program(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"answer 42\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def program():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_ports(1)[0]), Program)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(10)


def seen(port):
    """What Prometheus has scraped: service and health of each target."""
    try:
        got = request(port, "GET", "/api/v1/targets?state=active").json["data"]["activeTargets"]
    except (OSError, ValueError):
        return None
    return [(t["labels"].get("service"), t["health"]) for t in got]


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_prometheus_scrapes_who_registers_also_when_a_replica_dies(make_cluster, program, tmp_path):
    cluster = make_cluster(3).start()
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
