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
# Compose would take these for its own.
unset COMPOSE_FILE COMPOSE_PROJECT_NAME
exec env PYTHONDONTWRITEBYTECODE=1 "$python" -m pytest -q -p no:cacheprovider --durations=5 "$@" tests/docker
