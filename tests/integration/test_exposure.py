"""A replica that strangers reach says what they could do: in its log, in /health and in muster status."""
import json
import subprocess

from cluster import MUSTER, await_true, clean_environment
from test_tls import context, file, make_certificates, options

ALL = ["clients_not_encrypted", "members_not_proven", "open_to_all"]


def reached(replica):
    """Options with which other machines reach it."""
    return "--http", ":%d" % replica.http_port, "--peer", ":%d" % replica.peer_port


def codes(replica, token=None):
    headers = {"Authorization": "Bearer " + token} if token else {}
    got = replica.request("GET", "/health", headers=headers).json
    return [warning["code"] for warning in got["warnings"]]


def logged(replica):
    return [code for code in ALL for _ in range(replica.log().count("code=%s " % code))]


def status(replica, *arguments, environment=None):
    return subprocess.run([MUSTER, "--server", replica.url, *arguments, "status"], capture_output=True,
                          encoding="utf-8", timeout=60, check=False, env=clean_environment(environment))


def test_what_only_this_machine_reaches_has_no_warning(make_cluster):
    replica = make_cluster(1).start()[0]
    assert codes(replica) == [] and "exposed" not in replica.log()
    done = status(replica)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) == 2


def test_what_others_reach_has_one_for_each_way_in(make_cluster):
    replica = make_cluster(1)[0]
    replica.start(*reached(replica)).wait_ready()
    assert codes(replica) == ALL
    await_true("all are in the log", lambda: logged(replica) == ALL)
    done = status(replica)
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if line.startswith("muster: warning: ")]
    assert len(told) == 3 and all(replica.url in line for line in told), done
    shown = json.loads(status(replica, "--output", "json").stdout)
    assert len(shown["warnings"]) == 3 and shown["problems"] == []
    assert [w["code"] for w in shown["replicas"][0]["warnings"]] == ALL

    # With a token it is not open any more, from the next start on also in the log.
    token = replica.request("POST", "/tokens/bootstrap").json["token"]
    assert codes(replica, token) == ALL[:2]
    replica.stop()
    replica.start(*reached(replica)).wait_ready()
    await_true("the others are in the log again", lambda: sorted(logged(replica)) == sorted(ALL + ALL[:2]))
    assert replica.request("GET", "/health").json["warnings"]  # who may read may see them
    replica.stop()
    replica.start(*reached(replica), "--anonymous", "none").wait_ready()
    assert "warnings" not in replica.request("GET", "/health").json


def test_what_is_protected_has_none(make_cluster, tmp_path):
    folder = make_certificates(tmp_path / "tls", "a")
    cluster = make_cluster(1, *options(folder), "--anonymous", "read", tls=context(folder),
                           environment={"MUSTER_CLUSTER_SECRET": "a secret of many bytes"})
    replica = cluster[0]
    replica.start(*reached(replica)).wait_ready()
    assert codes(replica) == [] and "exposed" not in replica.log()


def test_status_says_when_the_certificate_ends(make_cluster, tmp_path):
    for days, warned in ((300, False), (3, True)):
        folder = make_certificates(tmp_path / str(days), "a", "--days", str(days))
        replica = make_cluster(1, *options(folder), tls=context(folder)).start()[0]
        trusting = {"MUSTER_CACERT": file(folder, "ca.pem")}
        done = status(replica, environment=trusting)
        assert done.returncode == 0
        assert "%s: tls certificate ends in %d days" % (replica.url, days - 1) in done.stdout
        assert ("warning: %s: the TLS certificate ends soon" % replica.url in done.stderr) == warned
        row = json.loads(status(replica, "--output", "json", environment=trusting).stdout)["replicas"][0]
        assert abs(row["tls"]["certificate_ends_in"] - days * 86400) < 3600
        assert [w["code"] for w in row["warnings"]] == ["certificate_ends"] * warned
