"""Receipts of installs signed with this device's key: `ports.installs.ReceiptSigner` over the identity's files.

The same step gives the same receipt, whenever it is signed; the signature alone differs, and after a renewal the
certificate. It keeps and sends nothing.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from homebred_daemon.core.deployment import Install
from homebred_daemon.core.install_receipts import receipt_of, receipt_of_refusal
from homebred_daemon.errors import StateError
from homebred_daemon.ports.identity import Identity, IdentityStore
from homebred_daemon.ports.installs import Declined, Step
from homebred_protocol.receipts import Receipt, SignedReceipt, body_of, packed, to_be_signed

_MAX_KEY_BYTES = 65_536
_END = "-----END CERTIFICATE-----"


class ReceiptSigning:
    """Fulfils `ports.installs.ReceiptSigner`. From any thread."""

    def __init__(self, identities: IdentityStore) -> None:
        self._identities = identities

    def signed(self, install: Install, step: Step) -> bytes:
        """As the port says."""
        identity = self._identity()
        receipt = receipt_of(
            install.release,
            step.event,
            step.state,
            device=identity.membership.device_id,
            code=step.code,
            facts=step.facts,
            built=step.built,
            at_s=step.at_s,
            seq=step.seq,
        )
        return b"" if receipt is None else _signed(identity, receipt)

    def signed_refusal(self, declined: Declined) -> bytes:
        """As the port says."""
        identity = self._identity()
        receipt = receipt_of_refusal(
            declined.about,
            device=identity.membership.device_id,
            code=declined.code,
            digest=declined.digest,
            at_s=declined.at_s,
            seq=declined.seq,
        )
        return _signed(identity, receipt)

    def _identity(self) -> Identity:
        identity = self._identities.current()
        if identity is None:
            raise StateError("this device is in no fleet that would read a receipt", hint="homebred enroll URL")
        return identity


def _signed(identity: Identity, receipt: Receipt) -> bytes:
    from homebred_daemon.adapters.device_certificates import signature_by  # noqa: PLC0415  # some megabytes

    body = body_of(receipt)
    signature = signature_by(_read(identity.credentials.key), to_be_signed(body))
    chain = _read(identity.credentials.certificate).decode("ascii", errors="replace")
    certificate = ssl.PEM_cert_to_DER_cert(chain.partition(_END)[0] + _END)
    return packed(SignedReceipt(body=body, certificate=certificate, signature=signature))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise StateError(
            f"the device's identity cannot be read from {path}: {error.strerror}",
            hint="run as root or as the daemon's user",
        ) from error
