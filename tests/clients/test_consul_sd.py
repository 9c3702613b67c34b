"""Prometheus' own `consul_sd_configs` (its Go package; Debian's Prometheus is built without it), as in docker/: the
targets and their labels, while the leader dies."""
import json
import os

import pytest
import yaml

import go_programs
from consul_driver import Driver, with_consul
from cluster import ROOT, await_true
from ports import free_ports


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return go_programs.build("consul_sd", tmp_path_factory.mktemp("go"))


def register(replica, id, node, health="passing", tags=("prometheus", "v1"), team="a"):
    got = replica.request("PUT", "/v1/agent/service/register", {
        "ID": id, "Name": "web", "Address": node, "Port": 8001, "Tags": list(tags), "Meta": {"team": team, "a-b": "c"},
        "Check": {"TTL": "10m", "Status": health}})
    assert got.status == 200


def config(server):
    """An entry of docker/prometheus.yml, for that server, and with a filter."""
    with open(os.path.join(ROOT, "docker", "prometheus.yml"), encoding="utf-8") as file:
        jobs = yaml.safe_load(file)["scrape_configs"]
    [entries] = [job["consul_sd_configs"] for job in jobs if "consul_sd_configs" in job]
    return json.dumps(dict(entries[0], server=server, refresh_interval="1s", filter='ServiceMeta.team == "a"'))


def target(id, node, health):
    return {"__address__": node + ":8001", "__meta_consul_address": node, "__meta_consul_dc": "dc1",
            "__meta_consul_health": health, "__meta_consul_metadata_consul_network_segment": "",
            "__meta_consul_namespace": "", "__meta_consul_node": node, "__meta_consul_partition": "",
            "__meta_consul_service": "web", "__meta_consul_service_address": node,
            "__meta_consul_service_id": id, "__meta_consul_service_metadata_a_b": "c",
            "__meta_consul_service_metadata_team": "a", "__meta_consul_service_port": "8001",
            "__meta_consul_tagged_address_lan": node, "__meta_consul_tagged_address_lan_ipv4": node,
            "__meta_consul_tagged_address_wan": node, "__meta_consul_tagged_address_wan_ipv4": node,
            "__meta_consul_tags": ",prometheus,v1,"}


def finds(driver, *targets):
    def found():
        text = driver.last("web")
        return [] if text is None else json.loads(text)
    await_true("targets %s: %s" % (targets, driver.lines[-3:]), lambda: found() == list(targets), 60)


def test_its_targets_follow_also_when_the_leader_dies(make_cluster, program):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    leader = cluster.leader()
    own = cluster.followers()[0]
    with Driver([program, config("127.0.0.1:%d" % own.consul)]) as driver:
        register(own, "web-1", "10.0.0.5")
        register(own, "untagged", "10.0.0.6", tags=())
        finds(driver, target("web-1", "10.0.0.5", "passing"))
        leader.kill()
        register(own, "web-2", "10.0.0.7", health="critical")
        first = target("web-1", "10.0.0.5", "passing")
        finds(driver, first, target("web-2", "10.0.0.7", "critical"))
        assert own.request("PUT", "/v1/agent/check/warn/service:web-2").status == 200
        finds(driver, first, target("web-2", "10.0.0.7", "warning"))
        assert own.request("PUT", "/v1/agent/service/maintenance/web-2?enable=true").status == 200
        finds(driver, first, target("web-2", "10.0.0.7", "maintenance"))
        assert own.request("PUT", "/v1/agent/service/deregister/web-1").status == 200
        finds(driver, target("web-2", "10.0.0.7", "maintenance"))
        assert own.request("PUT", "/v1/agent/service/deregister/web-2").status == 200
        finds(driver)
