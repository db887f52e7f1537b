"""Whether a receipt is what a device's key has signed. Whose certificate that is, and whether it counts, others say."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from homebred_protocol.receipts import Receipt, SignedReceipt, read_body, to_be_signed, unpacked

MALFORMED = "receipt-malformed"
NOT_SIGNED = "receipt-signature"


class ReceiptRefusedError(Exception):
    """It is no device's word."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        """A stable word."""
        super().__init__(cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A receipt that the key of a certificate has signed."""

    receipt: Receipt
    signed: SignedReceipt
    fingerprint: str
    """SHA-256 of the certificate's DER, hexadecimal."""


def verified(line: bytes) -> Verified:
    """The receipt of a line (`homebred_protocol.receipts.packed`).

    Raises:
        ReceiptRefusedError: it is none, or not signed by the key of its certificate.
    """
    try:
        signed = unpacked(line)
        receipt = read_body(signed.body)
    except ValueError:
        raise ReceiptRefusedError(MALFORMED) from None
    try:
        certificate = x509.load_der_x509_certificate(signed.certificate)
        key = certificate.public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise ReceiptRefusedError(NOT_SIGNED)
        key.verify(signed.signature, to_be_signed(signed.body), ECDSA(SHA256()))
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, InvalidSignature):
        raise ReceiptRefusedError(NOT_SIGNED) from None
    return Verified(receipt=receipt, signed=signed, fingerprint=certificate.fingerprint(SHA256()).hex())
