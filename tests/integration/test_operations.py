"""The README's section Operations, run verbatim, on machines with their own names and addresses: what an
operator does if a member is dead, a disk lost, a machine gone or moved, the majority lost, a backup
needed, an upgrade due."""
import os
import re
import shutil

import pytest

from cluster import ROOT, await_true
from machines import Machines

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

NAMES = ("a.example", "b.example", "c.example", "d.example", "e.example")


def blocks(title):
    """The indented blocks after "**title**", up to the next bold one."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read().partition("## Operations")[2]
    found = re.search(r"^\*\*%s\*\*(.*?)(?=^\*\*|^##)" % re.escape(title), text, re.MULTILINE | re.DOTALL)
    assert found, title
    shown = re.findall(r"(?:^    .*\n|^\n)+", found.group(1), re.MULTILINE)
    return [re.sub("^    ", "", block, flags=re.MULTILINE).strip() + "\n" for block in shown
            if block.strip()]


def with_id(script, number):
    """The same list everywhere; only `--id` differs."""
    return re.sub(r"--id \d+", "--id %d" % number, script)


@pytest.fixture
def machines():
    with Machines(*NAMES) as made:
        yield made


@pytest.fixture
def three(machines):
    script, = blocks("Three machines.")
    for number, name in enumerate(NAMES[:3]):
        machines[name].serve(with_id(script, number + 1))
    for name in NAMES[:3]:
        await_ready(machines[name])
    register(machines["a.example"], "web-1")
    return machines


def await_ready(machine):
    await_true(machine.name + " is ready", machine.is_ready, 30)


def register(machine, id):
    machine.run("muster register web --id %s --host 10.0.0.5 --port 8080" % id)


def knows(machine, id):
    return machine.get("/instances/%s?consistency=linearizable" % id).status == 200


def members(machine):
    return {m["id"]: m for m in machine.get("/cluster").json["members"]}


def await_members(machine, what, condition):
    await_true(what, lambda: condition(members(machine)), 30)


def voters(found):
    return sorted(id for id, m in found.items() if m["role"] == "voter")


def test_one_member_is_dead(three):
    three["b.example"].end(9)
    register(three["c.example"], "web-2")
    look, = blocks("One member is dead.")
    # `muster status` then exits with 1: a member is missing.
    await_true("it is seen",
               lambda: "unreachable" in three["a.example"].run(look, strict=False), 20)
    three["b.example"].serve(with_id(*blocks("Three machines."), 2))
    await_ready(three["b.example"])
    assert knows(three["b.example"], "web-2")


def test_a_disk_is_lost(three):
    script, = blocks("A disk is lost, or the data damaged.")
    lost = three["b.example"]
    lost.end(9)
    lost.serve(script)
    await_ready(lost)
    await_members(lost, "it votes again", lambda m: voters(m) == [1, 2, 3])
    assert knows(lost, "web-1")


def test_a_machine_is_gone(three):
    script, = blocks("A machine is gone.")
    three["b.example"].end(9)
    new = three["d.example"]
    new.serve(script)
    await_ready(new)
    await_members(new, "it votes", lambda m: voters(m) == [1, 2, 3] and
                  m[2]["peer"] == "d.example:9100")
    assert knows(new, "web-1")


def test_a_machine_has_another_address(three):
    script, = blocks("A machine has a new address.")
    moved, old = three["e.example"], three["c.example"]
    old.end()
    shutil.rmtree(moved.folder + "/lib")
    shutil.move(old.folder + "/lib", moved.folder + "/lib")
    moved.serve(script)
    await_ready(moved)
    await_members(three["a.example"], "it is found",
                  lambda m: m[3]["peer"] == "e.example:9100" and m[3]["reachable"])
    # It has a vote there.
    three["b.example"].end(9)
    await_true("a write", lambda: three["a.example"].get("/health/ready").status == 200, 20)
    register(three["a.example"], "web-2")


def test_more_machines_votes_and_a_member_less(three):
    script, = blocks("More machines.")
    # That machine is free: its member is on another one.
    three["b.example"].end()
    gone, = blocks("A machine is gone.")
    three["d.example"].serve(gone)
    await_ready(three["d.example"])
    new = three["b.example"]
    shutil.rmtree(new.folder + "/lib/muster")
    new.serve(script)
    await_ready(new)
    await_members(new, "a standby", lambda m: voters(m) == [1, 2, 3] and m[4]["role"] == "standby")
    commands, = blocks("Votes, leaders, removal.")
    three["a.example"].run(commands)
    assert sorted(members(three["a.example"])) == [1, 2, 3]
    await_true("it was told", lambda: new.server.poll() is not None, 30)
    assert new.server.wait(30) == 3
    new.server = None


def test_backup_and_going_back_to_it(three):
    backup, = blocks("Backup.")
    said = three["c.example"].run(backup)
    assert "web" in said or "instances" in said, said
    kept = three["c.example"].folder + "/backups"
    name, = os.listdir(kept)
    shutil.copy(os.path.join(kept, name), three["a.example"].folder + "/backups/muster-2026-11-29")
    register(three["a.example"], "too-late")
    for machine in NAMES[:3]:
        three[machine].end()
        shutil.rmtree(three[machine].folder + "/lib/muster")
    restore, = blocks("Restoring a backup.")
    three["a.example"].serve(restore)
    await_ready(three["a.example"])
    assert knows(three["a.example"], "web-1") and not knows(three["a.example"], "too-late")
    join_the_first(three, ("b.example", "c.example"))


def join_the_first(machines, names):
    script, = blocks("More machines.")
    for name in names:
        machines[name].serve(script.replace("b.example:9100", name + ":9100"))
        await_ready(machines[name])
    await_members(machines["a.example"], "three votes", lambda m: len(voters(m)) == 3)


def test_the_majority_is_gone_for_good(three):
    for name in ("b.example", "c.example"):
        three[name].end(9)
    survivor = three["a.example"]
    survivor.end()
    script, = blocks("The majority is gone for good.")
    look, recover = script.strip().splitlines()
    assert "web" in survivor.run(look) or "term" in survivor.run(look)
    assert os.path.exists(survivor.folder + "/lib/muster/identity")
    survivor.run(recover)
    survivor.serve("musterd --http :9000 --peer :9100 --advertise-peer a.example:9100 "
                   "--data /var/lib/muster")
    await_ready(survivor)
    assert knows(survivor, "web-1")
    # A member of the old cluster comes back: it is refused, with instructions.
    three["b.example"].serve(with_id(*blocks("Three machines."), 2))
    await_true("it is refused", lambda: "wrong cluster" in three["b.example"].log(), 20)
    three["b.example"].end(9)
    for name in ("b.example", "c.example"):
        shutil.rmtree(three[name].folder + "/lib/muster")
    join_the_first(three, ("b.example", "c.example"))


def test_upgrading_and_restarting(three):
    wait, = blocks("Upgrading and restarting.")
    for number, name in enumerate(NAMES[:3]):
        three[name].end()
        three[name].serve(with_id(*blocks("Three machines."), number + 1))
        three[name].run(wait)
    assert knows(three["a.example"], "web-1")
    assert "UP TO" in three["b.example"].run("muster status")
