"""Members that move: an address is not an identity."""
import pytest

from cluster import await_true, free_ports
from test_identity import wipe


def configured(replica):
    return {m["id"]: m["peer"] for m in replica.get("/cluster").json["members"]}


def moves(replica):
    """Where it listens from its next start on."""
    replica.peer_port = free_ports(1)[0]
    return "127.0.0.1:%d" % replica.peer_port


def await_configured(cluster, expected):
    await_true("all know where %s are" % expected,
               lambda: all(expected.items() <= configured(r).items() for r in cluster))


@pytest.mark.parametrize("who", ["a follower", "the leader"])
def test_a_member_that_is_started_elsewhere_is_found_there(make_cluster, who):
    cluster = make_cluster(3).start()
    old_list = cluster.arguments(given=False)[-1]
    moved = cluster.leader() if who == "the leader" else cluster.followers()[0]
    others = [r for r in cluster if r is not moved]
    assert moved.stop() == 0
    address = moves(moved)
    moved.start("--cluster", old_list, "--advertise-peer", address).wait_ready()
    await_configured(cluster, {moved.id: address})
    # It has a vote: another member may be away.
    others[0].kill()
    others[1].register("web", "web-1")
    # The others are started with their original options.
    for replica in others:
        replica.kill()
    for replica in others:
        replica.start("--cluster", old_list).wait_ready()
    await_configured(cluster, {moved.id: address})
    assert moved.get("/instances/web-1?consistency=linearizable").status == 200


def test_a_member_says_where_it_is_though_nobody_says_the_list(make_cluster):
    cluster = make_cluster(3).start()
    moved = cluster.followers()[0]
    moved.kill()
    address = moves(moved)
    command = moved.command("--cluster", "")
    at = command.index("--cluster")
    moved.command = lambda *extra: command[:at] + command[at + 2:] + list(extra)
    moved.start("--advertise-peer", address).wait_ready()
    await_configured(cluster, {moved.id: address})


def test_a_network_that_moved_at_once_works_with_the_new_list(make_cluster):
    cluster = make_cluster(3).start()
    cluster[0].register("web", "web-1")
    for replica in cluster:
        replica.kill()
    expected = {replica.id: moves(replica) for replica in cluster}
    cluster.start()
    await_configured(cluster, expected)
    assert cluster[1].get("/instances/web-1?consistency=linearizable").status == 200
    # The directories know it now; the list may be left out.
    for replica in cluster:
        assert replica.stop() == 0
        replica.cluster.options = []
    cluster.start()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_machine_takes_the_place_of_one_after_all_have_moved(make_cluster, restarted):
    cluster = make_cluster(3).start()
    for replica in cluster:
        replica.kill()
    expected = {replica.id: moves(replica) for replica in cluster}
    cluster.start()
    await_configured(cluster, expected)
    gone = cluster.followers()[0]
    gone.kill()
    wipe(gone)
    new = cluster.add(gone.id)
    cluster.replicas.remove(gone)
    if restarted:  # one by one; the list is no longer new
        for replica in cluster.replicas[:2]:
            replica.kill()
            replica.start()
    new.start().wait_ready()
    await_configured(cluster, {new.id: "127.0.0.1:%d" % new.peer_port})


def test_a_wrong_list_can_be_corrected_until_the_cluster_is_formed(make_cluster):
    cluster = make_cluster(3)
    one = cluster[0]
    one.start("--cluster", "1=127.0.0.1:%d,2=127.0.0.1:1,7=127.0.0.1:2" % one.peer_port)
    await_true("it answers", one.is_live)
    assert one.stop() == 0
    cluster.start()
    cluster[2].register("web", "web-1")
