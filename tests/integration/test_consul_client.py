"""A client of Consul, unmodified: py-consul. The others are in tests/clients."""
import pytest

from consul_driver import (PYTHON, PYTHON_SEES, Driver, follows_its_service_while_the_leader_dies, install_python,
                           with_consul)
from ports import free_ports


def test_py_consul_registers_beats_and_follows_while_the_leader_dies(make_cluster):
    python = install_python("py-consul==1.6.0")
    if python is None:
        pytest.skip("there is no package index here")
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(cluster, lambda address: Driver([python, PYTHON, address]))
    assert seen == PYTHON_SEES
