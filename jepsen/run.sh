#!/usr/bin/env bash
# Jepsen-style tests: a real cluster, clients, faults, a recorded history, and checkers.
#
#   jepsen/run.sh [--time 90s] [--nemesis kill,partition,...|all|none] [--seed N] [--replicas 3|5]
#                 [--on processes|docker] [--sanitize] [--mutant NAME]
#   jepsen/run.sh --slice            some of everything, in less than six minutes (for CI)
#   jepsen/run.sh --mutants          every mutant under the faults that show it; all must be caught
#   jepsen/run.sh --recheck DIR      checks a recorded run again
#   jepsen/run.sh --ledger           writes the ledger in jepsen/README.md from the recorded runs
#   jepsen/run.sh --test             the unit tests of the checkers
#   jepsen/run.sh --options          all options of one run
#
# The last line is the verdict. Exit status: 0 clean, 1 a violation, 2 void (it proves nothing).
# Needs root: namespaces, mounts. Runs are kept below build/jepsen/runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=one
preset=release
mutant=
arguments=()
while (($# > 0)); do
    case "$1" in
    --slice | --mutants | --ledger | --test | --options) mode=${1#--} ;;
    --recheck)
        mode=recheck
        arguments=(--recheck "${2:?--recheck needs the directory of a run}")
        shift
        ;;
    --sanitize) preset=asan ;;
    --on)
        [[ ${2:?--on needs processes or docker} != docker ]] || mode=docker
        arguments+=(--on "$2")
        shift
        ;;
    --mutant)
        mutant=${2:?--mutant needs a name}
        shift
        ;;
    -h | --help)
        sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) arguments+=("$1") ;;
    esac
    shift
done

void() {
    echo "void: $*"
    exit 2
}

log=build/jepsen/build.log
mkdir -p build/jepsen
quietly() {
    "$@" >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        void "'$*' failed"
    }
}

server/prepare.sh jepsen || void "packages are missing"
# Go keeps what it has fetched and built below HOME.
[[ -n ${HOME:-} ]] || export HOME=$PWD/build/jepsen/home
# A Go of the user's comes first; Debian's is enough.
(cd jepsen && GOFLAGS=-mod=readonly timeout 900 go build -o ../build/jepsen/jepsen .) >"$log" 2>&1 || {
    cat "$log" >&2
    void "the Go part does not build"
}
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || commit+=-changed

build_product() {
    quietly cmake --preset "$preset"
    quietly cmake --build --preset "$preset" --target musterd muster
}

build_mutant() {
    quietly cmake -S . -B build/mutants -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMUSTER_MUTANTS=ON -DMUSTER_TESTS=OFF
    quietly cmake --build build/mutants --target musterd_mutant
}

# One run; $1 is the program, the rest its options. The program itself ends a run that hangs; `limit` is
# for a program that hangs, in seconds (0: none).
limit=0
run() {
    local program=$1
    shift
    jepsen/clean.sh
    timeout --kill-after=60 "$limit" build/jepsen/jepsen --commit "$commit" --musterd "$PWD/$program" "$@"
}

# A run that proved nothing is repeated once: a fault may miss by bad luck.
run_or_again() {
    local status=0
    run "$@" || status=$?
    if ((status == 2)); then
        echo "void; once more"
        status=0
        run "$@" || status=$?
    fi
    return "$status"
}

slice() {
    local worst=0 status part
    local parts=("--time 50s --nemesis kill,pause,partition,stuck-log,descriptors"
        "--time 55s --nemesis disk-full,power,io-error,disk-stuck --replicas 3"
        "--time 50s --nemesis clock,delay,loss,rate,damage,rolling,kill --replicas 5"
        "--time 50s --nemesis empty,fork,members --replicas 3")
    limit=400
    for part in "${parts[@]}"; do
        status=0
        # shellcheck disable=SC2086 # a list of options
        run_or_again build/release/musterd --muster "$PWD/build/release/muster" $part ${arguments[@]+"${arguments[@]}"} || status=$?
        if ((status == 1 || (status != 0 && worst == 0))); then
            worst=$status
        fi
    done
    case $worst in
    0) echo "clean: the whole slice" ;;
    1) echo "violation: see above" ;;
    *) echo "void: see above" ;;
    esac
    return "$worst"
}

# name, the faults that show it
mutant_list() {
    cat <<'TEXT'
sessions_off kill-leader,partition-leader,pause-leader
handover_forgotten partition,kill-leader
wall_clock clock
expire_early none
pause_counts pause
read_without_proof pause-leader,partition-leader
read_too_early kill-leader,partition-leader
lease_drifts kill,partition
slot_by_member none
incarnation_ignored none
event_lost none
TEXT
}

mutants() {
    local name faults caught=0 all=0 missed=() try status
    while read -r name faults; do
        all=$((all + 1))
        status=0
        for try in 1 2 3; do
            status=0
            run build/mutants/musterd_mutant --time 60s --mutant "$name" --nemesis "$faults" --seed "$try" </dev/null || status=$?
            ((status != 1)) || break
        done
        if ((status == 1)); then
            caught=$((caught + 1))
        else
            missed+=("$name")
        fi
    done < <(mutant_list)
    ((caught == all)) || {
        echo "violation: not seen: ${missed[*]}"
        return 1
    }
    echo "clean: $caught of $all mutants were caught"
}

case $mode in
one)
    if [[ -n $mutant ]]; then
        build_mutant
        run build/mutants/musterd_mutant --mutant "$mutant" ${arguments[@]+"${arguments[@]}"}
    else
        build_product
        run "build/$preset/musterd" --muster "$PWD/build/$preset/muster" ${arguments[@]+"${arguments[@]}"}
    fi
    ;;
docker)
    server/prepare.sh docker || void "packages are missing"
    /usr/bin/python3 tests/docker/engine.py build/jepsen/jepsen --commit "$commit" --image "muster-test:${DEBIAN:-bookworm}" \
        ${arguments[@]+"${arguments[@]}"}
    ;;
slice)
    build_product
    slice
    ;;
mutants)
    build_mutant
    mutants
    ;;
recheck) build/jepsen/jepsen "${arguments[@]}" ;;
ledger) build/jepsen/jepsen --ledger ;;
options) build/jepsen/jepsen --help ;;
test)
    cd jepsen
    [[ -z $(gofmt -l .) ]] || void "gofmt: $(gofmt -l .)"
    go vet ./... && go test -timeout 300s ./...
    ;;
esac
