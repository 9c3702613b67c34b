"""What was said in confidence is not kept: the memory of replicas that have served tokens holds none of their secrets.
And secrets come in by pipes, so that no disk keeps them."""
import os
import re
import socket
import subprocess

import pytest

from cluster import MUSTERD, await_true, clean_environment, sanitized
from test_access import bearer, bootstrap, create

plainly_built = pytest.mark.skipif(sanitized(), reason="a sanitizer lays memory out in its own way, and reserves terabytes")


def memory_of(replica):
    """All that the process may write to."""
    with open("/proc/%d/maps" % replica.process.pid, encoding="ascii") as file:
        regions = re.findall(r"^(\w+)-(\w+) rw", file.read(), re.MULTILINE)
    with open("/proc/%d/mem" % replica.process.pid, "rb", buffering=0) as memory:
        for begin, end in ((int(begin, 16), int(end, 16)) for begin, end in regions):
            memory.seek(begin)
            try:
                yield begin, memory.read(end - begin)
            except OSError:
                pass  # gone meanwhile, or not to be read


def places_of(secret, replica):
    return ["%#x: %r" % (begin + at, region[max(0, at - 60):at + 60])
            for begin, region in memory_of(replica)
            for at in (found.start() for found in re.finditer(re.escape(secret), region))]


def ask_in_pieces(replica, token):
    """Three requests on one connection: one in pieces, two at once, of which the last is never complete."""
    head = ("GET /services HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nX: y\r\n" % token).encode()
    with socket.create_connection(("127.0.0.1", replica.http_port), 10) as s:
        s.sendall(head)
        await_true("the first piece is read", lambda: replica.metric("http_connections") >= 1)
        s.sendall(b"\r\n")
        assert s.recv(12) == b"HTTP/1.1 200"
        s.sendall(head + b"\r\n" + head)
        while s.recv(65536).count(b"HTTP/1.1 200") == 0:
            pass


@plainly_built
def test_the_memory_scan_finds_what_is_kept(make_cluster):
    """That the test below can fail: a description is kept, a secret is not."""
    replica = make_cluster(1).start()[0]
    everything = bootstrap(replica)
    create(replica, everything, services=[{"name": "web", "access": "read"}], description="kept-for-all-to-see")
    assert places_of(b"kept-for-all-to-see", replica)


@plainly_built
def test_no_secret_of_a_token_stays_in_memory(make_cluster):
    """Without TLS: GnuTLS does not wipe its buffers, but uses them again."""
    cluster = make_cluster(3).start()
    everything = bootstrap(cluster[0])
    await_true("all know that there are tokens", lambda: {r.get("/tokens").status for r in cluster} == {401}, 30)
    made = create(cluster[1], everything, services=[{"name": "web", "access": "write"}])["token"]
    wrong = made[:-4] + ("aaaa" if made[-4:] != "aaaa" else "bbbb")
    for replica in cluster:
        for token in (everything, made, wrong):
            for method, path, body in (("GET", "/services", None), ("POST", "/register", {"name": "web", "port": 80}),
                                       ("POST", "/register", {"name": 7}), ("GET", "/nowhere", None),
                                       ("POST", "/batch", b"x" * 100000)):
                replica.request(method, path, body, bearer(token))
        ask_in_pieces(replica, everything)
    for replica in cluster:
        for token in (everything, made, wrong):
            # A connection that ended has just been seen, or is about to.
            await_true("nothing is left of it", lambda: not places_of(token[-32:].encode(), replica), 20, 0.1)


@pytest.mark.parametrize("option, secret", [
    ("--cluster-secret-file", "a secret of enough bytes"), ("--bootstrap-token-file", "mst_abcdefghij_" + "k" * 32),
])
def test_a_secret_comes_by_a_pipe_that_is_written_to_in_pieces(make_cluster, tmp_path, option, secret):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    replica = make_cluster(1, option, str(pipe))[0]
    writer = subprocess.Popen(["sh", "-c", 'exec >"$1"; printf %s "$2"; sleep 0.2; echo "$3"', "sh", str(pipe),
                               secret[:7], secret[7:]])
    try:
        replica.start().wait_ready()
    finally:
        assert writer.wait(20) == 0
    assert secret not in replica.log()


@pytest.mark.parametrize("option", ["--cluster-secret-file", "--bootstrap-token-file"])
def test_a_pipe_that_nobody_writes_to_ends_the_start_with_a_sentence(tmp_path, option):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = subprocess.run([MUSTERD, "--data", str(tmp_path / "data"), option, str(pipe)], capture_output=True, timeout=30,
                          encoding="utf-8", env=clean_environment(), check=False)
    assert done.returncode != 0 and "%s %s cannot be read: Connection timed out" % (option, pipe) in done.stderr, done
