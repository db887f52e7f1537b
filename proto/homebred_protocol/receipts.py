"""What a device says became of a release, with its signature: whoever carries it, the fleet can tell whose word it is.

    receipt     canonical JSON: device, specialist, number, digest, result, code, facts, at_s, seq, version, and built
                where the device has built something of the release
    signed      canonical JSON of one line: the receipt, the certificate whose key signed it, the signature

The signature is ECDSA over SHA-256 of `to_be_signed`: nothing else that a device signs begins so. A receipt holds
numbers and names that an administrator gave, never content (I4). Nothing here signs or verifies.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homebred_protocol.digests import digest_of
from homebred_protocol.documents.canonical import NotCanonicalError, canonical, from_canonical
from homebred_protocol.documents.fields import LARGEST_INTEGER
from homebred_protocol.ids import is_device_id
from homebred_protocol.limits import MAX_SEQ
from homebred_protocol.targets import MAX_NUMBER, Kind, read_target

VERSION: Final = 1
MAX_SIGNED_BYTES: Final = 8 * 1024
MAX_BODY_BYTES: Final = 6 * 1024
MAX_CERTIFICATE_BYTES: Final = 1200
MAX_FACTS: Final = 60
LEFT_OUT: Final = "left_out"
"""The fact that says how many others there was no room for."""
LATEST_S: Final = 253_402_300_799
"""The end of the year 9999: a device's clock may say anything before."""
_FACTS_BYTES: Final = MAX_BODY_BYTES - 1024
_PREFIX: Final = b"homebred receipt 1\n"
_MAX_NAME: Final = 128
_MAX_FACT_NAME: Final = 200
_MAX_SIGNATURE_BYTES: Final = 72
"""Of ECDSA over P-256 in DER."""
_MAX_VALUES: Final = 200
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_WORD: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CODE: Final = re.compile(r"(?:[a-z][a-z0-9_-]{0,63})?")
_REFUSED: Final = "refused"
_REPOSITORIES: Final = frozenset({"image", "director"})
_KEYS: Final = frozenset(
    {"at_s", "code", "device", "digest", "facts", "number", "result", "seq", "specialist", "version"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One step of an install that the fleet hears of, or something signed that was refused before it was one."""

    device: str
    specialist: str
    """Whose release it is; of a refusal that is of no release: what was refused (`refused_subject`)."""
    number: int
    """Of the release; 0 where a refusal is of nothing that has one."""
    digest: str
    """`sha256:…` of the release's manifest; empty where what was refused was not known by it."""
    result: str
    """A word: `gate_passed`, `activated`, `refused`, `settled`, `rolled_back`, …"""
    code: str = ""
    """Why, as a stable word; empty: nothing is to be said."""
    facts: Mapping[str, int] = field(default_factory=dict)
    """What was measured."""
    built: str = ""
    """`sha256:…` of what the device had built of it by then, the only form of it that is served; empty: nothing."""
    at_s: int
    """Unix seconds of the device's trusted time."""
    seq: int
    """The step's number on its device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt:
    """A receipt with who signed it."""

    body: bytes
    """The receipt's one text."""
    certificate: bytes
    """DER, of the device's key."""
    signature: bytes
    """DER, over `to_be_signed(body)`."""

    @property
    def digest(self) -> str:
        """Of the receipt: the same however often it is signed."""
        return digest_of(self.body)


def body_of(receipt: Receipt) -> bytes:
    """A receipt's one text; facts that there is no room for are counted in `left_out`.

    Raises:
        ValueError: nobody would read it.
    """
    document = {
        "at_s": receipt.at_s,
        "code": receipt.code,
        "device": receipt.device,
        "digest": receipt.digest,
        "facts": _fitting(receipt.facts),
        "number": receipt.number,
        "result": receipt.result,
        "seq": receipt.seq,
        "specialist": receipt.specialist,
        "version": VERSION,
        **({"built": receipt.built} if receipt.built else {}),
    }
    body = canonical(document)
    read_body(body)
    return body


def read_body(body: bytes) -> Receipt:
    """A receipt. Raises ValueError: it is none."""
    return _receipt(from_canonical(body, max_bytes=MAX_BODY_BYTES, max_values=_MAX_VALUES))


def refused_subject(about: str) -> tuple[str, int]:
    """What a receipt of a refusal calls the thing refused, and its number.

    A specialist's id for a release; `policies/SITE/NAME` and the like for another target; `image` or `director` for a
    repository, `all` for both; `unknown` for a path that is none of ours, which may say anything.

    Args:
        about: a target's path, a repository, or empty: all.
    """
    target = read_target(about)
    if target is not None:
        return target.name if target.kind is Kind.RELEASE else target.line, target.number
    if not about:
        return "all", 0
    return about if about in _REPOSITORIES else "unknown", 0


def is_code(text: str) -> bool:
    """Whether a receipt may say so why something is as it is."""
    return _CODE.fullmatch(text) is not None


def to_be_signed(body: bytes) -> bytes:
    """What a receipt's signature is over."""
    return _PREFIX + body


def packed(signed: SignedReceipt) -> bytes:
    """A signed receipt as one line without its end. Raises ValueError: nobody would read it."""
    line = canonical(
        {
            "certificate": base64.b64encode(signed.certificate).decode(),
            "receipt": from_canonical(signed.body, max_bytes=MAX_BODY_BYTES, max_values=_MAX_VALUES),
            "signature": base64.b64encode(signed.signature).decode(),
        }
    )
    unpacked(line)
    return line


def unpacked(line: bytes) -> SignedReceipt:
    """A signed receipt, of which nothing is verified yet. Raises ValueError: it is none."""
    said = from_canonical(line, max_bytes=MAX_SIGNED_BYTES, max_values=_MAX_VALUES)
    if not isinstance(said, dict) or set(said) != {"certificate", "receipt", "signature"}:
        raise NotCanonicalError("it is no signed receipt")
    _receipt(said["receipt"])
    return SignedReceipt(
        body=canonical(said["receipt"]),
        certificate=_octets(said["certificate"], MAX_CERTIFICATE_BYTES),
        signature=_octets(said["signature"], _MAX_SIGNATURE_BYTES),
    )


def _fitting(facts: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    room = _FACTS_BYTES
    for name, value in sorted(facts.items()):
        room -= len(json.dumps(name)) + len(str(value)) + 2
        if _is_fact(name, value) and len(found) < MAX_FACTS and room >= 0:
            found[name] = value
    left_out = len(facts) - len(found)
    return {**found, LEFT_OUT: left_out} if left_out else found


def _receipt(said: Any) -> Receipt:
    if not isinstance(said, dict) or set(said) - {"built"} != _KEYS or said["version"] != VERSION:
        raise NotCanonicalError(f"it is no receipt of version {VERSION}")
    facts, is_refusal = said["facts"], said["result"] == _REFUSED
    fits = {
        "device": isinstance(said["device"], str) and is_device_id(said["device"]),
        "specialist": isinstance(said["specialist"], str) and 0 < len(said["specialist"]) <= _MAX_NAME,
        "number": _is_whole(said["number"], 0 if is_refusal else 1, MAX_NUMBER),
        "digest": _is_word(_DIGEST, said["digest"]) or (is_refusal and said["digest"] == ""),
        "built": "built" not in said or _is_word(_DIGEST, said["built"]),
        "result": _is_word(_WORD, said["result"]),
        "code": _is_word(_CODE, said["code"]),
        "facts": isinstance(facts, dict)
        and len(facts) <= MAX_FACTS + 1
        and all(_is_fact(*one) for one in facts.items()),
        "at_s": _is_whole(said["at_s"], 0, LATEST_S),
        "seq": _is_whole(said["seq"], 1, MAX_SEQ),
    }
    wrong = [name for name, is_fit in fits.items() if not is_fit]
    if wrong:
        raise NotCanonicalError(f"its {', '.join(wrong)} cannot be read")
    return Receipt(**{name: value for name, value in said.items() if name != "version"})


def _is_fact(name: object, value: object) -> bool:
    is_name = isinstance(name, str) and 0 < len(name) <= _MAX_FACT_NAME and name.isascii() and name.isprintable()
    return is_name and _is_whole(value, -LARGEST_INTEGER, LARGEST_INTEGER)


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_word(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _octets(text: object, at_most: int) -> bytes:
    try:
        body = base64.b64decode(text.encode("ascii"), validate=True) if isinstance(text, str) else b""
    except (UnicodeEncodeError, binascii.Error):
        body = b""
    if not 0 < len(body) <= at_most or base64.b64encode(body).decode() != text:
        raise NotCanonicalError("certificate or signature is no base64")
    return body
