"""Sticks with the file systems that sticks have: FAT32 and exFAT, mounted for real, by the kernel or by FUSE.

Where neither can mount one the test is skipped, and says what was tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTES = 300
MAKERS = {
    "FAT32": ["mkfs.vfat", "-F", "32"],
    "exFAT": ["mkfs.exfat"],
    "ext3": ["mkfs.ext3", "-q", "-b", "1024"],
}
"""What formats an image, by the file system's name. An ext3 of such small blocks takes no file above 17 GB."""


@contextmanager
def stick(folder: Path, kind: str) -> Iterator[Path]:
    """A new stick of a kind, mounted below `folder`."""
    image, place = folder / f"{kind}.img", folder / kind
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(MEGABYTES * 1_000_000)
    if os.geteuid() != 0 or not _run(*MAKERS[kind], str(image)):
        pytest.skip(f"only root can mount a stick, and {MAKERS[kind][0]} must be here")
    with _attached(image) as device:
        if not _mounted(kind, device, image, place):
            pytest.skip(f"neither this kernel nor FUSE can mount {kind} here")
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)


@contextmanager
def _attached(image: Path) -> Iterator[str]:
    """A loop device of the image."""
    found = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"there are no loop devices here: {found.stderr.strip()}")
    device = found.stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def _mounted(kind: str, device: str, image: Path, place: Path) -> bool:
    kernels = {"FAT32": "vfat", "exFAT": "exfat", "ext3": "ext3"}
    if _run("mount", "-t", kernels[kind], device, str(place)):
        return True
    if kind == "exFAT":
        return _run("mount.exfat-fuse", device, str(place))
    return kind == "FAT32" and _run("fusefat", "-o", "rw+", str(image), str(place))


def _run(*command: str) -> bool:
    """Whether it is here, and ended well."""
    program = shutil.which(command[0], path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    return (
        program is not None
        and subprocess.run([program, *command[1:]], capture_output=True, check=False).returncode == 0
    )
