#!/usr/bin/env bash
# Builds the image, brings the cluster of docker/compose.yml up, breaks it, rolls it, looks.
#
#   tests/docker/run.sh [--debian bookworm|trixie] [pytest's options]
#
# Needs root. Uses the Docker engine that runs; where none does it starts one below build/docker and
# ends it. Where no registry can be reached it makes the base image from the machine's own mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
--debian)
    export DEBIAN=${2:?--debian needs a release}
    shift 2
    ;;
-h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
server/prepare.sh docker
python=/usr/bin/python3
[[ -x $python ]] || python=python3
unset PYTEST_ADDOPTS PYTEST_PLUGINS
export PYTHONDONTWRITEBYTECODE=1
# All of it; each test has its own limit (conftest.py). An interrupt lets pytest end what it has started.
exec timeout --foreground --signal=INT --kill-after=120 5400 \
    "$python" -m pytest -q -p no:cacheprovider --durations=5 "$@" tests/docker
