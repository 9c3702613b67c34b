#!/bin/bash
# Exit status 0 when this replica says that it can serve. bash speaks TCP itself, so the image needs
# no HTTP client for this. It asks the address that is listened on; this machine where that is any.
# A replica that forms its cluster, or elects, is not ready for a moment: asked again, for less than
# the check may take (Dockerfile, --timeout).
trap '' PIPE
address=${MUSTER_HTTP:-:9000}
host=${address%:*}
host=${host#[}
host=${host%]}
case $host in
    '' | '*' | 0.0.0.0) host=127.0.0.1 ;;
    ::) host=::1 ;;
esac

ask() {
    exec 3<>"/dev/tcp/$host/${address##*:}" || return 1
    printf 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    answer=$(cat <&3)
    exec 3>&-
    [[ $answer == HTTP/1.1\ 200\ * ]]
}

for wait in 0.2 0.3 0.5 0.5 0; do
    answer=
    ! ask 2>/dev/null || break
    sleep "$wait"
done
[[ -n $answer ]] || answer="nobody answers at $host:${address##*:}"
printf '%s\n' "${answer##*$'\r\n\r\n'}"
[[ $answer == HTTP/1.1\ 200\ * ]]
