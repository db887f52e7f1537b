"""A whole repository in memory: what is published, and what is prepared above it and waits for signatures.

`settle` draws the consequences of a change: whatever must be signed anew because its signers, or what it lists, are
others now. It reads and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp

from homebred_fleet.adapters.tuf_repository.metadata import (
    AnyMetadata,
    copy_of,
    delegated_roles,
    expires_at_s,
    purpose_of,
    quorum_of,
    renew,
    signers_of,
)
from homebred_fleet.core.keyholders import Purpose, Quorum
from homebred_fleet.core.repository_rules import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    TOP_ROLES,
    Freshness,
    freshness,
    next_version,
)
from homebred_fleet.errors import StateError


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStanding:
    """How one role stands."""

    role: str
    published: int
    """Version; 0: it was never published."""
    prepared: int
    """Version that waits to be published; 0: none."""
    expires_at_s: int
    """Of what is prepared, else of what is published."""
    freshness: Freshness
    quorums: tuple[Quorum, ...]
    """Who must sign; a root that follows another must have enough of the old holders and of the new ones."""
    signed: frozenset[str]
    """Whose signatures are there: ids of keys."""

    @property
    def is_complete(self) -> bool:
        """Whether nobody's signature is missing."""
        return not any(quorum.missing(self.signed) for quorum in self.quorums)


class Contents:
    """What is published by role, and what is prepared."""

    def __init__(self, published: Mapping[str, AnyMetadata], prepared: Mapping[str, AnyMetadata]) -> None:
        self.published = dict(published)
        self.prepared = {
            role: metadata
            for role, metadata in prepared.items()
            if metadata.signed.version > _version(self.published.get(role))  # else published before a kill
        }
        if self.now(ROOT) is None:
            raise StateError("there is no root here", hint="make a repository with `homebred-fleet repository init`")
        strange = (self.prepared.keys() | self.published.keys()) - {*self.roles}
        if strange:
            raise StateError(
                f"there is metadata of {', '.join(sorted(strange))}, and nobody delegates to it",
                hint="restore the folder from a backup, or give up what waits: `homebred-fleet repository discard`",
            )

    @property
    def purpose(self) -> Purpose:
        """Which of the two repositories it is."""
        return purpose_of(self.must(ROOT))

    @property
    def root(self) -> Root:
        """As it will be."""
        root: Root = self.must(ROOT).signed
        return root

    @property
    def targets(self) -> Targets:
        """As they will be: they only delegate."""
        targets: Targets = self.must(TARGETS).signed
        return targets

    @property
    def roles(self) -> tuple[str, ...]:
        """All whose metadata lies here; the director's others are signed by the controller, device by device."""
        if self.purpose is Purpose.DIRECTOR:
            return (ROOT,)
        return (*TOP_ROLES[:2], *delegated_roles(self.targets), *TOP_ROLES[2:])

    def now(self, role: str) -> AnyMetadata | None:
        """A role as it will be, once what is prepared is published."""
        return self.prepared.get(role) or self.published.get(role)

    def must(self, role: str) -> AnyMetadata:
        """The same. Raises StateError: it is not there."""
        found = self.now(role)
        if found is None:
            raise StateError(f"the metadata of {role} is not there", hint="restore the folder from a backup")
        return found

    def delegator(self, role: str) -> Root | Targets:
        """Who says who signs a role."""
        return self.root if role in TOP_ROLES else self.targets

    def quorums(self, role: str) -> tuple[Quorum, ...]:
        """Who must sign what a role will be."""
        before = self.published.get(ROOT)
        new = quorum_of(self.delegator(role), role)
        if role == ROOT and ROOT in self.prepared and before is not None:
            return (quorum_of(before.signed, ROOT), new)  # the specification, 5.3.4
        return (new,)

    def signed(self, role: str) -> frozenset[str]:
        """Whose signatures on it hold."""
        metadata = self.must(role)
        found = signers_of(self.delegator(role), role, metadata)
        before = self.published.get(ROOT)
        if role == ROOT and before is not None:
            found |= signers_of(before.signed, ROOT, metadata)
        return found

    def standing(self, role: str, now_s: int) -> RoleStanding:
        """How a role stands."""
        ends_s = expires_at_s(self.must(role))
        return RoleStanding(
            role=role,
            published=_version(self.published.get(role)),
            prepared=_version(self.prepared.get(role)),
            expires_at_s=ends_s,
            freshness=freshness(role, ends_s, now_s),
            quorums=self.quorums(role),
            signed=self.signed(role),
        )

    def prepare(self, role: str, now_s: int) -> AnyMetadata:
        """The role's next version, to be changed; the signatures that it had are gone."""
        metadata = self.prepared.get(role)
        if metadata is None:
            metadata = copy_of(self.must(role))
            metadata.signed.version = next_version(metadata.signed.version)
            self.prepared[role] = metadata
        renew(metadata, role, now_s)
        return metadata

    def settle(self, now_s: int) -> None:
        """Prepares whatever must follow from what has changed, and drops signatures that do not hold."""
        if self.purpose is Purpose.IMAGE:
            self._list(SNAPSHOT, (TARGETS, *delegated_roles(self.targets)), now_s)
            self._list(TIMESTAMP, (SNAPSHOT,), now_s)
        for role, metadata in self.prepared.items():
            held = self.signed(role)
            for key_id in metadata.signatures.keys() - held:
                del metadata.signatures[key_id]

    def _list(self, role: str, listed: tuple[str, ...], now_s: int) -> None:
        """A listing names the versions of others: it follows when they, or its own signers, change."""
        for one in (*listed, role):
            if one not in self.prepared and not self._is_signed(one):
                self.prepare(one, now_s)
        wanted = {f"{one}.json": _version(self.now(one)) for one in listed}
        if _listed(self.must(role).signed) != wanted:
            signed = self.prepare(role, now_s).signed
            if isinstance(signed, Timestamp):
                signed.snapshot_meta = MetaFile(wanted[f"{SNAPSHOT}.json"])
            else:
                signed.meta = {name: MetaFile(version) for name, version in wanted.items()}

    def _is_signed(self, role: str) -> bool:
        """Whether what is published is signed by those who must sign it from now on."""
        return not quorum_of(self.delegator(role), role).missing(self.signed(role))


def _version(metadata: AnyMetadata | None) -> int:
    return 0 if metadata is None else metadata.signed.version


def _listed(signed: Snapshot | Timestamp) -> dict[str, int]:
    meta = {f"{SNAPSHOT}.json": signed.snapshot_meta} if isinstance(signed, Timestamp) else signed.meta
    return {name: one.version for name, one in meta.items()}
