"""Who may do what. Every call of every site, from their tables of routes, for every kind of asker: the
expected answers are worked out here, from what the documentation says of tokens and of --anonymous."""
import os
import re
import subprocess
import threading
import time

import pytest

from cluster import MUSTER, ROOT, await_true, clean_environment, read_line
from streams import Ended, Stream
from test_cli import muster
from test_openapi import check

CALLS = []
for site in ("native", "tbfs"):
    with open(os.path.join(ROOT, "api", site, "routes.def"), encoding="utf-8") as table:
        CALLS += re.findall(r'^(?:ROUTE|CHECKED|EFFECTS|VITAL)\((\w+), "([^"]+)", (\w+),', table.read(),
                            re.MULTILINE)

READS = {"READ", "READ_SERVICE", "EVENTS", "METRICS", "STATUS"}
EVERYBODY = {"none": set(), "default": READS, "read": READS, "write": READS | {"WRITE"}}
# What each token allows, for the services `web` and `db`.
TOKENS = {
    "writer": {"services": [{"name": "web", "access": "write"}]},
    "reader": {"services": [{"prefix": "we", "access": "read"}]},
    "metrics": {"metrics": True},
    "events": {"events": True},
    "looker": {"operator": "read"},
    "operator": {"operator": "write"},
    "bound": {"namespace": "shop", "services": [{"prefix": "", "access": "write"}], "events": True},
}
IN_NAMESPACE = {"READ", "READ_SERVICE", "EVENTS", "WRITE"}
BAD = ("wrong", "other secret", "malformed", "expired", "revoked")


def bearer(token):
    return {"Authorization": "Bearer " + token} if token else {}


def allows(who, permission, service):
    """What the token itself allows, whatever everybody may."""
    if who == "everything":
        return True
    if who == "bound":
        return permission in IN_NAMESPACE
    of_web = service == "web" and who in ("writer", "reader")
    operates = who in ("looker", "operator")
    return {
        "READ": who in ("writer", "reader"), "READ_SERVICE": of_web,
        "EVENTS": who in ("writer", "reader", "events"), "WRITE": of_web and who == "writer",
        "METRICS": operates or who == "metrics", "STATUS": operates, "OPERATOR_READ": operates,
        "OPERATOR_WRITE": who == "operator",
    }[permission]


def expected(mode, who, permission, service, space=None):
    """401, 403, or None: it is done, or fails for another reason."""
    if permission == "OPEN":
        return None
    if who in BAD:
        return 401
    if who == "bound" and space not in (None, "shop"):
        return 403  # whatever everybody may
    # Of those that are bound to none only the operator's own go beyond `default`, with what they allow there.
    reaches = space is None or who in ("bound", "everything")
    if permission in EVERYBODY[mode] or (who != "nobody" and reaches and allows(who, permission, service)):
        return None
    return 401 if who == "nobody" else 403


def body_of(method, path, service):
    if path == "/register":
        return {"id": service + "-1", "name": service, "host": "10.0.0.1", "port": 80, "ttl": 3600,
                "type": "t"}
    if path == "/heartbeat":
        return {"id": service + "-1"}
    if path.endswith("/maintenance"):
        return {"enabled": False}
    if (method, path) == ("POST", "/tokens"):
        return {"metrics": True, "ttl": 600}
    if (method, path) == ("PUT", "/namespaces/{namespace}"):
        return {"instances_max": 1}
    if (method, path) == ("POST", "/policies"):
        return {"subject": "unused", "metrics": True, "ttl": 600}
    return None


def ask(replica, method, path, service, token, space=None):
    """Nothing is changed of the cluster: it is only tried."""
    values = {"namespace": "unused", "name": service, "id": service + "-1", "server_id": service + "-1",
              "subject": "none*"}
    if path.startswith("/cluster/members/"):
        values["id"] = "1"
    target = re.sub(r"{(\w+)}", lambda found: values[found.group(1)], path)
    query = {"/discover": "?type=t", "/cluster/members": "", "/events": "?service=" + service}.get(path, "")
    if path.startswith("/cluster") and method != "GET":
        query = "?dry_run=true&peer=127.0.0.1:1" if path == "/cluster/members" else "?dry_run=true"
    headers = {**bearer(token), **({"X-Muster-Namespace": space} if space else {})}
    return replica.request(method, target + query, body_of(method, path, service), headers)


def bootstrap(replica):
    got = replica.request("POST", "/tokens/bootstrap")
    assert got.status == 201, got
    return got.json["token"]


def create(replica, by, **spec):
    got = replica.request("POST", "/tokens", spec, bearer(by))
    assert got.status == 201, got
    return got.json


def make_tokens(replica):
    """The text of a token for each kind of asker."""
    found = {"nobody": None, "everything": bootstrap(replica)}
    for who, spec in TOKENS.items():
        found[who] = create(replica, found["everything"], **spec)["token"]
    revoked = create(replica, found["everything"], services=[{"prefix": "", "access": "write"}])
    assert replica.request("DELETE", "/tokens/" + revoked["id"],
                           headers=bearer(found["everything"])).status == 200
    expired = create(replica, found["everything"], operator="write", ttl=1)
    id = found["everything"].split("_")[1]
    found.update({"revoked": revoked["token"], "expired": expired["token"], "malformed": "mst_x",
                  "wrong": "mst_aaaaaaaaaa_" + "b" * 32, "other secret": "mst_%s_%s" % (id, "c" * 32)})
    for service in ("web", "db"):
        got = replica.request("POST", "/register", body_of("POST", "/register", service),
                              bearer(found["everything"]))
        assert got.status == 201, got
    # Without any write: the leader sees to it.
    await_true("the token is over", lambda: replica.request(
        "GET", "/tokens/" + expired["id"], headers=bearer(found["everything"])).status == 404)
    return found


@pytest.mark.parametrize("mode", sorted(EVERYBODY))
def test_every_call_answers_every_asker_as_it_should(make_cluster, mode):
    replica = make_cluster(1, "--anonymous", mode).start()[0]
    tokens = make_tokens(replica)
    wrong = []
    for method, path, permission in CALLS:
        for who, token in sorted(tokens.items(), key=lambda item: item[0]):
            for service in ("web", "db"):
                # What an earlier call took away is there again.
                replica.request("POST", "/register", body_of("POST", "/register", service),
                                bearer(tokens["everything"]))
                got = ask(replica, method, path, service, token)
                wanted = expected(mode, who, permission, service)
                if path == "/events" and wanted is None and who in ("writer", "reader") \
                        and service == "db" and mode == "none":
                    wanted = 403  # it names a service that he may not follow
                fits = got.status == wanted if wanted else got.status < 500 and \
                    got.status not in (401, 403)
                if who == "bound" and path.endswith("/discover") and not wanted:
                    fits = got.json["error"] == "no_healthy_instance"  # there is nothing in his namespace
                if not fits:
                    wrong.append((mode, method, path, who, service, wanted, got))
                check(got, method.lower(), path)
                if wanted:
                    assert ("WWW-Authenticate" in got.headers) == (wanted == 401), got.headers
                    assert not [h for h in got.headers if h.startswith("X-Muster")] \
                        or permission == "WRITE", got.headers
                    assert set(got.json) <= {"error", "message", "detail"}, got
    assert wrong == []


@pytest.mark.parametrize("mode", sorted(EVERYBODY))
def test_every_call_in_another_namespace_answers_as_it_should_and_shows_nothing_of_this_one(
        make_cluster, mode):
    replica = make_cluster(1, "--anonymous", mode).start()[0]
    tokens = make_tokens(replica)
    got = replica.request("POST", "/register", {**body_of("POST", "/register", "web"), "host": "hidden.test"},
                          bearer(tokens["everything"]))
    before = replica.request("GET", "/instances/web-1", headers=bearer(tokens["everything"])).json
    assert got.status == 200 and before["host"] == "hidden.test"
    wrong = []
    for method, path, permission in CALLS:
        if permission not in IN_NAMESPACE:
            continue
        for who, token in sorted(tokens.items(), key=lambda item: item[0]):
            for space in ("shop", "other"):
                got = ask(replica, method, path, "web", token, space)
                wanted = expected(mode, who, permission, "web", space)
                fits = got.status == wanted if wanted else got.status < 500 and got.status not in (401, 403) \
                    or got.json and got.json["error"] == "no_healthy_instance"
                if not fits or b"hidden.test" in got.body:
                    wrong.append((mode, method, path, who, space, wanted, got))
                check(got, method.lower(), path)
    assert wrong == []
    # Whatever was done there, nothing was done here.
    after = replica.request("GET", "/instances/web-1", headers=bearer(tokens["everything"])).json
    assert [after[k] for k in ("host", "incarnation", "index")] == \
        [before[k] for k in ("host", "incarnation", "index")]


def test_before_the_first_token_everything_is_open_and_none_is_made_but_on_purpose(make_cluster):
    cluster = make_cluster(1).start()
    replica = cluster[0]
    for method, path, permission in CALLS:
        if permission != "OPEN" and (method, path) != ("POST", "/tokens"):
            assert ask(replica, method, path, "web", None).status not in (401, 403), path
    assert ask(replica, "POST", "/tokens", "web", None).status == 409
    # A header that a proxy adds is nothing to us then.
    assert replica.request("GET", "/services", headers=bearer("eyJhbGciOi")).status == 200
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert replica.request("POST", "/tokens/bootstrap", headers={header: "x"}).status == 403
    token = bootstrap(replica)
    assert replica.request("POST", "/tokens/bootstrap").status == 409
    assert replica.request("POST", "/tokens/bootstrap", headers=bearer(token)).status == 409
    assert ask(replica, "POST", "/register", "web", None).status == 401
    assert replica.request("GET", "/services", headers={"Authorization": "Basic eDp5"}).status == 200


def test_a_token_of_a_namespace_is_there_without_saying_so_and_nowhere_else(make_cluster):
    replica = make_cluster(1, "--anonymous", "read").start()[0]
    tokens = make_tokens(replica)
    everything, bound = bearer(tokens["everything"]), bearer(tokens["bound"])

    def register(headers, query="", host="h"):
        return replica.request("POST", "/register" + query, {"id": "x", "name": "web", "host": host, "port": 1},
                               headers)
    assert register(bound).status == 201
    assert replica.request("GET", "/instances/x", headers=everything).status == 404
    for query in ("?ns=shop", "?ns=default"):
        there = replica.request("GET", "/instances/x" + query, headers=everything)
        assert there.status == (200 if query == "?ns=shop" else 404), there
    assert there.status == 404
    assert register(bound, "?ns=shop").status == 200
    for query, headers in (("?ns=default", {}), ("?ns=other", {}), ("", {"X-Muster-Namespace": "default"})):
        got = register({**bound, **headers}, query)
        assert got.status == 403 and got.json["error"] == "forbidden", got
    assert replica.request("GET", "/services", headers=bound).json["services"][0]["namespace"] == "shop"
    assert replica.request("GET", "/services?ns=default", headers=bound).status == 403
    listed = {t["id"]: t for t in replica.request("GET", "/tokens", headers=everything).json["tokens"]}
    assert listed[tokens["bound"].split("_")[1]]["namespace"] == "shop"
    assert listed[tokens["writer"].split("_")[1]]["namespace"] is None
    for spec in ({"operator": "read"}, {"metrics": True}, {"services": [], "namespace": "No"}):
        got = replica.request("POST", "/tokens", {"namespace": "shop", "events": True, **spec}, everything)
        assert got.status == 400 and got.json["field"] == "namespace", got


@pytest.fixture
def closed(make_cluster):
    """Three replicas that are open to nobody, and tokens: made at one, used at another."""
    cluster = make_cluster(3, "--anonymous", "none").start()
    tokens = make_tokens(cluster[0])
    for name, instances in (("web", 3), ("web-shop", 1), ("db", 2)):
        for n in range(instances):
            got = cluster[0].request("POST", "/register",
                                     {"id": "%s-%d" % (name, n), "name": name, "host": "h", "port": 1,
                                      "type": "t"}, bearer(tokens["everything"]))
            assert got.status in (200, 201)
    index = got.json["index"]
    for replica in cluster:
        assert replica.request("GET", "/services?min_index=%d" % index,
                               headers=bearer(tokens["everything"])).status == 200
    return cluster, tokens


def names(answer):
    return sorted({i["name"] for i in answer.json["instances"]})


def test_listings_show_what_may_be_read(closed):
    cluster, tokens = closed
    for replica in cluster:
        def get(path, who, **headers):
            got = replica.request("GET", path, headers={**bearer(tokens[who]), **headers})
            assert got.status == 200, got
            return got
        assert names(get("/instances", "writer")) == ["web"]
        assert names(get("/instances?health=any&limit=1", "reader")) == ["web"]
        assert names(get("/instances", "reader")) == ["web", "web-shop"]
        assert [s["name"] for s in get("/services", "reader").json["services"]] == ["web", "web-shop"]
        assert [s["name"] for s in get("/services", "writer").json["services"]] == ["web"]
        assert {get("/discover?type=t", "writer").json["name"] for _ in range(20)} == {"web"}
        assert {e["server_id"][:2] for e in get("/servers", "writer").json} == {"we"}
        assert {e["instance"]["name"] for e in get("/events", "writer").json["events"]} == {"web"}
        assert {e["instance"]["name"] for e in get("/events", "events").json["events"]} \
            == {"web", "web-shop", "db"}
        for path in ("/instances/db-0", "/servers/db-0"):
            assert replica.request("GET", path, headers=bearer(tokens["writer"])).status == 404
            assert replica.request("GET", path, headers=bearer(tokens["everything"])).status == 200
        begun = time.monotonic()
        for id in ("db-0", "none"):  # neither is waited for
            got = replica.request("GET", "/instances/%s?index=%d&wait=20s" % (id, 1 << 40),
                                  headers=bearer(tokens["writer"]))
            assert got.status == 404
        assert time.monotonic() - begun < 15
        # Who sees a part has no tag that stands for another's part, nor an answer that others share.
        tag = get("/services", "everything").headers["ETag"]
        assert tag and get("/services", "writer").headers["ETag"] is None
        assert [s["name"] for s in
                get("/services", "writer", **{"If-None-Match": tag}).json["services"]] == ["web"]


def test_a_health_that_all_may_see_has_no_details(closed):
    cluster, tokens = closed
    assert cluster[0].get("/health").json == {"ready": True}
    for path in ("/health", "/health/live", "/health/ready"):
        assert not [h for h in cluster[0].get(path).headers if h.startswith("X-Muster")]
    assert cluster[0].request("GET", "/health", headers=bearer(tokens["wrong"])).json == {"ready": True}
    assert "state" in cluster[0].request("GET", "/health", headers=bearer(tokens["looker"])).json


def test_writes_touch_the_services_of_the_token_and_no_others(closed):
    cluster, tokens = closed
    replica = cluster.replicas[1]
    writer = bearer(tokens["writer"])

    def there(id):
        return replica.request("GET", "/instances/" + id, headers=bearer(tokens["everything"])).json
    before = there("db-0")
    for body in ({"id": "db-0", "name": "web"}, {"id": "db-0", "name": "db"}, {"id": "web-0", "name": "db"},
                 {"id": "new", "name": "db"}, {"id": "new", "name": "webs"},
                 {"id": "db-0", "name": "web", "incarnation": before["incarnation"]}):
        got = replica.request("POST", "/register", {"host": "h", "port": 2, **body}, writer)
        assert got.status == 403 and got.json["error"] == "forbidden", (body, got)
    for method, path, body in (
            ("DELETE", "/instances/db-0", None), ("DELETE", "/servers/db-0", None),
            ("DELETE", "/instances/db-0?incarnation=1", None),
            ("PUT", "/instances/db-0/maintenance", {"enabled": True}),
            ("POST", "/heartbeat", {"id": "db-0"}),
            ("POST", "/heartbeat", {"id": "db-0", "status": "critical"}),
            ("POST", "/heartbeat", {"server_id": "db-0"}),
            ("POST", "/register", {"server_id": "db-0", "url": "http://h:1"})):
        assert replica.request(method, path, body, writer).status == 403, (method, path, body)
    got = replica.request("POST", "/heartbeat", {"ids": ["db-0", "web-0", "none"]}, writer)
    assert got.status == 200 and got.json["renewed"] == 1, got
    assert sorted(got.json["unknown"]) == ["db-0", "none"]
    after = there("db-0")
    assert after["incarnation"] == before["incarnation"] and after["index"] == before["index"]
    assert replica.request("DELETE", "/instances/web-0", headers=writer).status == 200


def test_a_stream_shows_what_may_be_followed_and_ends_with_its_token(closed):
    cluster, tokens = closed
    replica = cluster.replicas[2]
    everything = bearer(tokens["everything"])
    mine = create(cluster[0], tokens["everything"], services=[{"prefix": "web", "access": "read"}])
    await_true("the token is there", lambda: replica.request(
        "GET", "/tokens/" + mine["id"], headers=everything).status == 200)
    with Stream(replica.http_port, {"snapshot": "true"}, timeout=30,
                headers=bearer(mine["token"])) as stream:
        seen = [data for _, event, data in stream.until("synced") if event == "present"]
        assert {data["instance"]["name"] for data in seen} == {"web", "web-shop"}
        for name in ("db", "web", "db", "web-shop"):
            replica.request("POST", "/register", {"id": name + "-n", "name": name, "host": "h",
                                                  "port": 1}, everything)
        assert [stream.until("registered")[-1][2]["instance"]["name"] for _ in range(2)] == \
            ["web", "web-shop"]
        assert cluster[0].request("DELETE", "/tokens/" + mine["id"], headers=everything).status == 200
        await_true("the token is gone", lambda: replica.request(
            "GET", "/tokens/" + mine["id"], headers=everything).status == 404)
        replica.request("POST", "/register", {"id": "web-m", "name": "web", "host": "h", "port": 1},
                        everything)
        with pytest.raises(Ended, match="in order"):
            stream.until("registered")


def test_a_revocation_counts_for_who_waits(closed):
    cluster, tokens = closed
    replica = cluster.replicas[0]
    everything = bearer(tokens["everything"])
    mine = create(replica, tokens["everything"], services=[{"name": "web", "access": "read"}])
    index = replica.request("GET", "/services/web", headers=everything).json["index"]
    answers = []

    def wait():
        answers.append(replica.request("GET", "/services/web?index=%d&wait=20s" % index,
                                       headers=bearer(mine["token"])))
    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    replica.request("DELETE", "/tokens/" + mine["id"], headers=everything)
    replica.request("POST", "/register", {"id": "web-w", "name": "web", "host": "h", "port": 1}, everything)
    waiting.join(30)
    assert [a.status for a in answers] == [401]


def test_tokens_outlive_a_restart_and_a_snapshot_and_are_never_shown(make_cluster):
    cluster = make_cluster(1, "--snapshot-log-bytes", "64KiB").start()
    replica = cluster[0]
    token = bootstrap(replica)
    made = create(replica, token, description="for the web", ttl=86400,
                  services=[{"prefix": "web", "access": "write"}])
    for n in range(200):
        replica.request("POST", "/register", {"id": "web-%d" % n, "name": "web", "host": "h" * 200,
                                              "port": 1, "metadata": {"x": "y" * 500}}, bearer(token))
    assert replica.stop() == 0
    replica.start().wait_ready()
    listed = replica.request("GET", "/tokens", headers=bearer(token))
    secrets = [t.split("_")[2] for t in (token, made["token"])]
    assert not any(s in listed.body.decode() or s in replica.log() for s in secrets)
    one = {t["id"]: t for t in listed.json["tokens"]}[made["id"]]
    assert one["description"] == "for the web" and 86000 < one["expires_in"] <= 86400
    assert one["services"] == [{"prefix": "web", "access": "write"}] and one["operator"] is None
    assert replica.request("POST", "/heartbeat", {"id": "web-1"}, bearer(made["token"])).status == 200
    data = b""
    for folder, _, files in os.walk(replica.data):
        for file in files:
            with open(os.path.join(folder, file), "rb") as content:
                data += content.read()
    assert data and not any(s.encode() in data for s in secrets)


def test_the_tool_makes_lists_and_revokes_tokens_and_sends_its_own(make_cluster, tmp_path):
    replica = make_cluster(1, "--anonymous", "none").start()[0]

    def tool(*arguments, **environment):
        return muster("--server", replica.url, *arguments, environment=environment)
    first = tool("token", "bootstrap")
    assert first.returncode == 0 and re.fullmatch(r"mst_[a-z2-7]{10}_[a-z2-7]{32}\n", first.stdout), first
    assert first.stdout.split("_")[2].strip() not in first.stderr
    assert tool("token", "bootstrap").returncode == 1
    file = tmp_path / "token"
    file.write_text("  \n", encoding="utf-8")
    assert tool("services", MUSTER_TOKEN_FILE=str(file)).returncode == 1
    assert tool("services", MUSTER_TOKEN_FILE=str(tmp_path / "none")).returncode == 1
    file.write_text(first.stdout, encoding="utf-8")
    own = {"MUSTER_TOKEN_FILE": str(file)}
    got = tool("services", **own)
    assert got.returncode == 0, got
    assert tool("status", **own).returncode == 0
    made = tool("token", "create", "--service", "web*", "--service", "db", "--write", "--ttl", "90d",
                "--description", "web servers", "--metrics", **own)
    assert made.returncode == 0, made
    token = made.stdout.strip()
    id = token.split("_")[1]
    listed = tool("token", "list", **own).stdout
    row = [line for line in listed.splitlines() if line.startswith(id)][0]
    for text in ("web*:write", "db:write", "web servers"):
        assert text in row, listed
    assert " 90d " in row or " 89d " in row, listed
    assert token.split("_")[2] not in listed
    assert id in tool("token", "show", id, **own).stdout
    # What is given counts more than the file.
    web = {**own, "MUSTER_TOKEN": token}
    assert tool("register", "web-shop", "--id", "w", "--port", "1", "--host", "h", **web).returncode == 0
    refused = tool("register", "shop", "--id", "s", "--port", "1", "--host", "h", **web)
    assert refused.returncode == 1 and "forbidden" in refused.stderr, refused
    assert tool("token", "list", **web).returncode == 1
    watched = subprocess.Popen([MUSTER, "--server", replica.url, "watch", "--snapshot"],
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, encoding="utf-8",
                               env=clean_environment(web))
    try:
        assert "web-shop" in read_line(watched) + read_line(watched)
    finally:
        watched.kill()
        watched.wait(30)
        watched.stdout.close()
    # The token itself names it, too; its secret is not sent.
    assert tool("token", "revoke", token, **own).returncode == 0
    assert tool("heartbeat", "w", **web).returncode == 1
    for bad in (("create", "--ttl", "90y", "--metrics"), ("show",), ("frobnicate",), ("revoke", "mst_")):
        assert tool("token", *bad, **own).returncode == 2, bad


def test_libmuster_sends_its_token_and_reads_the_file_again(make_cluster, tmp_path):
    replica = make_cluster(1, "--anonymous", "none").start()[0]
    everything = bootstrap(replica)
    file = tmp_path / "token"
    file.write_text("mst_aaaaaaaaaa_" + "b" * 32, encoding="utf-8")
    backed_up = str(tmp_path / "backup")
    assert muster("--server", replica.url, "backup", backed_up,
                  environment={"MUSTER_TOKEN_FILE": str(file)}).returncode == 1
    assert muster("--server", replica.url, "backup", backed_up,
                  environment={"MUSTER_TOKEN": everything}).returncode == 0
    program = subprocess.Popen(
        [MUSTER, "--server", replica.url, "run", "--name", "web", "--id", "w", "--host", "h", "--port", "1",
         "--ttl", "3s", "--", "sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=clean_environment({"MUSTER_TOKEN_FILE": str(file)}))

    def is_there():
        return replica.request("GET", "/instances/w", headers=bearer(everything)).status == 200
    try:
        time.sleep(1)
        assert not is_there()
        made = create(replica, everything, services=[{"name": "web", "access": "write"}])
        file.write_text(made["token"], encoding="utf-8")
        await_true("registered with the token that is in the file now", is_there, 60)
    finally:
        program.terminate()
        program.wait(30)


def test_a_token_of_a_file_is_made_when_there_is_none(make_cluster, tmp_path):
    token = "mst_abcdefghij_" + "k" * 32
    file = tmp_path / "token"
    file.write_text(token + "\n", encoding="utf-8")
    cluster = make_cluster(3, "--bootstrap-token-file", str(file)).start()
    await_true("the token is made", lambda: {
        r.request("GET", "/tokens/abcdefghij", headers=bearer(token)).status for r in cluster} == {200}, 30)
    assert cluster[0].request("POST", "/tokens/bootstrap").status == 409
    other = create(cluster[0], token, operator="write")["token"]
    assert cluster[0].request("DELETE", "/tokens/abcdefghij", headers=bearer(other)).status == 200
    replica = cluster.leader()
    assert replica.stop() == 0
    replica.start().wait_ready()
    # There is another: it stays away.
    assert replica.request("GET", "/services", headers=bearer(token)).status == 401
    for text in ("", "mst_x", token[:-1], token + "a"):
        file.write_text(text, encoding="utf-8")
        assert replica.stop() == 0
        replica.start()
        assert replica.wait_exit() == 1 and "holds no token" in replica.log().splitlines()[-1]
        file.write_text(token, encoding="utf-8")
        replica.start().wait_ready()
