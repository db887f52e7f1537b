"""Both repositories' published files and the files of releases, for what is carried: `ports.bundling` over folders.

What was published together is read together: a publication changes one link, and what is behind it never changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from homebred_fleet.adapters.blob_folder import BlobFolder
from homebred_fleet.adapters.tuf_repository.folder import published_metadata
from homebred_fleet.adapters.tuf_repository.metadata import expires_at_s
from homebred_fleet.core.director import Assigned
from homebred_fleet.core.repository_rules import TOP_ROLES
from homebred_fleet.errors import StateError
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import read_target, role_of
from homebred_protocol.trusted_files import director_metadata, image_metadata, image_target, is_trusted_file

_ROOT: Final = re.compile(r"[1-9][0-9]{0,15}\.root\.json")
_IMAGE: Final = "image/"


class BundleSources:
    """Fulfils `ports.bundling.SignedSources` and `BlobLengths`; from any thread."""

    def __init__(
        self, image: Callable[[], Path | None], director_roots: Callable[[], Path | None], blobs: BlobFolder
    ) -> None:
        """Takes where each repository is served from now; None: nothing was published yet."""
        self._image = image
        self._director_roots = director_roots
        self._blobs = blobs

    def image_metadata(self) -> Mapping[str, bytes]:
        """As the port says."""
        return _files(_published(self._image(), "the image repository"), image_metadata())

    def director_roots(self) -> Mapping[str, bytes]:
        """As the port says."""
        found = _files(_published(self._director_roots(), "the director's root"), director_metadata("d"))
        return {name: body for name, body in found.items() if _ROOT.fullmatch(name)}

    def expires_at_s(self, targets: Iterable[Assigned]) -> int:
        """As the port says."""
        image = published_metadata(_published(self._image(), "the image repository"))
        director = published_metadata(_published(self._director_roots(), "the director's root"))
        signed = (read_target(one.path) for one in targets)
        roles = {*TOP_ROLES, *(role_of(one.kind, one.group) for one in signed if one is not None)}
        needed = [image[role] for role in roles if role in image]
        return min(expires_at_s(one) for one in (*needed, *director.values()))

    def target(self, assigned: Assigned) -> bytes | None:
        """As the port says."""
        digest = f"sha256:{assigned.sha256}"
        folder = _published(self._image(), "the image repository")
        try:
            body = (folder / image_target(assigned.path, digest).removeprefix(_IMAGE)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(folder, error) from error
        return body if digest_of(body) == digest else None

    def length_of(self, digest: str) -> int | None:
        """As the port says."""
        path = self._blobs.path_of(digest)
        return None if path is None else path.stat().st_size


def _published(folder: Path | None, what: str) -> Path:
    if folder is None:
        raise StateError(f"{what} was never published", hint="see docs/signing.md: sign it, then publish it")
    return folder


def _files(folder: Path, prefix: str) -> dict[str, bytes]:
    try:
        found = sorted(path for path in (folder / "metadata").iterdir() if is_trusted_file(prefix + path.name))
        return {path.name: path.read_bytes() for path in found}
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> StateError:
    return StateError(f"what is published in {folder} cannot be read: {error.strerror}")
