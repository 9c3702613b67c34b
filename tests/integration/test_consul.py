"""The API of Consul, as its clients use it: identity, checks, waiting, tokens, without a leader."""
import json
import threading
import time
from urllib.parse import quote

import pytest

from cluster import await_true, request
from ports import free_ports
from test_upgrade import older


def put(replica, path, body=None, node=None, token=None, expect=200):
    headers = {"X-Registry-Node": node} if node else {}
    if token:
        headers["X-Consul-Token"] = token
    got = replica.request("PUT", "/v1" + path, body, headers)
    assert got.status == expect, got
    return got


def get(replica, path, node=None, expect=200):
    got = replica.request("GET", "/v1" + path, headers={"X-Registry-Node": node} if node else {}, timeout=30)
    assert got.status == expect, got
    return got


def register(replica, name, node=None, **fields):
    put(replica, "/agent/service/register", {"Name": name, "Port": 80, **fields}, node)


def seen(replica, name, path="/health/service/", query=""):
    return get(replica, path + name + query).json


def statuses(replica, name):
    return sorted(check["Status"] for entry in seen(replica, name)
                  for check in entry["Checks"] if check["ServiceID"])


def index_of(replica, path):
    return int(get(replica, path).headers["X-Consul-Index"])


# --- identity ---

def test_two_machines_with_one_id_are_two_instances(shared, name):
    for address in ("10.0.0.1", "10.0.0.2"):
        register(shared[0], name, node=address, ID=name, Address=address, Check={"TTL": "1h"})
    assert [e["Node"]["Node"] for e in seen(shared[0], name)] == ["10.0.0.1", "10.0.0.2"]


def test_one_that_has_moved_may_replace_itself(shared, name):
    for address in ("10.0.0.1", "10.0.0.2"):
        register(shared[0], name, node=address, ID=name, Address=address)
    put(shared[0], "/agent/service/register?replace=by-id", {"Name": name, "Port": 80, "Address": "10.0.0.3"}, "10.0.0.3")
    assert [e["Node"]["Node"] for e in seen(shared[0], name)] == ["10.0.0.3"]
    put(shared[0], "/agent/service/register?replace=all", {"Name": name, "Port": 80}, expect=400)


def test_a_beat_is_for_the_instance_of_its_caller(shared, name):
    for address in ("10.0.0.1", "10.0.0.2"):
        register(shared[0], name, node=address, ID=name, Address=address, Check={"TTL": "1h"})
    put(shared[0], "/agent/check/pass/service:" + name, node="10.0.0.2")
    status = {e["Node"]["Node"]: e["Checks"][-1]["Status"] for e in seen(shared[0], name)}
    assert status == {"10.0.0.1": "critical", "10.0.0.2": "passing"}


def test_a_beat_that_may_be_for_several_is_for_none_and_says_so(shared, name):
    for address in ("10.0.0.1", "10.0.0.2"):
        register(shared[0], name, node=address, ID=name, Address=address, Check={"TTL": "1h"})
    got = put(shared[0], "/agent/check/pass/service:" + name, expect=404)
    assert b"Unknown check ID" in got.body and b"does not have associated TTL" in got.body
    assert b"2 nodes" in got.body
    assert statuses(shared[0], name) == ["critical", "critical"]


def test_the_lists_of_the_agent_are_the_callers_own(shared, name):
    register(shared[0], name, node="10.0.0.1", ID=name + "-1")
    register(shared[0], name, node="10.0.0.2", ID=name + "-2")
    mine = get(shared[1], "/agent/services", node="10.0.0.2")
    await_true("it is listed there", lambda: name + "-2" in get(shared[1], "/agent/services", node="10.0.0.2").json)
    assert name + "-1" not in mine.json
    shared[0].register(name, name + "-3")
    assert name + "-3" not in get(shared[0], "/agent/services").json


def test_what_one_agent_removes_is_its_own(shared, name):
    for node in ("10.0.0.1", "10.0.0.2"):
        register(shared[0], name, node=node, ID=name)
    put(shared[0], "/agent/service/deregister/" + name, node="10.0.0.1")
    assert [e["Node"]["Node"] for e in seen(shared[0], name)] == ["10.0.0.2"]


def test_a_nodes_name_can_be_dialled(shared, name):
    register(shared[0], name, Address="10.1.2.3")
    register(shared[0], name, ID=name + "-2")
    assert {e["Node"]["Node"] for e in seen(shared[0], name)} == {"10.1.2.3", "127.0.0.1"}


def test_the_same_again_moves_no_index_and_keeps_the_status(shared, name):
    register(shared[0], name, Check={"TTL": "1h"})
    put(shared[0], "/agent/check/pass/service:" + name)
    before = index_of(shared[0], "/health/service/" + name)
    register(shared[0], name, Check={"TTL": "1h"})
    put(shared[0], "/agent/check/pass/service:" + name)
    put(shared[0], "/agent/check/pass/service:" + name + "?note=12")
    assert index_of(shared[0], "/health/service/" + name) == before
    assert statuses(shared[0], name) == ["passing"]


def test_another_name_moves_the_instance(shared, name):
    register(shared[0], name, ID=name)
    register(shared[0], name + "-new", ID=name)
    assert seen(shared[0], name) == []
    assert len(seen(shared[0], name + "-new")) == 1


def test_catalog_and_health_are_in_the_same_order_with_the_same_ids(shared, name):
    for n in (3, 1, 2):
        register(shared[0], name, ID="%s-%d" % (name, n), Address="10.0.0.%d" % (4 - n))
    health = [(e["Node"]["ID"], e["Service"]["ID"]) for e in seen(shared[0], name)]
    catalog = [(e["ID"], e["ServiceID"]) for e in seen(shared[0], name, "/catalog/service/")]
    assert health == catalog and len(set(health)) == 3 and all(node for node, _ in health)


def test_instances_of_other_doors_are_there_and_can_be_warned(shared, name):
    shared[0].register(name, name, tags=["v1"], host="10.0.0.7")
    entry = seen(shared[0], name)[0]
    assert (entry["Service"]["ID"], entry["Service"]["Tags"], entry["Node"]["Address"]) == (name, ["v1"], "10.0.0.7")
    put(shared[0], "/agent/check/warn/service:" + name)
    assert shared[0].get("/instances/" + name).json["health"] == "warning"


def test_other_doors_see_what_is_registered_here(shared, name):
    register(shared[0], name, ID=name, Address="10.0.0.9", Tags=["v1"], Meta={"a": "b"}, Check={"TTL": "1h"})
    assert shared[0].get("/services/" + name).json["instances"] == []
    put(shared[0], "/agent/check/pass/service:" + name)
    instance = shared[0].get("/services/" + name).json["instances"][0]
    assert (instance["host"], instance["port"], instance["tags"], instance["metadata"], instance["health"]) == \
        ("10.0.0.9", 80, ["v1"], {"a": "b"}, "passing")


# --- checks ---

def test_a_service_is_as_healthy_as_the_worst_of_its_checks(shared, name):
    register(shared[0], name, Checks=[{"TTL": "1h", "Status": "passing"}, {"TTL": "1h", "Status": "passing"}])
    assert len(seen(shared[0], name, query="?passing")) == 1
    put(shared[0], "/agent/check/warn/service:%s:2?note=slow" % name)
    assert seen(shared[0], name, query="?passing") == []
    assert shared[0].get("/services/" + name).json["instances"][0]["health"] == "warning"
    put(shared[0], "/agent/check/fail/service:%s:1" % name)
    assert get(shared[0], "/agent/health/service/id/" + name, expect=503).json["AggregatedStatus"] == "critical"
    put(shared[0], "/agent/check/pass/service:%s:1" % name)
    get(shared[0], "/agent/health/service/id/" + name, expect=429)


def test_each_ttl_check_runs_out_by_itself(make_cluster):
    replica = make_cluster(1).start()[0]
    register(replica, "web", Checks=[{"CheckID": "short", "TTL": "1s", "Status": "passing"},
                                     {"CheckID": "long", "TTL": "1h", "Status": "passing"}])
    index = index_of(replica, "/health/service/web")
    got = get(replica, "/health/service/web?wait=30s&index=%d" % index).json
    checks = {c["CheckID"]: c for c in got[0]["Checks"]}
    assert checks["short"]["Status"] == "critical" and checks["short"]["Output"].startswith("TTL expired")
    assert checks["long"]["Status"] == "passing"
    put(replica, "/agent/check/pass/short")
    assert statuses(replica, "web") == ["passing", "passing"]


def test_an_update_has_an_output_that_is_cut(shared, name):
    register(shared[0], name, Check={"TTL": "1h"})
    put(shared[0], "/agent/check/update/service:" + name, {"status": "warning", "output": "x" * 5000})
    check = seen(shared[0], name)[0]["Checks"][-1]
    assert check["Status"] == "warning" and check["Output"].endswith("of 5000 bytes)")


def test_checks_of_a_service_come_and_go(shared, name):
    register(shared[0], name, ID=name)
    put(shared[0], "/agent/check/register", {"Name": name + "-alive", "ServiceID": name, "TTL": "1h"})
    assert statuses(shared[0], name) == ["critical"]
    register(shared[0], name, ID=name)  # keeps it
    assert statuses(shared[0], name) == ["critical"]
    put(shared[0], "/agent/check/pass/" + name + "-alive")
    assert statuses(shared[0], name) == ["passing"]
    put(shared[0], "/agent/check/deregister/" + name + "-alive")
    assert statuses(shared[0], name) == []
    put(shared[0], "/agent/check/register", {"Name": "x", "ServiceID": name + "-none", "TTL": "1h"}, expect=404)


def test_replace_existing_checks_leaves_only_those(shared, name):
    register(shared[0], name, Checks=[{"CheckID": name + "a", "TTL": "1h"}, {"CheckID": name + "b", "TTL": "1h"}])
    put(shared[0], "/agent/service/register?replace-existing-checks=true",
        {"Name": name, "Check": {"CheckID": name + "b", "TTL": "1h"}})
    assert [c["CheckID"] for c in seen(shared[0], name, "/health/checks/")] == [name + "b"]


def test_maintenance_of_a_service_hides_it_at_all_doors(shared, name):
    register(shared[0], name, ID=name)
    put(shared[0], "/agent/service/maintenance/%s?enable=true&reason=upgrade" % name)
    put(shared[0], "/agent/service/maintenance/%s?enable=true&reason=again" % name)
    check = seen(shared[0], name)[0]["Checks"][1]
    assert (check["Name"], check["Notes"]) == ("Service Maintenance Mode", "upgrade")
    assert seen(shared[0], name, query="?passing") == []
    assert shared[0].get("/services/" + name).json["instances"] == []
    put(shared[0], "/agent/service/maintenance/%s?enable=false" % name)
    assert len(seen(shared[0], name, query="?passing")) == 1


def test_maintenance_of_a_node_is_of_all_that_its_agent_registered(shared, name):
    register(shared[0], name, node="10.7.7.7", Address="10.7.7.8")
    index = get(shared[0], "/health/service/" + name).headers["X-Consul-Index"]
    put(shared[0], "/agent/maintenance?enable=true&reason=move", node="10.7.7.7")
    assert get(shared[0], "/health/service/%s?wait=5s&index=%s" % (name, index)).headers["X-Consul-Index"] != index
    assert seen(shared[0], name, query="?passing") == []
    assert shared[0].get("/services/" + name).json["instances"] == []
    health = get(shared[0], "/agent/health/service/id/" + name, node="10.7.7.7", expect=503).json
    assert health["AggregatedStatus"] == "maintenance"
    assert "_node_maintenance" in get(shared[0], "/agent/checks", node="10.7.7.7").json
    register(shared[0], name, node="10.7.7.7", ID=name + "-2", Address="10.7.7.9")
    assert shared[0].get("/services/" + name).json["instances"] == []
    put(shared[0], "/agent/service/deregister/" + name + "-2", node="10.7.7.7")
    put(shared[0], "/agent/maintenance?enable=false", node="10.7.7.7")
    put(shared[0], "/agent/maintenance?enable=false", node="10.7.7.7")
    assert len(seen(shared[0], name, query="?passing")) == 1


def test_what_is_critical_for_too_long_is_deregistered(make_cluster):
    """At least a minute, so this is as long as it takes: the check's own clock is in tests/unit/test_checks.c."""
    replica = make_cluster(1).start()[0]
    register(replica, "web", Check={"TTL": "1h", "DeregisterCriticalServiceAfter": "5s"})
    assert replica.get("/instances/web@127.0.0.1").status == 200
    assert seen(replica, "web")[0]["Checks"][-1]["Status"] == "critical"


def test_a_native_registration_before_it_leaves_nothing_behind(make_cluster):
    """One thread has both; the first one's incarnation is not the second one's."""
    cluster = make_cluster(1)
    cluster[0].environment["MUSTER_HTTP_THREADS"] = "1"
    cluster.start()
    register(cluster[0], "web")
    first = cluster[0].register("app", "app-1")
    again = cluster[0].post("/register", {"name": "app", "id": "app-1", "host": "10.0.0.9", "port": 2,
                                          "incarnation": first["incarnation"]})
    assert again.status in (200, 201)
    register(cluster[0], "web", Tags=["new"])


# --- the catalog ---

def test_what_is_registered_in_the_catalog_stays_and_goes_with_its_node(shared, name):
    node = name + "-node"
    put(shared[0], "/catalog/register", {
        "Node": node, "Address": "10.9.9.9", "NodeMeta": {"rack": name},
        "Service": {"ID": name, "Service": name, "Port": 5432, "Tags": ["db"]},
        "Checks": [{"CheckID": name + ":alive", "Name": "alive", "Status": "passing", "ServiceID": name},
                   {"CheckID": "disk", "Name": "disk", "Status": "passing"}]})
    entry = seen(shared[0], name)[0]
    assert [c["CheckID"] for c in entry["Checks"]] == ["disk", name + ":alive"]
    assert entry["Node"]["Meta"] == {"rack": name}
    assert list(get(shared[0], "/catalog/services?node-meta=rack:" + name).json) == [name]
    assert [n["Node"] for n in get(shared[0], "/catalog/nodes?node-meta=rack:" + name).json] == [node]
    assert name not in get(shared[0], "/agent/services").json
    put(shared[0], "/catalog/register", {"Node": node, "Address": "10.9.9.9", "SkipNodeUpdate": True,
                                         "Check": {"CheckID": name + ":alive", "Status": "critical", "ServiceID": name}})
    assert seen(shared[0], name, query="?passing") == []
    put(shared[0], "/catalog/deregister", {"Node": node})
    assert seen(shared[0], name) == []
    assert get(shared[0], "/catalog/node/" + node).json is None


def test_the_index_of_the_catalog_moves_with_what_is_registered_and_not_with_health(shared, name):
    register(shared[0], name, Check={"TTL": "1h"})
    before = index_of(shared[0], "/catalog/services")
    put(shared[0], "/agent/check/pass/service:" + name)
    assert index_of(shared[0], "/catalog/services") == before
    register(shared[0], name, Check={"TTL": "1h"}, Port=81)
    assert index_of(shared[0], "/catalog/services") > before


# --- filters ---

@pytest.mark.parametrize("expression, found", [
    ('Service.Meta.version == "2"', ["2"]),
    ("Service.Meta.version != 2", ["1"]),
    ('"blue" in Service.Tags', ["1"]),
    ("Service.Tags contains blue and not (Service.Port == 1)", ["1"]),
    ("Service.Tags is empty", ["2"]),
    ("Checks.Status == passing and Service.ID matches `-2$`", ["2"]),
    ('Service.Meta["version"] == "1" or Service.Meta.version == "2"', ["1", "2"]),
    ("Node.Node == nowhere", []),
    ('"version" in Service.Meta', ["1", "2"]),
    ("Service.Meta.none == x", []),
    ("Service.Meta.none != x", ["1", "2"]),
    ("Service.EnableTagOverride == false and Service.Weights.Passing == 1", ["1", "2"])])
def test_a_filter_selects(shared, expression, found):
    for version, tags in (("1", ["blue"]), ("2", [])):
        register(shared[0], "filtered", ID="filtered-" + version, Tags=tags, Meta={"version": version})
    got = seen(shared[0], "filtered", query="?filter=" + quote(expression))
    assert [e["Service"]["Meta"]["version"] for e in got] == found


@pytest.mark.parametrize("path, expression", [
    ("/health/service/x", "ServiceTags contains a"), ("/health/service/x", "(("), ("/health/service/x", "a"),
    ("/health/service/x", "Service.Port == x"), ("/health/service/x", "Service.ID matches `(a{9}){9}`"),
    ("/health/service/x", "not " * 100 + "Service.ID == a"), ("/health/service/x", "x" * 5000),
    ("/catalog/service/x", "Service.Tags contains a"), ("/catalog/services", "Node.Meta.a == b"),
    ("/catalog/nodes", "Service.ID == a"), ("/health/checks/x", "Checks.Status == a"),
    ("/agent/services", "ServiceID == a")])
def test_a_filter_that_is_not_of_the_call_is_refused(shared, path, expression):
    got = get(shared[0], path + "?filter=" + quote(expression), expect=400)
    assert got.headers["Content-Type"].startswith("text/plain") and got.body


# --- waiting ---

def test_a_read_wakes_when_its_service_changes_and_not_for_others(shared, name):
    register(shared[0], name, Check={"TTL": "1h"})
    index = index_of(shared[0], "/health/service/" + name)
    got = []
    waiting = threading.Thread(target=lambda: got.append(
        get(shared[0], "/health/service/%s?index=%d&wait=20s" % (name, index))))
    waiting.start()
    register(shared[0], name + "-other")
    waiting.join(0.3)
    assert waiting.is_alive()
    put(shared[0], "/agent/check/pass/service:" + name)
    waiting.join(10)
    assert int(got[0].headers["X-Consul-Index"]) > index
    assert got[0].json[0]["Checks"][-1]["Status"] == "passing"


def test_who_waits_for_a_service_that_is_not_there_is_woken_by_it(shared, name):
    index = index_of(shared[0], "/health/service/" + name)
    assert index >= 1
    index = max(index, index_of(shared[1], "/health/service/" + name))
    got = []
    waiting = threading.Thread(target=lambda: got.append(
        get(shared[1], "/health/service/%s?index=%d&wait=20s" % (name, index))))
    waiting.start()
    register(shared[0], name)
    waiting.join(30)
    assert len(got[0].json) == 1


def test_keys_are_a_blocking_404_and_the_rest_is_not_implemented(shared):
    begun = time.monotonic()
    got = get(shared[0], "/kv/a/b?recurse&index=1&wait=300ms", expect=404)
    assert time.monotonic() - begun >= 0.3
    assert got.headers["X-Consul-Index"] == "1" and got.body == b""
    for path in ("/session/list", "/event/list", "/query", "/coordinate/nodes", "/acl/tokens"):
        assert b"Muster" in get(shared[0], path, expect=501).body


@pytest.mark.parametrize("query, said", [
    ("index=-5", b"Invalid index"), ("index=1&wait=5", b"Invalid wait time"), ("index=1&wait=junk", b"Invalid wait time"),
    ("stale&consistent", b"conflicting semantics"), ("passing=maybe", b"Invalid value for ?passing"),
    ("max_stale=junk", b"max_stale")])
def test_a_parameter_that_is_not_valid_is_said_in_plain_text(shared, query, said):
    got = get(shared[0], "/health/service/x?" + query, expect=400)
    assert said in got.body and got.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("query", ["wait=2s", "index=0&wait=2s", "index=", "near=_agent", "dc=dc1", "cached", "sdc=x", "tag=none"])
def test_a_parameter_that_asks_for_nothing_is_answered_at_once(shared, query):
    begun = time.monotonic()
    got = get(shared[0], "/health/service/x?" + query)
    assert time.monotonic() - begun < 1.5
    assert got.json == [] and got.headers["X-Consul-KnownLeader"] == "true"
    assert got.headers["X-Consul-LastContact"].isdigit() and int(got.headers["X-Consul-Index"]) >= 1


# --- tokens, namespaces, addresses ---

def test_a_token_is_one_of_muster_in_either_place(make_cluster):
    replica = make_cluster(1).start()[0]
    secret = replica.request("POST", "/tokens/bootstrap").json["token"]
    put(replica, "/agent/service/register", {"Name": "web"}, expect=403)
    got = put(replica, "/agent/service/register", {"Name": "web"}, token="mst_none", expect=403)
    assert b"Permission denied" in got.body and b"ACL not found" in got.body
    put(replica, "/agent/service/register", {"Name": "web"}, token=secret)
    put(replica, "/agent/service/register?token=" + secret, {"Name": "web-2"})
    assert len(seen(replica, "web")) == 1


def test_a_namespace_is_one_of_muster(shared, name):
    put(shared[0], "/agent/service/register?ns=shop", {"Name": name, "Check": {"TTL": "1h"}})
    put(shared[0], "/agent/check/pass/service:%s?ns=shop" % name)
    assert seen(shared[0], name) == []
    assert len(seen(shared[0], name, query="?ns=shop&passing")) == 1


def test_it_has_an_address_of_its_own(make_cluster):
    port = free_ports(1)[0]
    replica = make_cluster(1, "--consul-http", "127.0.0.1:%d" % port, "--datacenter", "east").start()[0]
    assert request(port, "GET", "/v1/catalog/datacenters").json == ["east"]
    assert request(port, "GET", "/v1/agent/self").json["Config"]["Datacenter"] == "east"
    assert request(port, "GET", "/v1/catalog/services?dc=west").status == 500
    assert replica.get("/v1/status/leader").json == "127.0.0.1:%d" % replica.peer_port


# --- a leader that is gone ---

def test_reads_are_answered_without_a_leader_and_checks_survive_one(make_cluster):
    cluster = make_cluster(3).start()
    replica = [r for r in cluster if not r.is_leader()][0]
    register(replica, "web", Check={"TTL": "1h", "Status": "passing"})
    others = [r for r in cluster if r is not replica]
    [r for r in others if r.is_leader()][0].kill()
    await_true("it is heard by the new leader", lambda: replica.request(
        "PUT", "/v1/agent/check/pass/service:web?note=through").status == 200, 30)
    assert statuses(replica, "web") == ["passing"]
    [r for r in others if r.alive()][0].kill()
    await_true("it knows no leader", lambda: get(replica, "/health/service/web").headers[
        "X-Consul-KnownLeader"] == "false")
    assert statuses(replica, "web") == ["passing"]
    assert get(replica, "/status/leader").json == ""


def test_all_replicas_and_a_restarted_one_have_the_same(make_cluster):
    cluster = make_cluster(3, "--snapshot-log-bytes", "65536").start()
    for n in range(30):
        register(cluster[0], "web", ID="web-%d" % n, Meta={"filler": "x" * 500},
                 Checks=[{"TTL": "1h", "Status": "passing"}, {"TTL": "1h", "Status": "warning"}])
    cluster[1].kill()
    for n in range(200):
        register(cluster[0], "web", ID="web-%d" % n, Meta={"filler": "y" * 500}, Check={"TTL": "1h", "Status": "passing"})
    cluster[1].start().wait_ready()
    await_true("they agree", lambda: len({json.dumps(seen(r, "web"), sort_keys=True) for r in cluster}) == 1)
    assert len(seen(cluster[1], "web")) == 200


def test_below_its_level_a_registration_is_refused_in_words(make_cluster):
    replica = make_cluster(1)[0]
    older(replica)
    replica.cluster.start()
    got = put(replica, "/agent/service/register", {"Name": "web"}, expect=500)
    assert got.headers["Content-Type"].startswith("text/plain") and b"upgrade them" in got.body, got
    assert seen(replica, "web") == []
