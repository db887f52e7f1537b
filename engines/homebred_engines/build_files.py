"""What a build takes from a folder and what it has made: files, and their digests. It gives no file a meaning."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from homebred_protocol.digests import digest_of_listing

_CHUNK_BYTES = 1 << 20


def digest_of_file(path: Path, *, flushes: bool = False) -> str:
    """`sha256:` of a file's bytes; with `flushes` the disk has them as well afterwards."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        if flushes:
            os.fsync(file.fileno())
    return f"sha256:{digest.hexdigest()}"


def digest_of_files(files: Iterable[Path]) -> str:
    """Of some files of one folder, as the model store names a folder that holds them and nothing else."""
    return digest_of_listing((file.name, digest_of_file(file), file.stat().st_size) for file in files)


def place(source: Path, target: Path) -> None:
    """Puts a file into a build: linked where that works, since models are large, else copied.

    A link is to the file itself, not to its name: it outlives the source's folder.
    """
    real = source.resolve(strict=True)
    try:
        os.link(real, target)
    except OSError:  # another disk, a file of somebody else's, or a file system without links
        shutil.copyfile(real, target)


def place_all(files: Iterable[Path], folder: Path) -> None:
    """Puts files into a new folder of a build, under their own names."""
    folder.mkdir()
    for file in files:
        place(file, folder / file.name)


def digests_below(folder: Path) -> dict[str, str]:
    """Of every file below, by its path there, sorted; the disk has all of them afterwards."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_of_file(path, flushes=True) for path in files}
