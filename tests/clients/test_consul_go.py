"""The Go client of Consul (github.com/hashicorp/consul/api), with its watch plans."""
import os
import shutil
import subprocess

import pytest

from consul_driver import Driver, follows_its_service_while_the_leader_dies, with_consul
from ports import free_ports

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consul_go")
BUILD_WITHIN_S = 400


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("go") / "consul_go")
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    built = subprocess.run(["go", "build", "-o", path, "."], cwd=FOLDER, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=BUILD_WITHIN_S, check=False)
    if built.returncode != 0:
        pytest.skip("its modules are not to be had here: %s" % built.stdout[-300:])
    return path


def test_it_registers_beats_and_follows_while_the_leader_dies(make_cluster, program):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(cluster, lambda address: Driver([program, address]))
    assert seen == "dc1 true true true 2 true passing 8000 3 3 8000 true true true true 3"
