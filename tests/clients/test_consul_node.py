"""The client of Consul from npm, with its watches."""
import os
import shutil
import subprocess

import pytest

from consul_driver import Driver, follows_its_service_while_the_leader_dies, with_consul
from ports import free_ports

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consul_node.mjs")
RELEASE = "consul@2.0.1"
INSTALL_WITHIN_S = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    (path / "package.json").write_text("{}", encoding="ascii")
    got = subprocess.run(["npm", "install", "--no-audit", "--no-fund", RELEASE], cwd=path, check=False,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=INSTALL_WITHIN_S)
    if got.returncode != 0:
        pytest.skip("there is no package index here")
    return str(path)


def test_it_registers_beats_and_follows_while_the_leader_dies(make_cluster, folder):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(
        cluster, lambda address: Driver([shutil.which("node"), PROGRAM, address, folder]))
    assert seen == "dc1 v1 1 3 3 true true"
