"""A whole image repository and a director, signed and published in a folder: what a fleet's admins would have made.

    made = SignedFleet(folder, now_s=NOW_S)
    file = made.release("qa", "intake-3", 7)
    made.publish()                                      # made.image_folder: metadata/ and targets/
    made.direct("kiosk-1", [file], now_s=NOW_S)         # made.director_folder("kiosk-1"): metadata/

Two of three admins sign roots; a family's, the sites' and the runtime's keys are others. Keys are made once a process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import CryptoSigner, SSlibKey
from tests.support.release_manifests import SMALL
from tuf.api.metadata import TargetFile

from homebred_fleet.adapters.durable_files import PUBLIC, make_folder, replace
from homebred_fleet.adapters.tuf_repository.director import OnlineDirector
from homebred_fleet.adapters.tuf_repository.editing import Signing
from homebred_fleet.adapters.tuf_repository.keys import public_key
from homebred_fleet.adapters.tuf_repository.repository import Repository
from homebred_fleet.core.director import LIFE_S, Assigned, Standing, Wanted
from homebred_fleet.core.keyholders import Holder, Purpose
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.targets import Kind, Target

ADMINS = ("anna", "ben", "carla")
THRESHOLD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TestKey:
    """Both halves of a key."""

    __test__ = False

    signer: CryptoSigner
    public: SSlibKey
    holder: Holder


def key(name: str, purpose: Purpose = Purpose.IMAGE) -> TestKey:
    """A holder's key for a purpose: the same one within a process."""
    return _key(name, purpose)


@cache
def _key(name: str, purpose: Purpose) -> TestKey:
    private = Ed25519PrivateKey.generate()
    signer = CryptoSigner(private)
    public = public_key(private, name, purpose)
    return TestKey(signer=signer, public=public, holder=Holder(key_id=public.keyid, name=name))


def write_online_key(path: Path, name: str = "online") -> Path:
    """The controller's own key, where its settings say."""
    path.touch(mode=0o600)
    private = key(name, Purpose.ONLINE).signer._private_key
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def signing(*names: str, threshold: int = 1, purpose: Purpose = Purpose.IMAGE) -> Signing:
    """What says that so many of them sign."""
    return Signing(keys=tuple(key(name, purpose).public for name in names), threshold=threshold)


def image_signing(*admins: str, threshold: int) -> dict[str, Signing]:
    """Of the four roles of an image repository."""
    others = {role: signing(role) for role in ("targets", "snapshot", "timestamp")}
    return {"root": signing(*admins, threshold=threshold), **others}


def director_signing(*admins: str, threshold: int, online: str = "online") -> dict[str, Signing]:
    """Of the director's root."""
    own = signing(online, purpose=Purpose.ONLINE)
    roles = dict.fromkeys(("targets", "snapshot", "timestamp"), own)
    return {"root": signing(*admins, threshold=threshold, purpose=Purpose.DIRECTOR), **roles}


def manifest(family: str, name: str, number: int, **more: object) -> bytes:
    """A release's manifest, of files that are nowhere; `more` goes into it as it is."""
    plain = SMALL | {"family": family, "id": name, "number": number, **more}
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


class SignedFleet:
    """Both repositories; `publish` has everybody sign who must. A folder that has them is gone on with."""

    def __init__(self, folder: Path, *, now_s: int, families: Iterable[str] = ("qa",)) -> None:
        self.now_s = now_s
        self.image = Repository(folder / "image")
        self.director_root = Repository(folder / "director-root")
        self._devices = folder / "devices"
        self._last: dict[str, Standing] = {}
        if not (folder / "image").exists():
            self._found(families)

    def _found(self, families: Iterable[str]) -> None:
        now_s = self.now_s
        self.image.init(Purpose.IMAGE, image_signing(*ADMINS, threshold=THRESHOLD), now_s)
        self.director_root.init(Purpose.DIRECTOR, director_signing(*ADMINS, threshold=THRESHOLD), now_s)
        for family in families:
            self.image.delegate(Kind.RELEASE, family, signing(f"models-{family}"), now_s)
        for kind in (Kind.POLICY, Kind.GAZETTEER, Kind.RUNTIME):
            self.image.delegate(kind, "", signing(kind.value), now_s)
        self.publish()
        for name in ADMINS[:THRESHOLD]:
            self.director_root.sign(key(name, Purpose.DIRECTOR).signer, now_s)
        self.director_root.publish(now_s)

    @property
    def image_folder(self) -> Path:
        """What devices are served: `metadata` and `targets`."""
        return self.image.published

    def director_folder(self, device: str) -> Path:
        """What one device is served of the director: `metadata`."""
        return self._devices / device

    def release(self, family: str, name: str, number: int, *, site: str = "", **more: object) -> TargetFile:
        """Adds a release's manifest."""
        path = Target(kind=Kind.RELEASE, group=family, name=name, number=number).path
        return self.image.add(path, manifest(family, name, number, **more), site, self.now_s)

    def policy(self, site: str, name: str, number: int, body: bytes) -> TargetFile:
        """Adds a site's policy."""
        return self.image.add(Target(kind=Kind.POLICY, group=site, name=name, number=number).path, body, "", self.now_s)

    def gazetteer(self, site: str, name: str, number: int, manifest: bytes) -> TargetFile:
        """Adds what names a site's list of names."""
        path = Target(kind=Kind.GAZETTEER, group=site, name=name, number=number).path
        return self.image.add(path, manifest, "", self.now_s)

    def publish(self) -> None:
        """Has what waits signed by all who may, and serves it."""
        contents = self.image.contents()
        waiting = {
            one.name for role in contents.prepared for quorum in contents.quorums(role) for one in quorum.holders
        }
        for name in sorted(waiting):
            self.image.sign(key(name).signer, self.now_s)
        self.image.publish(self.now_s)

    def direct(
        self,
        device: str,
        files: Iterable[TargetFile],
        *,
        now_s: int,
        stop_epoch: int = 0,
        stopped: bool = False,
        life_s: int = LIFE_S,
        online: str = "online",
    ) -> DeviceMetadata | None:
        """Signs what a device should run, and serves it; None: what is served still says so."""
        signer = key(online, Purpose.ONLINE).signer
        director = OnlineDirector(self.director_root.published, signer, started_at_s=self.now_s)
        assigned = tuple(Assigned(path=one.path, length=one.length, sha256=one.hashes["sha256"]) for one in files)
        wanted = Wanted(device=device, targets=assigned, stop_epoch=stop_epoch, stopped=stopped, life_s=life_s)
        found = director.following(wanted, self._last.get(device), now_s)
        if found is not None:
            self._last[device] = found.standing
            self._serve(device, found)
        return found

    def _serve(self, device: str, found: DeviceMetadata) -> None:
        metadata = self.director_folder(device) / "metadata"
        make_folder(metadata)
        for root in (self.director_root.published / "metadata").iterdir():
            replace(metadata / root.name, root.read_bytes(), mode=PUBLIC)
        version = found.standing.version
        replace(metadata / f"{version}.targets.json", found.targets, mode=PUBLIC)
        replace(metadata / f"{version}.snapshot.json", found.snapshot, mode=PUBLIC)
        replace(metadata / "timestamp.json", found.timestamp, mode=PUBLIC)
