"""A release that was built, in its folder: its manifest, and whether its bytes are there.

It changes nothing in it. Whether anybody signed the manifest, metadata says, not the folder.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from homebred_fleet.adapters.plain_files import opened
from homebred_fleet.adapters.release_stage import BLOBS, MANIFEST
from homebred_fleet.errors import RequestError
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import read_release
from homebred_protocol.documents.release_values import FRAME_BYTES, ReleaseManifest
from homebred_protocol.targets import MAX_TARGET_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How a release's bytes are, by digest."""

    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    """Of another length, of other bytes where they were read, or no plain file."""
    strangers: tuple[str, ...]
    """Names among the blobs that the manifest does not name."""

    @property
    def is_whole(self) -> bool:
        """Whether all that the manifest names is there."""
        return not (self.missing or self.damaged)


class ReleaseFolder:
    """One release's folder, whoever wrote it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = folder / BLOBS

    def manifest(self) -> tuple[ReleaseManifest, bytes]:
        """The manifest and its bytes. Raises RequestError."""
        return read_manifest_file(self._folder / MANIFEST)

    def condition(self, manifest: ReleaseManifest, *, reads: bool) -> Condition:
        """What is there of the release's bytes; `reads` has every byte of it digested."""
        expected = {file.digest: file.length for file in manifest.files}
        missing, damaged = [], []
        for digest, length in sorted(expected.items()):
            is_sound = self._is_sound(digest, length, reads=reads)
            if is_sound is None:
                missing.append(digest)
            elif not is_sound:
                damaged.append(digest)
        names = {digest.removeprefix("sha256:") for digest in expected}
        found = {path.name for path in self._blobs.iterdir()} if self._blobs.is_dir() else set()
        return Condition(missing=tuple(missing), damaged=tuple(damaged), strangers=tuple(sorted(found - names)))

    def blob(self, digest: str) -> Path:
        """Where a file of it lies, if it does."""
        return self._blobs / digest.removeprefix("sha256:")

    def _is_sound(self, digest: str, length: int, *, reads: bool) -> bool | None:
        """None: there is nothing of that name."""
        path = self.blob(digest)
        try:
            with opened(path) as file:
                if os.fstat(file.fileno()).st_size != length:
                    return False
                return not reads or digest == _digest_of(file)
        except FileNotFoundError:
            return None
        except OSError:  # a link, no plain file, or not to be read
            return False


def _digest_of(file: IO[bytes]) -> str:
    whole = hashlib.sha256()
    while piece := file.read(FRAME_BYTES):
        whole.update(piece)
    return f"sha256:{whole.hexdigest()}"


def read_manifest_file(path: Path) -> tuple[ReleaseManifest, bytes]:
    """The manifest in a file, and its bytes.

    Raises:
        RequestError: there is none, or it says what a device would refuse; with every problem found.
    """
    try:
        with opened(path, follows_link=True) as file:
            body = file.read(MAX_TARGET_BYTES + 1)
    except OSError as error:
        hint = "name a folder that `homebred-fleet release build` made, or the manifest.json in it"
        raise RequestError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
    try:
        return read_release(body), body
    except DocumentError as error:
        listed = "\n  ".join(problem.sentence() for problem in error.problems)
        raise RequestError(f"{path} is no release: {listed}", hint="build it again, or fetch it again") from None
