#!/bin/sh
# mosquitto, the fleet's broker, from Debian: installed where it is missing, and said so. Whoever needs it starts their own.
set -eu

PATH="$PATH:/usr/sbin" # where Debian has it
! command -v mosquitto >/dev/null 2>&1 || exit 0

echo "== a fleet needs mosquitto, its broker: installing it from Debian"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -q
$as_root apt-get install -y -q --no-install-recommends mosquitto
if systemctl is-active --quiet mosquitto 2>/dev/null; then
    echo "== Debian has started it, on its own port: ending that one"
    $as_root systemctl disable --quiet --now mosquitto
fi
