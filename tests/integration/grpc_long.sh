#!/bin/sh
# The long forms of HTTP/2 and gRPC, some minutes: replicas rolled, silent clients, slow readers, Go's client. Then
# gRPC's once more by the newest grpcio of the package index, below build/grpcio; without an index that is left out.
#
#   tests/integration/grpc_long.sh      against build/debug, or MUSTER_BIN
set -eu
cd "$(dirname "$0")/../.."
grpc="tests/integration/test_grpc.py tests/integration/test_grpc_slow.py"

# Takes a Python, and what pytest is to run beside.
run() {
    python=$1
    shift
    # shellcheck disable=SC2086 # a list of files
    timeout 1800 "$python" -m pytest -p no:cacheprovider -q --long $grpc "$@"
}

run /usr/bin/python3 tests/integration/test_http2.py

/usr/bin/python3 -m venv --system-site-packages build/grpcio
if ! build/grpcio/bin/pip install -q --disable-pip-version-check --retries 1 --upgrade grpcio grpcio-tools; then
    echo "the newest grpcio: left out, there is no package index here"
    exit 0
fi
build/grpcio/bin/python -c 'import grpc; print("by grpcio", grpc.__version__)'
run build/grpcio/bin/python -k "not go_client"
