"""`homebred-fleet` as a process: what the controller's own machine is set up with, and that it serves and ends well."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import COMMANDS, environment
from tests.support.controller import Controller, running_controller
from tests.support.free_ports import free_port

from homebred_fleet.cli.exits import Exit
from homebred_fleet.cli.mounting import COMMANDS as MOUNTED

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "cli.md"


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def fleet(*arguments: str | Path, **variables: str) -> Done:
    """Runs `homebred-fleet`."""
    done = subprocess.run(
        [COMMANDS / "homebred-fleet", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment() | variables,
        timeout=60,
        check=False,
        cwd="/",
    )
    return Done(done.returncode, done.stdout, done.stderr)


def init(folder: Path, *arguments: str) -> Done:
    return fleet("init", folder, "--json", "--http-port", str(free_port()), *arguments)


def test_the_help_names_every_command_and_every_exit_status() -> None:
    out = fleet("--help").out
    assert [name for name in MOUNTED if f"  {name} " not in out] == []
    words = " ".join(out.split())
    assert [status for status in Exit if f"{status.value} " not in words] == []
    assert fleet().out == out


def test_every_command_is_documented() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    text = text[text.index("\n## homebred-fleet\n") :]
    assert [name for name in MOUNTED if f"| `{name} " not in text] == []


def test_the_version_is_the_package_s() -> None:
    assert fleet("--version").out.startswith("homebred-fleet 0.")


def test_a_misspelt_command_is_refused_with_the_one_that_was_meant() -> None:
    done = fleet("innit")
    assert (done.status, done.out) == (2, "")
    assert "Did you mean 'init'" in done.err
    assert "next:  see `homebred-fleet --help`" in done.err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"]])
def test_help_pays_for_no_server_and_no_database(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["homebred-fleet", *{arguments!r}]
from homebred_fleet.cli import main
main()
sys.stderr.write(" ".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert {"fastapi", "uvicorn", "sqlalchemy", "paho", "cryptography"} & set(done.stderr.split()) == set()


def test_what_runs_before_the_check_of_pythons_version_is_valid_on_an_older_one() -> None:
    import homebred_fleet  # noqa: PLC0415

    package = Path(str(homebred_fleet.__file__)).parent
    for name in ("__init__.py", "__main__.py", "python_floor.py", "cli/__init__.py"):
        ast.parse((package / name).read_text(encoding="utf-8"), feature_version=(3, 10))


def test_init_makes_all_that_a_controller_needs_and_says_what_to_do_next(tmp_path: Path) -> None:
    done = fleet("init", tmp_path / "fleet", "--host", "fleet.example", "--host", "10.0.0.7")
    assert (done.status, done.err) == (0, "")
    (fingerprint,) = {word for word in done.out.split() if word.startswith("sha256:")}
    assert len(fingerprint) == len("sha256:") + 64
    for said in (
        "mosquitto -c",
        "homebred-fleet serve --config",
        "homebred enroll https://fleet.example:8443",
        "offline",
    ):
        assert said in done.out
    settings = tomllib.loads((tmp_path / "fleet" / "fleet.toml").read_text())
    assert settings["identity"]["names"][:2] == ["fleet.example", "10.0.0.7"]
    assert (settings["http"]["listen"], settings["broker"]["public_host"]) == ("0.0.0.0", "fleet.example")  # noqa: S104
    profile = tomllib.loads((tmp_path / "fleet" / "admin.toml").read_text())
    assert profile["url"] == "https://fleet.example:8443"
    assert all((tmp_path / "fleet" / profile[name]).is_file() for name in ("authorities", "certificate", "key"))
    again = fleet("init", tmp_path / "fleet")
    assert "nothing is missing" in again.out
    (tmp_path / "fleet" / "controller" / "client.key").unlink()
    refused = fleet("init", tmp_path / "fleet")
    assert refused.status == Exit.FAILED
    assert "client.key is not" in refused.err
    assert "next:  bring the key back" in refused.err


def test_a_fleet_is_looked_after_on_the_controllers_own_machine(tmp_path: Path) -> None:
    made = init(tmp_path / "fleet", "--broker-port", "18883").json
    config = tmp_path / "fleet" / "fleet.toml"
    shown = fleet("broker", "config", "--config", config)
    assert "listener 18883 127.0.0.1" in shown.out
    assert "pattern write hb/1/default/d/%u/state" in shown.out
    changed = fleet("broker", "config", "--write", "--config", config, HOMEBRED_FLEET_BROKER__PORT="18884")
    assert "restart the broker" in changed.out
    assert "listener 18884 127.0.0.1" in (tmp_path / "fleet" / "broker" / "mosquitto.conf").read_text()
    assert made["fingerprint"] in fleet("authority", "show", "--config", config).out
    assert fleet("authority", "renew", "--json", "--config", config).json == {"issuer": 2}
    added = fleet("admins", "add", "anna", "--role", "operator", "--json", "--config", config)
    profile = tomllib.loads(Path(added.json["profile"]).read_text())
    assert profile["certificate"] == "admins/anna.pem"
    again = fleet("admins", "add", "anna", "--role", "admin", "--config", config)
    assert (again.status, "anna is an admin, or was" in again.err) == (Exit.REFUSED, True)
    assert fleet("admins", "remove", "anna", "--config", config).status == 0
    assert fleet("admins", "list", "--json", "--config", config).json == {
        "admins": [{"name": "admin", "role": "admin"}]
    }


def test_serving_without_a_folder_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    done = fleet("serve", "--config", tmp_path / "none.toml")
    assert done.status == Exit.USAGE
    assert "homebred-fleet init" in done.err
    (tmp_path / "fleet.toml").write_text("")
    done = fleet("serve", "--config", tmp_path / "fleet.toml")
    assert done.status == Exit.FAILED
    assert "has no certificate authority" in done.err


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[http]\nport = 0\n[broker]\nprot = 1\n")
    done = fleet("serve", "--config", tmp_path / "fleet.toml", HOMEBRED_FLEET_LOG__LEVEL="loud")
    assert done.status == Exit.USAGE
    for said in ("http.port is 0", "broker.prot is no setting", 'HOMEBRED_FLEET_LOG__LEVEL is "loud"'):
        assert said in done.err


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_controller(tmp_path_factory.mktemp("fleet") / "fleet") as running:
        yield running


def test_a_second_controller_on_the_same_port_is_refused(controller: Controller) -> None:
    done = fleet("serve", "--config", controller.folder.settings)
    assert done.status == Exit.USAGE
    assert f"127.0.0.1:{controller.port} cannot be listened on" in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order_at_either_signal(controller: Controller, number: signal.Signals) -> None:
    assert controller.process is not None
    os.kill(controller.process.pid, number)
    assert controller.process.wait(20) == 0
    ends = [one["event"] for one in controller.log if "broker" not in one["event"]]  # it may come about meanwhile
    controller.start()
    assert ends[-2:] == ["stopping", "stopped"]
