"""Shared fixtures: one healthy cluster for tests that only talk to it, and a factory of clusters
for tests that break theirs. Both check at the end that every process stopped cleanly and that no log
contains a sanitizer's report or a broken invariant."""
import os
import signal
import uuid

import pytest

from cluster import MUSTER, MUSTERD, Cluster, forget_environment
from faults import Faults


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests that take minutes")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: only with --long"))


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; runs with --long only")
    forget_environment()
    # A runner in the background ignores them, and so would every process of a test.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for program in (MUSTERD, MUSTER):
        if not os.access(program, os.X_OK):
            pytest.exit("%s is not built; run tests/run.sh" % program, returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Lets fixtures find out whether the test itself failed."""
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture(scope="session")
def shared():
    """Three healthy replicas. Tests must leave them healthy, and use names of their own. Leases are
    long, so that only tests change anything."""
    cluster = Cluster(3, ["--ttl", "1h"])
    with cluster:
        cluster.start()
        yield cluster
        ended = ["replica %d ended by itself with %d" % (r.id, r.process.returncode)
                 for r in cluster if not r.alive()]
        assert not ended, ended


def clusters_of(request):
    """Creates clusters, and stops them at the end of the fixture."""
    made = []

    def make(size=3, *options, **settings):
        made.append(Cluster(size, options, **settings))
        return made[-1]

    yield make
    failed = getattr(request.node, "failed", False)
    problem = None
    for cluster in made:
        try:
            cluster.__exit__(AssertionError if failed else None)
        except AssertionError as error:
            problem = problem or error
    if problem:
        raise problem


@pytest.fixture
def make_cluster(request):
    """make_cluster(size, options...): a cluster of the test's own, not started."""
    yield from clusters_of(request)


@pytest.fixture(scope="module")
def module_cluster(request):
    """The same for all tests of a file, which must leave it unchanged."""
    yield from clusters_of(request)


@pytest.fixture(scope="session")
def faults(tmp_path_factory):
    """Makes a replica's file calls kill it, or fail: see faults.py."""
    return Faults(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def name():
    """A name that no other test uses."""
    return "t" + uuid.uuid4().hex[:12]
