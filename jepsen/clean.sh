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
awk '$2 ~ /\/jepsen\/runs\/[^\/]*\/disk-[0-9]*$/ { print $2 }' /proc/mounts | while read -r mount; do
    owner=$(cat "${mount%/*}/pid" 2>/dev/null || echo none)
    [ ! -d "/proc/$owner" ] || continue
    fsfreeze -u "$mount" 2>/dev/null
    umount "$mount"
done
exit 0
