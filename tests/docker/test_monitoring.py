"""Prometheus as the profile `monitoring` starts it, and its alert rules."""
import json
import os
import urllib.request

from cluster import await_true
from engine import PROMETHEUS, ROOT, run

# On this machine: not through a proxy.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
HERE = os.path.dirname(os.path.abspath(__file__))


def ask(compose, path):
    url = "http://127.0.0.1:%d/api/v1/%s" % (compose.prometheus_port, path)
    try:
        with DIRECT.open(url, timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def test_prometheus_scrapes_all_three_replicas(compose):
    def all_up():
        targets = (ask(compose, "targets") or {"activeTargets": []})["activeTargets"]
        return len(targets) == 3 and all(t["health"] == "up" for t in targets)
    await_true("three targets up", all_up, 60, 0.5)


def test_every_metric_that_an_alert_names_is_there(compose):
    served = compose.replicas[0].get("/metrics").body.decode("utf-8")
    rules = await_true("rules loaded", lambda: (ask(compose, "rules") or {}).get("groups"), 60, 0.5)
    named = {word for group in rules for rule in group["rules"]
             for word in rule["query"].replace("(", " ").replace("{", " ").replace("[", " ")
             .replace(")", " ").split() if word.startswith("muster_")}
    assert len(named) > 5
    assert [name for name in sorted(named) if "\n%s" % name not in served] == []


def test_alerts_fire_when_they_should_and_only_then(compose):
    run("docker", "run", "--rm", "-v", ROOT + "/docker:/rules:ro", "-v", HERE + ":/tests:ro",
        "-w", "/tests", "--entrypoint", "promtool", PROMETHEUS, "test", "rules", "alerts.test.yml")
