"""What a Consul 1.14 has answered to 200 requests (consul_recorded.json.gz), asked of a replica: each
difference must be one that api/consul/README.md argues for, and each of those must still be one.

A recording has the shape of an answer: `<index>` and the like stand for values that differ from run to
run, `accept` has statuses that serve clients as well."""
import gzip
import json
import os
import re
import time

import pytest

from cluster import request

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consul_recorded.json.gz")

# Of the request's id, and of the difference: (why, as in the README).
ARGUED = [
    (r".*", r".*(^|\.)(TaggedAddresses|Address|lan|wan|lan_ipv4|wan_ipv4)\b.* recorded '127\.0\.0\.1'", "nodes"),
    (r"nodes|st-any|st-block", r".*", "nodes"),
    (r"cs|cs-stale|cs-block", r"\.consul missing .*", "the service consul"),
    (r"csv-plain|csv-ext", r"\[0\]\.ServiceAddress: .*", "an address always"),
    (r"ah-.*|maint-health", r".*ServiceTags: \[\], recorded None", "[] never null"),
    (r"cs-dc-unknown", r"header X-Consul-\S+ missing .*", "no index without data"),
    (r"members.*", r"\[0\]\.(Addr|Port|Name|Tags\.port|Tags\.bootstrap|Tags\.wan_join_port).*", "members"),
    (r"reg-port-.*|reg-kind-.*", r"status.*", "what cannot be dialled"),
]


def load():
    with gzip.open(RECORDED, "rt", encoding="utf-8") as file:
        return json.load(file)


def is_placeholder(value):
    return isinstance(value, str) and re.match(r"^<.*>(\.dc1)?$", value)


def differences(recorded, got, at=""):
    """One line for each place where the shape or a value differs."""
    if is_placeholder(recorded):
        return
    if isinstance(recorded, dict) and isinstance(got, dict):
        for key in sorted(recorded.keys() | got.keys()):
            if key not in got:
                yield "%s.%s missing (%r)" % (at, key, recorded[key])
            elif key not in recorded:
                yield "%s.%s extra (%r)" % (at, key, got[key])
            else:
                yield from differences(recorded[key], got[key], "%s.%s" % (at, key))
    elif isinstance(recorded, list) and isinstance(got, list):
        if all(isinstance(x, str) for x in recorded + got):
            if sorted(recorded) != sorted(got):
                yield "%s: %r, recorded %r" % (at, got, recorded)
            return
        if len(recorded) != len(got):
            yield "%s: %d items, recorded %d" % (at, len(got), len(recorded))
        for i, (a, b) in enumerate(zip(recorded, got)):
            yield from differences(a, b, "%s[%d]" % (at, i))
    elif recorded != got:
        yield "%s: %r, recorded %r" % (at, got, recorded)


def headers_differ(recorded, got):
    for name, value in recorded.items():
        if name == "Allow":
            value, there = set(value.split(",")), set(re.split(r", ?", got.get("Allow", "")))
            if not value <= there:
                yield "header Allow: %s, recorded %s" % (there, value)
        elif got.get(name) is None:
            yield "header %s missing (%s)" % (name, value)
        elif not is_placeholder(value) and got[name] != value:
            yield "header %s: %s, recorded %s" % (name, got[name], value)


def time_differs(recorded, took_s):
    waited = re.match(r"about ([\d.]+) s", recorded)
    if waited:
        least_s = float(waited.group(1))
        if took_s < 0.9 * least_s:
            yield "took %.2f s, recorded %s" % (took_s, recorded)


def body_of(answer):
    compressed = answer.headers.get("Content-Encoding") == "gzip"
    return gzip.decompress(answer.body) if compressed else answer.body


def compare(step, answer, took_s):
    recorded = step["answer"]
    statuses = step.get("accept", []) + [recorded["status"]]
    if answer.status not in statuses:
        yield "status %d, recorded %r" % (answer.status, statuses)
    if "says" in step and step["says"].encode() not in answer.body:
        yield "does not say %r" % step["says"]
    yield from time_differs(recorded["took"], took_s)
    if answer.status != recorded["status"]:
        return
    yield from headers_differ(recorded["headers"], answer.headers)
    if "json" in recorded:
        yield from differences(recorded["json"], json.loads(body_of(answer)))
    elif recorded.get("empty") and answer.body:
        yield "body %r, recorded none" % answer.body[:60]


class Replay:
    def __init__(self, port):
        self.port = port
        self.index, self.hash = {}, {}

    def ask(self, step):
        path = step["path"].replace("{idx}", self.index.get(step.get("idx"), "1"))
        path = path.replace("{hash}", self.hash.get(step.get("hash"), "none"))
        body = step["body"].encode() if step.get("body") else None
        begun = time.monotonic()
        answer = request(self.port, step["method"], path, body, step.get("headers"))
        took_s = time.monotonic() - begun
        self.index[step["id"]] = answer.headers.get("X-Consul-Index", "1")
        self.hash[step["id"]] = answer.headers.get("X-Consul-ContentHash", "none")
        if "clean" in step:
            request(self.port, "PUT", "/v1/agent/service/deregister/" + step["clean"].replace("/", "%2F"))
        return list(compare(step, answer, took_s))


@pytest.fixture(scope="module")
def replayed(module_cluster):
    replica = module_cluster(1).start()[0]
    replay = Replay(replica.http_port)
    return [(step["id"], line) for step in load() for line in replay.ask(step)]


def argument(id, line):
    return [n for n, (ids, lines, _) in enumerate(ARGUED) if re.fullmatch(ids, id) and re.fullmatch(lines, line)]


def test_every_difference_from_consul_is_argued_for(replayed):
    assert [(id, line) for id, line in replayed if not argument(id, line)] == []


def test_every_argued_difference_is_named_in_the_readme():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "api", "consul", "README.md"), encoding="utf-8") as file:
        text = file.read()
    assert [why for _, _, why in ARGUED if "**%s**" % why not in text] == []
