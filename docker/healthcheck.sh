#!/bin/bash
# Exit status 0 when this replica says that it can serve. bash speaks TCP itself, so the image needs
# no HTTP client for this. It asks the address that is listened on; this machine where that is any.
address=${MUSTER_HTTP:-:9000}
host=${address%:*}
host=${host#[}
host=${host%]}
case $host in
    '' | '*' | 0.0.0.0) host=127.0.0.1 ;;
    ::) host=::1 ;;
esac
exec 3<>"/dev/tcp/$host/${address##*:}" || exit 1
printf 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
answer=$(cat <&3)
printf '%s\n' "${answer##*$'\r\n\r\n'}"
[[ $answer == HTTP/1.1\ 200\ * ]]
