"""Clients of Consul for Java: the Kiwi project's with its cache, and Ecwid's with blocking queries."""
import glob
import os
import shutil
import subprocess

import pytest

from consul_driver import Driver, follows_its_service_while_the_leader_dies, with_consul
from ports import free_ports

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "consul_java")
BUILD_WITHIN_S = 300
# What each sees of three instances at three replicas.
SEES = {"kiwi": "dc1 [Blue, v1] 3 2 true 3 3 true 3 3 true false true 3",
        "ecwid": "dc1 [Blue, v1] true true 3 127.0.0.1 8000 3 3 3 null true 3"}


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """How to start the program."""
    path = str(tmp_path_factory.mktemp("java"))
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        pytest.skip("Maven or the JDK is not installed")
    got = subprocess.run(["mvn", "-q", "-B", "-f", FOLDER + "/pom.xml", "dependency:build-classpath",
                          "-Dmdep.outputFile=%s/classpath" % path], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, timeout=BUILD_WITHIN_S, check=False)
    if got.returncode != 0:
        pytest.skip("its packages are not to be had here: %s" % got.stdout[-300:])
    with open(path + "/classpath", encoding="utf-8") as file:
        classes = path + ":" + file.read().strip()
    subprocess.run(["javac", "-cp", classes, "-d", path] + glob.glob(FOLDER + "/*.java"), timeout=BUILD_WITHIN_S,
                   check=True)
    return [shutil.which("java"), "-XX:+UseSerialGC", "-Xmx128m", "-cp", classes, "Main"]


@pytest.mark.parametrize("client", sorted(SEES))
def test_it_registers_beats_and_follows_while_the_leader_dies(make_cluster, java, client):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(cluster, lambda address: Driver(java + [client, address]))
    assert seen == SEES[client]
