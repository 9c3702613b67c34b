#!/usr/bin/env bash
# Clients that others have made, unmodified, against real replicas, while leaders die: proxies and resolvers by
# DNS, Prometheus, and whatever speaks to another door. One file a client; a short form of some is in tests/integration.
#
#   tests/clients/run.sh                    all, against build/debug
#   tests/clients/run.sh -k haproxy         some (pytest's options)
#   MUSTER_PRESET=asan tests/clients/run.sh against build/asan
#
# Installs what is missing (server/prepare.sh clients), and builds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
-h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
esac
preset=${MUSTER_PRESET:-debug}
server/prepare.sh clients
{ cmake --preset "$preset" && cmake --build --preset "$preset"; } >/dev/null
python=/usr/bin/python3
[[ -x $python ]] || python=python3
unset PYTEST_ADDOPTS PYTEST_PLUGINS
export PYTHONDONTWRITEBYTECODE=1 MUSTER_BIN=build/$preset
exec timeout --foreground --signal=INT --kill-after=60 1800 \
    "$python" -m pytest -q -p no:cacheprovider -n 2 --durations=5 "$@" tests/clients
