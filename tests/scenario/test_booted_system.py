"""The package as a device has it: installed on a Debian 12 that systemd has booted, called through systemd's socket.

Figures that were found are printed; run it with -s to see them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.booted_machine import TREE, BootedMachine, booted
from tests.support.committed_files import ROOT
from tests.support.specialists import write_specialist
from tests.support.tiny_gguf import write_tiny_gguf

from homebred_daemon import messages

pytestmark = [
    pytest.mark.booted,
    pytest.mark.thorough("a machine is made and booted: three minutes"),
    pytest.mark.xdist_group("booted"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("apt-get") is None,
        reason="THE SERVICE IS NOT TESTED HERE: it takes root to boot a machine, and Debian or Ubuntu to make its tree",
    ),
]
SERVICE, SOCKET = "homebred.service", "homebred.socket"
CANARY = "Xylophonia"
ROWS = tuple({"input": f"Say {number}", "expected": f"Say {number}"} for number in range(60))
READY_WITHIN_S = 10.0
IDLE_MEGABYTES = 72.0
"""Of a daemon that is watched by systemd and has just started; the bound of the bench is held on a quiet machine."""
LOAD_TINY = "from homebred_protocol.client import Control; Control().load_model('tiny')"
READ_FIGURES = (
    "import socket; door = socket.socket(socket.AF_UNIX); door.connect('/run/homebred/daemon/metrics.sock'); "
    "door.sendall(b'GET /metrics HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'); print(door.makefile().read())"
)
EXPOSURE = 20
"""Of systemd-analyze security, in tenths."""


@pytest.fixture(scope="module")
def offered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is carried to the machine: the package, and two specialists."""
    folder = tmp_path_factory.mktemp("offered")
    folder.chmod(0o755)
    build = [sys.executable, "packaging/tools/build_deb.py", "--output", str(folder), "--compression", "none"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    write_specialist(folder / "parrot", rows=ROWS)
    write_specialist(
        folder / "tiny", "tiny", engine="llamacpp", base='file = "tiny.gguf"', workflow="mumble", model=None
    )
    write_tiny_gguf(folder / "tiny" / "tiny.gguf")
    return folder


@pytest.fixture(scope="module")
def device(offered: Path) -> Iterator[BootedMachine]:
    """A machine with the package and a specialist; the user kiosk may call, the user stranger may not."""
    subprocess.run([ROOT / "packaging/tools/make_tree.sh", TREE], check=True)
    with booted("homebred", f"{offered}:/offered") as machine:
        machine.run("sh", "-c", "dpkg -i /offered/*.deb")
        machine.run("useradd", "--groups", "homebred", "kiosk")
        machine.run("useradd", "stranger")
        machine.run("homebred", "models", "add", "/offered/parrot", user="homebred")
        machine.run("homebred", "models", "evaluate", "parrot", user="homebred")
        yield machine


@pytest.fixture(autouse=True)
def _running(device: BootedMachine) -> None:
    """Whatever the test before has done."""
    device.run("systemctl", "start", SOCKET, SERVICE)


def asked(device: BootedMachine, text: str = "hello", user: str = "kiosk") -> str:
    """What the daemon answers."""
    return device.says("homebred", "ask", text, "--workflow", "say.again", "--class", "patient", user=user)


def entries(device: BootedMachine, unit: str = SERVICE) -> list[dict[str, str]]:
    """What the journal has of a unit."""
    lines = device.says("journalctl", "-u", unit, "-o", "json", "--no-pager", "--all").splitlines()
    return [json.loads(line) for line in lines]


def main_process(device: BootedMachine) -> str:
    return device.property_of(SERVICE, "MainPID")


def start_s(device: BootedMachine) -> float:
    """Time from the start of the process to READY=1."""
    began, ready = (
        int(device.property_of(SERVICE, f"{event}TimestampMonotonic")) for event in ("InactiveExit", "ActiveEnter")
    )
    return (ready - began) / 1e6


def test_the_service_says_that_it_is_ready_and_how_it_stands(device: BootedMachine) -> None:
    device.run("systemctl", "restart", SERVICE)  # systemctl returns at READY=1
    assert device.property_of(SERVICE, "ActiveState") == "active"
    assert device.property_of(SERVICE, "StatusText").startswith("answering 0")
    print(f"\nREADY {start_s(device):.2f} s after the start of the process")
    assert start_s(device) < READY_WITHIN_S


def test_an_idle_daemon_is_small(device: BootedMachine) -> None:
    device.run("systemctl", "restart", SERVICE)
    time.sleep(5)
    status = device.path(f"/proc/{main_process(device)}/status").read_text()
    resident = {
        line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6
        for line in status.splitlines()
        if "Rss" in line or "RSS" in line
    }
    print("\nidle daemon: " + ", ".join(f"{name} {megabytes:.1f} MB" for name, megabytes in resident.items()))
    assert resident["VmRSS"] < IDLE_MEGABYTES


def test_a_member_of_the_group_asks_and_is_answered_through_systemds_socket(device: BootedMachine) -> None:
    assert asked(device) == "hello"
    assert json.loads(device.says("homebred", "status", "--json", user="kiosk"))["outcomes"]["answer"] >= 1
    ready = [entry for entry in entries(device) if entry.get("MESSAGE_ID") == messages.READY.message_id][-1]
    assert ready["HOMEBRED_SOCKET_FROM"] == "inherited"
    assert ready["HOMEBRED_SERVICE_MANAGER"] == "systemd-python"


def test_a_stranger_is_refused(device: BootedMachine) -> None:
    refused = device.run("homebred", "status", user="stranger", check=False)
    assert (refused.returncode, refused.stdout) == (3, "")
    private = device.run("ls", "/run/homebred/daemon", "/var/lib/homebred", user="kiosk", check=False)
    assert private.stdout == ""
    assert private.stderr.count("Permission denied") == 2


def test_the_first_call_starts_the_service(device: BootedMachine) -> None:
    device.run("systemctl", "stop", SERVICE, SOCKET)
    device.run("systemctl", "start", SOCKET)
    assert device.property_of(SERVICE, "ActiveState") == "inactive"
    began_s = time.monotonic()
    assert asked(device) == "hello"
    print(f"\nfirst call to a service that did not run: {time.monotonic() - began_s:.2f} s")
    assert device.property_of(SERVICE, "ActiveState") == "active"


def test_a_daemon_that_hangs_is_killed_and_started_again_and_callers_are_answered(device: BootedMachine) -> None:
    folder = f"/run/systemd/system/{SERVICE}.d"
    device.run(
        "sh", "-c", f"mkdir -p {folder}; printf '[Service]\\nWatchdogSec=2\\nRestartSec=200ms\\n' > {folder}/fast.conf"
    )
    device.run("systemctl", "daemon-reload")
    device.run("systemctl", "restart", SERVICE)
    assert asked(device) == "hello"
    before, restarts = main_process(device), int(device.property_of(SERVICE, "NRestarts"))
    time.sleep(3)
    assert main_process(device) == before, "a daemon that is well is left alone"
    began_s = time.monotonic()
    device.run("kill", "-STOP", before)
    device.wait_until(SERVICE, "NRestarts", str(restarts + 1))
    assert asked(device, "again") == "again"
    print(f"\nhung, killed, started and answering again: {time.monotonic() - began_s:.1f} s")
    assert main_process(device) != before
    assert "Watchdog timeout" in device.journal(SERVICE)
    device.run("rm", "-r", folder)
    device.run("systemctl", "daemon-reload")


def test_the_journal_has_fields_and_no_content(device: BootedMachine) -> None:
    device.run("homebred", "drain", check=False)
    device.run("homebred", "drain", "--resume", check=False)
    assert asked(device, f"{CANARY} has the canary").startswith(CANARY)
    device.run("systemctl", "restart", SERVICE)
    found = entries(device)
    ours = [entry for entry in found if entry.get("SYSLOG_IDENTIFIER") == "homebredd" and "MESSAGE_ID" in entry]
    known = {event.message_id: event for event in messages.EVENTS}
    assert {"ready", "stopping", "stopped", "worker_started"} <= {entry["HOMEBRED_EVENT"] for entry in ours}
    for entry in ours:
        event = known[entry["MESSAGE_ID"]]
        assert (entry["HOMEBRED_EVENT"], entry["PRIORITY"]) == (event.name, str(event.severity.value))
        assert "HOMEBRED_REFUSED_FIELDS" not in entry
    assert CANARY not in json.dumps(found)
    explained = device.says("journalctl", "-x", "-o", "cat", f"MESSAGE_ID={messages.READY.message_id}", "--no-pager")
    assert "Ready after" in explained


def test_the_socket_outlives_the_service_and_nothing_else_does(device: BootedMachine) -> None:
    assert asked(device) == "hello"
    inode = device.says("stat", "-c", "%i", "/run/homebred/homebred.sock")
    device.run("systemctl", "stop", SERVICE)
    assert device.run("pgrep", "-u", "homebred", check=False).stdout == ""
    assert not device.path("/run/homebred/daemon").exists()
    assert device.property_of(SERVICE, "Result") == "success"
    assert device.says("stat", "-c", "%i %a %G", "/run/homebred/homebred.sock") == f"{inode} 660 homebred"


def test_the_embedded_engine_runs_in_the_services_sandbox(device: BootedMachine) -> None:
    device.run("homebred", "models", "add", "/offered/tiny", user="homebred")
    loaded = device.run("/usr/lib/homebred/bin/python3", "-IsE", "-c", LOAD_TINY, check=False)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr + device.journal(SERVICE)
    workers = json.loads(device.says("homebred", "status", "--json"))["workers"]
    assert "llamacpp" in {worker["engine"] for worker in workers}


def test_every_library_that_the_package_needs_is_named_by_its_dependencies(device: BootedMachine) -> None:
    """The tree has what the package depends on, and little else."""
    look = "find /usr/lib/homebred -name '*.so*' -exec ldd {} + | grep 'not found' || true"
    assert device.says("sh", "-c", look) == ""


def test_the_sandbox_bites(device: BootedMachine) -> None:
    """nspawn says nothing where it cannot do what a directive asks for: so it is looked at from within."""
    inside = ["nsenter", "-t", main_process(device), "-n", "--", "sh", "-c", "cat /proc/net/dev | grep -vc lo:"]
    assert device.says(*inside) == "2", "two lines of headings: no network but the loopback"
    facts = dict(
        line.split(":\t")
        for line in device.says("cat", f"/proc/{main_process(device)}/status").splitlines()
        if ":\t" in line
    )
    assert (facts["CapBnd"], facts["NoNewPrivs"], facts["Seccomp"]) == ("0" * 16, "1", "2")
    mounts = device.says("cat", f"/proc/{main_process(device)}/mountinfo").splitlines()
    assert any(line.split()[4] == "/" and line.split()[5].startswith("ro") for line in mounts)


def test_the_units_exposure_is_low(device: BootedMachine) -> None:
    verdict = device.says("systemd-analyze", "security", "--no-pager", f"--threshold={EXPOSURE}", SERVICE).splitlines()[
        -1
    ]
    print(f"\n{verdict}")


def test_a_wrong_setting_is_said_and_the_service_heals_once_it_is_corrected(device: BootedMachine) -> None:
    settings = device.path("/etc/homebred/homebred.toml")
    sound = settings.read_text()
    settings.write_text(
        sound + "\n[engine]\nslots = 0\n" if "[engine]" not in sound else sound.replace("slots = 4", "slots = 0")
    )
    device.run("systemctl", "restart", SERVICE, check=False)
    assert "slots is 0" in device.journal(SERVICE)
    settings.write_text(sound)
    device.wait_until(SERVICE, "ActiveState", "active")


def test_a_member_of_the_group_reads_the_figures_out_of_the_sandbox_and_a_stranger_does_not(
    device: BootedMachine,
) -> None:
    settings = device.path("/etc/homebred/homebred.toml")
    sound = settings.read_text()
    before, section, after = sound.partition("[metrics]\n")
    wanted = 'socket = "/run/homebred/daemon/metrics.sock"\ngroup = "homebred"'
    settings.write_text(before + section + after.replace('group = ""', wanted, 1))
    device.run("systemctl", "restart", SERVICE)
    assert asked(device, CANARY) == CANARY
    shown = device.says("python3", "-c", READ_FIGURES, user="kiosk")
    assert 'homebred_tasks_total{status="answer"} 1' in shown
    assert CANARY not in shown
    assert device.run("python3", "-c", READ_FIGURES, user="stranger", check=False).returncode != 0
    settings.write_text(sound)
    device.run("systemctl", "restart", SERVICE)
    assert device.run("python3", "-c", READ_FIGURES, user="kiosk", check=False).returncode != 0


def test_an_upgrade_keeps_the_socket_and_the_models(device: BootedMachine) -> None:
    inode = device.says("stat", "-c", "%i", "/run/homebred/homebred.sock")
    device.run("sh", "-c", "dpkg -i /offered/*.deb")
    assert device.says("stat", "-c", "%i", "/run/homebred/homebred.sock") == inode
    assert asked(device) == "hello"
