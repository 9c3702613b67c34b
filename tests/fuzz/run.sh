#!/usr/bin/env bash
# Fuzzes: builds the targets with clang, ASan and UBSan, and lets each invent inputs for a while.
#
#   tests/fuzz/run.sh                    every target, 20 seconds each
#   tests/fuzz/run.sh --time 60 twin     one target for a minute (the <what> of fuzz_<what>.c)
#   tests/fuzz/run.sh --seeds-only       only replays the inputs that are kept: a matter of seconds
#   tests/fuzz/run.sh --keep             and then makes tests/fuzz/corpus the seeds and the fewest
#                                        inputs that reach all other edges found so far
#   tests/fuzz/run.sh --help             this text
#
# One line a target, and a last line. Fails when there is a finding, or a target that ran nothing;
# the input that did it is then in tests/fuzz/findings: build/fuzz/fuzz_<what> <file> shows it again.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/fuzz
build=$root/build/fuzz
grown=$build/corpus # what was found here; the kept ones are in $here/corpus
findings=$here/findings
seconds=20
seeds_only=0
keep=0
targets=()

usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
while (($# > 0)); do
    case "$1" in
    --time)
        seconds=${2:?--time needs a number of seconds}
        shift
        ;;
    --seeds-only) seeds_only=1 ;;
    --keep) keep=1 ;;
    --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) targets+=("${1#fuzz_}") ;;
    esac
    shift
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
cd "$root"
if ! { cmake --preset fuzz && cmake --build --preset fuzz; } >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "the build failed; its last lines are above"
    exit 1
fi
if ((${#targets[@]} == 0)); then
    for source in "$here"/fuzz_*.c; do
        name=$(basename "$source" .c)
        targets+=("${name#fuzz_}")
    done
fi

export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
ASAN_OPTIONS+=:quarantine_size_mb=64 # more is only slower: nothing is kept from input to input
export UBSAN_OPTIONS=print_stacktrace=1

# Runs one target; its output is in $log.
fuzz() {
    local what=$1
    # Inputs are small: who takes 16 MB at once has believed a length that they say.
    local options=(-print_final_stats=1 -timeout=20 -rss_limit_mb=2048 -malloc_limit_mb=16)
    mkdir -p "$grown/$what" "$here/corpus/$what" "$findings"
    local limit=300 # for what -timeout, which is for one input, does not end
    if ((seeds_only)); then
        options+=(-runs=0)
    else
        options+=(-max_total_time="$seconds" "$grown/$what") # new inputs go into the first folder
        limit=$((seconds + limit))
    fi
    timeout --kill-after=10 "$limit" "$build/fuzz_$what" "${options[@]}" -artifact_prefix="$findings/$what-" \
        "$here/corpus/$what" >"$log" 2>&1
}

# The seeds, and what reaches an edge that they do not. (To keep an input for each count of passes of
# an edge, too, would keep ten times as many.)
keep_fewest() {
    local what=$1 fewest=$build/fewest
    rm -rf "$fewest"
    "$here/seeds.py" "$fewest"
    timeout --kill-after=10 3600 "$build/fuzz_$what" -merge=1 -use_counters=0 -rss_limit_mb=2048 "$fewest/$what" \
        "$here/corpus/$what" "$grown/$what" >"$log" 2>&1
    rm -rf "${here:?}/corpus/$what"
    mv "$fewest/$what" "$here/corpus/$what"
}

bad=0
total=0
for what in "${targets[@]}"; do
    verdict=clean
    if [[ ! -x $build/fuzz_$what ]]; then
        verdict="NO SUCH TARGET"
    else
        status=0
        fuzz "$what" || status=$?
        case $status in
        0) ;;
        124 | 137) verdict="DID NOT END" ;;
        *) verdict="FINDING in tests/fuzz/findings/$what-*" ;;
        esac
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    if [[ $verdict == clean && ${executions:-0} -lt 2 ]]; then
        verdict="NOTHING RAN"
    fi
    printf '%-10s %10d executions %6d edges   %s\n' "$what" "${executions:-0}" "${edges:-0}" \
        "$verdict"
    total=$((total + ${executions:-0}))
    if [[ $verdict != clean ]]; then
        bad=$((bad + 1))
        tail -n 40 "$log" >&2
    elif ((keep)); then
        keep_fewest "$what"
    fi
done
printf '%d targets, %d executions, %d with findings\n' "${#targets[@]}" "$total" "$bad"
((bad == 0))
