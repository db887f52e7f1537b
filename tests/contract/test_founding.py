"""What `homebred-fleet init` makes: whole or to be completed, never overwritten, whatever ended the run before it."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

import pytest
from tests.support.broker import Broker, found, now_s, running_broker
from tests.support.free_ports import free_port
from tests.support.mqtt_client import clients

from homebred_fleet.adapters.fleet_folder import FleetFolder
from homebred_fleet.app import appointing, founding
from homebred_fleet.config import load
from homebred_fleet.core.admins import Admin
from homebred_fleet.errors import ConfigurationError, StateError
from homebred_protocol.mqtt import Connected

LEAVES = ["controller/server", "broker/server", "controller/client", "admins/admin"]


class KilledError(BaseException):
    """The process is gone."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is whole; tests take copies."""
    return found(tmp_path_factory.mktemp("made") / "fleet", broker_port=18883, http_port=18443).path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> FleetFolder:
    shutil.copytree(made, tmp_path / "fleet")
    return FleetFolder(tmp_path / "fleet")


def again(folder: FleetFolder) -> list[str]:
    """What another run makes; it asks for other ports and hosts, which change nothing."""
    plan = founding.Plan(hosts=("other.example",), http_port=1, broker_port=2)
    return [one.relative_to(folder.path).as_posix() for one in founding.found(folder, plan, now_s()).made]


def files(folder: FleetFolder) -> dict[str, bytes]:
    """All but the database, whose bytes may change with every look at it."""
    every = {path.relative_to(folder.path).as_posix(): path for path in folder.path.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in every.items() if "fleet.db" not in name}


def test_no_key_can_be_read_by_others_and_what_is_for_this_machine_listens_to_it_alone(folder: FleetFolder) -> None:
    secret = [*folder.path.rglob("*.key"), folder.path / "state" / "fleet.db", folder.broker_access]
    assert len(secret) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    settings = tomllib.loads(folder.settings.read_text())
    assert (settings["http"]["listen"], settings["broker"]["listen"]) == ("127.0.0.1", "127.0.0.1")


def test_another_run_changes_nothing_whatever_it_is_asked(folder: FleetFolder) -> None:
    before = files(folder)
    assert again(folder) == []
    assert files(folder) == before


@pytest.mark.parametrize("lost", [*(f"{name}.pem" for name in LEAVES), "broker/mosquitto.conf", "admin.toml"])
def test_what_is_missing_is_made_for_the_keys_that_are_there(folder: FleetFolder, lost: str) -> None:
    before = files(folder)
    (folder.path / lost).unlink()
    assert again(folder) == [lost]
    after = files(folder)
    assert {name for name in before if before[name] != after[name]} <= {lost}


@pytest.mark.parametrize("lost", [f"{name}.key" for name in ("authority/issuing-1", *LEAVES)])
def test_a_certificate_whose_key_is_gone_is_refused_by_name(folder: FleetFolder, lost: str) -> None:
    (folder.path / lost).unlink()
    with pytest.raises(StateError, match=lost.rpartition("/")[2]):
        again(folder)


def test_a_roots_key_may_be_away_and_a_root_may_not(folder: FleetFolder) -> None:
    folder.root(1).key.unlink()
    assert again(folder) == []
    folder.root(1).certificate.unlink()
    with pytest.raises(StateError, match="an issuer and no root"):
        again(folder)


@pytest.mark.parametrize("number", range(0, 40, 3))
def test_whatever_write_was_the_last_one_another_run_completes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The n-th flush to the disk never comes back: files are left as they are at that moment."""
    left, flush = [number], os.fsync

    def dying(descriptor: int) -> None:
        if not left[0]:
            raise KilledError
        left[0] -= 1
        flush(descriptor)

    folder = FleetFolder(tmp_path / "fleet")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dying)
        try:
            found(folder.path, broker_port=18883, http_port=18443)
        except KilledError:
            pass
        else:
            assert left[0] >= 0
    found(folder.path, broker_port=18883, http_port=18443)
    assert again(folder) == []


@pytest.mark.thorough("a process for each of 45 writes takes its minutes")
@pytest.mark.parametrize("number", range(45))
def test_a_process_that_is_gone_at_any_write_leaves_what_another_completes(tmp_path: Path, number: int) -> None:
    code = f"""
import os, sys
flushed, left = os.fsync, [{number}]
def fsync(descriptor):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    flushed(descriptor)
os.fsync = fsync
sys.argv = ["homebred-fleet", "init", {str(tmp_path / "fleet")!r}, "--json"]
from homebred_fleet.cli import main
sys.exit(main())
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    folder = found(tmp_path / "fleet", broker_port=18883)
    assert again(folder) == []


def test_a_folder_that_cannot_be_written_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "fleet").write_text("a file")
    with pytest.raises(StateError, match=str(tmp_path / "fleet")):
        found(tmp_path / "fleet", broker_port=18883)


def test_a_user_that_there_is_not_is_refused(tmp_path: Path) -> None:
    plan = founding.Plan(broker_user="nobody-is-called-so")
    with pytest.raises(ConfigurationError, match="no user"):
        founding.found(FleetFolder(tmp_path / "fleet"), plan, now_s())


@pytest.mark.parametrize(("name", "role"), [("Anna", "viewer"), ("a+b", "viewer"), ("", "viewer"), ("anna", "king")])
def test_nobody_becomes_an_admin_whose_name_or_role_cannot_be(folder: FleetFolder, name: str, role: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be an admin"):
        appointing.appoint(load(folder.settings, {}, {}), Admin(name=name, role=role), now_s())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a broker as another user")
def test_a_broker_that_root_starts_reads_its_own_files_as_its_own_user_and_nothing_else(
    make_reachable: Callable[[], Path],
) -> None:
    port = free_port()
    folder = FleetFolder(make_reachable() / "fleet")
    founding.found(folder, founding.Plan(http_port=free_port(), broker_port=port), now_s())
    assert load(folder.settings, {}, {}).broker.user == "mosquitto"
    broker = Broker(folder, port)
    broker.start()
    try:
        with clients(port) as make:
            assert isinstance(make("clinic-1", broker.device("clinic-1")).connect(), Connected)
        for secret in (folder.issuing(1).key, folder.controller.key, folder.path / "state" / "fleet.db"):
            as_broker = ["runuser", "-u", "mosquitto", "--", "cat", str(secret)]
            assert subprocess.run(as_broker, check=False, capture_output=True).returncode != 0
        broker.authority.write_revocations((), now_s=now_s())
        assert folder.revocation_list.owner() == "mosquitto"
    finally:
        broker.stop()


@pytest.fixture
def make_reachable(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A folder that other users can come to: pytest's own are closed."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("open")
        for parent in (folder, *folder.parents):
            if parent.owner() == "root" and parent.is_relative_to(gettempdir()) and str(parent) != gettempdir():
                parent.chmod(parent.stat().st_mode | 0o011)
        return folder

    return make


def test_the_broker_of_a_founded_fleet_starts(tmp_path: Path) -> None:
    with running_broker(tmp_path / "fleet") as broker:
        assert broker.process is not None
