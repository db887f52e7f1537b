"""Small disks that fill: a tmpfs of the test's own where it may mount one, and a bound on a process's files."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_FILLER = "filler"
_BLOCK = bytes(65_536)


@contextmanager
def small_disk(folder: Path, *, megabytes: int, read_only: bool = False) -> Iterator[Path]:
    """A file system of its own at `folder`; the test is skipped where none may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0700" + (",ro" if read_only else "")
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root, outside of a locked container, can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leaves no room on a disk."""
    with (folder / _FILLER).open("wb", buffering=0) as filler:
        for block in (_BLOCK, b"\0"):
            try:
                while True:
                    filler.write(block)
            except OSError:
                continue


def make_room(folder: Path) -> None:
    """Takes the filler away again."""
    (folder / _FILLER).unlink()


def bound_files(pid: int, max_bytes: int) -> None:
    """No file of that process may grow beyond this; -1: as far as it likes."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (max_bytes, hard))


def without_rights(command: list[str]) -> list[str]:
    """The command as somebody to whom file modes apply; root would write everywhere."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search,-fowner", *command]
