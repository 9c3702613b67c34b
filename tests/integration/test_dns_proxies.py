"""A real proxy finds servers by DNS: HAProxy, with SRV, for addresses and ports. In short; with other clients, and
replicas that die, in tests/clients."""
import shutil

import pytest

pytest.importorskip("dns", reason="python3-dnspython is not installed")

from dns_client import with_dns  # noqa: E402
from dns_proxies import haproxy, programs, register_at  # noqa: E402
from ports import free_ports  # noqa: E402


@pytest.mark.skipif(not shutil.which("haproxy", path="/usr/sbin:/usr/bin"), reason="haproxy is not installed")
def test_haproxy_sends_requests_to_who_is_registered(make_cluster, tmp_path):
    replica = with_dns(make_cluster(1)).start()[0]
    addresses = [("127.0.0.1", port) for port in free_ports(2)]
    with programs(addresses) as names, haproxy(tmp_path, [replica]) as proxy:
        ids = [register_at(replica, name) for name in names]
        proxy.await_answers_of(names)
        assert replica.request("DELETE", "/instances/" + ids[0]).status == 200
        proxy.await_answers_of(names[1:])
