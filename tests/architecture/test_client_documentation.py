"""docs/client.md against what it describes: its programs parse, its tables are whole, its include path compiles."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from tests.support.committed_files import ROOT

from homebred_protocol import client
from homebred_protocol.client import CallError, Client, Control, errors

TEXT = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
PROTOS = sorted((ROOT / "proto").glob("homebred_protocol/v1/*.proto"))
PROGRAMS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """The cells of a section's first table, by row, without its head."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_takes_from_the_library_what_is_there(program: str) -> None:
    imports = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom)]
    assert imports
    assert [alias.name for node in imports for alias in node.names if not hasattr(client, alias.name)] == []


def test_every_error_stands_in_the_table_with_its_code() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CallError)]
    told = {quoted(row[0])[0]: quoted(row[1]) for row in table("Errors")}
    own = {kind.__name__: [kind.code] for kind in kinds if kind is not CallError}
    assert told == own | {"FailedError": []}


def test_every_call_stands_in_the_table_of_what_is_tried_again() -> None:
    told = {name for row in table("What is tried again") for name in quoted(row[0])}
    calls = {name for kind in (Client, Control) for name in vars(kind) if not name.startswith("_")} - {"close"}
    assert told - {"task_id"} == calls


def test_the_documented_include_path_compiles_every_file_without_python(tmp_path: Path) -> None:
    out = tmp_path / "all.binpb"
    names = [str(path.relative_to(ROOT / "proto")) for path in PROTOS]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", f"--descriptor_set_out={out}"]
    subprocess.run([*protoc, *names], cwd=ROOT, check=True, timeout=60)
    compiled = FileDescriptorSet.FromString(out.read_bytes())
    assert sorted(one.name for one in compiled.file) == names
    services = {service.name for one in compiled.file for service in one.service}
    assert {"Inference", "Control"} <= services


def test_the_documented_files_are_all_that_a_caller_needs(tmp_path: Path) -> None:
    (listed,) = re.findall(r'PROTOS="(.*?)"', TEXT)
    out = tmp_path / "callers.binpb"
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I", "proto", f"--descriptor_set_out={out}"]
    subprocess.run([*protoc, "--include_imports", *listed.split()], cwd=ROOT, check=True, timeout=60)
    files = {one.name for one in FileDescriptorSet.FromString(out.read_bytes()).file}
    assert {name for name in files if not name.startswith("google/protobuf/")} == set(listed.split())
