"""Whether what is served is what a device would take: roots, thresholds, expiries, lengths, digests, names, numbers.

It looks at the files alone, as a stranger would, and believes nothing that it has not verified. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tuf.api.metadata import DelegatedRole, Root, Snapshot, TargetFile, Targets

from homebred_fleet.adapters.tuf_repository.folder import file_name, read, root_numbers, served_name
from homebred_fleet.adapters.tuf_repository.metadata import (
    AnyMetadata,
    delegated_roles,
    expires_at_s,
    numbers_of,
    parsed,
    purpose_of,
    quorum_of,
    signers_of,
)
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.repository_rules import (
    MAX_METADATA_BYTES,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Freshness,
    custom_of,
    freshness,
)
from homebred_fleet.errors import RequestError, StateError
from homebred_protocol.targets import MAX_TARGETS, Kind, pattern_of, read_target, role_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a device would refuse, or soon will."""

    role: str
    what: str
    expired: bool = False
    """Whether it is nothing but its age."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found."""

    roots: int
    targets: int
    problems: tuple[Problem, ...]


def check(published: Path, now_s: int) -> Checked:
    """Looks at a folder with `metadata` and `targets` in it."""
    looking = _Look(published, now_s)
    with suppress(_StopError):
        looking.everything()
    return Checked(roots=looking.roots, targets=looking.targets, problems=tuple(looking.problems))


class _StopError(Exception):
    """What all else hangs on is wrong."""


class _Look:
    """One look; a problem that nothing else hangs on does not end it."""

    def __init__(self, published: Path, now_s: int) -> None:
        self._published = published
        self._now_s = now_s
        self.problems: list[Problem] = []
        self.roots = 0
        self.targets = 0

    def everything(self) -> None:
        root = self._root()
        if purpose_of(root) is Purpose.DIRECTOR:
            return
        timestamp = self._piece(TIMESTAMP, 0, root.signed)
        snapshot = self._piece(SNAPSHOT, timestamp.signed.snapshot_meta.version, root.signed)
        targets = self._piece(TARGETS, self._listed(snapshot.signed, TARGETS), root.signed)
        roles = delegated_roles(targets.signed)
        self._expect(SNAPSHOT, {f"{one}.json" for one in (TARGETS, *roles)} == snapshot.signed.meta.keys(), _LISTING)
        self._expect(TARGETS, not targets.signed.targets, "it holds targets itself, and must only delegate")
        for role in roles:
            self._delegated(role, snapshot.signed, targets.signed)

    def _root(self) -> AnyMetadata:
        """The chain, from the first root that any device may have pinned."""
        numbers = root_numbers(self._published)
        if not numbers or numbers != tuple(range(1, len(numbers) + 1)):
            self._stop(ROOT, f"there must be roots from 1 on without a gap, and there are {list(numbers)}")
        before: AnyMetadata | None = None
        for number in numbers:
            root = self._read(ROOT, number)
            self._root_after(root, before, number)
            before = root
            self.roots = number
        if before is None:
            raise _StopError
        self._expiry(ROOT, before)
        return before

    def _root_after(self, root: AnyMetadata, before: AnyMetadata | None, number: int) -> None:
        signed: Root = root.signed
        try:
            purpose = purpose_of(root)
        except StateError as error:
            self._stop(ROOT, error.message)
        if signed.version != number:
            self._stop(ROOT, f"the file of root {number} holds version {signed.version}")
        same = before is None or purpose_of(before) is purpose
        self._expect(ROOT, same, f"root {number} is of the repository {purpose}, and the one before is not")
        self._expect(ROOT, bool(signed.consistent_snapshot), f"root {number} has no consistent snapshots")
        for who, delegator in (("itself", signed), ("the root before it", before.signed if before else signed)):
            missing = quorum_of(delegator, ROOT).missing(signers_of(delegator, ROOT, root))
            if missing:
                self._stop(ROOT, f"root {number} lacks {missing} signatures that {who} asks for")

    def _piece(self, role: str, version: int, delegator: Root | Targets) -> AnyMetadata:
        metadata = self._read(role, version)
        if version and metadata.signed.version != version:
            self._stop(role, f"its file holds version {metadata.signed.version}")
        missing = quorum_of(delegator, role).missing(signers_of(delegator, role, metadata))
        if missing:
            self._stop(role, f"version {metadata.signed.version} lacks {missing} signatures")
        self._expiry(role, metadata)
        return metadata

    def _delegated(self, role: str, snapshot: Snapshot, delegator: Targets) -> None:
        metadata = self._piece(role, self._listed(snapshot, role), delegator)
        entry: Any = delegator.get_delegated_role(role)
        held: Targets = metadata.signed
        self._expect(role, held.delegations is None, "it delegates further, which no device follows")
        self._expect(role, entry.paths == [_pattern(role)], f"{entry.paths} are not the paths of such a role")
        self._expect(role, entry.terminating, "its delegation is not terminating: others could sign for it as well")
        self._expect(role, len(held.targets) <= MAX_TARGETS, f"{len(held.targets)} targets are more than {MAX_TARGETS}")
        numbers = numbers_of(held)
        for path, file in held.targets.items():
            self.targets += 1
            for problem in (*_wrong_name(role, entry, file, numbers), *self._wrong_bytes(file)):
                self._add(role, f"{path}: {problem}")

    def _wrong_bytes(self, file: TargetFile) -> Iterator[str]:
        try:
            body = read(self._published / "targets" / served_name(file))
        except (StateError, ValueError) as error:
            yield str(error)
            return
        if len(body) != file.length or TargetFile.from_data(file.path, body, ["sha256"]).hashes != file.hashes:
            yield "its bytes are not those that were signed"

    def _read(self, role: str, version: int) -> AnyMetadata:
        path = self._published / "metadata" / file_name(role, version)
        try:
            body = read(path)
            metadata = parsed(body, role, path.name)
        except StateError as error:
            self._stop(role, error.message)
        self._expect(role, len(body) <= MAX_METADATA_BYTES, f"{len(body):,} bytes are more than a device takes at once")
        return metadata

    def _listed(self, snapshot: Snapshot, role: str) -> int:
        found = snapshot.meta.get(f"{role}.json")
        if found is None:
            self._stop(SNAPSHOT, f"it does not list {role}")
        return found.version

    def _expiry(self, role: str, metadata: AnyMetadata) -> None:
        if freshness(role, expires_at_s(metadata), self._now_s) is Freshness.EXPIRED:
            what = f"version {metadata.signed.version} has expired"
            self.problems.append(Problem(role=role, what=what, expired=True))

    def _expect(self, role: str, holds: bool, otherwise: str) -> None:  # noqa: FBT001  # a sentence: it holds, or else
        if not holds:
            self._add(role, otherwise)

    def _add(self, role: str, what: str) -> None:
        self.problems.append(Problem(role=role, what=what))

    def _stop(self, role: str, what: str) -> NoReturn:
        self._add(role, what)
        raise _StopError


_LISTING = "it does not list exactly the targets and all to whom they delegate"


def _pattern(role: str) -> str:
    """What a role may sign for, by its name; empty: there is no such role."""
    family = role.removeprefix(role_of(Kind.RELEASE, ""))
    return next((pattern_of(kind, family) for kind in Kind if role_of(kind, family) == role), "")


def _wrong_name(role: str, entry: DelegatedRole, file: TargetFile, numbers: dict[str, int]) -> Iterator[str]:
    target = read_target(file.path)
    if target is None:
        yield "it is no target's name"
        return
    if not entry.is_delegated_path(file.path):
        yield f"{role} may not sign for it"
    if set(file.hashes) != {"sha256"}:
        yield "it has other digests than SHA-256"
    if target.number > numbers.get(target.line, 0):
        yield "its number is above the highest that its line is said to have had"
    custom = file.custom if isinstance(file.custom, dict) else {}
    site = custom.get("site")
    try:
        if not isinstance(site, str) or custom != custom_of(target, site):
            yield f"{custom} is not what is signed beside such a target"
    except RequestError as error:
        yield error.message
