"""The director's signatures: what one device should run now, under the controller's online key. It decides nothing.

Its root is a folder of its own (`homebred-fleet director init`), signed offline; this reads it and never changes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import CryptoSigner, Signature
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from typing_extensions import override

from homebred_fleet.adapters.tuf_repository.folder import published_metadata
from homebred_fleet.adapters.tuf_repository.metadata import (
    DEVICE_FIELD,
    AnyMetadata,
    body_of,
    expires_at_s,
    moment,
    purpose_of,
    quorum_of,
)
from homebred_fleet.core.director import Standing, Wanted, custom_of, following
from homebred_fleet.core.keyholders import Purpose
from homebred_fleet.core.repository_rules import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from homebred_fleet.errors import StateError
from homebred_fleet.ports.director import DeviceMetadata, Director, StopSigner
from homebred_fleet.ports.intents import SignedStop, Stop
from homebred_protocol.stop_orders import to_be_signed


class OnlineDirector(Director, StopSigner):
    """Signs with one key, which the director's root must name alone for targets, snapshot and timestamp."""

    def __init__(self, published: Path, signer: CryptoSigner, *, started_at_s: int) -> None:
        """Reads the root from what is published.

        Raises:
            StateError: there is none, it is another repository's, or it does not name this key.
        """
        root = published_metadata(published).get(ROOT) if published.exists() else None
        if root is None:
            raise StateError(
                f"{published} holds no root of a director", hint="`homebred-fleet director init`, sign, publish"
            )
        if purpose_of(root) is not Purpose.DIRECTOR:
            raise StateError(f"{published} is the image repository", hint="name the director's folder")
        _must_name(root.signed, signer)
        self._root_expires_at_s = expires_at_s(root)
        self._keys = {key_id: root.signed.keys[key_id] for key_id in root.signed.roles[TARGETS].keyids}
        self._signer = signer
        self._started_at_s = started_at_s

    @property
    @override
    def root_expires_at_s(self) -> int:
        return self._root_expires_at_s

    @override
    def following(self, wanted: Wanted, last: Standing | None, now_s: int) -> DeviceMetadata | None:
        standing = following(wanted, last, now_s, started_at_s=self._started_at_s)
        if standing is None:
            return None
        expires = moment(standing.expires_at_s)
        fields = (standing.version, None, expires)
        whose = {DEVICE_FIELD: wanted.device}
        files = {
            one.path: _file(one.path, one.length, one.sha256, custom_of(wanted, standing)) for one in wanted.targets
        }
        listed = MetaFile(standing.version)
        return DeviceMetadata(
            standing=standing,
            targets=self._signed(Targets(*fields, files, None, dict(whose))),
            snapshot=self._signed(Snapshot(*fields, {f"{TARGETS}.json": listed}, dict(whose))),
            timestamp=self._signed(Timestamp(*fields, listed, dict(whose))),
        )

    @override
    def signed(self, stop: Stop) -> SignedStop:
        signature = self._signer.sign(_words_of(stop))
        return SignedStop(
            epoch=stop.epoch,
            stopped=stop.stopped,
            reason_code=stop.reason_code,
            issued_at_s=stop.issued_at_s,
            key_id=signature.keyid,
            signature=bytes.fromhex(signature.signature),
        )

    @override
    def has_signed(self, order: SignedStop) -> bool:
        key = self._keys.get(order.key_id)
        if key is None:
            return False
        try:
            key.verify_signature(Signature(order.key_id, order.signature.hex()), _words_of(order))
        except (UnverifiedSignatureError, VerificationError):
            return False
        return True

    def _signed(self, signed: Targets | Snapshot | Timestamp) -> bytes:
        metadata: AnyMetadata = Metadata(signed)
        metadata.sign(self._signer)
        return body_of(metadata)


def _words_of(stop: Stop | SignedStop) -> bytes:
    return to_be_signed(
        epoch=stop.epoch, stopped=stop.stopped, issued_at_s=stop.issued_at_s, reason_code=stop.reason_code
    )


def _file(path: str, length: int, sha256: str, custom: dict[str, Any]) -> TargetFile:
    return TargetFile(length, {"sha256": sha256}, path, {"custom": custom})


def _must_name(root: Root, signer: CryptoSigner) -> None:
    key_id = signer.public_key.keyid
    for role in (TARGETS, SNAPSHOT, TIMESTAMP):
        quorum = quorum_of(root, role)
        if quorum.threshold != 1 or key_id not in {one.key_id for one in quorum.holders}:
            raise StateError(
                f"the director's root does not let the key {key_id[:8]} sign {role}",
                hint="`homebred-fleet repository rotate FOLDER online --add KEY.pub --drop OLD`, sign and publish",
            )
