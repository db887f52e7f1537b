"""The command line as a process: help, version, completion, errors, and which modules it pays for."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.command_line import COMMANDS, environment, homebred

import homebred_daemon
import homebred_fleet
from homebred_daemon.cli.exits import Exit
from homebred_daemon.cli.mounting import COMMANDS as MOUNTED

PACKAGE = Path(str(homebred_daemon.__file__)).parent
RUN_BEFORE_THE_CHECK = [
    *(PACKAGE / name for name in ("__init__.py", "__main__.py", "python_floor.py", "cli/__init__.py")),
    Path(str(homebred_fleet.__file__)).parent / "cli/__init__.py",
    Path(str(homebred_fleet.__file__)).parent / "python_floor.py",
]
MAIN_OF = {
    "homebred": "homebred_daemon.cli",
    "homebredd": "homebred_daemon.__main__",
    "homebred-fleet": "homebred_fleet.cli",
}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "cli.md"
OWN_COMMANDS = ["route", "redact", "replay", "policy", "config", "doctor"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )


def test_without_arguments_the_help_is_shown() -> None:
    bare, asked = homebred(), homebred("--help")
    assert (bare.status, bare.out) == (0, asked.out)


def test_the_help_names_every_command_and_every_exit_status() -> None:
    out = homebred("--help").out
    assert [name for name in MOUNTED if f"  {name} " not in out] == []
    words = " ".join(out.split())
    assert [status for status in Exit if f"{status.value} " not in words] == []


def test_every_command_and_exit_status_is_documented() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    assert [name for name in MOUNTED if f"\n## homebred {name}\n" not in text] == []
    assert [status for status in Exit if f"\n| {status.value} |" not in text] == []


@pytest.mark.parametrize("name", OWN_COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    ended = homebred(name, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"Usage: homebred {name}" in ended.out
    assert "--install-completion" not in ended.out


def test_the_version_is_the_package_s() -> None:
    assert homebred("--version").out.startswith("homebred 0.")


def test_a_misspelt_command_is_refused_with_the_one_that_was_meant() -> None:
    ended = homebred("rout")
    assert (ended.status, ended.out) == (2, "")
    assert "Did you mean 'route'" in ended.err
    assert "next:  see `homebred --help`" in ended.err


def test_a_missing_option_is_refused_with_the_command_that_explains_it() -> None:
    ended = homebred("replay")
    assert (ended.status, ended.out) == (2, "")
    assert "Missing option '--ledger'" in ended.err
    assert "next:  see `homebred replay --help`" in ended.err


def test_a_group_without_a_command_is_refused() -> None:
    ended = homebred("policy")
    assert (ended.status, ended.out) == (2, "")
    assert "Missing command" in ended.err


def test_an_error_is_json_where_json_was_asked_for() -> None:
    ended = homebred("doctor", "--json", "--frobnicate")
    assert (ended.status, ended.err) == (2, "")
    assert ended.lines[0]["error"]["code"] == "bad_usage"


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        ("homebred re", ["redact", "replay", "review"]),
        ("homebred policy ", ["default", "check", "show", "set", "reset"]),
        ("homebred route --re", ["--registry"]),
    ],
)
def test_shells_are_told_how_to_complete(words: str, completions: list[str]) -> None:
    position = str(len(words.split(" ")) - 1)
    environ = {"_HOMEBRED_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
    assert homebred(environ=environ).out.split() == completions


def test_a_reader_that_goes_away_is_no_defect() -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [COMMANDS / "homebred", "policy", "default"],
        stdout=write,
        stderr=subprocess.PIPE,
        env=environment(),
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], {"pydantic", "rich", "grpc", "sqlite3", "asyncio"}),
        (["--version"], {"pydantic", "rich", "grpc", "sqlite3", "asyncio"}),
        (["policy", "default"], {"pydantic_settings", "rich", "grpc", "sqlite3"}),
        (["route", "--help"], {"pydantic_settings", "rich", "grpc", "sqlite3"}),
        (["doctor", "--help"], {"pydantic_settings", "rich", "grpc", "sqlite3"}),
    ],
)
def test_a_command_loads_only_what_it_needs(arguments: list[str], unneeded: set[str]) -> None:
    code = f"""
import sys
sys.argv = ["homebred", *{arguments!r}]
from homebred_daemon.cli import main
status = main()
sys.stderr.write(" ".join(sys.modules))
sys.exit(status)
"""
    ended = python(code)
    assert ended.returncode == 0
    assert unneeded & set(ended.stderr.split()) == set()


def test_finding_the_socket_loads_no_pydantic() -> None:
    ended = python("import homebred_daemon.config_sources, sys; print('pydantic' in sys.modules)")
    assert ended.stdout == "False\n"


@pytest.mark.parametrize("program", MAIN_OF)
def test_an_older_python_is_refused_by_name(program: str) -> None:
    code = f"""
import sys
sys.version_info = (3, 10, 13, "final", 0)
import {MAIN_OF[program]} as module
sys.exit(module.main())
"""
    ended = python(code)
    assert ended.returncode == 2
    assert f"error: {program} needs Python 3.11 or newer" in ended.stderr
    assert "is Python 3.10.13" in ended.stderr


def test_what_runs_before_that_check_is_valid_on_the_older_python() -> None:
    for path in RUN_BEFORE_THE_CHECK:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
