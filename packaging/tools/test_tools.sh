#!/bin/sh
# What the tests need and a bare machine lacks, from Debian and PyPI: installed where it is missing, and said so.
# With --thorough also what only `make test-all` runs.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PATH:/usr/sbin:/sbin" # where Debian has servers and file systems
packaging/tools/install_broker.sh

if [ "${1:-}" = --thorough ] && [ ! -d .cache/xgrammar ]; then
    echo "== the tests need xgrammar, its compiled part alone: putting it into .cache/xgrammar"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --target .cache/xgrammar -r packaging/locks/xgrammar.lock
fi

[ "${1:-}" != --thorough ] || packaging/tools/fetch_object_store.sh

missing=""
needs="strace:strace dbus-daemon:dbus-daemon"
[ "${1:-}" != --thorough ] || needs="$needs chromium:chromium"
if [ "$(id -u)" = 0 ] && [ -e /dev/fuse ]; then # who can mount sticks
    needs="$needs mkfs.vfat:dosfstools fusefat:fusefat mkfs.exfat:exfatprogs mount.exfat-fuse:exfat-fuse"
fi
for need in $needs; do
    command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need##*:}"
done
has_nginx=yes
command -v nginx >/dev/null 2>&1 || { has_nginx=no; missing="$missing nginx-light"; }
[ -e /usr/lib/python3/dist-packages/systemd/daemon.py ] || missing="$missing python3-systemd"
[ -n "$missing" ] || exit 0

echo "== the tests need$missing: installing from Debian"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -q
# shellcheck disable=SC2086 # one word for each package
$as_root apt-get install -y -q --no-install-recommends $missing
if [ "$has_nginx" = no ] && systemctl is-active --quiet nginx 2>/dev/null; then
    echo "== Debian has started nginx, on port 80: ending that one"
    $as_root systemctl disable --quiet --now nginx
fi
