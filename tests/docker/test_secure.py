"""The profile `secure` of docker/compose.yml: nothing for strangers, everything for whoever has the
CA and the token."""
import json
import ssl

import pytest

from cluster import request
from conftest import Compose


@pytest.fixture(scope="module")
def secure(image):
    compose = Compose(image, ["secure"], ["secure-1", "secure-2", "secure-3"])
    try:
        compose.run("up", "-d", "--no-build")
        compose.wait_healthy()  # over TLS
        yield compose
    finally:
        print(compose.run("logs", "--tail=50"))
        compose.run("down", "-v", "--timeout", "20")


@pytest.fixture(scope="module")
def trusted(secure):
    """A context that trusts the CA, and the header with the token."""
    ca, token = (secure.run("exec", "-T", "secure-1", "cat", "/etc/muster/" + name)
                 for name in ("tls/ca.pem", "bootstrap-token"))
    return ssl.create_default_context(cadata=ca), {"Authorization": "Bearer " + token.strip()}


def test_those_with_the_token_and_the_ca_write_and_read_at_every_port(secure, trusted):
    context, token = trusted
    for number, replica in enumerate(secure.replicas):
        body = {"id": "web-%d" % number, "name": "web", "host": "10.0.0.1", "port": 80, "ttl": 3600}
        got = request(replica.http_port, "POST", "/register", body, token, tls=context)
        assert got.status == 201, got
    got = request(secure.replicas[0].http_port, "GET", "/services/web?consistency=linearizable", None, token,
                  tls=context)
    assert len(got.json["instances"]) == 3


def test_strangers_get_nothing(secure, trusted):
    context, _ = trusted
    replica = secure.replicas[0]
    assert request(replica.http_port, "GET", "/services", tls=context).status == 401
    assert request(replica.http_port, "GET", "/health", tls=context).json == {"ready": True}
    assert replica.get("/services").status == 400  # plain HTTP
    with pytest.raises(ssl.SSLError):
        request(replica.http_port, "GET", "/services", tls=ssl.create_default_context())


def test_muster_in_a_container_needs_no_options_and_there_is_nothing_to_warn_of(secure):
    shown = json.loads(secure.run("exec", "-T", "secure-2", "muster", "--output", "json", "status"))
    assert [row["state"] for row in shown["replicas"]] == ["ready"] * 3
    assert shown["warnings"] == [] and all(row["tls"]["certificate_ends_in"] > 0 for row in shown["replicas"])


def test_it_comes_up_again_with_the_same_keys(secure, trusted):
    context, token = trusted
    secure.run("down", "--timeout", "20")
    secure.run("up", "-d", "--no-build")
    secure.wait_healthy()
    got = request(secure.replicas[1].http_port, "GET", "/services/web?consistency=linearizable", None, token,
                  tls=context)
    assert len(got.json["instances"]) == 3
