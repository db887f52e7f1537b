"""A machine that systemd runs: a Debian tree booted by systemd-nspawn, with a fresh root each time. Needs root.

nspawn is told nothing of this machine's own systemd, which need not run: it gets cgroups of its own, is asked by
nsenter, and halts when it is told to. It is never killed: its systemd would stay behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.committed_files import ROOT

TREE = ROOT / ".cache" / "booted" / "bookworm"
CGROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "unified")
"""Those of a machine with both kinds of cgroups; where they are missing, nspawn finds its own way."""
BOOT_WITHIN_S = 60.0
HALT_WITHIN_S = 60.0
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
# An execve that the kernel lets a service refuse devices and addresses (BPF) needs both of these.
OPTIONS = [
    "--boot",
    "--volatile=overlay",
    "--console=pipe",
    "--register=no",
    "--keep-unit",
    "--private-network",
    "--kill-signal=SIGRTMIN+3",
    "--capability=CAP_BPF",
    "--system-call-filter=bpf",
]


class BootedMachine:
    """One machine that is up."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        """Its systemd, as this machine counts processes."""

    def run(self, *command: str, user: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command there, as root or as another user."""
        as_user = ["runuser", "-u", user, "--"] if user else []
        inside = ["env", "-i", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), *as_user, *command]
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "-r", "-w", "--", *inside],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def says(self, *command: str, user: str = "") -> str:
        """What a command prints, without the last line's end."""
        return self.run(*command, user=user).stdout.rstrip("\n")

    def property_of(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.says("systemctl", "show", "--value", "-p", name, unit)

    def wait_until(self, unit: str, name: str, value: str, within_s: float = 30.0) -> None:
        """Waits until a unit's property has a value."""
        deadline_s = time.monotonic() + within_s
        while (found := self.property_of(unit, name)) != value:
            assert time.monotonic() < deadline_s, f"{unit}: {name} is {found}, not {value}\n{self.journal(unit)}"
            time.sleep(0.1)

    def journal(self, unit: str) -> str:
        """All that a unit has logged, for people."""
        return self.says("journalctl", "-u", unit, "--no-pager", "-o", "short-precise")

    def path(self, inside: str) -> Path:
        """Where a file of that machine is seen from here."""
        return Path(f"/proc/{self.leader}/root{inside}")


@contextmanager
def booted(name: str, *shared: str, tree: Path = TREE) -> Iterator[BootedMachine]:
    """A machine, for as long as the context lasts; `shared` are folders as nspawn's --bind-ro= takes them."""
    name = f"{name}-{os.getpid()}"
    own = [CGROUPS / hierarchy / name for hierarchy in HIERARCHIES if (CGROUPS / hierarchy).is_dir()]
    for group in own:
        group.mkdir()
    joins = "".join(f"echo $$ > {group}/cgroup.procs; " for group in own)
    command = ["systemd-nspawn", "-D", str(tree), "-M", name, *OPTIONS, *(f"--bind-ro={path}" for path in shared)]
    environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with (TREE.parent / f"{name}.log").open("wb") as log:
        container = subprocess.Popen(
            ["sh", "-c", f'{joins}exec "$@"', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        machine = BootedMachine(_leader(container))
        _wait_until_up(machine)
        yield machine
    finally:
        container.send_signal(signal.SIGTERM)
        container.wait(HALT_WITHIN_S)
        for group in own:
            _remove(group)
        (TREE.parent / f"{name}.log").unlink()


def _leader(container: subprocess.Popen[bytes]) -> int:
    """The container's systemd, once there is one."""
    deadline_s = time.monotonic() + BOOT_WITHIN_S
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children")
    while time.monotonic() < deadline_s:
        assert container.poll() is None, "systemd-nspawn ended"
        for child in children.read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return int(child)
        time.sleep(0.05)
    raise AssertionError("systemd did not come up")


def _wait_until_up(machine: BootedMachine) -> None:
    deadline_s = time.monotonic() + BOOT_WITHIN_S
    while time.monotonic() < deadline_s:
        state = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
        if state in ("running", "degraded"):
            return
        time.sleep(0.05)
    raise AssertionError("the machine did not finish booting")


def _remove(group: Path) -> None:
    """Removes a cgroup and all below it, the deepest first."""
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    group.rmdir()
