"""Run with the Python that has cgse-core: its RegistryClient, driven by lines of JSON.

    {"call": "register", "arguments": {...}}  ->  {"result": ...}

The first line sets it up: {"requests": port, "events": port, "heartbeats": port}.
"""
import json
import logging
import os
import sys

os.environ.update(PROJECT="TEST", SITE_ID="LAB")
# What it logs and prints goes to stderr.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
logging.disable(logging.CRITICAL)

from egse.registry.client import RegistryClient  # noqa: E402
from egse.system import get_host_ip  # noqa: E402


def create(requests, events, heartbeats):
    ends = {"registry_req_endpoint": "tcp://127.0.0.1:%d" % requests,
            "registry_sub_endpoint": "tcp://127.0.0.1:%d" % events}
    try:
        return RegistryClient(registry_hb_endpoint="tcp://127.0.0.1:%d" % heartbeats, **ends)
    except TypeError:  # from before that port
        return RegistryClient(**ends)


def answer(result):
    out.write(json.dumps({"result": result}) + "\n")
    out.flush()


client = create(**json.loads(sys.stdin.readline()))
client.connect()
answer(None)
for line in sys.stdin:
    asked = json.loads(line)
    call = get_host_ip if asked["call"] == "own_host" else getattr(client, asked["call"])
    result = call(**asked.get("arguments", {}))
    answer(result if isinstance(result, (bool, str, dict, list)) else None)
