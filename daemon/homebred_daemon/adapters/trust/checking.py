"""The Update Framework's own client over both repositories: what is verified now, and what it says of targets.

The one module that imports tuf, and only a short-lived child process imports it (34 MB, 0.2 s). It opens no connection
and no file of the device: what it holds came with the order, what it needs it asks for, what it found it hands back.
It takes the time from the order, since a device's clock may be wrong by years. It decides nothing about a target.

What is handed back to be kept: every root that was verified, since it may take a stolen key away; of the rest all or
nothing. Metadata of half a look would raise floors for whoever can serve files and holds no key: another device's
timestamp, signed by the director that all have in common, has the higher version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.ngclient import Updater
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from typing_extensions import override

from homebred_daemon.core.trust import DIRECTOR, IMAGE
from homebred_daemon.core.trust_refusals import Reason
from homebred_protocol.digests import digest_of
from homebred_protocol.targets import MAX_TARGETS, read_target, role_of
from homebred_protocol.trusted_files import (
    DEVICE_FIELD,
    MAX_FILE_BYTES,
    REPOSITORY_FIELD,
    director_metadata,
    image_metadata,
)

Ask = Callable[[str, int], bytes]
"""A file by its name, of at most so many bytes. Raises Withheld."""
MAX_ROLES: Final = 256
NEW_ROOTS: Final = 256
"""In one look; a chain that is longer is walked in several."""
_ROOTS, _ROOT_NAME = "root_history", ".root.json"
_ABSENT: Final = 404


class Withheld(exceptions.DownloadError):
    """A file was not handed out."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the device has of a repository."""

    pinned: bytes
    """The root that it was enrolled with."""
    files: Mapping[str, bytes]
    """By name: `root_history/2.root.json`, `timestamp.json`."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What became of a look at one repository; `record` is its form on the pipe."""

    files: Mapping[str, bytes]
    root: int = 0
    keys: str = ""
    versions: Mapping[str, int] = field(default_factory=dict)
    expires_at_s: int = 0
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    withheld: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Reason and detail, by target: its role could not be verified, while others could."""
    device: str = ""
    refusal: tuple[str, str] | None = None
    """Reason and detail; None: it was verified whole."""


class _Files(FetcherInterface):
    """Fetches by asking; a root of another repository never comes in."""

    def __init__(self, ask: Ask, repository: str) -> None:
        self._ask = ask
        self._repository = repository

    @override
    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter((self.download_bytes(url, MAX_FILE_BYTES),))

    @override
    def download_bytes(self, url: str, max_length: int) -> bytes:
        """The file in memory: the framework's own way leads through the disk."""
        try:
            body = self._ask(url, min(max_length, MAX_FILE_BYTES))
        except Withheld as error:
            if error.reason is Reason.ABSENT:
                raise exceptions.DownloadHTTPError(f"{url} is not there", _ABSENT) from error
            raise
        if url.endswith(_ROOT_NAME):
            _require_of(Metadata[Root].from_bytes(body).signed, self._repository)
        return body


class _Repository(Updater):
    """One repository, at a given time, in a folder of its own."""

    def __init__(self, folder: Path, base: str, held: Held, ask: Ask, *, now: datetime, most_delegations: int) -> None:
        (folder / _ROOTS).mkdir(parents=True)
        for name, body in held.files.items():
            (folder / name).write_bytes(body)
        config = UpdaterConfig(
            max_root_rotations=NEW_ROOTS + len(held.files),
            max_delegations=most_delegations,
            targets_max_length=MAX_FILE_BYTES,
            snapshot_max_length=MAX_FILE_BYTES,
        )
        super().__init__(str(folder), base, fetcher=_Files(ask, folder.name), config=config, bootstrap=held.pinned)
        _require_of(self._trusted_set.root, folder.name)
        self._trusted_set.reference_time = now  # else the clock's, of this moment

    @property
    def root(self) -> Root:
        return self._trusted_set.root

    @property
    def snapshot(self) -> Snapshot:
        return self._trusted_set.snapshot

    @property
    def own_targets(self) -> Targets:
        return self._trusted_set.targets

    def versions(self) -> dict[str, int]:
        """Of every role but root, whether it was looked at or not."""
        named = {name.removesuffix(".json"): meta.version for name, meta in self.snapshot.meta.items()}
        return {**named, Timestamp.type: self._trusted_set.timestamp.version, Snapshot.type: self.snapshot.version}

    def expires_at_s(self) -> int:
        return min(int(signed.expires.timestamp()) for signed in iter(self._trusted_set))

    def role(self, name: str) -> Targets | None:
        found = self._trusted_set.get(name)
        return found if isinstance(found, Targets) else None


def check(image: Held, director: Held, *, device: str, now_s: int, ask: Ask) -> tuple[Found, Found]:
    """Looks at the director first, then at the image repository for what the director names."""
    now = datetime.fromtimestamp(now_s, UTC)
    with tempfile.TemporaryDirectory() as folder:
        base = director_metadata(device)
        wanted = _looked(Path(folder, DIRECTOR), base, director, ask, now=now, most_delegations=0, see=_see_director)
        paths = list(wanted.targets)

        def see(repository: _Repository, found: Found) -> None:
            for path in paths:
                _see_target(repository, path, found)

        base = image_metadata()
        return _looked(Path(folder, IMAGE), base, image, ask, now=now, most_delegations=32, see=see), wanted


def _looked(
    folder: Path,
    base: str,
    held: Held,
    ask: Ask,
    *,
    now: datetime,
    most_delegations: int,
    see: Callable[[_Repository, Found], None],
) -> Found:
    found = Found(files=held.files)
    try:
        repository = _Repository(folder, base, held, ask, now=now, most_delegations=most_delegations)
    except (exceptions.RepositoryError, exceptions.DownloadError) as error:
        found.refusal = _reason(error)
        return found
    try:
        repository.refresh()
        _see_whole(repository, found)
        see(repository, found)
        found.files = _kept(folder, found.versions)
    except (exceptions.RepositoryError, exceptions.DownloadError) as error:
        found.refusal = found.refusal or _reason(error)
    if found.refusal is not None:
        roots = _kept(folder, {})
        found.files = {**held.files, **roots}
        found.versions, found.targets = {}, {}
    found.root, found.keys = repository.root.version, _keys(repository.root)
    return found


def _see_whole(repository: _Repository, found: Found) -> None:
    found.versions = repository.versions()
    found.expires_at_s = repository.expires_at_s()
    if len(found.versions) > MAX_ROLES:
        found.refusal = (Reason.TOO_MANY, f"{len(found.versions)} roles")
        raise exceptions.RepositoryError("too many roles")


def _see_director(repository: _Repository, found: Found) -> None:
    targets = repository.own_targets
    found.device = str(targets.unrecognized_fields.get(DEVICE_FIELD, ""))
    found.targets = {path: _described(file, Targets.type) for path, file in targets.targets.items()}


def _see_target(repository: _Repository, path: str, found: Found) -> None:
    """What the image repository says of one target; a role that cannot be verified keeps no other back."""
    try:
        file = repository.get_targetinfo(path)
    except (exceptions.RepositoryError, exceptions.DownloadError) as error:
        found.withheld[path] = _reason(error)
        return
    found.expires_at_s = repository.expires_at_s()
    target = read_target(path)
    if file is None or target is None:
        return
    name = role_of(target.kind, target.group)
    role = repository.role(name)
    if role is not None and len(role.targets) > MAX_TARGETS:
        found.withheld[path] = (Reason.TOO_MANY, f"{name} signs for {len(role.targets)}")
        return
    is_its = role is not None and role.targets.get(path) == file
    found.targets[path] = _described(file, name if is_its else "")


def _require_of(root: Root, repository: str) -> None:
    """Raises Withheld where a root does not say that it is this repository's: its holders may sign both."""
    said = root.unrecognized_fields.get(REPOSITORY_FIELD)
    if said != repository:
        raise Withheld(Reason.WRONG_REPOSITORY, f"root {root.version} is not the {repository}'s")


def _described(file: TargetFile, role: str) -> dict[str, Any]:
    custom: object = file.custom  # the framework looks at no type in there
    facts = custom if isinstance(custom, dict) else {}
    return {"length": file.length, "hashes": file.hashes, "custom": facts, "role": role}


def _kept(folder: Path, versions: Mapping[str, int]) -> dict[str, bytes]:
    """Every root, and the metadata of these roles: all of it verified, as the framework writes nothing else."""
    roots = {f"{_ROOTS}/{path.name}": path.read_bytes() for path in sorted((folder / _ROOTS).iterdir())}
    others = {name: path for role in versions if (path := folder / (name := f"{role}.json")).is_file()}
    return roots | {name: path.read_bytes() for name, path in others.items()}


def _keys(root: Root) -> str:
    """Who signs for timestamp and snapshot: where that changes, versions begin anew (TUF §5.3.11)."""
    said = [
        (name, role.threshold, sorted((keyid, repr(root.keys[keyid].to_dict())) for keyid in role.keyids))
        for name in (Timestamp.type, Snapshot.type)
        for role in (root.roles[name],)
    ]
    return digest_of(repr(said).encode())


_REASONS: Final[tuple[tuple[type[Exception], Reason], ...]] = (
    (exceptions.ExpiredMetadataError, Reason.EXPIRED),
    (exceptions.BadVersionNumberError, Reason.ROLLBACK),
    (exceptions.UnsignedMetadataError, Reason.UNSIGNED),
    (exceptions.LengthOrHashMismatchError, Reason.MISMATCHED),
    (exceptions.DownloadLengthMismatchError, Reason.TOO_LONG),
    (exceptions.DownloadHTTPError, Reason.ABSENT),
    (exceptions.DownloadError, Reason.UNREACHABLE),
    (exceptions.RepositoryError, Reason.MALFORMED),
)
"""The first that fits; the special ones before the general."""


def _reason(error: Exception) -> tuple[str, str]:
    """Reason and detail; of the framework's words a line at most, since they quote what a stranger wrote."""
    if isinstance(error, Withheld):
        return error.reason, error.detail
    said = "".join(sign for sign in str(error) if sign.isprintable())[:200]
    return next(reason for kind, reason in _REASONS if isinstance(error, kind)), said
