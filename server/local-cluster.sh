#!/usr/bin/env bash
# Three replicas on this machine, to try Muster with.
#
#   server/local-cluster.sh              builds, starts what is not running, waits until ready
#   server/local-cluster.sh status       how the replicas stand
#   server/local-cluster.sh logs [N]     the last lines of every replica's log, or of replica N's
#   server/local-cluster.sh restart N    stops replica N and starts it again
#   server/local-cluster.sh down         stops all three; the data stays
#   server/local-cluster.sh help         this text
#
# HTTP on 127.0.0.1:9001-9003, peers on 9101-9103, data and logs below ./muster-data.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=$root/build/release
state=$root/muster-data
replicas="1 2 3"
cluster=1=127.0.0.1:9101,2=127.0.0.1:9102,3=127.0.0.1:9103
servers=http://127.0.0.1:9001,http://127.0.0.1:9002,http://127.0.0.1:9003
ready_within_s=30
stop_within_s=20

say() { printf '%s\n' "$*"; }
fail() {
    printf 'muster: %s\n' "$*" >&2
    exit 1
}

data_of() { echo "$state/$1"; }
log_of() { echo "$state/musterd-$1.log"; }
pid_file_of() { echo "$state/musterd-$1.pid"; }

# Prints the pid of replica $1 if it runs. A pid file may be stale and its number taken by another
# program: only a musterd that was started with our data directory counts.
pid_of() {
    local pid
    pid=$(cat "$(pid_file_of "$1")" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | {
        local program argument found=1
        read -r program || return 1
        while read -r argument; do
            [[ $argument != "$(data_of "$1")" ]] || found=0
        done
        [[ ${program##*/} == musterd && $found == 0 ]]
    } || return 1
    echo "$pid"
}

running() {
    local n
    for n in $replicas; do
        if pid_of "$n" >/dev/null; then
            echo "$n"
        fi
    done
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

check_ports() {
    local n port
    for n in "$@"; do
        for port in "900$n" "910$n"; do
            if port_taken "$port"; then
                fail "port $port is in use by another program; stop it, then run this again (ss -ltnp shows which)"
            fi
        done
    done
}

start() {
    local n=$1 pid
    mkdir -p "$state"
    # Settings in the environment that are for a single musterd must not reach all three.
    env -u MUSTER_CONFIG -u MUSTER_JOIN -u MUSTER_ADVERTISE_HTTP -u MUSTER_ADVERTISE_PEER \
        setsid "$bin/musterd" --id "$n" --name "muster-$n" --data "$(data_of "$n")" \
        --http "127.0.0.1:900$n" --peer "127.0.0.1:910$n" --cluster "$cluster" \
        </dev/null >>"$(log_of "$n")" 2>&1 &
    pid=$!
    echo "$pid" >"$(pid_file_of "$n")"
}

show_log() {
    say "--- $(log_of "$1")"
    tail -n "$2" "$(log_of "$1")" 2>/dev/null || say "(no log yet)"
}

is_ready() { curl -sf -o /dev/null --max-time 2 "http://127.0.0.1:900$1/health/ready"; }

# Waits until the replicas named are ready; shows the log of one that is not.
await_ready() {
    local n deadline=$((SECONDS + ready_within_s))
    for n in "$@"; do
        until is_ready "$n"; do
            # A process that has just been forked is not a musterd yet.
            if ((SECONDS > deadline - ready_within_s + 1)) && ! pid_of "$n" >/dev/null; then
                show_log "$n" 15 >&2
                fail "replica $n ended; its last lines are above"
            fi
            if ((SECONDS >= deadline)); then
                show_log "$n" 15 >&2
                fail "replica $n is not ready after $ready_within_s s; its last lines are above"
            fi
            sleep 0.1
        done
    done
}

# Stops the replicas named, all at the same time, and waits for them.
stop() {
    local n pid deadline pids=()
    for n in "$@"; do
        pid=$(pid_of "$n") || continue
        kill -TERM "$pid" 2>/dev/null || true
        pids+=("$n:$pid")
    done
    deadline=$((SECONDS + stop_within_s))
    for n in ${pids[@]+"${pids[@]}"}; do
        pid=${n#*:}
        n=${n%%:*}
        while pid_of "$n" >/dev/null; do
            if ((SECONDS >= deadline)); then
                say "muster: replica $n does not stop; ending it (nothing acknowledged is lost)"
                kill -KILL "$pid" 2>/dev/null || true
                deadline=$((SECONDS + 5))
            fi
            sleep 0.1
        done
        rm -f "$(pid_file_of "$n")"
        say "replica $n stopped"
    done
}

build() {
    local log
    "$root/server/prepare.sh" build
    log=$(mktemp)
    say "building (the first time takes a minute) ..."
    if ! { cd "$root" && cmake --preset release && cmake --build --preset release; } >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "the build failed; its last lines are above"
    fi
    rm -f "$log"
}

status() {
    local n pid
    [[ -x $bin/muster ]] || fail "not built yet: run server/local-cluster.sh"
    if [[ -z $(running) ]]; then
        say "no replica is running; start them with server/local-cluster.sh"
        return 1
    fi
    "$bin/muster" --server "$servers" status || true
    for n in $replicas; do
        if pid=$(pid_of "$n"); then
            say "replica $n: pid $pid, log $(log_of "$n")"
        else
            say "replica $n: not running"
        fi
    done
    [[ $(running | wc -l) == 3 ]]
}

hints() {
    cat <<TEXT

Try it:
  curl -X POST http://127.0.0.1:9002/register -H 'Content-Type: application/json' -d '{"name": "web", "host": "127.0.0.1", "port": 8080, "ttl": 300}'
  curl http://127.0.0.1:9003/services/web/discover
  $bin/muster --server $servers list

Stop it: $root/server/local-cluster.sh down
TEXT
}

up() {
    local n missing=()
    for n in $replicas; do
        pid_of "$n" >/dev/null || missing+=("$n")
    done
    if ((${#missing[@]} == 0)); then
        say "the cluster is running already"
        status
        hints
        return
    fi
    build
    check_ports "${missing[@]}"
    for n in "${missing[@]}"; do
        start "$n"
    done
    # shellcheck disable=SC2086 # a list of numbers
    await_ready $replicas
    status
    hints
}

replica_number() {
    case "${1:-}" in
    1 | 2 | 3) echo "$1" ;;
    *) fail "which replica? say 1, 2 or 3" ;;
    esac
}

case "${1:-up}" in
up) up ;;
down)
    if [[ -z $(running) ]]; then
        say "no replica is running"
    else
        # shellcheck disable=SC2046 # a list of numbers
        stop $(running)
    fi
    ;;
status) status ;;
logs)
    if (($# > 1)); then
        n=$(replica_number "$2")
        show_log "$n" 60
    else
        for n in $replicas; do
            show_log "$n" 20
        done
    fi
    ;;
restart)
    n=$(replica_number "${2:-}")
    [[ -x $bin/musterd ]] || fail "not built yet: run server/local-cluster.sh"
    stop "$n"
    check_ports "$n"
    start "$n"
    await_ready "$n"
    say "replica $n is ready"
    ;;
help | -h | --help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
*)
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
