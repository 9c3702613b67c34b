#!/usr/bin/env python3
"""Fills a cluster with 64 clients up to the bound on its state, restarts it, sends its snapshot to an emptied
follower, raises the bound, and fills it again."""
import argparse
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir,
                                "integration"))
# pylint: disable=wrong-import-position
from cluster import Cluster  # noqa: E402
from filler import live_a_life  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="the bound on the state, at first")
    parser.add_argument("--more", type=int, default=256, help="by how many MiB it is raised")
    parser.add_argument("--within", type=int, default=1800, help="seconds that each step may take")
    arguments = parser.parse_args()
    most = arguments.mib << 20
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Cluster(3, ("--state-bytes", "%dMiB" % arguments.mib)) as cluster:
        cluster.start()
        for done in live_a_life(cluster, folder, most, most + (arguments.more << 20), arguments.within):
            print("%5d s: %s" % (time.monotonic() - began, done), flush=True)
    print("ok")


if __name__ == "__main__":
    main()
