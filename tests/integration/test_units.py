"""The units and what the package adds to them, without installing either."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.committed_files import ROOT

from homebred_daemon.app.assembling import STOP_GRACE_S
from homebred_daemon.app.running import ENDING_S
from homebred_daemon.app.surroundings import GATEWAY_SOCKET_NAME, SOCKET_NAME
from homebred_daemon.config import load

UNITS = ROOT / "packaging" / "systemd"
SERVICE = (UNITS / "homebred.service").read_text()
SOCKET = (UNITS / "homebred.socket").read_text()
GATEWAY = (UNITS / "homebred-gateway.socket").read_text()
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="THE UNITS ARE NOT CHECKED HERE: apt install systemd"
)


def setting(unit: str, name: str) -> str:
    """A directive's one value."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", unit)
    return str(value)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units where no package is: with a program and a user that every machine has."""
    runnable = SERVICE.replace("/usr/bin/homebredd", "/bin/true").replace("=homebred\n", "=root\n")
    (tmp_path / "homebred.service").write_text(runnable.replace("Directory=root", "Directory=homebred"))
    (tmp_path / "homebred.socket").write_text(SOCKET.replace("SocketGroup=homebred", "SocketGroup=root"))
    (tmp_path / "homebred-gateway.socket").write_text(GATEWAY)
    return tmp_path


@needs_analyze
def test_systemd_finds_nothing_wrong_with_the_units(installed: Path) -> None:
    verify = ["systemd-analyze", "verify", *map(str, sorted(installed.iterdir()))]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_systemd_finds_nothing_wrong_with_the_drop_in_of_a_device_in_a_fleet(installed: Path) -> None:
    drop_ins = installed / "homebred.service.d"
    drop_ins.mkdir()
    shutil.copy(UNITS / "fleet.conf", drop_ins)
    verify = ["systemd-analyze", "verify", str(installed / "homebred.service")]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_analyze
def test_the_service_is_exposed_to_little() -> None:
    judge = ["systemd-analyze", "security", "--offline=true", "--threshold=10", str(UNITS / "homebred.service")]
    done = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_packaged_settings_are_those_of_the_units(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "packaging" / "tools" / "build_deb.py"))
    (tmp_path / "homebred.toml").write_text(script["packaged_settings"]())
    settings = load(tmp_path / "homebred.toml", {}, {})
    assert settings.paths.runtime_dir == Path("/run", setting(SERVICE, "RuntimeDirectory"))
    assert settings.paths.state_dir == Path("/var/lib", setting(SERVICE, "StateDirectory"))
    assert settings.paths.socket == Path(setting(SOCKET, "ListenStream"))
    assert settings.access.group == setting(SOCKET, "SocketGroup")


def test_the_socket_does_not_lie_where_the_services_end_removes_it() -> None:
    removed = Path("/run", setting(SERVICE, "RuntimeDirectory"))
    assert not Path(setting(SOCKET, "ListenStream")).is_relative_to(removed)


def test_the_socket_has_the_name_that_the_daemon_looks_for() -> None:
    assert setting(SOCKET, "FileDescriptorName") == SOCKET_NAME
    assert setting(GATEWAY, "FileDescriptorName") == GATEWAY_SOCKET_NAME


def test_the_gateways_socket_is_that_of_the_service_at_the_address_of_the_settings() -> None:
    own = load(None, {}, {}, Path("/nowhere")).gateway
    assert setting(GATEWAY, "ListenStream") == f"{own.address}:{own.port}"
    assert setting(GATEWAY, "Service") == "homebred.service"


def test_systemd_waits_longer_than_the_end_takes() -> None:
    drain_s = load(None, {}, {}, Path("/nowhere")).requests.drain_s
    assert float(setting(SERVICE, "TimeoutStopSec")) > drain_s + STOP_GRACE_S + ENDING_S


def test_the_device_lock_holds_what_the_lock_of_the_project_holds() -> None:
    pins = {
        path.name: dict(re.findall(r"(?m)^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", path.read_text()))
        for path in (ROOT / "requirements.lock", ROOT / "packaging" / "locks" / "device.lock")
    }
    device, project = pins["device.lock"], pins["requirements.lock"]
    assert {"grpcio", "xllamacpp"} <= device.keys()
    assert device.items() <= project.items()
    assert not {"pytest", "torch", "numpy", "nfpm"} & device.keys()


def test_the_device_lock_has_hashes_and_no_address() -> None:
    text = (ROOT / "packaging" / "locks" / "device.lock").read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")
