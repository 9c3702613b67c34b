"""The Python clients of Consul, as they come from the package index. They have one interface."""
import pytest

from consul_driver import (PYTHON, PYTHON_SEES, Driver, follows_its_service_while_the_leader_dies, install_python,
                           with_consul)
from ports import free_ports


@pytest.mark.parametrize("client", ["py-consul==1.6.0", "python-consul==1.1.0", "python-consul2==0.1.5"])
def test_it_registers_beats_and_follows_while_the_leader_dies(make_cluster, client):
    python = install_python(client)
    if python is None:
        pytest.skip("there is no package index here")
    cluster = with_consul(make_cluster(3), free_ports(3)).start()
    seen = follows_its_service_while_the_leader_dies(cluster, lambda address: Driver([python, PYTHON, address]))
    assert seen == PYTHON_SEES
