"""Both signed repositories of a small fleet in memory, with all keys at hand: for owners of keys, and for thieves.

    fleet = SignedFleet(now_s=NOW_S)
    path = fleet.offer("models/qa/intake/7.json", b"{}")     # in the image repository, by the role that is for it
    fleet.assign("kiosk-1", path)                             # by the director
    fleet.files                                               # what is served, by name (`trusted_files`)

A thief signs by the same methods as those who own the keys. Everything that is served can be changed in `files`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from homebred_protocol.digests import digest_of
from homebred_protocol.targets import Kind, pattern_of, read_target, role_of
from homebred_protocol.trusted_files import (
    CARRIED,
    DEVICE_FIELD,
    REPOSITORY_FIELD,
    director_metadata,
    image_metadata,
    image_target,
)

DAY = timedelta(days=1)
LIVES = {"root": 365 * DAY, "targets": 365 * DAY, "snapshot": 90 * DAY, "timestamp": 30 * DAY}
ROLES = ("root", "targets", "snapshot", "timestamp")
LEASE_S = 86_400
Signers = dict[str, list[CryptoSigner]]
S = TypeVar("S", bound=Signed)


def new_signer() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


@dataclass
class Repository:
    """One repository: what it says, and who signs it. What was signed is in `files`, by name below `base`."""

    base: str
    files: dict[str, bytes]
    now: datetime
    signers: Signers
    """By role."""
    root: Root
    lives: Mapping[str, timedelta] = field(default_factory=lambda: dict(LIVES))
    targets: Targets = field(default_factory=lambda: unpublished(Targets()))
    roles: dict[str, Targets] = field(default_factory=dict)
    """Delegated ones."""
    snapshot: Snapshot = field(default_factory=lambda: unpublished(Snapshot()))
    timestamp: Timestamp = field(default_factory=lambda: unpublished(Timestamp()))

    @classmethod
    def founded(cls, base: str, files: dict[str, bytes], now: datetime, signers: Signers) -> Repository:
        """With its first root, of whose three keys two must sign."""
        root = Root(version=1, consistent_snapshot=True, expires=now + LIVES["root"])
        root.unrecognized_fields[REPOSITORY_FIELD] = base.partition("/")[0]
        for role in ROLES:
            for signer in signers[role]:
                root.add_key(signer.public_key, role)
        root.roles["root"].threshold = 2
        made = cls(base=base, files=files, now=now, signers=signers, root=root)
        made.put("1.root.json", root, signers["root"])
        return made

    def put(self, name: str, signed: Any, signers: list[CryptoSigner]) -> bytes:
        """Signs and serves."""
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        self.files[self.base + name] = body = metadata.to_bytes()
        return body

    def delegate(self, role: str, pattern: str, *, by: str = "targets") -> None:
        """Lets a role sign for these paths."""
        delegator = self.targets if by == "targets" else self.roles[by]
        signer = self.signers.setdefault(role, [new_signer()])[0]
        if delegator.delegations is None:
            delegator.delegations = Delegations(keys={}, roles={})
        assert delegator.delegations.roles is not None
        delegator.delegations.roles[role] = DelegatedRole(role, [], 1, terminating=True, paths=[pattern])
        delegator.add_key(signer.public_key, role)
        self.roles[role] = unpublished(Targets())

    def publish(self, *changed: str) -> None:
        """Signs these of targets and delegated roles, then snapshot and timestamp, all with the next versions."""
        for role in changed:
            signed = self.targets if role == "targets" else self.roles[role]
            signed.version += 1
            signed.expires = self.now + self.lives["targets"]
            body = self.put(f"{signed.version}.{role}.json", signed, self.signers[role])
            self.snapshot.meta[f"{role}.json"] = MetaFile.from_data(signed.version, body, ["sha256"])
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        self.snapshot.version += 1
        self.snapshot.expires = self.now + self.lives["snapshot"]
        body = self.put(f"{self.snapshot.version}.snapshot.json", self.snapshot, self.signers["snapshot"])
        self.timestamp.snapshot_meta = MetaFile.from_data(self.snapshot.version, body, ["sha256"])
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self.timestamp.version += 1
        self.timestamp.expires = self.now + self.lives["timestamp"]
        self.put("timestamp.json", self.timestamp, self.signers["timestamp"])

    def rotate(self, *roles: str, threshold: int | None = None) -> None:
        """The next root, with other keys for these roles; signed by the holders of both roots."""
        before = list(self.signers["root"])
        for role in roles:
            for signer in self.signers[role]:
                self.root.revoke_key(signer.public_key.keyid, role)
            self.signers[role] = [new_signer() for _ in self.signers[role]]
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        if threshold is not None:
            self.root.roles["root"].threshold = threshold
        self.root.version += 1
        self.root.expires = self.now + self.lives["root"]
        signers = before + [one for one in self.signers["root"] if one not in before]
        self.put(f"{self.root.version}.root.json", self.root, signers)


class SignedFleet:
    """An image repository, and a director for each device."""

    def __init__(self, *, now_s: int, site: str = "clinic-east") -> None:
        self.now = datetime.fromtimestamp(now_s, UTC)
        self.site = site
        self.files: dict[str, bytes] = {}
        self.stop_epoch = 0
        holders = [new_signer() for _ in range(3)]
        own = {role: [new_signer()] for role in ROLES[1:]}
        self.image = Repository.founded(image_metadata(), self.files, self.now, {"root": holders, **own})
        for kind, family in ((Kind.RELEASE, "qa"), (Kind.POLICY, ""), (Kind.GAZETTEER, ""), (Kind.RUNTIME, "")):
            self.image.delegate(role_of(kind, family), pattern_of(kind, family))
        self.image.publish("targets", *self.image.roles)
        self.online = new_signer()
        self._director_signers = {"root": holders, **{role: [self.online] for role in ROLES[1:]}}
        self.directors: dict[str, Repository] = {}
        self.director("kiosk-1").publish("targets")

    def image_root(self) -> bytes:
        return self.files[image_metadata() + "1.root.json"]

    def director_root(self) -> bytes:
        return self.files[director_metadata("kiosk-1") + "1.root.json"]

    def director(self, device: str) -> Repository:
        """The director's repository for a device."""
        made = self.directors.get(device)
        if made is None:
            base, now = director_metadata(device), self.now
            first = next(iter(self.directors.values()), None)
            if first is None:
                made = Repository.founded(base, self.files, now, self._director_signers)
            else:  # one root for all
                made = Repository(base=base, files=self.files, now=now, signers=first.signers, root=first.root)
                self.files[base + "1.root.json"] = self.director_root()
            made.lives = {**LIVES, "targets": DAY, "snapshot": DAY, "timestamp": DAY}
            made.targets.unrecognized_fields[DEVICE_FIELD] = device
            self.directors[device] = made
        return made

    def at(self, now_s: int) -> None:
        """It is another time for whoever signs."""
        self.now = datetime.fromtimestamp(now_s, UTC)
        for repository in (self.image, *self.directors.values()):
            repository.now = self.now

    def offer(self, path: str, body: bytes, *, site: str | None = None, role: str = "", **custom: Any) -> str:
        """Has the image repository hold a target."""
        target = read_target(path)
        assert target is not None
        bound = site if site is not None else (target.group if target.kind.is_for_a_site else "")
        said = {"kind": target.kind.name.lower(), "site": bound, "number": target.number, **custom}
        role = role or role_of(target.kind, target.group)
        self.image.roles[role].targets[path] = described(path, body, said)
        self.image.publish(role)
        self.files[image_target(path, digest_of(body))] = body
        return path

    def assign(self, device: str, *paths: str, **lease: Any) -> None:
        """Has the director name what the image repository holds, and nothing else."""
        held = {path: file for role in self.image.roles.values() for path, file in role.targets.items()}
        self.direct(device, {path: held[path] for path in paths}, **lease)

    def direct(self, device: str, files: Mapping[str, TargetFile], **more: Any) -> None:
        """Has the director name these, whatever they are; `more` goes into the lease, or is `whose`."""
        director, issued_at_s = self.director(device), int(self.now.timestamp())
        lease = {"stop_epoch": self.stop_epoch, "issued_at_s": issued_at_s, "expires_at_s": issued_at_s + LEASE_S}
        whose = more.pop("whose", device)
        director.targets.targets = {
            path: TargetFile(file.length, dict(file.hashes), path, {"custom": {"device": whose, "lease": lease | more}})
            for path, file in files.items()
        }
        director.publish("targets")

    def write(self, folder: Path) -> None:
        """As a folder that is carried."""
        for name, body in self.files.items():
            path = folder / CARRIED / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)


def unpublished(signed: S) -> S:
    """With no version yet."""
    signed.version = 0
    return signed


def described(path: str, body: bytes, custom: Mapping[str, Any]) -> TargetFile:
    digest = hashlib.sha256(body).hexdigest()
    return TargetFile(len(body), {"sha256": digest}, path, {"custom": dict(custom)})
