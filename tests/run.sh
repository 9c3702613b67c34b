#!/usr/bin/env bash
# Every test: installs what is missing, builds, runs the unit tests and the integration tests.
#
#   tests/run.sh                   both, against build/debug
#   tests/run.sh --preset asan     both, built with ASan and UBSan, against build/asan
#   tests/run.sh --preset tsan     both, built with TSan, against build/tsan
#   tests/run.sh --unit            the unit tests only
#   tests/run.sh --integration     the integration tests only
#   tests/run.sh -k EXPR           only the integration tests whose names match (pytest's -k)
#   tests/run.sh --help            this text
#
# The last line is "N passed, N failed, N skipped". Fails when a test fails or when none ran.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=debug
unit=1
integration=1
expression=

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
while (($# > 0)); do
    case "$1" in
    --preset)
        preset=${2:?--preset needs a name: debug, asan or tsan}
        shift
        ;;
    -k)
        expression=${2:?-k needs an expression}
        shift
        ;;
    --unit) integration=0 ;;
    --integration) unit=0 ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done
if ((unit == 0 && integration == 0)); then
    unit=1
    integration=1
fi

cd "$root"
server/prepare.sh tests
# pytest and yaml are the distribution's: another Python in the PATH would not have them.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

build=$root/build/$preset
results=$build/results
# Of one unit test, and of all integration tests together; of one of those: tests/pytest.ini.
unit_limit_s=120
integration_limit_s=2400
unset PYTEST_ADDOPTS PYTEST_PLUGINS
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "== building ($preset)"
if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "the build failed; its last lines are above" >&2
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
rm -rf "$results"
mkdir -p "$results"

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$root/tests/tsan.supp:die_after_fork=0
failed=0
reports=()
if ((unit)); then
    echo "== unit tests"
    ctest --test-dir "$build" --output-on-failure --no-tests=error -j2 --timeout "$unit_limit_s" \
        --test-output-size-passed 1000000 --test-output-size-failed 1000000 \
        --output-junit "$results/unit.xml" || failed=1
    reports+=("$results/unit.xml")
fi
if ((integration)); then
    echo "== integration tests"
    # They wait more than they compute, but for those that run under TSan.
    workers=5
    [[ $preset != tsan ]] || workers=3
    arguments=(-q -n "$workers" --junitxml="$results/integration.xml" -p no:cacheprovider --durations=10)
    if [[ -n $expression ]]; then
        arguments+=(-k "$expression")
    fi
    # An interrupt lets pytest end what it has started.
    MUSTER_BIN=$build PYTHONDONTWRITEBYTECODE=1 \
        timeout --foreground --signal=INT --kill-after=120 "$integration_limit_s" \
        "$python" -m pytest "${arguments[@]}" tests/integration || failed=1
    reports+=("$results/integration.xml")
fi
echo
"$python" tests/summary.py "${reports[@]}" || failed=1
exit "$failed"
