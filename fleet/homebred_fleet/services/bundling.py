"""Makes what is carried to devices that no network reaches: what is signed, and which files of releases go along.

Leases in it hold for as long as an administrator chose, and no stop order reaches them. It writes no folder: that is
for whoever asks, on the machine that the stick is in. Sync, from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from homebred_fleet.core.director import Assigned
from homebred_fleet.errors import ConflictError, RequestError, StateError
from homebred_fleet.ports.bundling import BlobLengths, Bundle, CarriedDevice, Carries, SignedSources
from homebred_fleet.ports.director import DeviceMetadata
from homebred_protocol.documents.fields import DocumentError
from homebred_protocol.documents.release import read_release
from homebred_protocol.targets import Kind, read_target
from homebred_protocol.trusted_files import director_metadata, image_metadata

MOST_DEVICES: Final = 200
"""Of one bundle."""


class Bundling:
    """What is carried."""

    def __init__(
        self, director: Carries, signed: SignedSources, blobs: BlobLengths, *, now_s: Callable[[], int]
    ) -> None:
        self._director = director
        self._signed = signed
        self._blobs = blobs
        self._now_s = now_s

    def check(self, devices: Sequence[str]) -> None:
        """Whether a bundle for devices could be made now; nothing is signed.

        Raises:
            RequestError: there are too many, or nothing is assigned to them.
            ConflictError: files of what is assigned are not here, or what people have signed has expired.
            StoreError, StateError: what is signed cannot be read.
        """
        if len(devices) > MOST_DEVICES:
            raise RequestError(f"{len(devices)} devices are more than {MOST_DEVICES}", hint="make one for each site")
        targets = _each_once(target for device in devices for target in self._director.wanted(device))
        if not targets:
            raise RequestError(
                "nothing is assigned to these devices that is signed", hint="see `homebred-fleet release --help`"
            )
        if self._signed.expires_at_s(targets) <= self._now_s():
            raise ConflictError(
                "what is published has expired: no device takes anything of it",
                hint="`homebred-fleet repository renew`, sign, publish",
            )
        self._blobs_of(targets)

    def make(self, devices: Sequence[tuple[str, str]], life_s: int) -> Bundle:
        """Signs for each device, given with its site, for so long.

        Raises:
            ConflictError: the fleet is stopped, or files of what is assigned are not here.
            StoreError, StateError, RequestError: it cannot be signed or read.
        """
        image, roots = self._signed.image_metadata(), self._signed.director_roots()
        signed = {image_metadata() + name: body for name, body in image.items()}
        carried, targets = [], list[Assigned]()
        for device, site in devices:
            found, wanted = self._director.carried(device, life_s)
            targets += wanted
            signed |= {director_metadata(device) + name: body for name, body in {**roots, **_files(found)}.items()}
            standing = found.standing
            carried.append(
                CarriedDevice(device=device, site=site, version=standing.version, expires_at_s=standing.expires_at_s)
            )
        if self._signed.image_metadata() != image:
            raise ConflictError("the image repository was published just now", hint="make the bundle once more")
        once = _each_once(targets)
        return Bundle(
            devices=tuple(carried),
            signed=signed,
            targets=once,
            expires_at_s=self._signed.expires_at_s(once),
            blobs=self._blobs_of(once),
        )

    def _blobs_of(self, targets: Iterable[Assigned]) -> dict[str, int]:
        """Raises ConflictError, StateError."""
        needed: dict[str, int] = {}
        for one in targets:
            target = read_target(one.path)
            if target is not None and target.kind is Kind.RELEASE:
                needed |= self._files_of(one)
        missing = sorted(digest for digest, length in needed.items() if self._blobs.length_of(digest) != length)
        if missing:
            raise ConflictError(
                f"{len(missing)} of {len(needed)} files of these releases are not on the controller, {missing[0]} among"
                " them",
                hint="publish the releases with their files first: docs/releases.md",
            )
        return needed

    def _files_of(self, release: Assigned) -> dict[str, int]:
        body = self._signed.target(release)
        if body is None:
            raise StateError(f"the bytes of {release.path} are not there", hint="publish the image repository whole")
        try:
            return {file.digest: file.length for file in read_release(body).files}
        except DocumentError as error:
            raise StateError(
                f"{release.path} is no release that a device would take: {error}", hint="sign another, and assign it"
            ) from None


def _files(signed: DeviceMetadata) -> dict[str, bytes]:
    version = signed.standing.version
    return {
        "timestamp.json": signed.timestamp,
        f"{version}.snapshot.json": signed.snapshot,
        f"{version}.targets.json": signed.targets,
    }


def _each_once(targets: Iterable[Assigned]) -> tuple[Assigned, ...]:
    return tuple({one.path: one for one in targets}.values())
