"""The Go client of Consul (github.com/hashicorp/consul/api), with its watch plans."""
import pytest

import go_programs
from consul_driver import Driver, follows_its_service_while_the_leader_dies, with_consul
from ports import free_ports


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return go_programs.build("consul_go", tmp_path_factory.mktemp("go"))


def test_it_registers_beats_and_follows_while_the_leader_dies(make_cluster, program):
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(cluster, lambda address: Driver([program, address]))
    assert seen == "dc1 true true true 2 true passing 8000 3 3 8000 true true true true 3"
