"""The house's own rules: what stands where, what is documented and tested, what no committed file may hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT, committed_files

DAEMON = ROOT / "daemon" / "homebred_daemon"
FLEET = ROOT / "fleet" / "homebred_fleet"
PACKAGES = ("daemon/homebred_daemon", "engines/homebred_engines", "fleet/homebred_fleet", "proto/homebred_protocol")
TWINNED = [
    (part, path)
    for part, package in (("daemon", DAEMON), ("fleet", FLEET))
    for folder in ("core", "services")
    for path in sorted((package / folder).rglob("*.py"))
    if path.name != "__init__.py"
]

# Newer than the worker's oldest interpreter; the way out beside each.
NEWER_THAN_3_10 = {
    "tomllib": "parse TOML in the daemon and hand the values over",
    "asyncio.TaskGroup": "own a set of tasks",
    "asyncio.timeout": "asyncio.wait_for",
    "asyncio.Runner": "asyncio.run",
    "enum.StrEnum": "class X(str, enum.Enum)",
    "datetime.UTC": "datetime.timezone.utc",
    "typing.Self": "the class's name",
    "typing.assert_never": "typing_extensions.assert_never",
    "typing.override": "typing_extensions.override",
    "ExceptionGroup": "raise the first one",
    "BaseExceptionGroup": "raise the first one",
}

HTTP_CLIENTS = {
    "httpx2",
    "httpcore2",
    "http.client",
    "urllib.request",
    "asyncio.open_connection",
    "socket.create_connection",
}

# Written in two halves, so that this file does not hold what it looks for.
NOWHERE = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "ana" + "conda.org",
    "npm" + "js.org",
    "index" + "-url",
    "/wo" + "rk/",
    "/ro" + "ot/",
    "/ho" + "me/",
    "/Us" + "ers/",
]


def doc_sentence(path: Path) -> str:
    beginning = path.read_text().partition("\nfrom __future__")[0]  # to parse it all takes a second for all modules
    return (ast.get_docstring(ast.parse(beginning)) or "").partition("\n")[0]


@pytest.mark.parametrize("folder", ["packaging", "tests"])
def test_no_package_hides_one_of_the_same_name(folder: str) -> None:
    assert list((ROOT / folder).rglob("__init__.py")) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package_with_a_sentence_that_says_what_it_is(package: str) -> None:
    folders = {path.parent for path in committed_files(f"{package}/*.py")}
    assert folders
    for folder in folders:
        assert doc_sentence(folder / "__init__.py").endswith((".", ":")), folder


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_does(package: str) -> None:
    modules = [path for path in committed_files(f"{package}/*.py") if "_pb2" not in path.name]
    assert [str(path.relative_to(ROOT)) for path in modules if not doc_sentence(path)] == []


def test_every_module_of_core_and_services_has_its_twin() -> None:
    twins = [ROOT / "tests/unit" / part / f"test_{module.stem}.py" for part, module in TWINNED]
    assert len(twins) > 100
    assert [twin.relative_to(ROOT) for twin in twins if not twin.is_file()] == []


def test_every_document_of_the_protocol_has_its_twin() -> None:
    modules = (ROOT / "proto/homebred_protocol").glob("**/[a-z]*.py")
    twins = [ROOT / "tests/unit/protocol" / f"test_{path.stem}.py" for path in modules if "_pb2" not in path.name]
    assert len(twins) > 10
    assert [twin.relative_to(ROOT) for twin in twins if not twin.is_file()] == []


def test_what_runs_on_a_sites_own_interpreter_needs_no_newer_python_than_3_10() -> None:
    paths = committed_files("engines/*.py", "proto/*.py")
    trees = {path: ast.parse(path.read_text(), path, feature_version=(3, 10)) for path in paths}
    newer = [(path.name, name) for path, tree in trees.items() for name in names_used(tree) if name in NEWER_THAN_3_10]
    assert [(path, name, NEWER_THAN_3_10[name]) for path, name in newer] == []


def test_the_gate_alone_can_call_a_cloud_and_three_modules_the_fleet_and_this_device_itself() -> None:
    texts = {path: path.read_text() for path in committed_files("daemon/homebred_daemon/*.py")}
    callers = {
        path.relative_to(DAEMON).as_posix()
        for path, text in texts.items()
        if re.search("http|urllib|_connection", text) and {*names_used(ast.parse(text))} & HTTP_CLIENTS
    }
    assert all(re.search("http|urllib|_connection", name) for name in HTTP_CLIENTS)
    assert callers == {f"adapters/{name}.py" for name in ("egress", "fleet_https", "blobs_https", "loopback")}


def test_who_calls_the_controller_knows_no_task() -> None:
    tree = ast.parse((DAEMON / "adapters" / "fleet_https.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {module.removeprefix("homebred_daemon.") for module in modules if module.startswith("homebred_daemon.")} == {
        "adapters",  # fleet_tls
        "adapters.device_certificates",
        "adapters.partial_document",
        "core.enrolling",
        "errors",
        "ports.clock",
        "ports.identity",
    }


def test_who_fetches_releases_knows_no_task() -> None:
    tree = ast.parse((DAEMON / "adapters" / "blobs_https.py").read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert {module.removeprefix("homebred_daemon.") for module in modules if module.startswith("homebred_daemon.")} == {
        "adapters",  # fleet_tls
        "core.transfer",
        "errors",
        "ports.identity",
        "ports.transfer",
    }


def names_used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield module
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                yield f"{owner}.{attribute}"
            case ast.Name(id=name):
                yield name


def test_a_newer_name_would_be_noticed() -> None:
    written = "import tomllib\nfrom typing import Self\nasyncio.timeout(1)\nraise ExceptionGroup('', [])"
    assert len(NEWER_THAN_3_10.keys() & set(names_used(ast.parse(written)))) == 4
    with pytest.raises(SyntaxError):
        ast.parse("try: pass\nexcept* ValueError: pass", feature_version=(3, 10))


def test_no_committed_file_names_a_registry_or_somebodys_machine() -> None:
    found = []
    for path in committed_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in NOWHERE if word in text]
    assert found == []


def test_every_locked_requirement_has_a_version_and_a_hash_and_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-zA-Z0-9])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
