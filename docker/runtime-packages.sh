#!/bin/sh
# Run in the build stage: writes down what the programs in DIR need at run time, so that the last
# stage installs just that. The names of library packages differ between releases of Debian; they
# are asked of dpkg here and not listed anywhere.
#
#   docker/runtime-packages.sh DIR
set -eu
image=$1
list=$image/usr/local/share/muster/packages
backports=/etc/apt/sources.list.d/muster-backports.sources

mkdir -p "${list%/*}"
# server/prepare.sh adds it where the release itself has an older libraft.
if [ -f "$backports" ]; then
    mkdir -p "$image/etc/apt/sources.list.d"
    cp "$backports" "$image/etc/apt/sources.list.d/"
fi
for library in $(readelf -d "$image"/usr/local/bin/muster "$image"/usr/local/bin/musterd |
    sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort -u); do
    dpkg-query -S "*/$library" | cut -d: -f1
done | sort -u | while read -r package; do
    case "$package" in
    libraft*) [ ! -f "$backports" ] || package="$package/$(. /etc/os-release && echo "$VERSION_CODENAME")-backports" ;;
    esac
    echo "$package"
done >"$list"
cat "$list"
grep -q '^libraft' "$list" || {
    echo "no package found for libraft" >&2
    exit 1
}
