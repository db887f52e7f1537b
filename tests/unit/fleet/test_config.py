"""Where the controller's settings come from, and what is said when one is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT

from homebred_fleet.config import load
from homebred_fleet.errors import ConfigurationError
from homebred_fleet.settings_file import settings_text


def is_setting(line: str) -> bool:
    return line.startswith("[") or re.match(r"# [a-z_]+ = ", line) is not None


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.toml"
    path.write_text(text)
    return path


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[http]\nport = 1001\nlisten = '10.0.0.1'\n[broker]\nport = 1883\n")
    environ = {"HOMEBRED_FLEET_HTTP__PORT": "1002", "HOMEBRED_FLEET_BROKER__RELOAD_COMMAND": '["kill", "-1"]'}
    settings = load(path, {"broker.port": "1884"}, environ)
    assert (settings.http.port, settings.http.listen, settings.broker.port) == (1002, "10.0.0.1", 1884)
    assert settings.broker.reload_command == ("kill", "-1")


def test_the_files_own_folder_is_the_controllers(tmp_path: Path) -> None:
    settings = load(write(tmp_path, ""), {}, {})
    assert settings.paths.folder == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/state/fleet.db"
    assert settings.broker_for_devices == ("127.0.0.1", 8883)


def test_variables_of_a_daemon_on_the_same_machine_are_left_alone(tmp_path: Path) -> None:
    environ = {"HOMEBRED_FLEET__MAX_OUTBOX_MB": "7", "HOMEBRED_FLEET_PROFILE": "admin.toml"}
    assert load(write(tmp_path, ""), {}, environ) == load(write(tmp_path, ""), {}, {})


def test_the_variable_of_the_file_names_it_and_sets_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, "[http]\nport = 1001\n")
    assert load(None, {}, {"HOMEBRED_FLEET_CONFIG": str(path), "HOMEBRED_FLEET_PROFILE": "x"}).http.port == 1001


def test_every_problem_is_named_by_who_said_it(tmp_path: Path) -> None:
    path = write(tmp_path, "[http]\nport = 0\nprot = 1\n[brokr]\nport = 1\n")
    with pytest.raises(ConfigurationError) as refused:
        load(path, {"identity.token_hours": "0"}, {"HOMEBRED_FLEET_BROKER__PORT": "x"})
    for said in (
        f"{path}: http.port is 0",
        f"{path}: http.prot is no setting",
        f"{path}: brokr is no setting",
        'HOMEBRED_FLEET_BROKER__PORT is "x"',
        'the flag of identity.token_hours is "0"',
    ):
        assert said in refused.value.message


@pytest.mark.parametrize("text", ["[http", "http = 1", '[paths]\nfolder = "relative"'])
def test_a_file_that_is_none_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=str(path)):
        load(path, {}, {})


def test_a_file_that_is_not_there_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(tmp_path / "none.toml", {}, {})
    assert "homebred-fleet init" in refused.value.hint


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    values: dict[str, dict[str, object]] = {"http": {"port": 1001}, "identity": {"names": ("a.example", "10.0.0.1")}}
    settings = load(write(tmp_path, settings_text(values)), {}, {})
    assert (settings.http.port, settings.identity.names) == (1001, ("a.example", "10.0.0.1"))


def test_the_packages_settings_file_names_every_setting_with_its_default() -> None:
    path = ROOT / "packaging" / "config" / "fleet.toml"
    assert path.read_text() == settings_text({}), "write it anew from homebred_fleet.settings_file.settings_text({})"
    shown = "".join(line.removeprefix("# ") + "\n" for line in path.read_text().splitlines() if is_setting(line))
    assert tomllib.loads(shown)["broker"]["port"] == 8883
