"""nginx (the free one): a `resolver` and a name in `proxy_pass`, while the leader dies."""
from dns_client import with_dns
from dns_proxies import nginx, programs, register_at
from ports import free_ports


def test_servers_come_and_go_also_when_the_leader_dies(make_cluster, tmp_path):
    cluster = with_dns(make_cluster(3)).start()
    leader = cluster.leader()
    [port] = free_ports(1)
    addresses = [("127.0.1.%d" % n, port) for n in range(1, 4)]
    with programs(addresses) as names, nginx(tmp_path, cluster, port) as proxy:
        first = register_at(leader, names[0])
        register_at(leader, names[1])
        proxy.await_answers_of(names[:2])
        leader.kill()
        for _ in range(20):
            assert proxy.who() in names[:2]
        other = cluster.leader()
        register_at(other, names[2])
        assert other.request("DELETE", "/instances/" + first).status == 200
        proxy.await_answers_of(names[1:])
