#!/bin/sh
# Installs what Muster needs to build, run and be tested, on Debian 12 (bookworm) and later.
#
#   server/prepare.sh            what the build needs
#   server/prepare.sh tests      and what the tests need
#   server/prepare.sh clients    and the clients that tests/clients drives
#   server/prepare.sh ci         and formatting, clang-tidy, sanitizers and chaos
#   server/prepare.sh bench      what the build and tests/bench need
#   server/prepare.sh peers      and the systems that tests/bench compares with
#   server/prepare.sh jepsen     what jepsen/ needs beside the build
#   server/prepare.sh docker     what the tests of the image need (a Docker engine, where there is none)
#
# Does nothing when everything is there. Without root it prints the packages to install and exits 1.
# libraft comes from the release's backports suite where the release itself has one older than
# 0.22; the source entry (mirror and signing key included) is derived from the machine's own.
set -eu
# What apt says is read below; what is written must be read by others; root may have come without sbin.
export LC_ALL=C
umask 022
PATH=$PATH:/usr/sbin:/sbin

RAFT_MIN=0.22
build_packages="gcc libc6-dev cmake ninja-build pkg-config libraft-dev libuv1-dev libmsgpack-dev
 liburcu-dev libjansson-dev zlib1g-dev libgnutls28-dev libcurl4-gnutls-dev libsodium-dev librabbitmq-dev libnghttp2-dev libprotobuf-c-dev protobuf-c-compiler curl procps"
test_packages="libcmocka-dev libldns-dev g++ python3 python3-pytest python3-pytest-xdist python3-pytest-timeout python3-yaml python3-zmq python3-h2 python3-httpx nghttp2-client python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc python3-dnspython bind9-dnsutils bind9-host knot-dnsutils haproxy python3-pika rabbitmq-server util-linux
 e2fsprogs mount netbase iproute2"
bench_packages="libmicrohttpd-dev nghttp2-client python3 python3-zmq wrk dnsperf util-linux git"
peer_packages="etcd-server etcd-client zookeeper default-jre-headless libzookeeper-mt-dev knot nsd"
client_packages="nginx-light unbound prometheus python3-venv maven default-jdk-headless nodejs"
command -v npm >/dev/null 2>&1 || client_packages="$client_packages npm"
command -v go >/dev/null 2>&1 || client_packages="$client_packages golang-go"
ci_packages="clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev git python3-venv"
jepsen_packages="iproute2 iptables util-linux mount e2fsprogs faketime git procps ca-certificates"
command -v go >/dev/null 2>&1 || jepsen_packages="$jepsen_packages golang-go"
docker_packages="iptables debootstrap busybox-static rabbitmq-server python3 python3-pika python3-pytest python3-pytest-timeout"
command -v dockerd >/dev/null 2>&1 || docker_packages="$docker_packages docker.io"
command -v docker >/dev/null 2>&1 || ! apt-cache show docker-cli >/dev/null 2>&1 ||
    docker_packages="$docker_packages docker-cli"
docker compose version >/dev/null 2>&1 || docker_packages="$docker_packages docker-compose"

case "${1:-build}" in
    build) packages=$build_packages ;;
    tests) packages="$build_packages $test_packages" ;;
    clients) packages="$build_packages $test_packages $client_packages" ;;
    ci) packages="$build_packages $test_packages $ci_packages $jepsen_packages" ;;
    bench) packages="$build_packages $bench_packages" ;;
    peers) packages="$build_packages $bench_packages $peer_packages" ;;
    jepsen) packages="$build_packages $jepsen_packages" ;;
    docker) packages=$docker_packages ;;
    *) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }

if ! command -v dpkg-query >/dev/null 2>&1; then
    say "muster: this is not a Debian system; install the equivalents of: $packages (libraft >= $RAFT_MIN)"
    exit 1
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# Takes the package and the version it must at least have.
newer() { dpkg --compare-versions "$(dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo 0)" ge "$2"; }
candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *//p'; }

missing=
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
if installed libraft-dev && ! newer libraft-dev "$RAFT_MIN"; then
    missing="$missing libraft-dev"
fi
[ -n "$missing" ] || exit 0

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [ "$(id -u)" != 0 ]; then
    say "muster: these packages are missing; install them as root, then run this again:"
    say "   $missing"
    case "$missing" in
        *libraft*) say "    (libraft-dev >= $RAFT_MIN: where the release has an older one, from $codename-backports)" ;;
    esac
    exit 1
fi

# Prints the machine's own entry for its release, as a deb822 stanza for the backports suite.
backports_entry() {
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        # One paragraph a stanza: the first whose suites hold the release's own name.
        awk -v suite="$codename" 'BEGIN { RS = ""; FS = "\n" } {
            mine = 0
            for (i = 1; i <= NF; i++)
                if ($i ~ /^Suites:/ && (" " substr($i, 8) " ") ~ ("[ \t]" suite "[ \t]")) mine = 1
            if (!mine) next
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^#/) continue
                if ($i ~ /^Suites:/) print "Suites: " suite "-backports"
                else print $i
            }
            exit
        }' "$file"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        awk -v suite="$codename" '$1 == "deb" {
            options = ""; at = 2
            if ($2 ~ /^\[/) { while ($at !~ /\]$/) at++; at++ }
            if ($(at + 1) != suite) next
            if ($0 ~ /signed-by=/) { options = $0; sub(/.*signed-by=/, "", options); sub(/[] ].*/, "", options) }
            print "Types: deb\nURIs: " $at "\nSuites: " suite "-backports\nComponents: main"
            if (options != "") print "Signed-By: " options
            exit
        }' "$file"
    done
}

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
    if ! "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        say "muster: '$*' failed"
        exit 1
    fi
}

# Servers that tests start by hand (a broker, proxies, resolvers) are not to run on this machine beside them.
denied=
if [ "${1:-build}" != docker ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    denied=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$denied"
    chmod 755 "$denied"
fi
trap 'rm -f "$log" $denied' EXIT

say "muster: installing$missing"
run apt-get update
wanted=$missing
case "$missing" in
*libraft-dev*)
    if ! dpkg --compare-versions "$(candidate libraft-dev || echo 0)" ge "$RAFT_MIN"; then
        target=/etc/apt/sources.list.d/muster-backports.sources
        entry=$(backports_entry | awk '/^$/ { exit } NR > 1 && /^Types:/ { exit } { print }')
        if [ -z "$entry" ]; then
            say "muster: no apt source for '$codename' found; add $codename-backports by hand and run this again"
            exit 1
        fi
        printf '# Added by Muster for libraft-dev >= %s\n%s\n' "$RAFT_MIN" "$entry" >"$target"
        run apt-get update
        run apt-get install -y --no-install-recommends -t "$codename-backports" libraft-dev
        wanted=$(echo "$missing" | sed 's/libraft-dev//g')
    fi
    ;;
esac
# shellcheck disable=SC2086 # a list of packages
[ -z "$(echo $wanted)" ] || run apt-get install -y --no-install-recommends $wanted
if [ -n "$denied" ] && command -v systemctl >/dev/null 2>&1; then
    for server in rabbitmq-server haproxy nginx-light:nginx unbound prometheus knot nsd etcd-server:etcd zookeeper; do
        case " $missing " in
        *" ${server%:*} "*) systemctl disable "${server#*:}" >/dev/null 2>&1 || true ;; # nor after the next boot
        esac
    done
fi
if ! newer libraft-dev "$RAFT_MIN"; then
    say "muster: libraft-dev is still older than $RAFT_MIN; see consensus/README.md for why that is refused"
    exit 1
fi
