"""Certificates of clients as principals: what policies let them do, for every call of every site, as
test_access.py does it for tokens; and that nothing but a verified name makes one."""
import json
import os
import ssl
import subprocess
import threading
import time
from urllib.parse import quote

import pytest

from cluster import MUSTERD, await_true, clean_environment, request
from streams import Ended, Stream
from test_access import CALLS, EVERYBODY, allows, ask, bearer, body_of, bootstrap, create
from test_cli import DONE, muster
from test_openapi import check

USAGE = 2
# The common name and the URI of each client's certificate.
CLIENTS = {"writer": "spiffe://prod/ns/web/sa/writer", "reader": "spiffe://prod/ns/web/sa/reader",
           "operator": "spiffe://prod/ns/ops/sa/operator", "metrics": "spiffe://prod/metrics",
           "other": "spiffe://prod/ns/other", "stranger": "spiffe://test/ns/web/sa/writer", "nameless": None}
# What each may is what the token of that name may in test_access.py.
POLICIES = {
    "spiffe://prod/ns/web/sa/writer": {"services": [{"name": "web", "access": "write"}]},
    "spiffe://prod/ns/web/*": {"services": [{"prefix": "we", "access": "read"}]},
    "spiffe://prod/ns/ops/*": {"operator": "write"},
    "spiffe://prod/metrics": {"metrics": True},
    "spiffe://prod/*": {"services": [{"name": "none", "access": "read"}]},
    "*": {"services": [{"prefix": "", "access": "write"}], "operator": "write"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("policies")
    assert muster("tls", "init", "--out", str(made), "a").returncode == DONE
    for name, uri in CLIENTS.items():
        done = muster("tls", "init", "--out", str(made), "--client", name, *(["--uri", uri] if uri else []))
        assert done.returncode == DONE, done
    return made


def file(folder, name):
    return os.path.join(str(folder), name)


def context(folder, client=None):
    made = ssl.create_default_context(cafile=file(folder, "ca.pem"))
    if client is not None:
        made.load_cert_chain(file(folder, client + ".pem"), file(folder, client + "-key.pem"))
    return made


def options(folder, principal="URI"):
    return ["--tls-cert", file(folder, "a.pem"), "--tls-key", file(folder, "a-key.pem"),
            "--tls-client-ca", file(folder, "ca.pem"), "--tls-principal", principal]


class As:
    """A replica, asked with the certificate of a client."""

    def __init__(self, replica, folder, client):
        self.replica = replica
        self.tls = context(folder, client)

    def request(self, method, path, body=None, headers=None, timeout=30):
        return request(self.replica.http_port, method, path, body, headers, timeout, tls=self.tls)


def make_policy(replica, by, subject, **rights):
    got = replica.request("POST", "/policies", {"subject": subject, **rights}, bearer(by))
    assert got.status == 201 and got.json["subject"] == subject, got
    check(got, "post", "/policies")
    return got.json["index"]


def delete_policy(replica, by, subject):
    got = replica.request("DELETE", "/policies/" + quote(subject, safe=""), headers=bearer(by))
    assert got.status == 200, got
    check(got, "delete", "/policies/{subject}")
    return got.json["index"]


# --- every call ---


def expected(mode, who, permission, service):
    """As with tokens; whoever shows a certificate is told that it does not suffice: 403."""
    if permission == "OPEN" or permission in EVERYBODY[mode]:
        return None
    if who == "nameless":
        return 401
    if who in ("other", "stranger"):
        # Of `none` it may read what there is.
        return None if who == "other" and permission in ("READ", "EVENTS") else 403
    return None if allows(who, permission, service) else 403


@pytest.mark.parametrize("mode", sorted(EVERYBODY))
def test_every_call_answers_every_certificate_as_it_should(make_cluster, folder, mode):
    replica = make_cluster(1, "--anonymous", mode, *options(folder), tls=context(folder)).start()[0]
    token = bootstrap(replica)
    for subject, rights in POLICIES.items():
        if subject != "*":
            make_policy(replica, token, subject, **rights)
    make_policy(replica, token, "spiffe://test/*", operator="write")
    delete_policy(replica, token, "spiffe://test/*")
    make_policy(replica, token, "spiffe://test/ns/*", operator="write", ttl=1)
    await_true("the policy is over", lambda: replica.request(
        "GET", "/policies/" + quote("spiffe://test/ns/*", safe=""), headers=bearer(token)).status == 404)
    askers = {who: As(replica, folder, who) for who in CLIENTS}
    wrong = []
    for method, path, permission in CALLS:
        for service in ("web", "db"):
            for who, asker in askers.items():
                replica.request("POST", "/register", body_of("POST", "/register", service), bearer(token))
                got = ask(asker, method, path, service, None)
                wanted = expected(mode, who, permission, service)
                if path == "/events" and wanted is None and mode == "none" and (
                        who == "other" or (who in ("writer", "reader") and service == "db")):
                    wanted = 403  # it names a service that he may not follow
                fits = got.status == wanted if wanted else got.status not in (401, 403) and (
                    got.status < 500 or (who == "other" and path == "/discover"))  # there is none for it
                if not fits:
                    wrong.append((mode, method, path, who, service, wanted, got))
                check(got, method.lower(), path)
            # A token counts, and the certificate does not: not even for more.
            got = ask(askers["operator"], method, path, service, "mst_aaaaaaaaaa_" + "b" * 32)
            if permission != "OPEN" and got.status != 401:
                wrong.append((mode, method, path, "wrong token", service, 401, got))
    assert wrong == []


# --- which name ---


def test_the_common_name_or_nothing_when_that_is_asked_for(make_cluster, folder):
    for principal, allowed in (("CN", {"writer"}), ("none", set())):
        replica = make_cluster(1, "--anonymous", "none", *options(folder, principal),
                               tls=context(folder)).start()[0]
        token = bootstrap(replica)
        make_policy(replica, token, "writer", metrics=True)
        make_policy(replica, token, CLIENTS["reader"], metrics=True)
        for who in ("writer", "reader"):
            got = As(replica, folder, who).request("GET", "/metrics")
            assert got.status == (200 if who in allowed else 401 if principal == "none" else 403), (who, got)


def sign(folder, name, extensions, subject):
    """A client's certificate of the CA of `folder`, made by openssl: with what `muster tls init` refuses."""
    settings = file(folder, name + ".cnf")
    with open(settings, "w", encoding="utf-8") as text:
        text.write("[ext]\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n"
                   + extensions + "\n")
    key, csr = file(folder, name + "-key.pem"), file(folder, name + ".csr")
    for command in (
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
             "-out", csr, "-subj", subject, "-multivalue-rdn", "-utf8"],
            ["x509", "-req", "-in", csr, "-CA", file(folder, "ca.pem"), "-CAkey", file(folder, "ca-key.pem"),
             "-days", "2", "-set_serial", str(time.time_ns()), "-extfile", settings, "-extensions", "ext",
             "-out", file(folder, name + ".pem")]):
        subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("principal, extensions, subject", [
    ("URI", "subjectAltName=URI:spiffe://prod/web,URI:spiffe://prod/admin", "/CN=x"),  # which of them?
    ("URI", "subjectAltName=URI:spiffe://prod/*", "/CN=x"),
    ("URI", "subjectAltName=DNS:spiffe.prod,email:web@prod", "/CN=spiffe:\\/\\/prod\\/web"),
    # "spiffe://prod/web", NUL, "x"
    ("URI", "subjectAltName=DER:30:15:86:13:73:70:69:66:66:65:3a:2f:2f:70:72:6f:64:2f:77:65:62:00:78", "/CN=x"),
    ("CN", "", "/CN=web/CN=admin"), ("CN", "", "/CN=web*"), ("CN", "", "/CN=*"), ("CN", "", "/O=web"),
    ("CN", "", "/CN=w\u00e9b"), ("CN", "", '/CN=web"x'), ("CN", "subjectAltName=DNS:web,URI:web", "/O=x")])
def test_a_name_that_could_mean_another_makes_nobody(make_cluster, folder, principal, extensions, subject):
    sign(folder, "tricky", extensions, subject)
    replica = make_cluster(1, "--anonymous", "none", *options(folder, principal), tls=context(folder)).start()[0]
    token = bootstrap(replica)
    # Whoever has a name has this one, if no other.
    make_policy(replica, token, "*", metrics=True)
    assert As(replica, folder, "writer").request("GET", "/metrics").status == 200
    assert As(replica, folder, "tricky").request("GET", "/metrics").status == 401
    assert replica.request("GET", "/health/ready").status == 200


def test_subjects_are_checked_and_policies_never_come_first(make_cluster, folder):
    replica = make_cluster(1, *options(folder), tls=context(folder)).start()[0]
    first = {"subject": "a", "metrics": True}
    got = replica.request("POST", "/policies", first)
    assert got.status == 409 and "bootstrap" in got.json["message"], got
    # Until the first token a name changes nothing.
    assert As(replica, folder, "stranger").request("POST", "/register", body_of("POST", "/register", "web")).status \
        == 201
    token = bootstrap(replica)
    assert As(replica, folder, "stranger").request("DELETE", "/instances/web-1").status == 403
    assert replica.request("POST", "/policies", first, bearer(token)).status == 201
    got = replica.request("POST", "/policies", {**first, "events": True}, bearer(token))
    assert got.status == 409 and "delete it first" in got.json["message"], got
    for subject in (None, 1, "", "**", "a*b", "*a", " a", "a ", "a\nb", "a\0b", "caf\u00e9", 'a"', "'", "\\", ".",
                    "..", "a" * 255, "a" * 254 + "*"):
        got = replica.request("POST", "/policies", {"subject": subject, "metrics": True}, bearer(token))
        # JSON with a NUL is not even looked into.
        assert got.status == 400 and got.json.get("field") == (None if subject == "a\0b" else "subject"), got
    for body in ({"subject": "b"}, {"metrics": True}, {"subject": "b", "colour": 1},
                 {"subject": "b", "services": [{"name": "x"}]}):
        assert replica.request("POST", "/policies", body, bearer(token)).status == 400, body
    for subject in ("a" * 254, "a" * 253 + "*", "*", "spiffe://prod/ns/*"):
        make_policy(replica, token, subject, metrics=True)
        path = "/policies/" + quote(subject, safe="")
        got = replica.request("GET", path, headers=bearer(token))
        assert got.status == 200 and got.json["subject"] == subject, got
    for subject in ("=a", "*a", "a*b", "b", token.split("_")[1]):
        for method in ("GET", "DELETE"):
            assert replica.request(method, "/policies/" + quote(subject, safe=""),
                                   headers=bearer(token)).status == 404, subject
    for id in ("=a", "*", "a"):
        for method in ("GET", "DELETE"):
            assert replica.request(method, "/tokens/" + quote(id, safe=""), headers=bearer(token)).status == 404, id
    listed = replica.request("GET", "/tokens", headers=bearer(token))
    assert len(listed.json["tokens"]) == 1
    listed = replica.request("GET", "/policies", headers=bearer(token))
    check(listed, "get", "/policies")
    assert sorted(p["subject"] for p in listed.json["policies"]) == \
        sorted(["*", "a", "a" * 253 + "*", "a" * 254, "spiffe://prod/ns/*"])


# --- everywhere, and from its index on ---


@pytest.fixture
def closed(make_cluster, folder):
    cluster = make_cluster(3, "--anonymous", "none", *options(folder), tls=context(folder)).start()
    token = bootstrap(cluster[0])
    for subject, rights in POLICIES.items():
        if subject != "*":
            index = make_policy(cluster[0], token, subject, **rights)
    for replica in cluster:
        assert replica.request("GET", "/services?min_index=%d" % index, headers=bearer(token)).status == 200
    return cluster, token


def test_a_policy_counts_everywhere_and_ends_everywhere(closed, folder):
    cluster, token = closed
    writers = [As(replica, folder, "writer") for replica in cluster]
    for writer in writers:
        assert writer.request("POST", "/register", body_of("POST", "/register", "web")).status in (200, 201)
        assert writer.request("POST", "/register", body_of("POST", "/register", "db")).status == 403
        assert writer.request("POST", "/heartbeat", {"id": "web-1"}).status == 200
    index = delete_policy(cluster[0], token, CLIENTS["writer"])
    # It counts where writes are applied, though a replica may not know it yet: and the wider policy does now.
    for writer in writers:
        assert writer.request("POST", "/register", {**body_of("POST", "/register", "web"), "port": 81}).status == 403
        assert writer.request("GET", "/services/web?min_index=%d" % index).status == 200
    delete_policy(cluster[1], token, "spiffe://prod/ns/web/*")
    index = delete_policy(cluster[1], token, "spiffe://prod/*")
    for writer, replica in zip(writers, cluster):
        assert replica.request("GET", "/services?min_index=%d" % index, headers=bearer(token)).status == 200
        assert writer.request("GET", "/services/web").status == 403


def test_a_stream_and_a_wait_end_with_their_policy(closed, folder):
    cluster, token = closed
    replica = cluster.replicas[1]
    reader = As(replica, folder, "reader")
    everything = create(cluster[0], token, services=[{"prefix": "", "access": "write"}])["token"]
    index = cluster[0].request("POST", "/register", body_of("POST", "/register", "web"),
                               bearer(everything)).json["index"]
    assert reader.request("GET", "/services/web?min_index=%d" % index).status == 200
    waited = []
    with Stream(replica.http_port, {"snapshot": "true"}, timeout=30, tls=reader.tls) as stream:
        assert [e[2]["instance"]["name"] for e in stream.until("synced") if e[1] == "present"] == ["web"]
        waiting = threading.Thread(target=lambda: waited.append(
            reader.request("GET", "/services/web?index=%d&wait=25s" % index)))
        waiting.start()
        time.sleep(0.3)
        for subject in ("spiffe://prod/ns/web/*", "spiffe://prod/*"):
            delete_policy(cluster[0], token, subject)
        cluster[0].request("POST", "/register", {**body_of("POST", "/register", "web"), "id": "web-2"},
                           bearer(everything))
        with pytest.raises(Ended, match="in order"):
            stream.until("registered")
        waiting.join(40)
    assert [answer.status for answer in waited] == [403]


def test_policies_outlive_a_restart_and_a_snapshot(make_cluster, folder):
    replica = make_cluster(1, "--anonymous", "none", "--snapshot-log-bytes", "64KiB", *options(folder),
                           tls=context(folder)).start()[0]
    token = bootstrap(replica)
    make_policy(replica, token, "spiffe://prod/ns/web/*", description="the web", ttl=86400,
                services=[{"prefix": "web", "access": "write"}])
    writer = As(replica, folder, "writer")
    for n in range(200):
        got = writer.request("POST", "/register", {"id": "web-%d" % n, "name": "web", "host": "h" * 200, "port": 1,
                                                   "metadata": {"x": "y" * 500}})
        assert got.status == 201, got
    assert replica.stop() == 0
    replica.start().wait_ready()
    one = replica.request("GET", "/policies", headers=bearer(token)).json["policies"][0]
    assert one["subject"] == "spiffe://prod/ns/web/*" and one["description"] == "the web"
    assert 86000 < one["expires_in"] <= 86400 and one["operator"] is None
    assert writer.request("POST", "/heartbeat", {"id": "web-1"}).status == 200


def test_a_policy_of_a_namespace_counts_there_alone(make_cluster, folder):
    replica = make_cluster(1, "--anonymous", "none", *options(folder), tls=context(folder)).start()[0]
    token = bootstrap(replica)
    make_policy(replica, token, CLIENTS["writer"], namespace="shop", services=[{"name": "web", "access": "write"}])
    got = replica.request("POST", "/policies", {"subject": "b", "namespace": "shop", "operator": "read"},
                          bearer(token))
    assert got.status == 400 and got.json["field"] == "namespace", got
    assert replica.request("GET", "/policies", headers=bearer(token)).json["policies"][0]["namespace"] == "shop"
    writer = As(replica, folder, "writer")
    assert writer.request("POST", "/register", body_of("POST", "/register", "web")).status == 201
    assert writer.request("GET", "/services/web").json["instances"][0]["id"] == "web-1"
    assert writer.request("GET", "/services/web?ns=shop").status == 200
    for space in ("default", "other"):
        assert writer.request("GET", "/services/web?ns=" + space).status == 403
        assert writer.request("POST", "/register?ns=" + space, body_of("POST", "/register", "web")).status == 403
    assert replica.request("GET", "/services/web?ns=shop", headers=bearer(token)).json["instances"]
    assert replica.request("GET", "/services", headers=bearer(token)).json["services"] == []


# --- who it was ---


def test_the_audit_log_and_limits_know_certificates_by_their_names(make_cluster, folder, tmp_path):
    log = tmp_path / "audit"
    replica = make_cluster(1, "--anonymous", "none", "--audit-log", str(log), "--rate-local", "--rate-writes", "1",
                           *options(folder), tls=context(folder)).start()[0]
    token = bootstrap(replica)
    make_policy(replica, token, CLIENTS["writer"], services=[{"name": "web", "access": "write"}])
    make_policy(replica, token, CLIENTS["reader"], services=[{"name": "web", "access": "write"}])

    def register(who):
        return As(replica, folder, who).request("POST", "/register", body_of("POST", "/register", "web")).status
    assert register("writer") == 201
    assert register("stranger") == 403
    assert register("nameless") == 401
    limited = []

    def is_limited():
        got = As(replica, folder, "writer").request("POST", "/register", body_of("POST", "/register", "web"))
        limited.append(got.json.get("message", ""))
        return got.status == 429
    await_true("it is limited", is_limited, 30, every_s=0)

    def lines():
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]

    def seen():
        return {(line.get("principal"), line["action"], line["status"]) for line in lines()}
    wanted = {("cert:" + CLIENTS["writer"], "register", 201), ("cert:" + CLIENTS["stranger"], "register", 403),
              ("anonymous", "register", 401), (token.split("_")[1], "policy_create", 201)}
    await_true("it is in the log", lambda: wanted <= seen())
    assert {line["id"] for line in lines() if line["action"] == "policy_create"} == \
        {CLIENTS["writer"], CLIENTS["reader"]}
    assert token.split("_")[2] not in log.read_text(encoding="utf-8")


# --- the tool ---


def test_the_tool_makes_lists_and_deletes_policies(make_cluster, folder):
    replica = make_cluster(1, "--anonymous", "none", *options(folder), tls=context(folder)).start()[0]
    trust = {"MUSTER_CACERT": file(folder, "ca.pem")}
    own = {**trust, "MUSTER_TOKEN": bootstrap(replica)}

    def tool(*arguments, **environment):
        return muster("--server", replica.url, *arguments, environment=environment)

    def shown(client):
        return {**trust, "MUSTER_CERT": file(folder, client + ".pem"), "MUSTER_KEY": file(folder, client + "-key.pem")}
    subject = "spiffe://prod/ns/web/*"
    made = tool("policy", "create", "--subject", subject, "--service", "web*", "--service", "db", "--write", "--ttl",
                "90d", "--description", "the mesh", **own)
    assert made.returncode == DONE and subject in made.stdout, made
    assert tool("policy", "create", "--subject", subject, "--metrics", **own).returncode == 1
    row = [line for line in tool("policy", "list", **own).stdout.splitlines() if line.startswith(subject)][0]
    for text in ("web*:write", "db:write", "the mesh"):
        assert text in row, row
    assert subject in tool("policy", "show", subject, **own).stdout
    assert tool("policy", "show", "other", **own).returncode == 1
    assert subject not in tool("token", "list", **own).stdout
    register = ("register", "web-shop", "--id", "w", "--port", "1", "--host", "h")
    assert tool(*register, **shown("writer")).returncode == DONE
    refused = tool(*register, **shown("stranger"))
    assert refused.returncode == 1 and "forbidden" in refused.stderr, refused
    assert tool("policy", "list", **shown("writer")).returncode == 1
    # An operator by certificate needs no token.
    assert tool("policy", "create", "--subject", CLIENTS["operator"], "--operator", "write", **own).returncode == DONE
    gone = tool("policy", "delete", subject, **shown("operator"))
    assert gone.returncode == DONE and subject in gone.stdout, gone
    assert tool("heartbeat", "w", **shown("writer")).returncode == 1
    for bad in (("create", "--metrics"), ("show",), ("frobnicate",), ("delete", ""),
                ("create", "--subject", "a", "--ttl", "90y", "--metrics")):
        assert tool("policy", *bad, **own).returncode == USAGE, bad


@pytest.mark.parametrize("arguments", [["--uri", "spiffe://prod/web"], ["--client", "c", "--uri", "web"],
                                       ["--client", "c", "--uri", "spiffe://prod/*"],
                                       ["--client", "c", "--uri", "muster:member:1"]])
def test_a_uri_is_for_a_client_and_is_one(tmp_path, arguments):
    assert muster("tls", "init", "--out", str(tmp_path / "tls"), *arguments).returncode == USAGE
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize("arguments, says", [(["--tls-principal", "URI"], "needs --tls-client-ca"),
                                             (["--tls-principal", "uri"], "none, CN or URI")])
def test_options_that_cannot_be_are_refused(tmp_path, arguments, says):
    done = subprocess.run([MUSTERD, "--data", str(tmp_path / "d"), *arguments], capture_output=True,
                          encoding="utf-8", timeout=20, check=False, env=clean_environment())
    assert done.returncode == USAGE and says in done.stderr, done
