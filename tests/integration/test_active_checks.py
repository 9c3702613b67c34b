"""What active checks ask of real servers, and what they make of the answers; to where they go, and to where
they do not. Who runs them is in test_probers.py, how they are defined in test_checks_defined.py."""
import socket
import time

import grpc
import pytest

from check_targets import Web, answer, blackhole, grpc_health, ok
from cluster import await_true
from test_tls import file, make_certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Of targets: for `target.example`, and for what `muster tls init` always adds."""
    return make_certificates(tmp_path_factory.mktemp("targets"), "a=target.example")


@pytest.fixture(scope="module")
def replica(module_cluster, certificates):
    return module_cluster(1, "--checks-ca", file(certificates, "ca.pem")).start()[0]


def register(replica, id, check, host="127.0.0.1", **fields):
    got = replica.post("/register", {"id": id, "name": id, "host": host, "port": 80,
                                     "checks": [{"id": "c", "interval": "1s", **check}], **fields})
    assert got.status in (200, 201), got


@pytest.fixture(autouse=True)
def clean(request):
    """The replica that tests share runs no checks of another test."""
    yield
    if "replica" in request.fixturenames:
        replica = request.getfixturevalue("replica")
        for instance in replica.get("/instances?limit=1000").json["instances"]:
            assert replica.request("DELETE", "/instances/" + instance["id"]).status == 200


def look(replica, id):
    return replica.get("/instances/" + id).json["checks"][0]


def await_status(replica, id, status, words="", within_s=15):
    """The instance's check, once it has the status, and words in its output."""
    def found():
        check = look(replica, id)
        return check if (check["status"], words in check["output"]) == (status, True) else None
    try:
        return await_true("%s is %s" % (id, status), found, within_s)
    except AssertionError as error:
        raise AssertionError("%s: %s" % (error, look(replica, id))) from error


def expect_all(replica, name, rows):
    """Registers all, then awaits each: (check, status, words)."""
    for number, (check, _, _) in enumerate(rows):
        register(replica, "%s-%d" % (name, number), check)
    for number, (_, status, words) in enumerate(rows):
        await_status(replica, "%s-%d" % (name, number), status, words)


# --- HTTP ---


def slowly(stream):
    time.sleep(2)
    stream.sendall(ok())


def endless_body(stream):
    stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100000):
        stream.sendall(b"x" * 1000)


def endless_head(stream):
    stream.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100000):
        stream.sendall(b"X-Filler: " + b"y" * 1000 + b"\r\n")


def in_pieces(stream):
    for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n4\r\n two\r\n0\r\n\r\n":
        stream.sendall(bytes([byte]))


def until_the_end(stream):
    stream.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")


def cut(stream):
    stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def test_answers_of_http(replica, name):
    with Web() as web, Web() as elsewhere:
        web.paths.update({
            "/500": answer(500, b"sorry"), "/429": answer(429, b"later"), "/204": answer(204),
            "/404": answer(404), "/slow": slowly, "/endless": endless_body, "/head": endless_head,
            "/pieces": in_pieces, "/close": until_the_end, "/cut": cut, "/nothing": lambda s: None,
            "/ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "/odd": ok(b"a\r\n\tb\x00\xff\xc3\xa4\x1b[31m"),
            "/100": b"HTTP/1.1 100 Continue\r\n\r\n" + ok(),
            "/to": answer(302, b"", "Location: /there"),
            "/rel": answer(301, b"", "Location: there?x=1"),
            "/abs": answer(307, b"", "Location: " + elsewhere.at("/new")),
            "/loop": answer(302, b"", "Location: /loop"),
            "/file": answer(302, b"", "Location: file:///etc/passwd"),
            "/gopher": answer(302, b"", "Location: gopher://127.0.0.1:70/"),
            "/meta": answer(302, b"", "Location: http://169.254.169.254/latest/"),
            "/away": answer(302, b"", "Location: http://10.255.255.1/"),
        })
        expect_all(replica, name, [({"http": web.at(path), **more}, status, words)
                                   for path, more, status, words in [
            ("/fine", {}, "passing", "200 Words Output: fine"),
            ("/500", {}, "critical", "500 Words Output: sorry"),
            ("/429", {}, "warning", "429 Words Output: later"),
            ("/204", {}, "passing", "204"),
            ("/404", {}, "critical", "404"),
            ("/slow", {"timeout": "300ms"}, "critical", "did not answer in time (300 ms)"),
            ("/endless", {}, "passing", "200 OK Output: xxx"),
            ("/head", {}, "critical", "it does not answer in HTTP"),
            ("/pieces", {}, "passing", "Output: one two"),
            ("/close", {}, "passing", "Output: all of it"),
            ("/cut", {}, "critical", "its answer was cut off"),
            ("/nothing", {}, "critical", "the connection was closed"),
            ("/ssh", {}, "critical", "it does not answer in HTTP"),
            ("/odd", {}, "passing", "Output: a b ?\u00e4 [31m"),
            ("/100", {}, "passing", "200"),
            ("/to", {}, "passing", "/there: 200"),
            ("/to", {"disable_redirects": True}, "critical", "/to: 302"),
            ("/rel", {}, "passing", "/there?x=1: 200"),
            ("/abs", {}, "passing", "/new: 200"),
            ("/loop", {}, "critical", "302"),
            ("/file", {}, "critical", "redirects to what is no HTTP: file:///etc/passwd"),
            ("/gopher", {}, "critical", "redirects to what is no HTTP"),
            ("/meta", {}, "critical", "not checked: link-local"),
            ("/away", {}, "critical", "not checked: it is another machine"),
        ]])


def test_what_is_asked_is_what_is_defined(replica, name):
    with Web() as web:
        register(replica, name, {"http": web.at("/a?b=c"), "method": "PUT", "body": "{\"x\": 1}\n", "headers": {
            "X-One": ["1", "2"], "Content-Type": "application/json"}})
        await_status(replica, name, "passing")
        asked = web.asked[0]
        assert (asked.method, asked.path, asked.version) == ("PUT", "/a?b=c", "HTTP/1.1")
        assert asked.body == b"{\"x\": 1}\n"
        assert asked.header("Host") == ["127.0.0.1:%d" % web.port]
        assert asked.header("X-One") == ["1", "2"] and asked.header("Content-Type") == ["application/json"]
        assert asked.header("User-Agent")[0].endswith("(check; member 1)")
        register(replica, name, {"http": web.at("/head"), "method": "HEAD"})
        await_true("HEAD", lambda: any(a.method == "HEAD" for a in web.asked))
        await_status(replica, name, "passing", "HTTP HEAD")


def test_a_redirect_elsewhere_gets_no_secrets_and_a_post_becomes_a_get(replica, name):
    with Web() as web, Web() as other:
        web.paths["/303"] = answer(303, b"", "Location: " + other.at("/other"))
        web.paths["/307"] = answer(307, b"", "Location: /same")
        secret = {"method": "POST", "body": "b", "headers": {"Authorization": "Bearer x"}}
        register(replica, name, {"http": web.at("/303"), **secret})
        await_status(replica, name, "passing", "/other")
        asked = other.asked[0]
        assert (asked.method, asked.body, asked.header("Authorization")) == ("GET", b"", [])
        register(replica, name, {"http": web.at("/307"), **secret})
        await_status(replica, name, "passing", "/same")
        same = [a for a in web.asked if a.path == "/same"][0]
        assert (same.method, same.body, same.header("Authorization")) == ("POST", b"b", ["Bearer x"])


def test_a_connection_is_kept_and_one_that_was_closed_is_no_failure(replica, name):
    with Web() as web:
        register(replica, name, {"http": web.at("/kept")})
        await_true("four runs", lambda: web.count("/kept") >= 4)
        assert web.connections == 1
        web.paths["/kept"] = lambda stream: stream.sendall(ok())  # and closes, without having said so
        await_true("four more", lambda: web.count("/kept") >= 8)
        assert web.connections >= 4
        assert look(replica, name)["status"] == "passing"


def test_a_status_changes_after_enough_results_in_a_row(replica, name):
    with Web({"/": answer(500)}) as web:
        register(replica, name, {"http": web.at("/"), "rise": 3, "warn": 2, "fall": 4})
        await_status(replica, name, "critical", "500")  # the first result counts at once
        web.paths["/"] = ok()
        turned = len(web.asked)
        await_status(replica, name, "passing")
        assert len(web.asked) - turned in (3, 4)
        web.paths["/"] = answer(500)
        turned = len(web.asked)
        await_status(replica, name, "warning")
        assert len(web.asked) - turned in (2, 3)
        await_status(replica, name, "critical")
        assert len(web.asked) - turned in (4, 5)


def test_only_what_is_new_is_written(replica, name):
    with Web() as web:
        register(replica, name, {"http": web.at("/")})
        await_status(replica, name, "passing")
        written, run = replica.metric("checks_written_total"), replica.metric("checks_run_total")
        for number in range(5):
            web.paths["/"] = ok(b"it is %d" % number)
            seen = len(web.asked)
            await_true("another run", lambda seen=seen: len(web.asked) > seen)
        assert replica.metric("checks_run_total") >= run + 4
        assert replica.metric("checks_written_total") == written
        web.paths["/"] = answer(500, b"it is over")
        assert "it is over" in await_status(replica, name, "critical")["output"]
        assert replica.metric("checks_written_total") == written + 1


def test_one_that_is_deregistered_or_replaced_is_not_asked_again(replica, name):
    with Web() as web:
        register(replica, name, {"http": web.at("/old")})
        await_true("it runs", lambda: web.count("/old") > 0)
        register(replica, name, {"http": web.at("/new")})
        await_true("the new one runs", lambda: web.count("/new") > 0)
        old = web.count("/old")
        assert replica.request("DELETE", "/instances/" + name).status == 200
        time.sleep(0.3)  # one that was under way
        seen = len(web.asked)
        time.sleep(2.2)
        assert (web.count("/old"), len(web.asked)) == (old, seen)


def test_a_target_is_asked_by_few_at_a_time_and_never_twice_for_one_check(replica, name):
    checks, slow = 40, 0.7

    def wait(stream):
        time.sleep(slow)
        stream.sendall(ok())
    with Web({"/%d" % n: wait for n in range(checks)}) as web:
        for number in range(checks):
            register(replica, "%s-%d" % (name, number),
                     {"http": web.at("/%d" % number), "interval": "2s", "timeout": "2s"})
        for number in range(checks):
            await_status(replica, "%s-%d" % (name, number), "passing", within_s=30)
        assert web.most_under_way <= 16, web.most_under_way
        # What waits for others gets its turn, too.
        counts = [web.count("/%d" % n) for n in range(checks)]
        await_true("all again", lambda: all(web.count("/%d" % n) > counts[n] for n in range(checks)), 30)


# --- TCP ---


def test_answers_of_tcp(replica, name):
    with socket.socket() as listener, blackhole() as hole:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))  # taken, and not listening
        with closed:
            expect_all(replica, name, [
                ({"tcp": "127.0.0.1:%d" % listener.getsockname()[1]}, "passing", "TCP connect"),
                ({"tcp": "localhost:%d" % listener.getsockname()[1]}, "passing", "TCP connect"),
                ({"tcp": "127.0.0.1:%d" % closed.getsockname()[1]}, "critical", "Connection refused"),
                ({"tcp": "127.0.0.1:%d" % hole, "timeout": "400ms"}, "critical",
                 "took no connection in time (400 ms)"),
            ])


# --- gRPC ---


def test_answers_of_grpc(replica, name, certificates):
    with open(file(certificates, "a-key.pem"), "rb") as key, open(file(certificates, "a.pem"), "rb") as cert:
        credentials = grpc.ssl_server_credentials([(key.read(), cert.read())])
    with grpc_health({"": 1, "down": 2, "odd": 0, "long" * 30: 1}) as port, grpc_health() as plain, \
            grpc_health({"": 1}, credentials) as secure, Web() as web:
        at = "127.0.0.1:%d" % port
        expect_all(replica, name, [
            ({"grpc": at}, "passing", "gRPC: SERVING"),
            ({"grpc": at + "/" + "long" * 30}, "passing", "gRPC: SERVING"),
            ({"grpc": at + "/down"}, "critical", "gRPC: NOT_SERVING"),
            ({"grpc": at + "/odd"}, "critical", "gRPC: UNKNOWN"),
            ({"grpc": at + "/none"}, "critical", "the target does not know the service"),
            ({"grpc": "127.0.0.1:%d" % plain}, "critical", "UNIMPLEMENTED"),
            ({"grpc": "127.0.0.1:%d" % web.port}, "critical", ""),
            ({"grpc": "127.0.0.1:%d" % secure}, "critical", ""),
            ({"grpc": "127.0.0.1:%d" % secure, "tls": {"enabled": True, "server_name": "target.example"}},
             "passing", "gRPC: SERVING"),
            ({"grpc": at, "tls": {"enabled": True}}, "critical", "TLS"),
        ])


def test_a_call_of_grpc_follows_another_on_one_connection(replica, name):
    with grpc_health({"": 1}) as port:
        register(replica, name, {"grpc": "127.0.0.1:%d" % port})
        await_status(replica, name, "passing")
        failed = replica.metric("checks_failed_total")
        run = replica.metric("checks_run_total")
        await_true("more runs", lambda: replica.metric("checks_run_total") >= run + 3)
        assert replica.metric("checks_failed_total") == failed


# --- TLS ---


def test_certificates_of_targets_are_verified(replica, name, certificates, tmp_path):
    strange = make_certificates(tmp_path / "strange", "a=target.example")
    with Web(certificate=(file(certificates, "a.pem"), file(certificates, "a-key.pem"))) as good, \
            Web(certificate=(file(strange, "a.pem"), file(strange, "a-key.pem"))) as bad, Web() as plain:
        def url(web):
            return "https://127.0.0.1:%d/" % web.port
        named = {"server_name": "target.example"}
        expect_all(replica, name, [
            ({"http": url(good), "tls": named}, "passing", "200"),
            ({"http": url(good), "tls": {"server_name": "other.example"}}, "critical", "TLS"),
            ({"http": url(bad), "tls": named}, "critical", "TLS"),
            ({"http": url(bad), "tls": {"skip_verify": True}}, "passing", "200"),
            ({"http": url(plain), "tls": named}, "critical", "TLS"),
        ])


# --- to where checks go ---


def test_localhost_is_the_instances_own_machine(make_cluster, name):
    """127.0.0.2 stands for another machine than the replica's."""
    cluster = make_cluster(1).start()
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen(8)
        port = listener.getsockname()[1]
        register(cluster[0], name, {"tcp": "localhost:%d" % port}, host="127.0.0.2")
        await_status(cluster[0], name, "passing", "localhost:%d" % port)
        register(cluster[0], name + "-other", {"tcp": "127.0.0.3:%d" % port}, host="10.0.0.5")
        await_status(cluster[0], name + "-other", "critical")
        register(cluster[0], name + "-name", {"tcp": "no-such-host.invalid:1"}, host="no-such-host.invalid")
        await_status(cluster[0], name + "-name", "critical", "no-such-host.invalid:1: no-such-host.invalid: ")


@pytest.mark.parametrize("allow, good", [
    ("any", False), ("instance", False), ("127.0.0.0/8", True), ("10.0.0.0/8,127.0.0.1", True)])
def test_a_replica_that_others_reach_checks_its_own_machine_only_if_told(make_cluster, name, allow, good):
    cluster = make_cluster(1, "--checks-allow", allow)
    replica = cluster[0]
    replica.start("--http", ":%d" % replica.http_port)
    replica.wait_ready()
    with Web() as web:
        register(replica, name, {"http": web.at("/")})
        await_status(replica, name, "passing" if good else "critical", "" if good else "not checked: ")
        assert (web.connections > 0) == good


def test_a_replica_that_runs_no_checks_leaves_them_to_the_others(make_cluster, name):
    cluster = make_cluster(3)
    for replica in cluster:
        replica.start(*["--checks-allow", "off"] if replica.id == 2 else [])
    cluster.wait_ready()
    with Web() as web:
        for number in range(12):
            register(cluster[1], "%s-%d" % (name, number), {"http": web.at("/")})
        for number in range(12):
            await_status(cluster[0], "%s-%d" % (name, number), "passing")

        def members():
            return {asked.header("User-Agent")[0][-9:] for asked in list(web.asked)}
        await_true("both others run some", lambda: {"member 1)", "member 3)"} <= members())
        assert "member 2)" not in members()


def test_a_ca_file_that_cannot_be_read_is_said_by_the_check(make_cluster, name):
    cluster = make_cluster(1, "--checks-ca", "/nowhere/ca.pem").start()
    register(cluster[0], name, {"http": "https://127.0.0.1:1/"})
    await_status(cluster[0], name, "critical", "Connection refused")
    with Web() as web:
        register(cluster[0], name, {"http": "https://127.0.0.1:%d/" % web.port})
        await_status(cluster[0], name, "critical", "the CAs cannot be read")


def test_a_replica_with_checks_under_way_stops_at_once(make_cluster, name):
    cluster = make_cluster(1).start()
    with Web({"/": lambda stream: time.sleep(20)}) as web, blackhole() as hole:
        for number in range(5):
            register(cluster[0], "%s-%d" % (name, number), {"http": web.at("/"), "interval": "30s"})
        register(cluster[0], name, {"tcp": "127.0.0.1:%d" % hole, "interval": "30s"})
        await_true("they are under way", lambda: cluster[0].metric("checks_under_way") == 6)
        began = time.monotonic()
        cluster[0].stop()
        assert time.monotonic() - began < 10
