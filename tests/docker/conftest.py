"""Shared fixtures: an engine, the image, and one cluster started by compose.yml."""
import os
import sys
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from cluster import await_true, request  # noqa: E402
from ports import free_ports  # noqa: E402
from engine import ROOT, Engine, build_image, compose_command, make_prometheus_image, run  # noqa: E402

RELEASE = os.environ.get("DEBIAN", "bookworm")
SERVICES = ("muster-1", "muster-2", "muster-3")


def pytest_collection_modifyitems(items):
    """The first test also builds the images, which takes minutes; the others wait for containers."""
    for item in items:
        item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def engine():
    engine = Engine().start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def image(engine):
    return build_image(RELEASE)


class Replica:
    """A service of the cluster, reached through its published port."""

    def __init__(self, compose, name, port):
        self.compose = compose
        self.name = name
        self.http_port = port

    def get(self, path):
        return request(self.http_port, "GET", path)

    def post(self, path, body):
        return request(self.http_port, "POST", path, body)

    def container(self):
        return self.compose.run("ps", "-q", self.name).split()[0]

    def inspect(self, what):
        return run("docker", "inspect", "-f", "{{%s}}" % what, self.container()).strip()

    def is_healthy(self):
        return self.inspect(".State.Health.Status") == "healthy"

    def is_ready(self):
        try:
            return self.get("/health/ready").status == 200
        except OSError:
            return False

    def is_leader(self):
        try:
            return self.get("/health").json["role"] == "leader"
        except OSError:
            return False

    def instances(self):
        """All instances by id, once this replica has everything that was acknowledged."""
        found, after = {}, ""
        while True:
            page = self.get("/instances?limit=10000&consistency=linearizable" + after).json
            for instance in page["instances"]:
                found[instance["id"]] = instance
            if len(page["instances"]) < 10000:
                return found
            after = "&after=" + page["instances"][-1]["id"]


class Compose:
    """docker/compose.yml with the test's own project name, ports and volumes."""

    def __init__(self, image, profiles=(), services=SERVICES):
        self.profiles = [word for name in profiles for word in ("--profile", name)]
        ports = free_ports(6)
        self.project = "mustertest" + uuid.uuid4().hex[:8]
        # Where the engine is, but nothing that Compose or compose.yml would read as a setting.
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("COMPOSE_", "MUSTER_", "PROMETHEUS_"))}
        self.environment.update(
            MUSTER_IMAGE=image, MUSTER_CLUSTER_SECRET=uuid.uuid4().hex,
            PROMETHEUS_PORT=str(ports[3]),
            MUSTER_PORT_4=str(ports[4]), MUSTER_PORT_5=str(ports[5]),
            **{"MUSTER_PORT_%d" % (n + 1): str(ports[n]) for n in range(3)})
        self.prometheus_port = ports[3]
        self.replicas = [Replica(self, name, port) for name, port in zip(services, ports)]
        self.joining = [Replica(self, "muster-%d" % n, ports[n]) for n in (4, 5)]

    def run(self, *arguments):
        return run(*compose_command(), "-p", self.project, "-f", "docker/compose.yml", *self.profiles, *arguments,
                   cwd=ROOT, env=self.environment)

    def wait_healthy(self):
        for replica in self.replicas:
            await_true(replica.name + " healthy", replica.is_healthy, 60, 0.2)

    def leader(self):
        return await_true("a leader", lambda: next(
            (r for r in self.replicas if r.is_leader()), None), 30)


@pytest.fixture(scope="session")
def compose(image):
    make_prometheus_image(RELEASE)
    compose = Compose(image)
    try:
        compose.run("--profile", "monitoring", "up", "-d", "--no-build")
        compose.wait_healthy()
        yield compose
    finally:
        print(compose.run("logs", "--tail=50"))
        compose.run("--profile", "monitoring", "--profile", "grow", "--profile", "scale", "down", "-v", "--timeout", "20")
