"""Registering, renewing, changing and removing instances over HTTP."""
import threading

import pytest


def register(replica, body):
    return replica.post("/register", body)


def body_of(name, **fields):
    return {"name": name, "host": "10.0.0.1", "port": 8080, **fields}


def test_register_answers_201_with_id_incarnation_ttl_and_index(shared, name):
    got = register(shared[0], body_of(name, id=name + "-1", ttl=45))
    assert got.status == 201
    assert got.json["id"] == name + "-1"
    assert got.json["ttl"] == 45
    assert got.json["incarnation"] > 0
    assert got.json["index"] > 0


def test_register_without_id_makes_one_from_the_name(shared, name):
    first = register(shared[0], body_of(name)).json["id"]
    second = register(shared[0], body_of(name)).json["id"]
    assert first.startswith(name + "-") and second.startswith(name + "-")
    assert len(first) == len(name) + 1 + 36
    assert first != second


def test_register_without_host_takes_the_address_of_the_caller(shared, name):
    got = register(shared[0], {"name": name, "id": name, "port": 80})
    assert got.status == 201
    assert shared[0].get("/instances/" + name).json["host"] == "127.0.0.1"


def test_register_keeps_every_field(shared, name):
    fields = {"type": "http", "tags": ["a", "b"], "metadata": {"k": "v", "ключ": "значение"},
              "weight": 7, "zone": "eu-1", "ttl": 120}
    assert register(shared[0], body_of(name, id=name, **fields)).status == 201
    seen = shared[0].get("/instances/" + name).json
    for field, value in {**fields, "name": name, "host": "10.0.0.1", "port": 8080}.items():
        assert seen[field] == value, field
    assert seen["health"] == "passing"
    assert seen["registered_at"].endswith("Z")


def test_register_with_a_health_starts_with_it(shared, name):
    assert register(shared[0], body_of(name, id=name, health="critical")).status == 201
    assert shared[0].instance_health(name) == "critical"


def test_register_takes_durations_as_numbers_and_as_text(shared, name):
    assert register(shared[0], body_of(name, ttl=90)).json["ttl"] == 90
    assert register(shared[0], body_of(name, ttl="2m")).json["ttl"] == 120
    assert register(shared[0], body_of(name, ttl=1.5)).json["ttl"] == 1.5


def test_same_content_again_is_a_heartbeat_and_moves_no_index(shared, name):
    first = register(shared[0], body_of(name, id=name))
    before = shared[0].get("/services/" + name).json["index"]
    again = register(shared[0], body_of(name, id=name))
    assert again.status == 200
    assert again.json["incarnation"] == first.json["incarnation"]
    assert shared[0].get("/services/" + name).json["index"] == before


def test_other_content_without_incarnation_takes_the_id_over(shared, name):
    first = register(shared[0], body_of(name, id=name))
    taken = register(shared[0], body_of(name, id=name, port=9999))
    assert taken.status == 200
    assert taken.json["incarnation"] > first.json["incarnation"]
    assert shared[0].get("/instances/" + name).json["port"] == 9999


def test_other_content_with_the_current_incarnation_keeps_it(shared, name):
    first = register(shared[0], body_of(name, id=name)).json["incarnation"]
    got = register(shared[0], body_of(name, id=name, port=9999, incarnation=first))
    assert got.status == 200
    assert got.json["incarnation"] == first
    assert shared[0].get("/instances/" + name).json["port"] == 9999


def test_a_register_of_an_older_incarnation_is_a_conflict_without_effect(shared, name):
    first = register(shared[0], body_of(name, id=name)).json["incarnation"]
    register(shared[0], body_of(name, id=name, port=1111))
    got = register(shared[0], body_of(name, id=name, port=2222, incarnation=first))
    assert got.status == 409 and got.json["error"] == "conflict"
    assert shared[0].get("/instances/" + name).json["port"] == 1111


def test_incarnations_of_an_id_rise_across_deregistration(shared, name):
    first = register(shared[0], body_of(name, id=name)).json["incarnation"]
    assert shared[0].request("DELETE", "/instances/" + name).status == 200
    again = register(shared[0], body_of(name, id=name))
    assert again.status == 201
    assert again.json["incarnation"] > first


def test_an_id_may_move_to_another_service(shared, name):
    register(shared[0], body_of(name + "a", id=name))
    register(shared[0], body_of(name + "b", id=name))
    assert shared[0].get("/services/%sa" % name).json["instances"] == []
    assert len(shared[0].get("/services/%sb" % name).json["instances"]) == 1


def test_heartbeat_renews_and_moves_no_index(shared, name):
    register(shared[0], body_of(name, id=name))
    before = shared[0].get("/services/" + name).json["index"]
    got = shared[0].post("/heartbeat", {"id": name})
    assert got.status == 200
    assert got.json["renewed"] == 1 and got.json["unknown"] == []
    assert shared[0].get("/services/" + name).json["index"] == before


def test_heartbeat_of_a_single_unknown_id_is_404(shared, name):
    got = shared[0].post("/heartbeat", {"id": name})
    assert got.status == 404 and got.json["error"] == "not_found"


@pytest.mark.parametrize("at", [0, 1, 2])
def test_heartbeats_in_a_batch_name_the_unknown_ids(shared, name, at):
    ids = [shared[0].register(name)["id"] for _ in range(3)]
    index = max(shared[0].get("/instances/" + i).json["index"] for i in ids)
    shared[at].get("/instances?limit=1&min_index=%d" % index)
    got = shared[at].post("/heartbeat", {"ids": [ids[0], name + "-x", ids[1], name + "-y", ids[2]]})
    assert got.status == 200
    assert got.json["renewed"] == 3
    assert got.json["unknown"] == [name + "-x", name + "-y"]


def test_a_heartbeat_at_another_replica_right_after_the_registration_is_known(shared, name):
    for n in range(20):
        shared[n % 3].register(name, id="%s-%d" % (name, n))
        got = shared[(n + 1) % 3].post("/heartbeat", {"id": "%s-%d" % (name, n)})
        assert got.status == 200, got


def test_heartbeats_of_ten_thousand_ids_fit_one_request(shared, name):
    ids = ["%s-%d" % (name, n) for n in range(10000)]
    shared[0].register(name, id=ids[0])
    got = shared[0].post("/heartbeat", {"ids": ids})
    assert got.status == 200
    assert got.json["renewed"] == 1 and len(got.json["unknown"]) == 9999


def test_heartbeat_with_status_and_note_changes_what_is_seen(shared, name):
    register(shared[0], body_of(name, id=name))
    before = shared[0].get("/services/" + name).json["index"]
    for status in ("warning", "critical", "passing"):
        assert shared[0].post("/heartbeat", {"id": name, "status": status,
                                             "note": "load " + status}).status == 200
        seen = shared[0].get("/instances/" + name).json
        assert (seen["health"], seen["note"]) == (status, "load " + status)
    assert shared[0].get("/services/%s?health=any" % name).json["index"] > before


def test_a_heartbeat_for_an_older_incarnation_is_a_conflict(shared, name):
    first = register(shared[0], body_of(name, id=name)).json["incarnation"]
    second = register(shared[0], body_of(name, id=name, port=81)).json["incarnation"]
    assert shared[0].post("/heartbeat", {"id": name, "incarnation": first}).status == 409
    assert shared[0].post("/heartbeat", {"id": name, "incarnation": second}).status == 200


def test_maintenance_hides_from_discovery_until_it_ends(shared, name):
    register(shared[0], body_of(name, id=name))
    path = "/instances/%s/maintenance" % name
    got = shared[0].request("PUT", path, {"enabled": True, "reason": "new disk"})
    assert got.status == 200
    assert shared[0].instance_health(name) == "maintenance"
    assert shared[0].get("/services/" + name).json["instances"] == []
    assert len(shared[0].get("/services/%s?health=any" % name).json["instances"]) == 1
    assert shared[0].get("/services/%s/discover" % name).status == 503
    assert shared[0].request("PUT", path, {"enabled": False}).status == 200
    assert shared[0].get("/services/%s/discover" % name).status == 200


def test_maintenance_of_an_unknown_id_is_404(shared, name):
    got = shared[0].request("PUT", "/instances/%s/maintenance" % name, {"enabled": True})
    assert got.status == 404


def test_deregister_removes_at_once_and_a_second_time_is_404(shared, name):
    register(shared[0], body_of(name, id=name))
    assert shared[0].request("DELETE", "/instances/" + name).status == 200
    assert shared[0].get("/instances/" + name).status == 404
    assert shared[0].get("/services/" + name).json["instances"] == []
    assert shared[0].request("DELETE", "/instances/" + name).status == 404


def test_deregister_of_an_older_incarnation_is_a_conflict_without_effect(shared, name):
    first = register(shared[0], body_of(name, id=name)).json["incarnation"]
    second = register(shared[0], body_of(name, id=name, port=81)).json["incarnation"]
    path = "/instances/%s?incarnation=%d"
    assert shared[0].request("DELETE", path % (name, first)).status == 409
    assert shared[0].get("/instances/" + name).status == 200
    assert shared[0].request("DELETE", path % (name, second)).status == 200


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_client_reads_its_own_writes_at_the_replica_that_answered(shared, name, at):
    for n in range(30):
        id = "%s-%d" % (name, n)
        answer = shared[at].register(name, id=id)
        assert shared[at].instance_health(id) == "passing"
        assert len(shared[at].get("/services/" + name).json["instances"]) == n + 1
        assert shared[at].get("/instances/" + id).json["incarnation"] == answer["incarnation"]


def test_writes_through_all_replicas_at_once_end_in_one_state(shared, name):
    failed = []

    def write(replica, number):
        for n in range(50):
            got = register(replica, body_of(name, id="%s-%d" % (name, n), port=number + 1))
            if got.status not in (200, 201):
                failed.append(got)

    threads = [threading.Thread(target=write, args=(shared[n % 3], n), daemon=True)
               for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    shared.wait_same_state()
    seen = [r.get("/services/" + name).json["instances"] for r in shared]
    assert len(seen[0]) == 50
    assert seen[0] == seen[1] == seen[2]


def test_ids_and_names_may_need_escaping(shared, name):
    for text in ("a b", "a/b", "ä€𝄞", "100%", "a?b=c&d", "#", "a+b", ".", ".."):
        id = name + text
        got = register(shared[0], body_of(id, id=id))
        assert got.status == 201, text
        escaped = "".join("%%%02X" % byte for byte in id.encode("utf-8"))
        assert shared[0].get("/instances/" + escaped).json["id"] == id
        assert shared[0].get("/services/" + escaped).json["instances"][0]["id"] == id
        assert shared[0].request("DELETE", "/instances/" + escaped).status == 200


@pytest.mark.parametrize("away, sentence", [(-1, "a newer incarnation holds this id: it is %d now"),
                                            (1, "has had no incarnation %d yet: it is %d now")])
def test_a_conflict_says_which_incarnation_is_there(shared, name, away, sentence):
    present = register(shared[0], body_of(name, id=name)).json["incarnation"]
    said = present + away
    expected = sentence % ((present,) if away < 0 else (said, present))
    for got in (shared[0].post("/register", body_of(name, id=name, port=81, incarnation=said)),
                shared[1].post("/heartbeat", {"id": name, "incarnation": said}),
                shared[2].request("DELETE", "/instances/%s?incarnation=%d" % (name, said))):
        assert got.status == 409 and got.json["error"] == "conflict", got
        assert expected in got.json["message"] and got.json["field"] == "incarnation", got
    assert shared[0].get("/instances/" + name).json["incarnation"] == present
