#!/bin/sh
# Installs a release of the older ZeroMQ registry, as it is, from the Python package index.
#
#   tests/integration/cgse.sh VERSION      once, below build/cgse; prints the path of its Python
#
# Only what the client and the server import: with all that the package names, it would be half a gigabyte.
set -eu
version=${1:?a version of cgse-core}
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/build/cgse/$version
python=/usr/bin/python3
[ -x "$python" ] || python=python3

mkdir -p "$root/build/cgse"
exec 9>"$root/build/cgse/lock"
flock -w 300 9
if [ ! -e "$folder/installed" ]; then
    rm -rf "$folder"
    "$python" -m venv "$folder" >&2
    "$folder/bin/pip" install -q --disable-pip-version-check --retries 1 \
        pyzmq rich typer distro psutil pyyaml python-dotenv click importlib-metadata lazy-importer aiosqlite >&2
    "$folder/bin/pip" install -q --disable-pip-version-check --retries 1 --no-deps \
        "cgse-core==$version" "cgse-common==$version" >&2
    touch "$folder/installed"
fi
echo "$folder/bin/python"
