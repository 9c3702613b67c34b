"""Alerts: each alert of docker/alerts.yml names metrics that a replica has, and is in the promtool tests
of tests/docker, silent and firing."""
import json
import os
import re

import pytest

from cluster import ROOT


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def alerts():
    """Each alert, by name, with its rule as text."""
    parts = re.split(r"^ +- alert: (\w+)$", read("docker", "alerts.yml"), flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def test_every_metric_that_an_alert_names_is_there(shared):
    served = set(re.findall(r"^(muster_\w+)", shared[0].get("/metrics").body.decode(), re.M))
    assert len(alerts()) > 10
    for name, rule in alerts().items():
        expression = rule.split("labels:")[0]
        named = set(re.findall(r"\bmuster_\w+", expression))
        assert named <= served, (name, named - served)
        assert named or "up{" in expression, name
        assert "summary:" in rule and "action:" in rule, name


def test_every_alert_is_tested_silent_and_firing():
    tests = read("tests", "docker", "alerts.test.yml")
    for name in alerts():
        assert "alertname: %s}" % name in tests, name
        assert '{alertname="%s"}' % name in tests, name


def test_every_metric_of_the_dashboard_is_there(shared):
    served = set(re.findall(r"^(muster_\w+)", shared[0].get("/metrics").body.decode(), re.M))
    panels = json.loads(read("docker", "grafana.json"))["panels"]
    assert len(panels) > 10 and len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            named = set(re.findall(r"\bmuster_\w+", target["expr"]))
            assert (named or "up{" in target["expr"]) and named <= served, (panel["title"], named)


@pytest.mark.parametrize("alert, metric", [
    ("MusterFull", "muster_registrations_full_total"), ("MusterNearlyFull", "muster_state_bytes_max"),
    ("MusterLoopStalled", "muster_loop_stalled_seconds"), ("MusterDiskStalled", "muster_disk_stalled_seconds"),
    ("MusterLogLinesDropped", "muster_log_lines_dropped_total"),
    ("MusterAuditLogFails", "muster_audit_lines_lost_total"), ("MusterAuditLogFails", "muster_audit_failing"),
    ("MusterMembersMissing", "muster_members_unreachable"),
    ("MusterTooManyConnections", "muster_http_connections_refused_total"),
    ("MusterHeartbeatsRefused", "muster_members_refusing_heartbeats")])
def test_there_is_an_alert_for_what_a_replica_lacks(alert, metric):
    assert metric in alerts()[alert]
