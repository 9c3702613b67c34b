#!/usr/bin/env bash
# Builds Muster for release and measures it: three replicas on this machine, fsync on.
#
#   tests/bench/run.sh                     all cases, each five times: more than an hour
#   tests/bench/run.sh --quick             all cases once, short: some minutes
#   tests/bench/run.sh --only discover     some cases
#   tests/bench/run.sh --with-peers        etcd and ZooKeeper beside it (installs them)
#   tests/bench/run.sh --before v0.1       a build of that commit and the present one, in turn
#   tests/bench/run.sh --help              the rest
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
packages=bench
for argument in "$@"; do
    if [[ $argument == --with-peers ]]; then
        packages=peers
    fi
done
server/prepare.sh "$packages"
{ cmake --preset release -DMUSTER_BENCH=ON && cmake --build --preset release; } >/dev/null
python=/usr/bin/python3
[[ -x $python ]] || python=python3
# 10,000 connections, and the replicas' files.
ulimit -n "$(ulimit -Hn)"
export PYTHONDONTWRITEBYTECODE=1
exec "$python" tests/bench/bench.py "$@"
