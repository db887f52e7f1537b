"""What the controller serves of two repositories' folders, as they are published at each moment.

A publication changes one symbolic link, so that whatever is found behind it belongs together; what was read is kept
until the link names something else. Neither repository has to be there: then nothing can be assigned, and no device
is told anything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.metadata import TargetFile
from typing_extensions import override

from homebred_fleet.adapters.tuf_repository.director import OnlineDirector
from homebred_fleet.adapters.tuf_repository.folder import file_name, published_metadata, read, root_numbers
from homebred_fleet.adapters.tuf_repository.keys import open_key
from homebred_fleet.core.director import Assigned, Standing, Wanted
from homebred_fleet.core.repository_rules import ROOT, TOP_ROLES
from homebred_fleet.errors import StateError
from homebred_fleet.ports.directing import Image
from homebred_fleet.ports.director import DeviceMetadata, Director, StopSigner
from homebred_fleet.ports.intents import SignedStop, Stop
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Target

NO_DIRECTOR = "see docs/signing.md: `homebred-fleet director init`, sign, publish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The newest root of a repository that is served."""

    version: int
    digest: str
    """`sha256:…` of its file."""


class PublishedImage(Image):
    """The image repository; from any thread."""

    def __init__(self, published: Path) -> None:
        self._published = published
        self._lock = threading.Lock()
        self._generation: Path | None = None
        self._targets: dict[str, Assigned] = {}

    @property
    def folder(self) -> Path | None:
        """What is served now; None: nothing was published yet."""
        return _generation(self._published)

    @property
    def newest_root(self) -> Root | None:
        """What devices pin that are enrolled now; None: nothing was published yet, or it cannot be read."""
        return _newest_root(self._published)

    @override
    def find(self, target: Target) -> Assigned | None:
        with self._lock:
            generation = self.folder
            if generation != self._generation:
                self._targets = {} if generation is None else _targets_in(generation)
                self._generation = generation
            return self._targets.get(target.path)

    @override
    def body(self, assigned: Assigned) -> bytes:
        folder, _, name = assigned.path.rpartition("/")
        try:
            return (self._published / "targets" / folder / f"{assigned.sha256}.{name}").read_bytes()
        except OSError as error:
            raise StateError(
                f"the bytes of {assigned.path} cannot be read: {error.strerror}",
                hint="`homebred-fleet repository check`, and publish it once more",
            ) from error


class FolderDirector(Director, StopSigner):
    """The director over its folder and the controller's online key, which it reads when it is first asked."""

    def __init__(self, published: Path, key: Path, *, started_at_s: int) -> None:
        self._published = published
        self._key = key
        self._started_at_s = started_at_s
        self._lock = threading.Lock()
        self._generation: Path | None = None
        self._director: OnlineDirector | None = None

    @property
    def folder(self) -> Path | None:
        """Where its roots are served from; None: nothing was published yet."""
        return _generation(self._published)

    @property
    def newest_root(self) -> Root | None:
        """What devices pin that are enrolled now; None: nothing was published yet, or it cannot be read."""
        return _newest_root(self._published)

    @property
    @override
    def root_expires_at_s(self) -> int:
        return self._now().root_expires_at_s

    @override
    def following(self, wanted: Wanted, last: Standing | None, now_s: int) -> DeviceMetadata | None:
        return self._now().following(wanted, last, now_s)

    @override
    def signed(self, stop: Stop) -> SignedStop:
        return self._now().signed(stop)

    @override
    def has_signed(self, order: SignedStop) -> bool:
        return self._now().has_signed(order)

    def _now(self) -> OnlineDirector:
        with self._lock, self._in_our_words():
            generation = self.folder
            if generation is None:
                raise StateError(f"there is no director in {self._published.parent}", hint=NO_DIRECTOR)
            if self._director is None or generation != self._generation:
                signer = open_key(self._key, "")
                self._director = OnlineDirector(generation, signer, started_at_s=self._started_at_s)
                self._generation = generation
            return self._director

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StateError(
                f"the director in {self._published.parent} cannot be read: {error.strerror}",
                hint="let the controller's user read that folder and the online key, or restore them from a backup",
            ) from error


def _newest_root(published: Path) -> Root | None:
    """What is unreadable offers nothing here: enrolment and renewal do not hang on it, and whoever signs is told."""
    try:
        generation = _generation(published)
        numbers = () if generation is None else root_numbers(generation)
        if generation is None or not numbers:
            return None
        body = read(generation / "metadata" / file_name(ROOT, numbers[-1]))
    except (OSError, StateError):
        return None
    return Root(version=numbers[-1], digest=digest_of(body))


def _generation(published: Path) -> Path | None:
    return published.resolve() if published.exists() else None


def _targets_in(generation: Path) -> dict[str, Assigned]:
    """All targets by path, of all roles but the one that delegates to them."""
    found = published_metadata(generation)
    signed = (metadata.signed for role, metadata in found.items() if role not in TOP_ROLES)
    return {
        path: Assigned(path=path, length=file.length, sha256=file.hashes["sha256"], site=_site_of(file))
        for one in signed
        for path, file in one.targets.items()
    }


def _site_of(file: TargetFile) -> str:
    custom = file.custom
    return str(custom.get("site", "")) if isinstance(custom, dict) else ""
