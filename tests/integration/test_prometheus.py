"""Service discovery for Prometheus: the list of targets in its format. The real one is in tests/clients."""

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
