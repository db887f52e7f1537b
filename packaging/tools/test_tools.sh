#!/bin/sh
# What the tests need from Debian and a bare machine lacks: installed where it is missing, and said so.
set -eu

missing=""
for need in strace:strace dbus-daemon:dbus-daemon; do
    command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need##*:}"
done
[ -e /usr/lib/python3/dist-packages/systemd/daemon.py ] || missing="$missing python3-systemd"
[ -n "$missing" ] || exit 0

echo "== the tests need$missing: installing from Debian"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -q
# shellcheck disable=SC2086 # one word for each package
$as_root apt-get install -y -q --no-install-recommends $missing
