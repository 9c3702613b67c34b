#!/bin/sh
# The long forms of HTTP/2 and gRPC, some minutes: replicas rolled, silent clients, slow readers, Go's client.
#
#   tests/integration/grpc_long.sh      against build/debug, or MUSTER_BIN
set -eu
cd "$(dirname "$0")/../.."
exec timeout 1800 /usr/bin/python3 -m pytest -p no:cacheprovider -q --long tests/integration/test_grpc.py \
    tests/integration/test_grpc_slow.py tests/integration/test_http2.py
