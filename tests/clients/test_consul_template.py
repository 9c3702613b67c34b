"""consul-template: the file is written again with every change, while the leader dies, and after its own replica was
away."""
import subprocess

import pytest

import go_programs
from cluster import await_true, clean_environment
from consul_driver import with_consul
from ports import free_ports

PACKAGE = "github.com/hashicorp/consul-template@v0.41.1"
TEMPLATE = """{{range service "web"}}{{.ID}} {{.Node}} {{.Address}}:{{.Port}} {{.Tags | join ","}} {{.Weights.Passing}}
{{end}}{{range service "blue.web"}}blue {{.ID}}
{{end}}{{range services}}service {{.Name}}
{{end}}{{range nodes}}node {{.Node}}
{{end}}{{keyOrDefault "nothing/here" "no key"}}
"""
WITHIN_S = 40


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return go_programs.install(PACKAGE, tmp_path_factory.mktemp("go"))


class Written:
    def __init__(self, path, log):
        self.path, self.log = path, log

    def lines(self):
        return self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []

    def shows(self, *lines):
        expected = list(lines) + ["no key"]
        await_true("it is written: %s; %s" % (self.lines(), self.log.read_text(encoding="utf-8")[-500:]),
                   lambda: self.lines() == expected, WITHIN_S)


def test_the_file_follows_also_when_the_leader_dies(make_cluster, program, tmp_path):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    leader = cluster.leader()
    own = cluster.followers()[0]
    (tmp_path / "in").write_text(TEMPLATE, encoding="utf-8")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [program, "-consul-addr", "127.0.0.1:%d" % own.consul, "-template", "%s:%s" % (
                tmp_path / "in", tmp_path / "out"), "-consul-retry-max-backoff", "1s"],
            stdout=log, stderr=log, env=clean_environment())
    try:
        follow(cluster, leader, own, Written(tmp_path / "out", tmp_path / "log"))
    finally:
        process.kill()
        process.wait(30)


def register(replica, id, port, tags=()):
    got = replica.request("PUT", "/v1/agent/service/register", {
        "ID": id, "Name": "web", "Address": "10.0.0.5", "Port": port, "Tags": list(tags),
        "Check": {"TTL": "10m", "Status": "passing"}})
    assert got.status == 200


def follow(cluster, leader, own, written):
    written.shows()
    register(own, "web-1", 8001, ["blue", "v1"])
    first = "web-1 10.0.0.5 10.0.0.5:8001 blue,v1 1"
    rest = ["blue web-1", "service web", "node 10.0.0.5"]
    written.shows(first, *rest)
    leader.kill()
    register(own, "web-2", 8002)
    written.shows(first, "web-2 10.0.0.5 10.0.0.5:8002  1", *rest)
    assert own.request("PUT", "/v1/agent/check/fail/service:web-2").status == 200
    written.shows(first, *rest)

    leader.start()
    cluster.wait_ready()
    own.kill()
    third = cluster.leader()
    assert third.request("PUT", "/v1/agent/service/deregister/web-1").status == 200
    own.start()
    written.shows("service web", "node 10.0.0.5")
    assert third.request("PUT", "/v1/agent/service/deregister/web-2").status == 200
    written.shows()
