"""`homebred doctor`: on this machine, and on interpreters that lack something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.command_line import homebred

from homebred_daemon.cli.engine_checks import engine_findings
from homebred_daemon.cli.finding import Finding


def assert_helps(finding: Finding) -> None:
    assert finding.what
    assert finding.why
    assert finding.next


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


PYTHON = '{"step": "python", "version": [3, 10, 14]}'
PACKAGES = '{"step": "packages", "grpcio": "%s", "protobuf": "%s", "xllamacpp": "%s"}'
WORKER = '{"step": "homebred_engines.worker", "error": "%s"}'
LLAMACPP = '{"step": "xllamacpp", "error": "%s"}'


def statuses(tmp_path: Path, *lines: str, ending: str = "") -> dict[str, str]:
    echoes = "\n".join(f"echo '{line}'" for line in lines)
    findings = engine_findings(program(tmp_path / "python", f"{echoes}\n{ending}"))
    return {finding.check: f"{finding.status}: {finding.what}".replace(str(tmp_path), "") for finding in findings}


def test_an_interpreter_with_everything_is_fine(tmp_path: Path) -> None:
    lines = (PYTHON, PACKAGES % ("1.80.0", "6.33.5", "2026.10.1"), WORKER % "", LLAMACPP % "")
    assert statuses(tmp_path, *lines) == {
        "engine_python": "ok: /python: Python 3.10.14, grpcio 1.80.0, protobuf 6.33.5",
        "engine_llamacpp": "ok: xllamacpp 2026.10.1",
    }


@pytest.mark.parametrize(
    ("grpcio", "protobuf", "found"),
    [("1.79.9", "7.0.0", "grpcio 1.79.9"), ("1.80.0", "6.33.4", "protobuf 6.33.4"), ("", "7.0.0", "no grpcio")],
)
def test_an_interpreter_that_lacks_a_package_is_an_error(
    tmp_path: Path, grpcio: str, protobuf: str, found: str
) -> None:
    lines = (PYTHON, PACKAGES % (grpcio, protobuf, "1"), WORKER % "", LLAMACPP % "")
    assert statuses(tmp_path, *lines)["engine_python"] == f"error: /python has {found}"


def test_an_engine_that_crashes_while_it_is_imported_is_an_error_with_its_signal(tmp_path: Path) -> None:
    lines = (PYTHON, PACKAGES % ("1.80.0", "6.33.5", "1"), WORKER % "")
    found = statuses(tmp_path, *lines, ending="kill -ILL $$")
    assert found["engine_python"].startswith("ok")
    assert found["engine_llamacpp"] == "error: xllamacpp 1 cannot be imported: ended by SIGILL"


def test_an_interpreter_that_does_nothing_is_an_error(tmp_path: Path) -> None:
    found = statuses(tmp_path, ending="echo broken >&2; exit 3")
    assert found["engine_python"] == "error: /python does not run: broken"
    assert found["engine_llamacpp"].startswith("error")


def test_an_interpreter_that_hangs_is_given_up(tmp_path: Path) -> None:
    (worker, _) = engine_findings(program(tmp_path / "python", f"echo '{PYTHON}'; exec sleep 60"), timeout_s=0.2)
    assert "did not end within 0.2 s" in worker.what


def test_an_interpreter_that_is_missing_is_an_error(tmp_path: Path) -> None:
    (finding,) = engine_findings(tmp_path / "python")
    assert finding.what.endswith("cannot be started: No such file or directory")
    assert_helps(finding)


def checks_of(out: str) -> dict[str, str]:
    return {finding["check"]: finding["status"] for finding in json.loads(out)["findings"]}


def test_this_machine_can_serve_models(tmp_path: Path) -> None:
    ended = homebred("doctor", "--json", environ={"HOMEBRED_PATHS__STATE_DIR": str(tmp_path)})
    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out)["healthy"] is True
    found = checks_of(ended.out)
    assert [name for name, status in found.items() if status == "error"] == []
    assert {"python", "configuration", "state_folder", "policy", "engine_python", "engine_llamacpp"} <= set(found)
    for finding in json.loads(ended.out)["findings"]:
        assert list(finding) == ["check", "status", "what", "why", "next"]


def test_a_wrong_setting_is_an_error_that_names_its_variable() -> None:
    ended = homebred("doctor", environ={"HOMEBRED_ENGINE__THREADS": "many"})
    assert ended.status == 1
    assert "HOMEBRED_ENGINE__THREADS" in ended.out
    assert "next: write an integer from 0 up to 1024" in ended.out


def test_an_engine_interpreter_that_is_missing_is_an_error(tmp_path: Path) -> None:
    ended = homebred("doctor", "--json", environ={"HOMEBRED_ENGINE__PYTHON": str(tmp_path / "python")})
    assert ended.status == 1
    assert checks_of(ended.out)["engine_python"] == "error"
