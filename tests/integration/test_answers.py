"""HTTP responses: compressed on request, not resent to clients that have them, with the index of the
requested resource, and the same head for HEAD."""
import gzip
import socket

import pytest

LISTINGS = ["/services", "/services/{name}", "/services/{name}?health=any", "/instances", "/instances?limit=5",
            "/instances?type=none-of-this-type", "/services/not-there-{name}"]


@pytest.fixture(name="filled")
def filled_service(shared, name):
    """A service of 40 instances, the same at all replicas."""
    for i in range(40):
        shared[0].register(name, "%s-%02d" % (name, i), ttl="1h", tags=["a", "b"])
    shared.wait_same_state()
    return name


def get(replica, target, **headers):
    return replica.request("GET", target, headers={k.replace("_", "-"): v for k, v in headers.items()})


def raw(replica, text):
    """Everything sent until the server closes."""
    with socket.create_connection(("127.0.0.1", replica.http_port), timeout=10) as connection:
        connection.sendall(text.encode())
        got = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                return got
            got += piece


@pytest.mark.parametrize("target", ["/services/{name}", "/services/{name}?health=any", "/instances",
                                    "/metrics"])
def test_a_client_that_accepts_gzip_gets_the_same_in_fewer_bytes(shared, filled, target):
    target = target.format(name=filled)
    plain = get(shared[0], target)
    packed = get(shared[0], target, Accept_Encoding="br, gzip")
    assert plain.headers["Content-Encoding"] is None
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Type"] == plain.headers["Content-Type"]
    assert int(packed.headers["Content-Length"]) == len(packed.body) < len(plain.body) / 2
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
    if target != "/metrics":
        assert gzip.decompress(packed.body) == plain.body
        assert packed.headers["ETag"] == plain.headers["ETag"]


@pytest.mark.parametrize("wanted", ["identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5"])
def test_a_client_that_does_not_want_gzip_gets_none(shared, filled, wanted):
    answer = get(shared[0], "/services/" + filled, Accept_Encoding=wanted)
    assert answer.headers["Content-Encoding"] is None
    assert len(answer.json["instances"]) == 40


def test_small_answers_are_not_compressed(shared, name):
    shared[0].register(name, name)
    for target in ("/services/" + name, "/instances/" + name, "/health/live", "/not-there"):
        assert get(shared[0], target, Accept_Encoding="gzip").headers["Content-Encoding"] is None


def test_a_compressed_listing_is_the_newest(shared, filled):
    for port in (1001, 1002, 1003):
        index = shared[0].register(filled, filled + "-00", ttl="1h", port=port)["index"]
        target = "/services/%s?min_index=%d" % (filled, index)
        for replica in shared:
            packed = get(replica, target, Accept_Encoding="gzip")
            assert b'"port":%d' % port in gzip.decompress(packed.body)


@pytest.mark.parametrize("target", LISTINGS)
def test_what_has_not_changed_is_not_sent_again(shared, filled, target):
    target = target.format(name=filled)
    answer = get(shared[0], target)
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "no-cache"
    for held in (tag, tag[2:], '"other", ' + tag, "*"):
        for replica in shared:  # equal at all replicas
            again = get(replica, target, If_None_Match=held, Accept_Encoding="gzip")
            assert again.status == 304, held
            assert again.body == b""
            assert again.headers["ETag"] == tag
            assert "Accept-Encoding" in again.headers["Vary"]
            assert again.headers["X-Muster-Index"] == answer.headers["X-Muster-Index"]
    assert get(shared[0], target, If_None_Match='"other"').body == answer.body


def test_a_tag_changes_with_what_was_asked_and_only_with_that(shared, filled):
    target = "/services/" + filled
    tag = get(shared[0], target).headers["ETag"]
    shared[0].register(filled + "-other", ttl="1h")
    assert get(shared[0], target, If_None_Match=tag).status == 304
    shared[0].post("/heartbeat", {"id": filled + "-00"})
    assert get(shared[0], target, If_None_Match=tag).status == 304
    shared[0].register(filled, filled + "-00", ttl="1h", port=99)
    changed = get(shared[0], target, If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag
    for i in range(40):
        shared[0].request("DELETE", "/instances/%s-%02d" % (filled, i))
    gone = get(shared[0], target, If_None_Match=changed.headers["ETag"])
    assert gone.status == 200
    assert gone.json["instances"] == []


def test_a_tag_of_another_cluster_is_not_taken_for_the_present_one(make_cluster):
    tags = set()
    for _ in range(2):
        cluster = make_cluster(1).start()
        tags.add(get(cluster[0], "/services/none").headers["ETag"])
    assert len(tags) == 2


def test_what_moves_by_itself_has_no_tag(shared, name):
    shared[0].register(name, name)
    for target in ("/", "/instances/" + name, "/services/%s/discover" % name, "/events", "/health",
                   "/metrics", "/cluster", "/not-there", "/instances?limit=0"):
        answer = get(shared[0], target, If_None_Match="*")
        assert answer.headers["ETag"] is None, target
        assert answer.headers["Cache-Control"] == "no-store", target
        assert answer.status != 304, target


def test_a_wait_that_ends_without_a_change_says_so_without_a_body(shared, filled):
    answer = get(shared[0], "/services/" + filled)
    held = get(shared[0], "/services/%s?index=%s&wait=100ms" % (filled, answer.headers["X-Muster-Index"]),
               If_None_Match=answer.headers["ETag"])
    assert held.status == 304


@pytest.mark.parametrize("target", LISTINGS + ["/services/{name}/discover", "/events"])
def test_the_index_of_what_was_asked_is_the_one_to_wait_on(shared, filled, target):
    target = target.format(name=filled)
    before = int(shared[0].get("/services/" + filled).headers["X-Muster-Applied-Index"])
    answer = shared[0].get(target)
    index = int(answer.headers["X-Muster-Index"])
    assert int(answer.headers["X-Muster-Applied-Index"]) >= max(before, index)
    if "discover" not in target:
        assert answer.json["index"] == index
    # Nothing has changed since, so the wait times out.
    separator = "&" if "?" in target else "?"
    waited = shared[0].get("%s%sindex=%d&wait=50ms" % (target, separator, index))
    assert int(waited.headers["X-Muster-Index"]) == index


def test_the_index_of_an_instance_and_of_a_write_is_its_own(shared, filled):
    done = shared[0].post("/register", {"name": filled, "id": filled + "-00", "port": 4, "ttl": "1h"})
    assert int(done.headers["X-Muster-Index"]) == done.json["index"]
    assert int(done.headers["X-Muster-Applied-Index"]) >= done.json["index"]
    shared[0].register(filled, filled + "-01", ttl="1h", port=5)
    answer = shared[0].get("/instances/%s-00" % filled)
    assert int(answer.headers["X-Muster-Index"]) == answer.json["index"] == done.json["index"]


@pytest.mark.parametrize("target", LISTINGS + ["/", "/instances/{name}-00", "/events", "/health",
                                               "/health/live", "/health/ready", "/cluster", "/not-there",
                                               "/services/{name}?limit=0"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_head_has_the_head_of_get_and_no_body(shared, filled, target, encoding):
    target = target.format(name=filled)
    moving = {"date", "x-muster-staleness-ms", "x-muster-applied-index"}
    if target in ("/", "/health", "/cluster"):
        moving.add("content-length")  # such as the uptime

    def heads(method):
        text = raw(shared[0], "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: %s\r\n\r\n"
                   % (method, target, encoding))
        head, _, body = text.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        return lines[0], {k: v for k, v in fields.items() if k not in moving}, fields, body
    line, fields, _, body = heads("GET")
    head_line, head_fields, all_fields, head_body = heads("HEAD")
    assert head_body == b"" != body
    assert (head_line, head_fields) == (line, fields)
    assert int(all_fields["content-length"]) > 0


def test_no_answer_is_to_be_taken_for_another_type(shared, name):
    for target in ("/", "/services", "/metrics", "/not-there", "/services?x=1"):
        assert shared[0].get(target).headers["X-Content-Type-Options"] == "nosniff"
    assert shared[0].post("/register", {"name": name, "port": 1}).headers["X-Content-Type-Options"] == "nosniff"


def test_caches_keep_the_page_for_browsers_apart(shared):
    assert "Accept" in [v.strip() for v in shared[0].get("/").headers["Vary"].split(",")]
