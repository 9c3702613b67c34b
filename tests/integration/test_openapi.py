"""api/openapi.yaml is correct: every path answers as described, and every route is described."""
import os
import re

import pytest
import yaml

from cluster import ROOT
from schema import problems, resolve

METHODS = ("get", "post", "put", "delete")


def load():
    with open(os.path.join(ROOT, "api", "openapi.yaml"), encoding="utf-8") as file:
        return yaml.safe_load(file)


DOCUMENT = load()
OPERATIONS = [(method, path) for path, item in DOCUMENT["paths"].items()
              for method in METHODS if method in item]


def routes(site):
    with open(os.path.join(ROOT, "api", site, "routes.def"), encoding="utf-8") as file:
        text = file.read()
    return {(method.lower(), path) for method, path in
            re.findall(r'^(?:ROUTE|CHECKED|EFFECTS|VITAL)\((\w+), "([^"]+)"', text, re.MULTILINE)}


NATIVE = routes("native")


def test_every_route_is_described_and_every_description_has_a_route():
    assert sorted(OPERATIONS) == sorted(NATIVE | routes("tbfs"))


def parameters_of(method, path):
    item = DOCUMENT["paths"][path]
    listed = item.get("parameters", []) + item[method].get("parameters", [])
    return [resolve(DOCUMENT, p) for p in listed]


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_every_variable_of_a_path_is_described(method, path):
    described = {p["name"] for p in parameters_of(method, path) if p["in"] == "path"}
    assert described == set(re.findall(r"{(\w+)}", path))


def check(answer, method, path):
    """The response's status must be described, and its JSON match the schema."""
    responses = DOCUMENT["paths"][path][method]["responses"]
    described = responses.get(str(answer.status)) or responses.get("default")
    assert described, "%s %s: %d is not described" % (method, path, answer.status)
    content = resolve(DOCUMENT, described).get("content", {})
    type = (answer.headers["Content-Type"] or "").split(";")[0]
    assert type in content, "%s %s: %s is not described" % (method, path, type)
    if type == "application/json" and "schema" in content[type]:
        assert problems(DOCUMENT, content[type]["schema"], answer.json) == []


BODIES = {
    "/register": lambda name: {"name": name, "id": name, "host": "10.0.0.1", "port": 80,
                               "type": name, "tags": ["a"], "metadata": {"k": "v"}},
    "/heartbeat": lambda name: {"id": name},
    "/instances/{id}/maintenance": lambda name: {"enabled": False},
    "/namespaces/{namespace}": lambda name: {"instances_max": 5, "bytes_max": 1 << 20, "writes_max": 100},
}


VALUES = {"peer": "127.0.0.1:1"}


def call(replica, method, path, name, query="", member="2"):
    """Member changes are dry runs only."""
    if path.startswith("/cluster/") and (method, path) != ("get", "/cluster/members"):
        name, query = member, (query + "&" if query else "?") + "dry_run=true"
    target = re.sub(r"{\w+}", name, path) + query
    body = BODIES[path](name) if path in BODIES and method in ("post", "put") else None
    return replica.request(method.upper(), target, body)


# Once there is a token, nothing of the shared cluster is open any more: test_access.py makes them, and
# test_policies.py policies.
@pytest.mark.parametrize("method, path", [o for o in OPERATIONS if not o[1].startswith(("/tokens", "/policies"))])
def test_every_operation_answers_as_described(shared, name, method, path):
    shared[0].post("/register", BODIES["/register"](name))
    if path.startswith("/namespaces/") and method != "put":
        assert call(shared[0], "put", path, name).status == 201
    required = [p["name"] for p in parameters_of(method, path)
                if p["in"] == "query" and p.get("required")]
    query = "?" + "&".join("%s=%s" % (p, VALUES.get(p, name)) for p in required) if required else ""
    answer = call(shared[0], method, path, name, query)
    assert answer.status in (200, 201), answer
    check(answer, method, path)


@pytest.mark.parametrize("method, path", [o for o in OPERATIONS if "id}" in o[1] or "subject}" in o[1]])
def test_an_unknown_id_is_answered_as_described(shared, name, method, path):
    answer = call(shared[0], method, path, name, member="9")
    assert answer.status == 404
    check(answer, method, path)


def test_checks_are_shown_as_described(shared, name):
    asked = {"interval": "24h", "headers": {"A": ["1"]}, "tls": {"skip_verify": True}}
    shared[0].post("/register", {**BODIES["/register"](name), "checks": [
        {"http": "https://127.0.0.1:1/", **asked}, {"tcp": "127.0.0.1:1"}, {"grpc": "127.0.0.1:1/a"}, {"ttl": "1h"}]})
    for path, query in (("/instances/{id}", ""), ("/services/{name}", "?checks=true&health=any")):
        answer = call(shared[0], "get", path, name, query)
        assert answer.status == 200 and b"changed_at" in answer.body
        check(answer, "get", path)


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_an_unknown_parameter_is_answered_as_described(shared, name, method, path):
    shared[0].post("/register", BODIES["/register"](name))
    answer = call(shared[0], method, path, name, "?colour=red")
    if (method, path) in NATIVE:
        assert answer.status == 400 and "colour" in answer.body.decode()
    else:
        assert answer.status == 200
    check(answer, method, path)


@pytest.mark.parametrize("method, path", [o for o in OPERATIONS if o[0] == "get"])
def test_every_described_parameter_of_a_read_is_taken(shared, name, method, path):
    shared[0].post("/register", BODIES["/register"](name))
    values = {"consistency": "stale", "min_index": "1", "index": "0", "wait": "1s",
              "health": "any", "type": name, "zone": "z", "tag": "a", "strategy": "first",
              "near": "z", "limit": "1", "after": "0.0" if path == "/events" else "a",
              "service": name, "id": name, "event": "registered", "incarnation": "1",
              "snapshot": "false", "status": "active", "ns": "default", "checks": "true"}
    for parameter in parameters_of(method, path):
        if parameter["in"] != "query":
            continue
        name_of = parameter["name"]
        value = values.get(name_of)
        if value is None:
            assert name_of.startswith("meta"), "unknown to this test: " + name_of
            name_of, value = "meta.k", "v"
        needed = "&type=" + name if path == "/discover" and name_of != "type" else ""
        needed += "&index=0" if name_of == "wait" else ""
        answer = call(shared[0], method, path, name, "?%s=%s%s" % (name_of, value, needed))
        assert answer.status in (200, 503), (name_of, answer)


@pytest.mark.parametrize("path, body, status", [
    ("/register", {"server_id": "%s", "url": "node-1"}, 200),
    ("/register", {"server_id": "%s"}, 422),
    ("/heartbeat", {"server_id": "%s"}, 200),
    ("/heartbeat", {"server_id": "%s-unknown"}, 404),
    ("/heartbeat", {"server_id": 7}, 422)])
def test_the_calls_of_the_older_registry_answer_as_described(shared, name, path, body, status):
    shared[0].post("/register", BODIES["/register"](name))
    body = {k: v % name if k == "server_id" and isinstance(v, str) else v for k, v in body.items()}
    answer = shared[0].post(path, body)
    assert answer.status == status
    check(answer, "post", path)
