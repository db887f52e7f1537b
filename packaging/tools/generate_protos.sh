#!/bin/sh
# Regenerates the committed protobuf code beside its .proto files. Usage: packaging/tools/generate_protos.sh [PYTHON]
set -eu
cd "$(dirname "$0")/../../proto"
python=${1:-../.venv/bin/python}
bin=$(dirname "$python")
"$python" -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. --mypy_out=quiet:. --mypy_grpc_out=quiet:. \
    --plugin=protoc-gen-mypy="$bin/protoc-gen-mypy" --plugin=protoc-gen-mypy_grpc="$bin/protoc-gen-mypy_grpc" \
    homebred_protocol/v1/*.proto
