#!/bin/sh
# Makes a Debian 12 tree that systemd-nspawn can boot, for the tests of the service: make_tree.sh FOLDER [PACKAGE…].
# Needs root.
# Installs systemd-container and mmdebstrap where they are missing, and says so. A finished tree is left as it is.
set -eu
tree=${1:?the folder of the tree}
packages=systemd,systemd-sysv,dbus,python3,python3-systemd,libnss-systemd,procps,libgomp1,libstdc++6
shift
for package; do packages="$packages,$package"; done

if ! command -v systemd-nspawn >/dev/null || ! command -v mmdebstrap >/dev/null; then
    echo "== installing Debian's systemd-container and mmdebstrap" >&2
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends systemd-container mmdebstrap >&2
fi
[ "$(cat "$tree/.complete" 2>/dev/null)" != "$packages" ] || exit 0

echo "== making a Debian 12 tree in $tree (300 MB), once" >&2
rm -rf --one-file-system "$tree" "$tree.partial" # one that was interrupted may still have /proc in it
mkdir -p "$(dirname "$tree")"
mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$tree.partial" >&2
echo "$packages" > "$tree.partial/.complete"
mv "$tree.partial" "$tree"
