"""Base models and adapters by the digest of what they hold: put in whole or not at all, checked, taken out.

    sha256/<hex>             files, by the digest of their bytes (`blob_files.py`)
    sha256-folders/<hex>/    folders, by the digest of their listing (`blob_folders.py`)

A file could hold a folder's listing, so a digest alone does not say which of the two is meant. It does not know who
needs a blob, and locks nothing: the model store does both.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from homebred_daemon.adapters.blob_files import FileBlobs
from homebred_daemon.adapters.blob_folders import FolderBlobs
from homebred_daemon.adapters.blob_names import Progress

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}
"""A link is not to be had there, whoever asks."""


class Form(enum.Enum):
    """What a blob is."""

    FILE = "file"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Blob:
    """The name of one blob."""

    form: Form
    digest: str
    """`sha256:` of the file's bytes, or of the folder's listing."""


class BlobStore:
    """All blobs below one folder."""

    def __init__(self, folder: Path) -> None:
        self._kept: dict[Form, FileBlobs | FolderBlobs] = {
            Form.FILE: FileBlobs(folder / "sha256"),
            Form.FOLDER: FolderBlobs(folder / "sha256-folders"),
        }

    def path(self, blob: Blob) -> Path:
        """Where a blob stands, if it does."""
        return self._kept[blob.form].path(blob.digest)

    def size(self, blob: Blob) -> int | None:
        """A blob's size in bytes; None: absent."""
        return self._kept[blob.form].size(blob.digest)

    def is_intact(self, blob: Blob, progress: Progress) -> bool:
        """Whether a blob is there and every byte of it as it was put in."""
        return self._kept[blob.form].is_intact(blob.digest, progress)

    def fingerprint(self, blob: Blob) -> tuple[tuple[str, int, int, int, int], ...]:
        """Of each file of a blob what tells whether it was touched: name, inode, size, when written, when changed.

        Whoever writes to a file, or puts another in its place, cannot keep the time of its change (inode(7)).
        Raises OSError.
        """
        path = self.path(blob)
        files = [path, *sorted(path.rglob("*"))] if blob.form is Form.FOLDER else [path]
        found = ((str(each), each.lstat()) for each in files)
        return tuple((name, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for name, it in found)

    def find(self, digest: str, progress: Progress) -> Blob | None:
        """The intact blob of a digest, a file before a folder."""
        blobs = (Blob(form, digest) for form in Form)
        return next((blob for blob in blobs if self.is_intact(blob, progress)), None)

    def add(self, source: Path, blob: Blob, progress: Progress) -> None:
        """Takes a copy of a file or folder, durably; a blob that is there is replaced.

        Raises:
            RequestError: the source no longer has that digest.
        """
        self._kept[blob.form].add(source, blob.digest, progress)

    def adopt(self, source: Path, blob: Blob, progress: Progress) -> None:
        """As `add`, without a copy where the file system can: `source` is this product's own, its digest just found."""
        try:
            self._kept[blob.form].adopt(source, blob.digest)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.add(source, blob, progress)

    def remove_all_but(self, needed: AbstractSet[Blob]) -> int:
        """Takes out what is not needed; bytes freed."""
        freed_bytes = 0
        for form, kept in self._kept.items():
            for digest in list(kept.digests()):
                if Blob(form, digest) not in needed:
                    freed_bytes += kept.size(digest) or 0
                    kept.remove(digest)
        return freed_bytes

    def remove_leftovers(self) -> None:
        """Removes what a killed writer left; the caller knows that none is at work."""
        for kept in self._kept.values():
            kept.remove_leftovers()
