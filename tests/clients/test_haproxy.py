"""HAProxy: `server-template` with SRV and several replicas as name servers, while the leader dies."""
from dns_client import with_dns
from dns_proxies import haproxy, programs, register_at
from ports import free_ports


def test_servers_come_and_go_also_when_the_leader_dies(make_cluster, tmp_path):
    cluster = with_dns(make_cluster(3)).start()
    leader = cluster.leader()
    addresses = [("127.0.0.1", port) for port in free_ports(4)]
    with programs(addresses) as names, haproxy(tmp_path, cluster) as proxy:
        ids = [register_at(leader, name) for name in names[:3]]
        proxy.await_answers_of(names[:3])
        leader.kill()
        for _ in range(50):
            assert proxy.who() in names[:3]
        other = cluster.leader()
        register_at(other, names[3])
        assert other.request("DELETE", "/instances/" + ids[0]).status == 200
        proxy.await_answers_of(names[1:])
        leader.start()
        proxy.await_answers_of(names[1:])
