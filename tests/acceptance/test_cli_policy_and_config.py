"""`homebred policy` and `homebred config`: documents shown and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tests.support.command_line import homebred

from homebred_daemon.settings import known_keys


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_default_policy_passes_its_own_check(tmp_path: Path) -> None:
    printed = homebred("policy", "default")
    assert (printed.status, printed.err) == (0, "")
    file = written(tmp_path / "policy.toml", printed.out)
    ended = homebred("policy", "check", file)
    assert (ended.status, ended.err) == (0, "")
    assert f"{file} is a valid policy" in ended.out


def test_what_is_wrong_with_a_policy_is_said_line_by_line(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "version = 1\nescalaton = true\n\n[drafting]\nspeed = 'fast'\n")
    ended = homebred("policy", "check", file)
    assert (ended.status, ended.err) == (1, "")
    first, second = ended.out.splitlines()
    assert first.startswith(f"{file}:2: escalaton is not a known key; ")
    assert second == f"{file}:5: drafting.speed is a string; write a number"


def test_what_is_wrong_is_told_as_json_too(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "air_gap = true\nfloor = 1\n")
    ended = homebred("policy", "check", file, "--json")
    assert ended.status == 1
    (record,) = ended.lines
    assert list(record) == ["file", "digest", "valid", "problems", "warnings"]
    assert record["valid"] is False
    assert list(record["problems"][0]) == ["file", "line", "key", "what", "hint"]
    assert (record["problems"][0]["line"], record["problems"][0]["key"]) == (2, "floor")


def test_what_may_not_be_meant_is_a_warning(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "air_gap = true\n")
    ended = homebred("policy", "check", file, "--json")
    assert ended.status == 0
    assert any("air_gap = true wins" in warning for warning in ended.lines[0]["warnings"])
    assert "warning: air_gap = true wins" in homebred("policy", "check", file).out


def test_a_policy_is_judged_under_the_ceiling_that_will_bound_it(tmp_path: Path) -> None:
    file = written(tmp_path / "p.toml", "version = 1\n")
    ceiling = written(tmp_path / "c.toml", "air_gap = true\nescalation = false\n")
    assert homebred("policy", "check", file, "--ceiling", ceiling, "--json").lines[0]["warnings"] == []
    written(ceiling, "air_gap = 3\n")
    ended = homebred("policy", "check", file, "--ceiling", ceiling)
    assert ended.status == 1
    assert ended.out.startswith(f"{ceiling}:1: air_gap is an integer")


def test_a_policy_that_cannot_be_read_is_no_answer_but_an_error(tmp_path: Path) -> None:
    ended = homebred("policy", "check", tmp_path / "absent.toml")
    assert (ended.status, ended.out) == (2, "")
    assert "cannot be read" in ended.err


def test_settings_are_shown_as_toml_with_their_origins(tmp_path: Path) -> None:
    file = written(tmp_path / "h.toml", "[engine]\nthreads = 3\n")
    environ = {"HOMEBRED_CONFIG": str(file), "HOMEBRED_LOG__LEVEL": "debug"}
    ended = homebred("config", "show", "--link", "up", environ=environ)
    assert (ended.status, ended.err) == (0, "")
    shown = tomllib.loads(ended.out)
    assert (shown["engine"]["threads"], shown["log"]["level"], shown["link"]["state"]) == (3, "debug", "up")
    origins = {line.split(" ")[0]: line.rpartition("  # ")[2] for line in ended.out.splitlines() if "  # " in line}
    assert origins["threads"] == f"{file}:2"
    assert origins["level"] == "HOMEBRED_LOG__LEVEL"
    assert origins["state"] == "--link"
    assert origins["slots"] == "default"


def test_settings_are_shown_as_json_whole(tmp_path: Path) -> None:
    file = written(tmp_path / "h.toml", "[engine]\nthreads = 3\n")
    ended = homebred("config", "show", "--config", file, "--json")
    (record,) = ended.lines
    assert record["file"] == str(file)
    assert list(record["settings"]) == [".".join(key) for key in known_keys()]
    assert record["settings"]["engine.threads"] == {"value": 3, "origin": "file", "place": f"{file}:2"}
    assert record["settings"]["policy.file"] == {"value": None, "origin": "default", "place": ""}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_wrong_settings_are_refused_where_they_stand(tmp_path: Path, options: tuple[str, ...]) -> None:
    file = written(tmp_path / "h.toml", "[engine]\nthreads = 'x'\n")
    ended = homebred("config", "show", "--config", file, *options)
    assert ended.status == 2
    assert f"{file}:2: threads is " in (ended.lines[0]["error"]["message"] if options else ended.err)
