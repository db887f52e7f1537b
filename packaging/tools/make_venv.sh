#!/bin/sh
# Makes .venv with everything in requirements.lock and the commands homebred, homebredd, homebred-engine, homebred-fleet.
# Installs Debian's python3-venv when the interpreter lacks it, and says so.
set -eu
cd "$(dirname "$0")/../.."

python=""
for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "homebred needs Python 3.11 or newer, and none was found. Install one (Debian 12: apt install python3-venv)." >&2
    echo "If it has another name, run: make venv PYTHON=/path/to/python" >&2
    exit 1
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "== $python cannot make virtual environments: installing Debian's python3-venv"
    if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
    $as_root apt-get update -q && $as_root apt-get install -y -q --no-install-recommends python3-venv
fi

echo "== making .venv with $("$python" --version) from requirements.lock"
rm -rf .venv
"$python" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/.made
echo "== .venv is ready: .venv/bin/homebred --help"
