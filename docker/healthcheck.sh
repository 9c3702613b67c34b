#!/bin/bash
# Exit status 0 when this replica says that it can serve. bash speaks TCP itself, so the image needs
# no HTTP client for this.
address=${MUSTER_HTTP:-:9000}
exec 3<>"/dev/tcp/127.0.0.1/${address##*:}" || exit 1
printf 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
answer=$(cat <&3)
printf '%s\n' "${answer##*$'\r\n\r\n'}"
[[ $answer == HTTP/1.1\ 200\ * ]]
