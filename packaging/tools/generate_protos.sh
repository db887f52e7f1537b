#!/bin/sh
# Generates the committed protobuf code beside its .proto files. With --check it writes nothing and fails on a difference.
set -eu
cd "$(dirname "$0")/../../proto"
bin=../.venv/bin
out=.
if [ "${1:-}" = --check ]; then
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
fi
"$bin/python" -m grpc_tools.protoc -I . --python_out="$out" --grpc_python_out="$out" --mypy_out=quiet:"$out" \
    --mypy_grpc_out=quiet:"$out" --plugin=protoc-gen-mypy="$bin/protoc-gen-mypy" \
    --plugin=protoc-gen-mypy_grpc="$bin/protoc-gen-mypy_grpc" homebred_protocol/v1/*.proto
if [ "$out" != . ]; then
    for generated in "$out"/homebred_protocol/v1/*; do
        cmp "$generated" "homebred_protocol/v1/$(basename "$generated")" || {
            echo "The generated code is not that of the .proto files: run packaging/tools/generate_protos.sh, commit the result." >&2
            exit 1
        }
    done
fi
