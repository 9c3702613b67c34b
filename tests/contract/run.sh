#!/usr/bin/env bash
# Holds a running replica against api/openapi.yaml: schemathesis sends what the contract allows, which must be
# taken, and what it does not allow, which must be refused, and checks every answer against its description.
#
#   tests/contract/run.sh              a run of a fixed seed, then one of a fresh seed, which is printed
#   tests/contract/run.sh --seed N     one run of that seed
#
# Takes musterd from build/debug, or from the folder that MUSTER_BIN names. Installs schemathesis below build/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${MUSTER_BIN:-$root/build/debug}
package=schemathesis==4.32.5
venv=$root/build/contract/$package
seeds=(1 $((RANDOM * 32768 + RANDOM)))
# Of one run. A replica that hangs is a fault, too; a run takes a minute, and on a loaded machine several.
limit_s=600

if [[ ${1:-} == --seed ]]; then
    seeds=("${2:?--seed needs a number}")
elif (($# > 0)); then
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 2
fi
if [[ ! -x $bin/musterd ]]; then
    echo "$bin/musterd is not there; build it first" >&2
    exit 1
fi
if [[ ! -e $venv/complete ]]; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$package"; }; then
        echo "$package could not be installed from the Python package index: nothing was checked" >&2
        exit 1
    fi
    touch "$venv/complete"
fi

folder=$(mktemp -d)
server=
finish() {
    [[ -z $server ]] || kill -9 "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

# Leaves its port in $http, its process in $server. Below the ports that the system gives to clients; when one is
# taken, others are tried.
start_server() {
    for _ in {1..10}; do
        http=$((20000 + RANDOM % 10000))
        "$bin/musterd" --http "127.0.0.1:$http" --peer "127.0.0.1:$((http - 10000))" \
            --data "$folder/data-$1-$http" --write-timeout 100ms --log-level warn 2>"$folder/log" &
        server=$!
        for _ in {1..100}; do
            if curl -fsS -o "$folder/ready" "http://127.0.0.1:$http/health/ready" 2>"$folder/why" &&
                kill -0 "$server" 2>/dev/null; then
                return 0
            fi
            kill -0 "$server" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$server" 2>/dev/null || true
    done
    cat "$folder/log" "$folder/why" >&2
    return 1
}

stop_server() {
    local status=0
    kill -TERM "$server"
    wait "$server" || status=$?
    server=
    if ((status != 0)); then
        echo "musterd ended with status $status; its last lines:" >&2
        tail -n 20 "$folder/log" >&2
        return 1
    fi
}

failed=0
for seed in "${seeds[@]}"; do
    echo "== seed $seed"
    status=0
    start_server "$seed"
    # The phase `coverage` goes through each limit; it depends little on the seed.
    phases=examples,coverage,fuzzing
    [[ $seed == 1 || ${#seeds[@]} == 1 ]] || phases=fuzzing
    (
        cd "$folder"
        SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$root/tests/contract PYTHONDONTWRITEBYTECODE=1 \
            timeout "$limit_s" "$venv/bin/schemathesis" --config-file "$root/tests/contract/schemathesis.toml" \
            run "$root/api/openapi.yaml" --url "http://127.0.0.1:$http" --seed "$seed" --phases "$phases" \
            --max-examples 10 --workers 1 --request-timeout 10 --continue-on-failure --no-color
    ) || status=$?
    ((status == 0)) || failed=1
    ((status != 124)) || echo "the run did not end within $limit_s s" >&2
    stop_server || failed=1
    ((failed == 0)) || break
done
if ((failed)); then
    echo "tests/contract/run.sh --seed $seed repeats this" >&2
fi
exit "$failed"
