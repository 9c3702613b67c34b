#!/bin/sh
# Takes away what runs that died left behind: the processes, namespaces, links and mounts of runs whose
# own process is gone. Names carry the number of that process. Called by run.sh.
set -u
for namespace in $(ip netns list | sed -n 's/^\(mj[0-9]*-[0-9]*\).*/\1/p'); do
    owner=${namespace#mj}
    owner=${owner%-*}
    [ ! -d "/proc/$owner" ] || continue
    for pid in $(ip netns pids "$namespace"); do
        kill -CONT "$pid" && kill -KILL "$pid"
    done
    ip netns del "$namespace"
    ip link del "mj${owner}b" 2>/dev/null
done
# A mount that nobody uses any more; one that is in use stays.
awk '$2 ~ /\/jepsen\/runs\/[^\/]*\/disk-[0-9]*$/ { print $2 }' /proc/mounts | while read -r mount; do
    fsfreeze -u "$mount" 2>/dev/null
    pgrep -f "data $mount/" >/dev/null || umount "$mount" 2>/dev/null
done
exit 0
